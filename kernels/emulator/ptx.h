// The software device's form of ptx.cuh, where every function is described.
#pragma once

#include "instructions.h"

namespace emulator {

inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace emulator

DEVICE void dependency_wait() { emulator::dependency_wait(); }
// What depends on a kernel waits for its end, so that an early beginning is nothing to see.
DEVICE void dependents_launch() {}

DEVICE void block_barrier(emulator::Site site = emulator::Site::here()) {
    emulator::block_barrier(site);
}
DEVICE void warp_barrier(emulator::Site site = emulator::Site::here()) {
    emulator::warp_barrier(site);
}
DEVICE float warp_shuffle_xor(float value, int mask,
                              emulator::Site site = emulator::Site::here()) {
    return emulator::float_of(emulator::shuffle_xor(emulator::bits_of(value), mask, site));
}
DEVICE uint32_t warp_shuffle_xor(uint32_t value, int mask,
                                 emulator::Site site = emulator::Site::here()) {
    return emulator::shuffle_xor(value, mask, site);
}
DEVICE float warp_broadcast(float value, int lane, emulator::Site site = emulator::Site::here()) {
    return emulator::float_of(emulator::broadcast(emulator::bits_of(value), lane, site));
}
DEVICE uint32_t warp_broadcast(uint32_t value, int lane,
                               emulator::Site site = emulator::Site::here()) {
    return emulator::broadcast(value, lane, site);
}

DEVICE uint32_t atomic_add(uint32_t* address, uint32_t value) {
    return emulator::atomic_add(address, value);
}
DEVICE uint32_t atomic_min(uint32_t* address, uint32_t value) {
    return emulator::atomic_min(address, value);
}
DEVICE uint32_t atomic_compare_exchange(uint32_t* address, uint32_t expected, uint32_t value) {
    return emulator::atomic_compare_exchange(address, expected, value);
}

DEVICE float fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE uint32_t multiply_high(uint32_t a, uint32_t b) { return uint32_t(uint64_t(a) * b >> 32); }

DEVICE float f32_from_bf16(bf16_t value) { return emulator::float_of(uint32_t(value.bits) << 16); }
DEVICE bf16_t bf16_from_f32(float value) {
    if (value != value) return {0x7fff};
    const uint32_t bits = emulator::bits_of(value);
    return {uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
DEVICE uint32_t pack_bf16(float low, float high) {
    return bf16_from_f32(low).bits | uint32_t(bf16_from_f32(high).bits) << 16;
}

DEVICE uint32_t kept(uint32_t value, emulator::Site site = emulator::Site::here()) {
    return emulator::shuffle_xor(value, 0, site);
}

DEVICE uint32_t shared_address(const void* shared) {
    return uint32_t(static_cast<const unsigned char*>(shared) - emulator::shared_memory);
}

template <int BYTES>
DEVICE void async_copy(void* shared, const void* global) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "bytes of one copy");
    emulator::async_copy(shared, global, BYTES, true);
}
template <int BYTES>
DEVICE void async_copy_or_zero(void* shared, const void* global, bool valid) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "bytes of one copy");
    emulator::async_copy(shared, global, BYTES, valid);
}
template <int BYTES>
DEVICE void async_copy_or_zero(uint32_t shared, const void* global, bool valid) {
    async_copy_or_zero<BYTES>(emulator::shared_memory + shared, global, valid);
}
DEVICE void async_copy_commit() { emulator::async_copy_commit(); }
template <int PENDING>
DEVICE void async_copy_wait() {
    emulator::async_copy_wait(PENDING);
}

DEVICE void ldmatrix_x4(uint32_t (&result)[4], const void* row,
                        emulator::Site site = emulator::Site::here()) {
    emulator::ldmatrix_x4(result, row, false, site);
}
DEVICE void ldmatrix_x4(uint32_t (&result)[4], uint32_t row,
                        emulator::Site site = emulator::Site::here()) {
    emulator::ldmatrix_x4(result, emulator::shared_memory + row, false, site);
}
DEVICE void ldmatrix_x4_transposed(uint32_t (&result)[4], const void* row,
                                   emulator::Site site = emulator::Site::here()) {
    emulator::ldmatrix_x4(result, row, true, site);
}
DEVICE void ldmatrix_x4_transposed(uint32_t (&result)[4], uint32_t row,
                        emulator::Site site = emulator::Site::here()) {
    emulator::ldmatrix_x4(result, emulator::shared_memory + row, true, site);
}
DEVICE void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                              emulator::Site site = emulator::Site::here()) {
    emulator::mma_m16n8k16_bf16(d, a, b, site);
}
