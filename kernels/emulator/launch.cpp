#include "launch.h"

#include <string.h>

#include <algorithm>

#include "banks.h"
#include "block.h"
#include "counters.h"
#include "memory.h"
#include "order.h"

namespace emulator {

Launch launch;

// Before the clock ends, all accesses are forgotten and it begins again.
constexpr uint32_t LATE = 0xc0000000;

static Index index_in(const Index& size, uint64_t linear) {
    return {uint32_t(linear % size.x), uint32_t(linear / size.x % size.y),
            uint32_t(linear / size.x / size.y)};
}

Index Launch::block_at(uint32_t stamp) const {
    const auto after = std::upper_bound(starts.begin(), starts.end(), stamp,
                                        [](uint32_t s, const Start& b) { return s < b.stamp; });
    return after == starts.begin() ? block : index_in(grid, (after - 1)->block);
}

uint32_t run_launch(const Kernel* kernel, Index grid, Index size, uint32_t shared_bytes,
                    const void* args, bool early) {
    if (now.clock > LATE) {
        global.forget_accesses();
        shared.forget_accesses();
        now.clock = 0;
    }
    launch.kernel = kernel;
    launch.grid = grid;
    launch.size = size;
    launch.shared_bytes = shared_bytes;
    launch.early = early;
    launch.threads = size.x * size.y * size.z;
    for (uint32_t t = 0; t < launch.threads; t++) launch.thread[t] = index_in(size, t);
    launch.starts.clear();
    launch.failure = 0;
    memcpy(launch.args, args, kernel->args_bytes);
    set_shared(shared_bytes);
    begin_counting();
    counting.early = early;
    count_banks = settings().bank_conflicts;
    now.launch = ++now.clock;

    const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
    const BlockOrder order(blocks);
    for (uint64_t i = 0; i < blocks && launch.failure == 0; i++) {
        const uint64_t linear = order.block(i);
        launch.block = index_in(grid, linear);
        launch.starts.push_back({now.clock + 1, linear});
        clear_shared();
        run_block();
    }
    now.running = false;
    now.stack = 0;
    end_counting(kernel->name);
    return launch.failure;
}

}  // namespace emulator
