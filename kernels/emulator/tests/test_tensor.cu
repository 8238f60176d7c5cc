// Matrix instructions, and a product that uses them all.
#define FAMILY "test_tensor"
#include "kernel.cuh"

struct LoadArgs {
    const uint16_t* x;
    uint32_t* out;
    uint32_t transposed;
    uint32_t filler;
};

// 32 rows of 8 values; out[lane * 4 + m].
KERNEL(ldmatrix, LoadArgs, 32, 1) {
    SHARED_MEMORY(uint16_t, shared);
    const uint32_t lane = threadIdx.x;
    async_copy<16>(shared + lane * 8, args.x + lane * 8);
    async_copy_commit();
    async_copy_wait<0>();
    warp_barrier();
    uint32_t values[4];
    if (args.transposed) {
        ldmatrix_x4_transposed(values, shared + lane * 8);
    } else {
        ldmatrix_x4(values, shared + lane * 8);
    }
    for (int m = 0; m < 4; m++) args.out[lane * 4 + m] = values[m];
}

struct ConvertArgs {
    const float* x;
    bf16_t* y;
    float* back;
    uint32_t* pairs;
    uint32_t len;
    uint32_t filler;
};

KERNEL(convert, ConvertArgs, 64, 1) {
    const uint32_t i = blockIdx.x * 64 + threadIdx.x;
    if (i >= args.len) return;
    args.y[i] = bf16_from_f32(args.x[i]);
    args.back[i] = f32_from_bf16(args.y[i]);
    args.pairs[i] = pack_bf16(args.x[i], args.x[args.len - 1 - i]);
}

struct GemmArgs {
    const bf16_t* a;
    const bf16_t* b;
    float* d;
    uint32_t k;
    uint32_t filler;
};

// d (64 x 32) = a (64 x k, rows) b (k x 32, columns), k a multiple of 16; 4 warps of 16 rows. Two
// stages in shared memory, rows 24 values apart: eight of them meet no bank twice.
KERNEL(gemm, GemmArgs, 128, 1) {
    SHARED_MEMORY(bf16_t, shared);
    constexpr int PITCH = 24, STAGE = (64 + 32) * PITCH;
    const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
    const auto issue = [&](uint32_t begin) {
        bf16_t* stage = shared + begin / 16 % 2 * STAGE;
        for (uint32_t i = t; i < 96 * 2 && begin < args.k; i += 128) {
            const uint32_t row = i % 96, half = i / 96 * 8;
            const bf16_t* from = row < 64 ? args.a + row * args.k : args.b + (row - 64) * args.k;
            async_copy<16>(stage + row * PITCH + half, from + begin + half);
        }
        async_copy_commit();
    };
    float d[4][4] = {};
    issue(0);
    for (uint32_t begin = 0; begin < args.k; begin += 16) {
        issue(begin + 16);
        async_copy_wait<1>();
        block_barrier();
        const bf16_t* stage = shared + begin / 16 % 2 * STAGE;
        uint32_t a[4];
        ldmatrix_x4(a, stage + (warp * 16 + lane % 16) * PITCH + lane / 16 * 8);
        for (int pair = 0; pair < 2; pair++) {
            const uint32_t column = pair * 16 + lane % 8 + lane / 16 * 8;
            uint32_t b[4];
            ldmatrix_x4(b, stage + (64 + column) * PITCH + lane / 8 % 2 * 8);
            const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
            mma_m16n8k16_bf16(d[2 * pair], a, low);
            mma_m16n8k16_bf16(d[2 * pair + 1], a, high);
        }
        block_barrier();
    }
    for (int tile = 0; tile < 4; tile++) {
        for (int r = 0; r < 4; r++) {
            const uint32_t row = warp * 16 + lane / 4 + r / 2 * 8;
            args.d[row * 32 + tile * 8 + lane % 4 * 2 + r % 2] = d[tile][r];
        }
    }
}
