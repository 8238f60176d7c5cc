// Several values at once: 128-bit loads and stores, and loops that must unroll so that arrays live
// in registers.
#pragma once

#include <math.h>
#include <string.h>

#ifdef FAIRPRUNE_EMULATOR
#define UNROLL _Pragma("GCC unroll 4")
#else
#define UNROLL _Pragma("unroll")
#endif

// The value of the same bits.
DEVICE float bits_as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
DEVICE uint32_t float_as_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// V neighbouring values; V is 1 or 4.
template <int V>
struct alignas(4 * V) Vector {
    float v[V];
};

template <int V>
DEVICE Vector<V> zeros() {
    Vector<V> value;
    UNROLL for (int i = 0; i < V; i++) value.v[i] = 0.0f;
    return value;
}

#ifdef FAIRPRUNE_EMULATOR

// A vector type of the compiler's keeps a 128-bit access one access, which is then checked whole.
typedef float VectorAccess __attribute__((vector_size(16), may_alias));

template <int V>
DEVICE Vector<V> load(const float* address) {
    Vector<V> value;
    if (V == 4) {
        const VectorAccess all = *reinterpret_cast<const VectorAccess*>(address);
        UNROLL for (int i = 0; i < V; i++) value.v[i] = all[i];
    } else {
        value.v[0] = *address;
    }
    return value;
}

template <int V>
DEVICE void store(float* address, const Vector<V>& value) {
    if (V == 4) {
        VectorAccess all;
        UNROLL for (int i = 0; i < V; i++) all[i] = value.v[i];
        *reinterpret_cast<VectorAccess*>(address) = all;
    } else {
        *address = value.v[0];
    }
}

#else

// The address is a multiple of V values.
template <int V>
DEVICE Vector<V> load(const float* address) {
    return *reinterpret_cast<const Vector<V>*>(address);
}

template <int V>
DEVICE void store(float* address, const Vector<V>& value) {
    *reinterpret_cast<Vector<V>*>(address) = value;
}

#endif

// Four neighbours of which the first `count` exist, the others 0: one access where `whole` says that
// all exist and are aligned.
DEVICE Vector<4> load_some(const float* address, uint32_t count, bool whole) {
    if (whole) return load<4>(address);
    Vector<4> value = zeros<4>();
    UNROLL for (uint32_t i = 0; i < 4; i++) {
        if (i < count) value.v[i] = address[i];
    }
    return value;
}

DEVICE void store_some(float* address, const Vector<4>& value, uint32_t count, bool whole) {
    if (whole) {
        store<4>(address, value);
        return;
    }
    UNROLL for (uint32_t i = 0; i < 4; i++) {
        if (i < count) address[i] = value.v[i];
    }
}
