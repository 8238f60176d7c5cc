// A kernel as the driver and the scheduler know it.
#pragma once

#include <stdint.h>

#pragma GCC visibility push(hidden)

namespace emulator {

struct Index {
    uint32_t x, y, z;
};

// Every KERNEL makes one, before main; they form a list.
struct Kernel {
    const char* family;
    const char* name;
    void (*run)(const void* args);
    uint32_t args_bytes, threads;
    const Kernel* next;

    Kernel(const char* family, const char* name, void (*run)(const void*), uint32_t args_bytes,
           uint32_t threads);
};

extern const Kernel* kernels;

// The running block's shared memory.
extern unsigned char* const shared_memory;

}  // namespace emulator

#pragma GCC visibility pop
