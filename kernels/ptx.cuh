// Instructions behind names: the card's form here, the software device's in emulator/ptx.h.
// Every function is recorded on a real card by a program in conformance/.
#pragma once

// A bfloat16 value: the upper half of a float. Only stored and converted; arithmetic is in float.
struct bf16_t {
    uint16_t bits;
};

#ifdef FAIRPRUNE_EMULATOR

#include "emulator/ptx.h"

#else

// Waits until the kernels that this one depends on have ended and what they wrote can be seen. A kernel
// that is launched to begin before that touches no device memory earlier. Images for cards before
// Hopper have no such instruction, and their kernels are not launched so.
DEVICE void dependency_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Once all blocks have said so or ended, the kernel that depends on this one may begin.
DEVICE void dependents_launch() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// All threads of the block wait for each other; their writes are visible to each other.
DEVICE void block_barrier() { __syncthreads(); }

// The same for the warp's 32 threads. No other warp instruction orders memory.
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

// High word of a 32 x 32 bit product.
DEVICE uint32_t multiply_high(uint32_t a, uint32_t b) { return __umulhi(a, b); }

// Exact.
DEVICE float f32_from_bf16(bf16_t value) { return __uint_as_float(uint32_t(value.bits) << 16); }

// To nearest, ties to even; every NaN becomes 0x7fff.
DEVICE bf16_t bf16_from_f32(float value) {
    bf16_t result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
    return result;
}

// Two of them in a register, `low` in its lower half: how mma takes its operands.
DEVICE uint32_t pack_bf16(float low, float high) {
    uint32_t result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}

// The value, by way of a shuffle to oneself, behind which the compiler cannot look: it must stay in a
// register and is not computed anew wherever a loop needs it. All 32 lanes take part.
DEVICE uint32_t kept(uint32_t value) {
    asm volatile("shfl.sync.bfly.b32 %0, %0, 0, 0x1f, 0xffffffff;" : "+r"(value));
    return value;
}

// The address within shared memory.
DEVICE uint32_t shared_address(const void* shared) {
    return uint32_t(__cvta_generic_to_shared(shared));
}

// Starts to copy BYTES (4, 8 or 16) from global to shared memory, both multiples of BYTES. Until the
// thread has waited for the copy's group, the destination must not be touched and the source must
// not change; after that the bytes are the thread's own write, and others need a barrier.
template <int BYTES>
DEVICE void async_copy(void* shared, const void* global) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "bytes of one copy");
    if constexpr (BYTES == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
                     "l"(global)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(shared)),
                     "l"(global), "n"(BYTES)
                     : "memory");
    }
}

// The same where `valid`; else BYTES zeros arrive and nothing is read, wherever `global` points.
template <int BYTES>
DEVICE void async_copy_or_zero(uint32_t shared, const void* global, bool valid) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "bytes of one copy");
    const uint32_t size = valid ? BYTES : 0;
    if constexpr (BYTES == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
                     "r"(size)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(global),
                     "n"(BYTES), "r"(size)
                     : "memory");
    }
}
template <int BYTES>
DEVICE void async_copy_or_zero(void* shared, const void* global, bool valid) {
    async_copy_or_zero<BYTES>(shared_address(shared), global, valid);
}

// The thread's copies since its last commit become a group.
DEVICE void async_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most the PENDING newest groups of this thread are under way.
template <int PENDING>
DEVICE void async_copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Four 8 x 8 matrices of 16-bit values from shared memory. Lane 8 m + i gives the address of row i
// of matrix m (8 values, a multiple of 16 bytes). Lane l receives in result[m] the values
// (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1), the first in the lower half.
DEVICE void ldmatrix_x4(uint32_t (&result)[4], uint32_t row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"(row)
                 : "memory");
}
DEVICE void ldmatrix_x4(uint32_t (&result)[4], const void* row) {
    ldmatrix_x4(result, shared_address(row));
}

// The same of the transposed matrices: (2 (l % 4), l / 4) and (2 (l % 4) + 1, l / 4).
DEVICE void ldmatrix_x4_transposed(uint32_t (&result)[4], uint32_t row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"(row)
                 : "memory");
}
DEVICE void ldmatrix_x4_transposed(uint32_t (&result)[4], const void* row) {
    ldmatrix_x4_transposed(result, shared_address(row));
}

// d (16 x 8, f32) += a (16 x 16, bf16) b (16 x 8, bf16). With g = lane / 4 and t = lane % 4:
//   a[0], a[1]   rows g, g + 8;  columns 2 t, 2 t + 1      a[2], a[3]   columns 8 further
//   b[0], b[1]   column g;       rows 2 t, 2 t + 1         and 8 further
//   d[0], d[1]   row g;          columns 2 t, 2 t + 1      d[2], d[3]   row g + 8
DEVICE void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif
