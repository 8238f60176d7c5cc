#include "../control.h"

#include "../counters.h"
#include "../memory.h"
#include "../report.h"
#include "../settings.h"
#include "api.h"
#include "module.h"
#include "stream.h"

using namespace emulator;

using Guard = std::lock_guard<std::recursive_mutex>;
#define CONTROL extern "C" __attribute__((visibility("default")))

CONTROL uint32_t fairprune_emulator_findings() {
    const Guard guard(emulator::lock);
    run_everything();
    return findings();
}

CONTROL int fairprune_emulator_get_finding(uint32_t index, fairprune_emulator_finding* out) {
    const Guard guard(emulator::lock);
    run_everything();
    const Finding* found = finding(index);
    if (found != nullptr) *out = *found;
    return found != nullptr;
}

CONTROL int fairprune_emulator_get_counters(const char* kernel, fairprune_emulator_counters* out) {
    const Guard guard(emulator::lock);
    run_everything();
    const Counters* found = counters(kernel);
    if (found != nullptr) *out = *found;
    return found != nullptr;
}

CONTROL void fairprune_emulator_set_order(uint32_t order) {
    const Guard guard(emulator::lock);
    run_everything();
    settings().order = order < 2 ? order : 2;
}

CONTROL void fairprune_emulator_count_bank_conflicts(int on) {
    const Guard guard(emulator::lock);
    run_everything();
    settings().bank_conflicts = on != 0;
}

CONTROL void fairprune_emulator_print_findings(int on) {
    const Guard guard(emulator::lock);
    settings().print = on != 0;
}

CONTROL void fairprune_emulator_allocations(uint64_t* count, uint64_t* bytes) {
    const Guard guard(emulator::lock);
    run_everything();
    *count = allocation_count();
    *bytes = allocated_bytes();
}

CONTROL void fairprune_emulator_reset() {
    const Guard guard(emulator::lock);
    drop_streams();
    release_all();
    forget_findings();
    forget_counters();
    forget_launches();
    forget_allocations();
    emulator::context.fault = SUCCESS;
}
