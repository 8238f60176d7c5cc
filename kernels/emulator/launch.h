// One launch: its blocks run one after the other in the order that the settings give.
#pragma once

#include <stdint.h>

#include <vector>

#include "kernel_entry.h"
#include "fiber.h"
#include "now.h"

namespace emulator {

struct Launch {
    const Kernel* kernel;
    Index grid, size;  // blocks, threads of a block
    uint32_t shared_bytes;
    uint32_t threads;  // of a block
    bool early;        // may begin before the launch before it has ended
    Index block;       // the one that runs
    alignas(16) unsigned char args[4096];

    Index thread[MOST_THREADS];  // the index of each in its block
    // The block that ran when the clock showed `stamp`, in this launch.
    Index block_at(uint32_t stamp) const;
    // Leaves the running thread for good; the launch ends with a finding of this kind.
    [[noreturn]] void abandon(uint32_t kind);

    struct Start {
        uint32_t stamp;
        uint64_t block;
    };
    std::vector<Start> starts;  // of the blocks so far
    uint32_t failure;           // kind of the finding that ended the launch, 0: none
};

extern Launch launch;

// Runs a launch whose sizes were checked; returns the kind of the finding that ended it, or 0. An
// `early` one may begin before the one before it has ended: its threads must wait before they touch
// device memory.
uint32_t run_launch(const Kernel* kernel, Index grid, Index size, uint32_t shared_bytes,
                    const void* args, bool early);

}  // namespace emulator
