// Gradient with respect to the weights and the bias on tensor cores: bf16 x and dy, f32 sums and
// results.
//
//   dw[k,r,s,c] = sum_{n,p,q} dy[n,p,q,k] * x[n, p*sh + r - ph, q*sw + s - pw, c]
//   db[k]       = sum_{n,p,q} dy[n,p,q,k]
//
// conv2d_wgrad.cu is the exact f32 form; its conv2d_wgrad_reduce_f32 adds the splits' copies. Rows
// are the R S C weights of a filter, columns the K output channels, depth the N P Q positions, cut
// into splits by the problem alone. Both operands are read as they lie, [position][channel], through
// transposing matrix loads. x is NHWC, dy NPQK, both bf16, dw KRSC in f32, each 16-byte aligned, C and
// K multiples of 8: every copy, load and store has 16 bytes.
//
// halo: for 3 x 3 windows with stride 1 and padding 1 and channels C of a multiple of 64. A row tile is a
// row of 64 channels' filters, whose three taps share the pixels they copy (mma_halo.cuh); row tiles
// (r, channel group). Results are those of the other kernels with the same splits, bit for bit.
//
// wide, medium, narrow: grid (row tiles x column tiles, columns first) x 1 x splits; block
// MMA_{WIDE,MEDIUM,NARROW}_THREADS; shared memory likewise; halo the same with MMA_TALL. bias_grad: grid channel groups of 256 x
// parts; block CHANNEL_THREADS; shared memory BIAS16_SHARED.
// Sums: a chain of products of 16 terms over a split's positions, then one chain over the splits,
// s = ceil(positions a split / 16) + splits; db: positions a part + parts; deterministic.
// Oracle: reference::conv2d::{wgrad, bias_grad} on the rounded inputs.
#define FAMILY "conv2d_wgrad_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "mma_halo.cuh"

struct Conv2dWgrad16Args {
    const bf16_t* x;
    const bf16_t* dy;
    // One copy of dw a split.
    float* copies;
    Conv2dShape shape;
    uint32_t split_positions;
};

template <typename T>
DEVICE void wgrad(const Conv2dWgrad16Args& args, bf16_t* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.n * s.p * s.q, window = s.r * s.s * s.c;
    const uint32_t begin = blockIdx.z * args.split_positions, left = positions - begin;
    const uint32_t count = left < args.split_positions ? left : args.split_positions;
    const uint32_t across = (s.k + T::COLUMNS - 1) / T::COLUMNS;
    const uint32_t first_row = blockIdx.x / across * T::ROWS;
    const uint32_t first_column = blockIdx.x % across * T::COLUMNS;
    MatrixColumns16<T::COLUMNS, T::THREADS> dy(args.dy, first_column, s.k, begin, begin + count);
    const uint32_t steps = (count + MMA_DEPTH - 1) / MMA_DEPTH;
    T tile;
    tile.clear();
    if (is_matrix(s)) {
        MatrixColumns16<T::ROWS, T::THREADS> x(args.x, first_row, s.c, begin, begin + count);
        tile.accumulate(x, dy, steps, shared);
    } else {
        WindowColumns16<T::ROWS, T::THREADS> x(args.x, s, first_row, begin, begin + count);
        tile.accumulate(x, dy, steps, shared);
    }
    float* const copy = args.copies + uint64_t(blockIdx.z) * s.k * window;
    tile.for_each_column(reinterpret_cast<float*>(shared),
                         [&](uint32_t row, uint32_t column, const Vector<4>& values) {
                             row += first_row;
                             column += first_column;
                             if (row >= window || column >= s.k) return;
                             store<4>(copy + column * window + row, values);
                         });
}

KERNEL(conv2d_wgrad_wide_bf16, Conv2dWgrad16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    wgrad<WideMma>(args, shared);
}

KERNEL(conv2d_wgrad_medium_bf16, Conv2dWgrad16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    wgrad<MediumMma>(args, shared);
}

KERNEL(conv2d_wgrad_narrow_bf16, Conv2dWgrad16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    wgrad<NarrowMma>(args, shared);
}

KERNEL(conv2d_wgrad_halo_bf16, Conv2dWgrad16Args, FAIRPRUNE_MMA_TALL_THREADS,
       FAIRPRUNE_MMA_TALL_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    constexpr uint32_t LINES = TallMma::WARP_ROWS;
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.n * s.p * s.q, window = s.r * s.s * s.c;
    const uint32_t begin = blockIdx.z * args.split_positions, left = positions - begin;
    const uint32_t count = left < args.split_positions ? left : args.split_positions;
    TallMma tile;
    const TallPlace place =
        multiply_tall(tile, args.x, args.dy, s, blockIdx.x, begin, begin + count, shared);
    float* const copy = args.copies + uint64_t(blockIdx.z) * s.k * window +
                        place.r * s.s * s.c + place.channel;
    tile.for_each_column(reinterpret_cast<float*>(shared),
                         [&](uint32_t row, uint32_t column, const Vector<4>& values) {
                             const uint32_t tap = row / LINES, within = row % LINES;
                             column += place.first_column;
                             if (column >= s.k) return;
                             store<4>(copy + column * window + tap * s.c + within, values);
                         });
}

struct Conv2dBiasGrad16Args {
    const bf16_t* dy;
    // One copy of db a part.
    float* copies;
    uint32_t rows, k, part_rows, filler;
};

// 256 channels a block, eight a thread; 8 rows at a time, then the 8 sums in order.
KERNEL(conv2d_bias_grad_bf16, Conv2dBiasGrad16Args, FAIRPRUNE_CHANNEL_THREADS, 4) {
    SHARED_MEMORY(float, shared);
    constexpr uint32_t ROWS = FAIRPRUNE_CHANNEL_THREADS / 32;
    static_assert(ROWS * 256 * 4 == FAIRPRUNE_BIAS16_SHARED, "tiles.h");
    const uint32_t lane = threadIdx.x % 32, channel = blockIdx.x * 256 + lane * 8;
    const uint32_t begin = blockIdx.y * args.part_rows, left = args.rows - begin;
    const uint32_t end = begin + (left < args.part_rows ? left : args.part_rows);
    float sums[8] = {};
    if (channel < args.k) {
        for (uint32_t row = begin + threadIdx.x / 32; row < end; row += ROWS) {
            const Eight dy = load_eight(args.dy + row * args.k + channel);
            UNROLL for (int e = 0; e < 8; e++) sums[e] += dy.value(e);
        }
    }
    UNROLL for (int e = 0; e < 8; e++) shared[e * FAIRPRUNE_CHANNEL_THREADS + threadIdx.x] = sums[e];
    block_barrier();
    if (threadIdx.x >= 32 || channel >= args.k) return;
    UNROLL for (int e = 0; e < 8; e++) {
        for (uint32_t i = 1; i < ROWS; i++) {
            sums[e] += shared[e * FAIRPRUNE_CHANNEL_THREADS + i * 32 + lane];
        }
        args.copies[uint64_t(blockIdx.y) * args.k + channel + e] = sums[e];
    }
}
