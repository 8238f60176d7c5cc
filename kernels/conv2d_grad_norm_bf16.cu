// Squared norms of per-sample weight gradients on tensor cores: bf16 x and dy, f32 tiles that are reduced
// where they are, without storing a gradient. Formulas and forms as in conv2d_grad_norm.cu, which is the
// exact f32 form: with A the unfolded input of a sample (T = P Q positions x R S C) and B its dy (T x K),
//
//   instantiate   A^T B tile by tile, squared and summed in registers
//   gram          sum_{t,u} (A A^T)[t,u] (B B^T)[t,u]
//   pixel gram    G = X X^T over the H W pixels, and
//   shifted gram  the same for stride 1, (A A^T)[t,u] = sum_{r,s} G[pixel t + (r,s), pixel u + (r,s)]
//
// Gram tiles stay f32: rounded to bf16 they would err by percents where the sum cancels. Only tiles on
// and above the diagonal are computed, entries above it count twice; the sum is clamped at 0 in reduce.
//
// x is NHWC, dy NPQK, each 16-byte aligned, C and K multiples of 8: every copy has 16 bytes. Every tile
// writes one partial sum (f64, samples x tiles); G in f32, samples x H W x H W.
//
// instantiate halo: for 3 x 3 windows with stride 1 and padding 1 and channels C of a multiple of 64. Tiles
// and pixels of wgrad's (mma_halo.cuh), over the positions of one sample. Entries of the gradient are the
// bits of the other tiles; their squares are added in another order.
//
// instantiate: grid (row tiles x column tiles, columns first) x 1 x samples; block
// MMA_{WIDE,MEDIUM,NARROW}_THREADS; shared memory likewise; halo the same with MMA_TALL. Gram kernels:
// grid tiles on and above the diagonal x samples; block MMA_GRAM_THREADS; MMA_GRAM_SHARED. reduce: grid
// samples; GRAM_THREADS; GRAM_SHARED.
// Sums: chains of products of 16 terms over T (instantiate), or over R S C, or C and then R S taps, and
// over K (Gram). Squares are added in f32 within a thread, s = 18; products, threads and tiles in f64, in
// fixed order; deterministic. Oracle: reference::conv2d::grad_norms on the stored inputs.
#define FAMILY "conv2d_grad_norm_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "mma_halo.cuh"
#include "reduce.cuh"

struct Conv2dGradNorm16Args {
    const bf16_t* x;
    const bf16_t* dy;
    // G, for the shifted form.
    float* pixels;
    double* partials;
    Conv2dShape shape;
    // The launch's samples are first, first + 1, ...
    uint32_t first;
};

// Sum of the squares of a thread's sums: 16 in a chain, then pairwise.
template <typename T>
DEVICE float sum_squares(const T& tile) {
    static_assert(T::FRAGMENT_ROWS == 4, "a pair of pairs");
    float rows[T::FRAGMENT_ROWS];
    UNROLL for (int i = 0; i < T::FRAGMENT_ROWS; i++) {
        rows[i] = 0.0f;
        UNROLL for (int j = 0; j < T::FRAGMENT_COLUMNS; j++) {
            UNROLL for (int e = 0; e < 4; e++) rows[i] += tile.sums[i][j][e] * tile.sums[i][j][e];
        }
    }
    return (rows[0] + rows[1]) + (rows[2] + rows[3]);
}

// Writes the partial sum of the block's tile, a sample a layer of blocks. Sums beyond the last weight or
// channel are 0.
template <typename T>
DEVICE void leave_squares(const Conv2dGradNorm16Args& args, const T& tile, bf16_t* shared) {
    const double squares = double(sum_squares(tile));
    const double sum = block_sum<T::THREADS>(squares, reinterpret_cast<double*>(shared));
    if (threadIdx.x == 0) args.partials[blockIdx.z * gridDim.x + blockIdx.x] = sum;
}

template <typename T>
DEVICE void instantiate(const Conv2dGradNorm16Args& args, bf16_t* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.p * s.q, begin = (args.first + blockIdx.z) * positions;
    const uint32_t across = (s.k + T::COLUMNS - 1) / T::COLUMNS;
    const uint32_t first_row = blockIdx.x / across * T::ROWS;
    const uint32_t first_column = blockIdx.x % across * T::COLUMNS;
    MatrixColumns16<T::COLUMNS, T::THREADS> dy(args.dy, first_column, s.k, begin, begin + positions);
    const uint32_t steps = (positions + MMA_DEPTH - 1) / MMA_DEPTH;
    T tile;
    tile.clear();
    if (is_matrix(s)) {
        MatrixColumns16<T::ROWS, T::THREADS> x(args.x, first_row, s.c, begin, begin + positions);
        tile.accumulate(x, dy, steps, shared);
    } else {
        WindowColumns16<T::ROWS, T::THREADS> x(args.x, s, first_row, begin, begin + positions);
        tile.accumulate(x, dy, steps, shared);
    }
    leave_squares(args, tile, shared);
}

KERNEL(conv2d_grad_norm_instantiate_wide_bf16, Conv2dGradNorm16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    instantiate<WideMma>(args, shared);
}

KERNEL(conv2d_grad_norm_instantiate_medium_bf16, Conv2dGradNorm16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    instantiate<MediumMma>(args, shared);
}

KERNEL(conv2d_grad_norm_instantiate_narrow_bf16, Conv2dGradNorm16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    instantiate<NarrowMma>(args, shared);
}

KERNEL(conv2d_grad_norm_instantiate_halo_bf16, Conv2dGradNorm16Args, FAIRPRUNE_MMA_TALL_THREADS,
       FAIRPRUNE_MMA_TALL_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.p * s.q, begin = (args.first + blockIdx.z) * positions;
    const uint32_t end = begin + positions;
    TallMma tile;
    multiply_tall(tile, args.x, args.dy, s, blockIdx.x, begin, end, shared);
    leave_squares(args, tile, shared);
}

constexpr uint32_t SIDE = FAIRPRUNE_MMA_GRAM_TILE;
using GramMma = MmaTile<FAIRPRUNE_MMA_GRAM_TILE, FAIRPRUNE_MMA_GRAM_TILE>;
static_assert(GramMma::THREADS == FAIRPRUNE_MMA_GRAM_THREADS, "tiles.h");
static_assert(GramMma::SHARED == FAIRPRUNE_MMA_GRAM_SHARED, "tiles.h");

// The block's tile of a symmetric matrix: tiles (0,0), (0,1), (1,1), (0,2), ...
struct TilePlace {
    uint32_t first_row, first_column;

    DEVICE TilePlace(uint32_t index) {
        uint32_t column = 0;
        while (index > column) index -= ++column;
        first_row = index * SIDE;
        first_column = column * SIDE;
    }
    // Row and column of the matrix behind this thread's sum e of fragment (i, j).
    DEVICE uint32_t row(int i, int e) const {
        return first_row + GramMma::warp_row() + 16 * i + threadIdx.x % 32 / 4 + e / 2 * 8;
    }
    DEVICE uint32_t column(int j, int e) const {
        return first_column + GramMma::warp_column() + 8 * j + threadIdx.x % 4 * 2 + e % 2;
    }
};

// Calls f(row, column, i, j, e) for the thread's sums on and above the diagonal of `size` rows.
template <typename F>
DEVICE void for_each_sum(const TilePlace& place, uint32_t size, const F& f) {
    UNROLL for (int i = 0; i < GramMma::FRAGMENT_ROWS; i++) {
        UNROLL for (int j = 0; j < GramMma::FRAGMENT_COLUMNS; j++) {
            UNROLL for (int e = 0; e < 4; e++) {
                const uint32_t row = place.row(i, e), column = place.column(j, e);
                if (row <= column && column < size) f(row, column, i, j, e);
            }
        }
    }
}

// tile = M M^T of a row-major matrix of `lines` rows and `depth` columns.
DEVICE void accumulate_gram(GramMma& tile, const bf16_t* matrix, uint32_t lines, uint32_t depth,
                            const TilePlace& place, bf16_t* shared) {
    using Lines = MatrixLines16<SIDE, GramMma::THREADS>;
    Lines a(matrix, place.first_row, lines, depth), b(matrix, place.first_column, lines, depth);
    tile.clear();
    tile.accumulate(a, b, (depth + MMA_DEPTH - 1) / MMA_DEPTH, shared);
}

using WindowLines16 = GatheredLines16<SIDE, GramMma::THREADS, 1>;

// Lines are the windows of output positions first, first + 1, ... of one sample.
DEVICE WindowLines16 window_lines(const Conv2dGradNorm16Args& args, uint32_t sample,
                                  uint32_t first) {
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.p * s.q;
    WindowLines16 lines(args.x, s.h, s.w, s.c, s.by_c, s.by_s, s.r * s.s * s.c);
    UNROLL for (int i = 0; i < lines.COUNT; i++) {
        const uint32_t position = first + lines.Base::row(i);
        if (position < positions) {
            lines.place(i, window_of(sample * positions + position, s));
        } else {
            lines.leave_empty(i);
        }
    }
    return lines;
}

KERNEL(conv2d_grad_norm_gram_bf16, Conv2dGradNorm16Args, FAIRPRUNE_MMA_GRAM_THREADS,
       FAIRPRUNE_MMA_GRAM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    const Conv2dShape& s = args.shape;
    const uint32_t sample = args.first + blockIdx.y, positions = s.p * s.q;
    const TilePlace place(blockIdx.x);
    GramMma inputs, gradients;
    {
        WindowLines16 a = window_lines(args, sample, place.first_row);
        WindowLines16 b = window_lines(args, sample, place.first_column);
        inputs.clear();
        inputs.accumulate(a, b, (s.r * s.s * s.c + MMA_DEPTH - 1) / MMA_DEPTH, shared);
    }
    const bf16_t* const dy = args.dy + uint64_t(sample) * positions * s.k;
    accumulate_gram(gradients, dy, positions, s.k, place, shared);
    double sum = 0.0;
    for_each_sum(place, positions, [&](uint32_t t, uint32_t u, int i, int j, int e) {
        const double product = double(inputs.sums[i][j][e]) * double(gradients.sums[i][j][e]);
        sum += t < u ? 2.0 * product : product;
    });
    sum = block_sum<GramMma::THREADS>(sum, reinterpret_cast<double*>(shared));
    if (threadIdx.x == 0) args.partials[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

KERNEL(conv2d_grad_norm_pixel_gram_bf16, Conv2dGradNorm16Args, FAIRPRUNE_MMA_GRAM_THREADS,
       FAIRPRUNE_MMA_GRAM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    const Conv2dShape& s = args.shape;
    const uint32_t sample = args.first + blockIdx.y, pixels = s.h * s.w;
    const TilePlace place(blockIdx.x);
    GramMma tile;
    accumulate_gram(tile, args.x + uint64_t(sample) * pixels * s.c, pixels, s.c, place, shared);
    float* const matrix = args.pixels + uint64_t(blockIdx.y) * pixels * pixels;
    for_each_sum(place, pixels, [&](uint32_t row, uint32_t column, int i, int j, int e) {
        matrix[row * pixels + column] = tile.sums[i][j][e];
    });
}

// (A A^T)[t,u] for t <= u, from the pixels' matrix: a shift keeps the order of pixels.
DEVICE float shifted_entry(const Conv2dShape& s, const float* matrix, const Window& from,
                           const Window& to) {
    float sum = 0.0f;
    for (int32_t r = 0; r < int32_t(s.r); r++) {
        const uint32_t row = uint32_t(from.row + r), other = uint32_t(to.row + r);
        if (row >= s.h || other >= s.h) continue;
        for (int32_t c = 0; c < int32_t(s.s); c++) {
            const uint32_t column = uint32_t(from.column + c), across = uint32_t(to.column + c);
            if (column >= s.w || across >= s.w) continue;
            sum += matrix[(row * s.w + column) * (s.h * s.w) + other * s.w + across];
        }
    }
    return sum;
}

KERNEL(conv2d_grad_norm_shifted_gram_bf16, Conv2dGradNorm16Args, FAIRPRUNE_MMA_GRAM_THREADS,
       FAIRPRUNE_MMA_GRAM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    const Conv2dShape& s = args.shape;
    const uint32_t sample = args.first + blockIdx.y, positions = s.p * s.q, pixels = s.h * s.w;
    const TilePlace place(blockIdx.x);
    GramMma gradients;
    const bf16_t* const dy = args.dy + uint64_t(sample) * positions * s.k;
    accumulate_gram(gradients, dy, positions, s.k, place, shared);
    const float* const matrix = args.pixels + uint64_t(blockIdx.y) * pixels * pixels;
    double sum = 0.0;
    for_each_sum(place, positions, [&](uint32_t t, uint32_t u, int i, int j, int e) {
        const float entry = shifted_entry(s, matrix, window_of(t, s), window_of(u, s));
        const double product = double(entry) * double(gradients.sums[i][j][e]);
        sum += t < u ? 2.0 * product : product;
    });
    sum = block_sum<GramMma::THREADS>(sum, reinterpret_cast<double*>(shared));
    if (threadIdx.x == 0) args.partials[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

struct Conv2dGradNormReduce16Args {
    const double* partials;
    // Of the launch's first sample; null without a bias.
    const bf16_t* dy;
    float* norms;
    uint32_t tiles, positions, k, clamp;
};

// norms += the sum of a sample's tiles, and the squared norm of the bias gradient.
KERNEL(conv2d_grad_norm_reduce_bf16, Conv2dGradNormReduce16Args, FAIRPRUNE_GRAM_THREADS, 4) {
    SHARED_MEMORY(double, shared);
    constexpr uint32_t THREADS = FAIRPRUNE_GRAM_THREADS;
    double sum = 0.0;
    for (uint32_t i = threadIdx.x; i < args.tiles; i += THREADS) {
        sum += args.partials[blockIdx.x * args.tiles + i];
    }
    sum = block_sum<THREADS>(sum, shared);
    // Not a maximum, which would turn NaN into 0.
    if (args.clamp && sum < 0.0) sum = 0.0;
    if (args.dy) {
        const bf16_t* const dy = args.dy + uint64_t(blockIdx.x) * args.positions * args.k;
        // Threads lie along the channels first, eight each, the others take positions in turn; then the
        // sums of a channel in order.
        float* const sums = reinterpret_cast<float*>(shared + THREADS / 32);
        const uint32_t groups = args.k / 8;
        uint32_t lanes = 1;
        while (lanes < groups && lanes < THREADS) lanes *= 2;
        const uint32_t rows = THREADS / lanes;
        double squares = 0.0;
        for (uint32_t group = threadIdx.x % lanes; group < groups; group += lanes) {
            float channels[8] = {};
            // Four rows on their way at once, added in order.
            for (uint32_t t = threadIdx.x / lanes; t < args.positions; t += 4 * rows) {
                Eight four[4] = {};
                UNROLL for (uint32_t i = 0; i < 4; i++) {
                    const uint32_t row = t + i * rows;
                    if (row < args.positions) four[i] = load_eight(dy + row * args.k + group * 8);
                }
                UNROLL for (int i = 0; i < 4; i++) {
                    UNROLL for (int e = 0; e < 8; e++) channels[e] += four[i].value(e);
                }
            }
            if (lanes < THREADS) {
                // Every thread has one group at most.
                UNROLL for (int e = 0; e < 8; e++) sums[e * THREADS + threadIdx.x] = channels[e];
            } else {
                UNROLL for (int e = 0; e < 8; e++) squares += double(channels[e]) * double(channels[e]);
            }
        }
        if (lanes < THREADS) {
            block_barrier();
            UNROLL for (int e = 0; e < 8; e++) {
                if (threadIdx.x >= groups) continue;
                float channel = sums[e * THREADS + threadIdx.x];
                for (uint32_t i = threadIdx.x + lanes; i < THREADS; i += lanes) {
                    channel += sums[e * THREADS + i];
                }
                squares += double(channel) * double(channel);
            }
        }
        block_barrier();
        sum += block_sum<THREADS>(squares, shared);
    }
    if (threadIdx.x == 0) args.norms[blockIdx.x] += float(sum);
}
