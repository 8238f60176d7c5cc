// Sums over a warp or a block in one fixed order: always the same tree, whatever runs first.
#pragma once

// The value of lane (lane ^ mask), in double precision.
DEVICE double warp_shuffle_xor(double value, int mask) {
    uint32_t words[2];
    memcpy(words, &value, sizeof value);
    words[0] = warp_shuffle_xor(words[0], mask);
    words[1] = warp_shuffle_xor(words[1], mask);
    memcpy(&value, words, sizeof value);
    return value;
}

// Sum over the warp's lanes, on every lane: a tree of distances 16, 8, 4, 2, 1.
template <typename T>
DEVICE T warp_sum(T value) {
    for (int mask = 16; mask > 0; mask >>= 1) value += warp_shuffle_xor(value, mask);
    return value;
}

// Sum over the block's threads, on every thread: each warp's tree, then warps in order. `shared`
// has room for one T a warp and is free to use again after the block's next barrier.
template <int THREADS, typename T>
DEVICE T block_sum(T value, T* shared) {
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
    block_barrier();
    T sum = shared[0];
    for (int warp = 1; warp < THREADS / 32; warp++) sum += shared[warp];
    return sum;
}
