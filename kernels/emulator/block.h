// One block: its threads are fibers that run until they meet at a barrier or end.
#pragma once

#include <stdint.h>

#include "instructions.h"
#include "kernel_entry.h"
#include "now.h"

namespace emulator {

// Runs launch.block to its end, or to a finding.
void run_block();

// A warp instruction: gets the 32 lanes' arguments once all have come.
using Operation = void (*)(void* const* lanes);

// The running thread takes part in a warp instruction and waits until it is done. `name` is the
// instruction's, for findings.
void warp_instruction(void* argument, Operation operation, const char* name, Site site);

// Runs `action` as the thread of that lane of the running warp, so that findings name it.
template <typename Action>
void as_lane(uint32_t lane, Action action) {
    const uint16_t self = now.thread;
    now.thread = self / 32 * 32 + lane;
    action();
    now.thread = self;
}

}  // namespace emulator
