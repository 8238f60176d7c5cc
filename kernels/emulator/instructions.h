// What the library does for kernels: everything that needs other threads or the memory model.
#pragma once

#include <stdint.h>

#pragma GCC visibility push(hidden)

namespace emulator {

// A place in a kernel's source: threads that meet must meet at the same one.
struct Site {
    const char* file;
    int line;
    static Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
        return {file, line};
    }
};

void dependency_wait();
void block_barrier(Site site);
void warp_barrier(Site site);
uint32_t shuffle_xor(uint32_t value, int mask, Site site);
uint32_t broadcast(uint32_t value, int lane, Site site);
uint32_t atomic_add(uint32_t* address, uint32_t value);
uint32_t atomic_min(uint32_t* address, uint32_t value);
uint32_t atomic_compare_exchange(uint32_t* address, uint32_t expected, uint32_t value);
void async_copy(void* shared, const void* global, uint32_t bytes, bool valid);
void async_copy_commit();
void async_copy_wait(uint32_t pending);
void ldmatrix_x4(uint32_t* result, const void* row, bool transposed, Site site);
void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site);

}  // namespace emulator

#pragma GCC visibility pop
