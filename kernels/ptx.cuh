// Instructions behind names: the card's form here, the software device's in emulator/ptx.h.
// Every function is recorded on a real card by a program in conformance/.
#pragma once

#ifdef FAIRPRUNE_EMULATOR

#include "emulator/ptx.h"

#else

// All threads of the block wait for each other; their writes are visible to each other.
DEVICE void block_barrier() { __syncthreads(); }

// The same for the warp's 32 threads.
DEVICE void warp_barrier() { __syncwarp(); }

// The value of lane (lane ^ mask). All 32 lanes take part.
DEVICE float warp_shuffle_xor(float value, int mask) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
}
DEVICE uint32_t warp_shuffle_xor(uint32_t value, int mask) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
}

// The value of one lane. All 32 lanes take part.
DEVICE float warp_broadcast(float value, int lane) {
    return __shfl_sync(0xffffffffu, value, lane);
}
DEVICE uint32_t warp_broadcast(uint32_t value, int lane) {
    return __shfl_sync(0xffffffffu, value, lane);
}

// Integer atomics on global memory; floats have none, since their sums depend on the order.
// Each returns the value before.
DEVICE uint32_t atomic_add(uint32_t* address, uint32_t value) { return atomicAdd(address, value); }
DEVICE uint32_t atomic_min(uint32_t* address, uint32_t value) { return atomicMin(address, value); }
DEVICE uint32_t atomic_compare_exchange(uint32_t* address, uint32_t expected, uint32_t value) {
    return atomicCAS(address, expected, value);
}

// a * b + c with one rounding. Sources are compiled with --fmad=false: nothing else contracts.
DEVICE float fma_f32(float a, float b, float c) { return __fmaf_rn(a, b, c); }

// High and low word of a 32 x 32 bit product.
DEVICE uint32_t multiply_high(uint32_t a, uint32_t b) { return __umulhi(a, b); }

#endif
