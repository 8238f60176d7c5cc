// Eight neighbouring bf16 values, 16 bytes: what a thread loads and stores at once.
#pragma once

#include "vector.cuh"

struct alignas(16) Eight {
    uint32_t pairs[4];

    // Value i, exactly.
    DEVICE float value(int i) const {
        return f32_from_bf16({uint16_t(i % 2 == 0 ? pairs[i / 2] : pairs[i / 2] >> 16)});
    }
};

// Each rounded once, to nearest.
DEVICE Eight round_eight(const float (&values)[8]) {
    Eight eight;
    UNROLL for (int i = 0; i < 4; i++) eight.pairs[i] = pack_bf16(values[2 * i], values[2 * i + 1]);
    return eight;
}

#ifdef FAIRPRUNE_EMULATOR

typedef uint32_t EightAccess __attribute__((vector_size(16), may_alias));

DEVICE Eight load_eight(const bf16_t* address) {
    const EightAccess all = *reinterpret_cast<const EightAccess*>(address);
    return {{all[0], all[1], all[2], all[3]}};
}

DEVICE void store_eight(bf16_t* address, const Eight& e) {
    *reinterpret_cast<EightAccess*>(address) =
        EightAccess{e.pairs[0], e.pairs[1], e.pairs[2], e.pairs[3]};
}

typedef float PairAccess __attribute__((vector_size(8), may_alias));

DEVICE void store_pair(float* address, float first, float second) {
    *reinterpret_cast<PairAccess*>(address) = PairAccess{first, second};
}

#else

// The address is a multiple of 16 bytes.
DEVICE Eight load_eight(const bf16_t* address) { return *reinterpret_cast<const Eight*>(address); }

DEVICE void store_eight(bf16_t* address, const Eight& e) { *reinterpret_cast<Eight*>(address) = e; }

// Two f32 values in one access; the address is a multiple of 8 bytes.
struct alignas(8) Pair {
    float first, second;
};

DEVICE void store_pair(float* address, float first, float second) {
    *reinterpret_cast<Pair*>(address) = {first, second};
}

#endif

// Eight f32 values, as two accesses; the address is a multiple of 16 bytes.
DEVICE void load_floats(float (&values)[8], const float* address) {
    const Vector<4> low = load<4>(address), high = load<4>(address + 4);
    UNROLL for (int i = 0; i < 4; i++) {
        values[i] = low.v[i];
        values[i + 4] = high.v[i];
    }
}
