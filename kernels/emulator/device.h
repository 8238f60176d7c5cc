// What a kernel source sees of the software device: the indices of the running thread, and how
// kernels and shared memory are declared (the card's forms are in kernel.cuh).
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernel_entry.h"

#pragma GCC visibility push(hidden)

// For the running thread these never change, so the compiler may keep them in registers; the
// scheduler, where they are not const, sets them before it resumes a thread.
extern "C" {
extern const emulator::Index threadIdx, blockIdx, blockDim, gridDim;
}

#pragma GCC visibility pop

namespace emulator {

template <typename Args, void (*KERNEL)(const Args&)>
void run(const void* args) {
    KERNEL(*static_cast<const Args*>(args));
}

}  // namespace emulator

#define KERNEL(name, Args, threads, blocks)                                                       \
    static_assert(sizeof(Args) <= 4096, "kernel parameters are at most 4096 bytes");              \
    static_assert(threads <= 1024 && blocks >= 1, "launch bounds");                               \
    static void name(const Args& args);                                                           \
    static const emulator::Kernel name##_kernel(FAMILY, #name, emulator::run<Args, name>,         \
                                                sizeof(Args), threads);                           \
    static void name(const Args& args)

#define SHARED_MEMORY(T, name) T* const name = reinterpret_cast<T*>(emulator::shared_memory)

// Always inlined, as on the card; so that families may use a name for different things.
#define DEVICE inline __attribute__((always_inline))
