#include "counters.h"

#include <map>
#include <string>

#include "settings.h"

namespace emulator {

Counters counting;
uint64_t accesses, most_accesses;

static Counters last;
static std::map<std::string, Counters> sums;

void begin_counting() {
    counting = {};
    counting.launches = 1;
    accesses = 0;
    most_accesses = settings().accesses;
}

void end_counting(const char* kernel) {
    last = counting;
    // The structure is nothing but numbers of 64 bits.
    uint64_t* to = reinterpret_cast<uint64_t*>(&sums[kernel]);
    const uint64_t* from = reinterpret_cast<const uint64_t*>(&counting);
    for (size_t i = 0; i < sizeof counting / sizeof *to; i++) to[i] += from[i];
}

const Counters* counters(const char* kernel) {
    if (kernel == nullptr) return last.launches > 0 ? &last : nullptr;
    const auto found = sums.find(kernel);
    return found == sums.end() ? nullptr : &found->second;
}

void forget_counters() {
    last = {};
    sums.clear();
}

}  // namespace emulator
