// What runs at this moment. Read at every access, so one flat structure.
//
// Only one thread of one block of one launch runs at a time. `clock` stamps its accesses and grows
// at every event that orders memory; the stamps of those events say what lies before them.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace emulator {

struct Now {
    uintptr_t stack;        // lowest address of the running thread's stack
    uint32_t clock;
    uint32_t launch;        // clock when the launch began,
    uint32_t block;         // when the block began,
    uint32_t barrier;       // when the block last passed a barrier (or began),
    uint32_t warp_barrier;  // when the thread's warp last passed a warp barrier (or began)
    uint16_t thread;        // linear index in its block
    bool running;           // a kernel's thread runs
    size_t reach;           // bytes of device memory that it may touch: none before it has waited
};

extern Now now;

}  // namespace emulator
