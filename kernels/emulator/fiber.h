// Stacks for the threads of a block, and the switch between them.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace emulator {

constexpr uint32_t MOST_THREADS = 1024;
constexpr size_t STACK_BYTES = 128 << 10;

// All stacks, each above a page that faults when a stack overflows.
constexpr size_t STACK_GUARD = 4096;
extern const uintptr_t stacks;

// Lowest address of a thread's stack.
inline uintptr_t stack_of(uint32_t thread) {
    return stacks + thread * (STACK_GUARD + STACK_BYTES) + STACK_GUARD;
}

// A thread that will call `entry` when it is first switched to: its stack pointer. `entry` must not
// return.
void* new_fiber(uint32_t thread, void (*entry)());

}  // namespace emulator

// Stores the running stack pointer in `save` and continues at `resume`, a pointer stored before.
extern "C" __attribute__((visibility("hidden"))) void emulator_switch(void** save, void* resume);
