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

// The compiler expands copies and fills of known size after it has put the checks in, so they are
// calls here (access.cpp), but for a value's worth of bytes, which it turns into a load and a store.
extern "C" {
__attribute__((visibility("hidden"))) void* emulator_memcpy(void*, const void*, size_t);
__attribute__((visibility("hidden"))) void* emulator_memmove(void*, const void*, size_t);
__attribute__((visibility("hidden"))) void* emulator_memset(void*, int, size_t);
}
__attribute__((always_inline)) inline void* copy(void* to, const void* from, size_t bytes) {
    const bool value = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    if (__builtin_constant_p(value) && value) return __builtin_memcpy(to, from, bytes);
    return emulator_memcpy(to, from, bytes);
}

void dependency_wait();

// A kernel's entry: it waits for what it depends on; or leaves that to its body.
template <typename Args, void (*BODY)(const Args&)>
void run(const void* args) {
    dependency_wait();
    BODY(*static_cast<const Args*>(args));
}
template <typename Args, void (*BODY)(const Args&)>
void run_early(const void* args) {
    BODY(*static_cast<const Args*>(args));
}

}  // namespace emulator

#define memcpy(to, from, bytes) emulator::copy(to, from, bytes)
#define memmove(to, from, bytes) emulator::emulator_memmove(to, from, bytes)
#define memset(to, value, bytes) emulator::emulator_memset(to, value, bytes)

#define KERNEL(name, Args, threads, blocks) KERNEL_ENTRY(name, Args, threads, blocks, run)
#define KERNEL_ENTRY(name, Args, threads, blocks, entry)                                          \
    static_assert(sizeof(Args) <= 4096, "kernel parameters are at most 4096 bytes");              \
    static_assert(threads <= 1024 && blocks >= 1, "launch bounds");                               \
    static void name(const Args&);                                                                \
    static const emulator::Kernel name##_kernel(FAMILY, #name, emulator::entry<Args, name>,        \
                                                sizeof(Args), threads);                           \
    static void name([[maybe_unused]] const Args& args)

#define SHARED_MEMORY(T, name) T* const name = reinterpret_cast<T*>(emulator::shared_memory)

// Always inlined, as on the card; so that families may use a name for different things.
#define DEVICE inline __attribute__((always_inline))
