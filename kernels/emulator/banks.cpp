#include "banks.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "counters.h"
#include "now.h"

namespace emulator {

bool count_banks;

constexpr uint32_t BANKS = 32, LANES = 32, WARPS = 32;

struct Request {
    uint32_t offset[LANES];
    uint8_t bytes[LANES];  // 0: the lane takes no part
};

struct Instruction {
    uint32_t made[LANES] = {};
    std::vector<Request> requests;
};

static std::unordered_map<const void*, Instruction> instructions[WARPS];

void record_bank_access(const void* code, size_t offset, size_t bytes) {
    const uint32_t lane = now.thread % LANES;
    Instruction& instruction = instructions[now.thread / LANES][code];
    const uint32_t index = instruction.made[lane]++;
    if (index >= instruction.requests.size()) instruction.requests.push_back({});
    instruction.requests[index].offset[lane] = offset;
    instruction.requests[index].bytes[lane] = bytes;
}

// Passes for lanes first .. first + count: the most different words that one bank must serve.
static uint32_t passes(const Request& request, uint32_t first, uint32_t count) {
    uint32_t words[LANES * 4];
    uint32_t length = 0;
    for (uint32_t lane = first; lane < first + count; lane++) {
        if (request.bytes[lane] == 0) continue;
        const uint32_t begin = request.offset[lane] / 4;
        const uint32_t end = (request.offset[lane] + request.bytes[lane] + 3) / 4;
        for (uint32_t word = begin; word < end && length < LANES * 4; word++) words[length++] = word;
    }
    std::sort(words, words + length);
    length = std::unique(words, words + length) - words;
    uint32_t load[BANKS] = {};
    for (uint32_t i = 0; i < length; i++) load[words[i] % BANKS]++;
    return *std::max_element(load, load + BANKS);
}

static void count(const Request& request) {
    const uint32_t widest = *std::max_element(request.bytes, request.bytes + LANES);
    // A pass moves at most 128 bytes: half warps for 8 bytes a lane, quarters for 16.
    const uint32_t parts = widest <= 4 ? 1 : widest <= 8 ? 2 : 4;
    counting.bank_requests++;
    for (uint32_t part = 0; part < parts; part++) {
        const uint32_t needed = passes(request, part * (LANES / parts), LANES / parts);
        counting.bank_passes += needed;
        if (needed > 1) counting.bank_conflicts += needed - 1;
    }
}

void close_bank_requests(uint32_t warp) {
    for (const auto& [code, instruction] : instructions[warp]) {
        for (const Request& request : instruction.requests) count(request);
    }
    instructions[warp].clear();
}

}  // namespace emulator
