// One kernel for every function of ptx.cuh: thread t reads its words of `in`, calls the function and
// writes its words of `out`. record.cu runs them on a card and keeps what came out; the tests run
// the same kernels on the software device and compare.
//
// Grid: 1 block of the threads that CONFORMANCE_FUNCTIONS states. Words a thread: likewise.
#define FAMILY "conformance"
#include "kernel.cuh"

struct ConformanceArgs {
    const uint32_t* in;
    uint32_t* out;
};

// X(function, threads, words in, words out, kind of input)
//   any      any bits                                float    any floats, special values among them
//   half     bf16 pairs and floats of moderate size
#define CONFORMANCE_FUNCTIONS(X)             \
    X(block_barrier, 64, 1, 1, any)          \
    X(warp_barrier, 32, 1, 1, any)           \
    X(warp_shuffle_xor, 32, 1, 12, any)      \
    X(warp_broadcast, 32, 1, 6, any)         \
    X(atomic_add, 32, 2, 2, any)             \
    X(atomic_min, 32, 2, 2, any)             \
    X(atomic_compare_exchange, 32, 3, 2, any) \
    X(fma_f32, 32, 3, 1, float)              \
    X(multiply_high, 32, 2, 1, any)          \
    X(kept, 32, 1, 1, any)                   \
    X(f32_from_bf16, 32, 1, 1, any)          \
    X(bf16_from_f32, 32, 1, 1, float)        \
    X(pack_bf16, 32, 2, 1, float)            \
    X(async_copy, 32, 7, 7, any)             \
    X(async_copy_or_zero, 32, 7, 7, any)     \
    X(async_copy_wait, 32, 2, 2, any)        \
    X(ldmatrix_x4, 32, 4, 4, any)            \
    X(ldmatrix_x4_transposed, 32, 4, 4, any) \
    X(mma_m16n8k16_bf16, 32, 10, 4, half)

// The value of the same bits.
DEVICE float as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
DEVICE uint32_t as_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// A word crosses to the other end of the block.
KERNEL(conformance_block_barrier, ConformanceArgs, 64, 1) {
    SHARED_MEMORY(uint32_t, shared);
    shared[threadIdx.x] = args.in[threadIdx.x];
    block_barrier();
    args.out[threadIdx.x] = shared[63 - threadIdx.x];
}

KERNEL(conformance_warp_barrier, ConformanceArgs, 32, 1) {
    SHARED_MEMORY(uint32_t, shared);
    shared[threadIdx.x] = args.in[threadIdx.x];
    warp_barrier();
    args.out[threadIdx.x] = shared[31 - threadIdx.x];
}

KERNEL(conformance_warp_shuffle_xor, ConformanceArgs, 32, 1) {
    const uint32_t value = args.in[threadIdx.x];
    uint32_t* const out = args.out + threadIdx.x * 12;
    const int masks[6] = {1, 2, 4, 8, 16, 31};
    for (int i = 0; i < 6; i++) {
        out[2 * i] = warp_shuffle_xor(value, masks[i]);
        out[2 * i + 1] = as_bits(warp_shuffle_xor(as_float(value), masks[i]));
    }
}

KERNEL(conformance_warp_broadcast, ConformanceArgs, 32, 1) {
    const uint32_t value = args.in[threadIdx.x];
    uint32_t* const out = args.out + threadIdx.x * 6;
    const int lanes[3] = {0, 7, 31};
    for (int i = 0; i < 3; i++) {
        out[2 * i] = warp_broadcast(value, lanes[i]);
        out[2 * i + 1] = as_bits(warp_broadcast(as_float(value), lanes[i]));
    }
}

// Every thread at a place of its own: what was there, and what is there then.
KERNEL(conformance_atomic_add, ConformanceArgs, 32, 1) {
    const uint32_t* const in = args.in + threadIdx.x * 2;
    uint32_t* const out = args.out + threadIdx.x * 2;
    out[1] = in[0];
    out[0] = atomic_add(&out[1], in[1]);
}

KERNEL(conformance_atomic_min, ConformanceArgs, 32, 1) {
    const uint32_t* const in = args.in + threadIdx.x * 2;
    uint32_t* const out = args.out + threadIdx.x * 2;
    out[1] = in[0];
    out[0] = atomic_min(&out[1], in[1]);
}

// Odd threads expect what is there.
KERNEL(conformance_atomic_compare_exchange, ConformanceArgs, 32, 1) {
    const uint32_t* const in = args.in + threadIdx.x * 3;
    uint32_t* const out = args.out + threadIdx.x * 2;
    out[1] = in[0];
    out[0] = atomic_compare_exchange(&out[1], threadIdx.x % 2 ? in[0] : in[1], in[2]);
}

KERNEL(conformance_fma_f32, ConformanceArgs, 32, 1) {
    const uint32_t* const in = args.in + threadIdx.x * 3;
    args.out[threadIdx.x] = as_bits(fma_f32(as_float(in[0]), as_float(in[1]), as_float(in[2])));
}

KERNEL(conformance_multiply_high, ConformanceArgs, 32, 1) {
    const uint32_t* const in = args.in + threadIdx.x * 2;
    args.out[threadIdx.x] = multiply_high(in[0], in[1]);
}

KERNEL(conformance_kept, ConformanceArgs, 32, 1) {
    args.out[threadIdx.x] = kept(args.in[threadIdx.x]);
}

KERNEL(conformance_f32_from_bf16, ConformanceArgs, 32, 1) {
    args.out[threadIdx.x] = as_bits(f32_from_bf16({uint16_t(args.in[threadIdx.x])}));
}

KERNEL(conformance_bf16_from_f32, ConformanceArgs, 32, 1) {
    args.out[threadIdx.x] = bf16_from_f32(as_float(args.in[threadIdx.x])).bits;
}

KERNEL(conformance_pack_bf16, ConformanceArgs, 32, 1) {
    const uint32_t* const in = args.in + threadIdx.x * 2;
    args.out[threadIdx.x] = pack_bf16(as_float(in[0]), as_float(in[1]));
}

// A thread's 7 words in copies of 16, 8 and 4 bytes; the global words of a kind lie together, so that
// they are aligned.
template <typename Copy16, typename Copy8, typename Copy4>
DEVICE void copy_words(const ConformanceArgs& args, uint32_t* shared, Copy16 copy16, Copy8 copy8,
                       Copy4 copy4) {
    const uint32_t t = threadIdx.x, places[3] = {t * 4, 128 + t * 2, 192 + t};
    copy16(shared + places[0], args.in + places[0]);
    copy8(shared + places[1], args.in + places[1]);
    copy4(shared + places[2], args.in + places[2]);
    async_copy_commit();
    async_copy_wait<0>();
    for (int i = 0; i < 4; i++) args.out[places[0] + i] = shared[places[0] + i];
    for (int i = 0; i < 2; i++) args.out[places[1] + i] = shared[places[1] + i];
    args.out[places[2]] = shared[places[2]];
}

KERNEL(conformance_async_copy, ConformanceArgs, 32, 1) {
    SHARED_MEMORY(uint32_t, shared);
    copy_words(
        args, shared, [](void* to, const void* from) { async_copy<16>(to, from); },
        [](void* to, const void* from) { async_copy<8>(to, from); },
        [](void* to, const void* from) { async_copy<4>(to, from); });
}

// Odd threads copy, the others receive zeros.
KERNEL(conformance_async_copy_or_zero, ConformanceArgs, 32, 1) {
    SHARED_MEMORY(uint32_t, shared);
    const bool valid = threadIdx.x % 2;
    copy_words(
        args, shared, [=](void* to, const void* from) { async_copy_or_zero<16>(to, from, valid); },
        [=](void* to, const void* from) { async_copy_or_zero<8>(to, from, valid); },
        [=](void* to, const void* from) { async_copy_or_zero<4>(to, from, valid); });
}

// Two groups under way: the first is there when one is left.
KERNEL(conformance_async_copy_wait, ConformanceArgs, 32, 1) {
    SHARED_MEMORY(uint32_t, shared);
    const uint32_t t = threadIdx.x;
    async_copy<4>(shared + t, args.in + t);
    async_copy_commit();
    async_copy<4>(shared + 32 + t, args.in + 32 + t);
    async_copy_commit();
    async_copy_wait<1>();
    args.out[t] = shared[t];
    async_copy_wait<0>();
    args.out[32 + t] = shared[32 + t];
}

template <typename Load>
DEVICE void load_matrices(const ConformanceArgs& args, uint32_t* shared, Load load) {
    const uint32_t t = threadIdx.x;
    for (int i = 0; i < 4; i++) shared[t * 4 + i] = args.in[t * 4 + i];
    warp_barrier();
    uint32_t result[4];
    load(result, shared + t * 4);
    for (int i = 0; i < 4; i++) args.out[t * 4 + i] = result[i];
}

KERNEL(conformance_ldmatrix_x4, ConformanceArgs, 32, 1) {
    SHARED_MEMORY(uint32_t, shared);
    load_matrices(args, shared, [](uint32_t(&r)[4], const void* row) { ldmatrix_x4(r, row); });
}

KERNEL(conformance_ldmatrix_x4_transposed, ConformanceArgs, 32, 1) {
    SHARED_MEMORY(uint32_t, shared);
    load_matrices(args, shared,
                  [](uint32_t(&r)[4], const void* row) { ldmatrix_x4_transposed(r, row); });
}

// The words are a, b, d.
KERNEL(conformance_mma_m16n8k16_bf16, ConformanceArgs, 32, 1) {
    const uint32_t* const in = args.in + threadIdx.x * 10;
    uint32_t a[4], b[2];
    float d[4];
    for (int i = 0; i < 4; i++) a[i] = in[i];
    for (int i = 0; i < 2; i++) b[i] = in[4 + i];
    for (int i = 0; i < 4; i++) d[i] = as_float(in[6 + i]);
    mma_m16n8k16_bf16(d, a, b);
    for (int i = 0; i < 4; i++) args.out[threadIdx.x * 4 + i] = as_bits(d[i]);
}
