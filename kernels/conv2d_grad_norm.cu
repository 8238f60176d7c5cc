// Squared norms of per-sample weight gradients, exact f32, without storing a gradient. With A the
// unfolded input of a sample (T = P Q positions x R S C) and B its dy (T x K):
//
//   norms[n] += sum_{k,r,s,c} (A^T B)^2 (+ sum_k (sum_t B[t,k])^2)
//
//   instantiate   A^T B tile by tile, squared and summed in registers
//   gram          sum_{t,u} (A A^T)[t,u] (B B^T)[t,u]
//   shifted gram  the same for stride 1, where (A A^T)[t,u] = sum_{r,s} G[pixel t + (r,s), pixel
//                 u + (r,s)] with G = X X^T over the H W pixels, 0 outside the image: K + R S terms
//                 an entry instead of K + R S C
//
// Both matrices are symmetric: only tiles on and above the diagonal are computed, and entries above
// the diagonal count twice. A shift keeps the order of pixels, so that G is read above its diagonal
// as well. The Gram forms can cancel; their sum is clamped at 0.
//
// x is NHWC, dy NPQK, each 16-byte aligned; 128-bit accesses where C (x) or K (dy) is a multiple
// of 4. Every tile writes one partial sum (f64, samples x tiles); conv2d_grad_norm_reduce adds them.
// G: samples x H W x H W, of which tiles on and above the diagonal are written and read.
//
// instantiate: grid row tiles x column tiles x samples; block CONV_THREADS; shared memory
// CONV_{WIDE,NARROW}_SHARED. Gram kernels: grid tiles on and above the diagonal x samples; block
// GRAM_THREADS; GRAM_SHARED. reduce: grid samples; block GRAM_THREADS; GRAM_SHARED.
// Sums: products are chains of fused multiply-adds over T (instantiate), or over R S C, or C and then
// R S taps, and over K (Gram). Squares are added in f32 within a thread, s = 11; products, threads
// and tiles in f64, in fixed order; deterministic.
// Oracle: reference::conv2d::grad_norms.
#define FAMILY "conv2d_grad_norm"
#include "kernel.cuh"
#include "tiles.h"

#include "outer.cuh"
#include "reduce.cuh"

struct Conv2dGradNormArgs {
    const float* x;
    const float* dy;
    // G, for the shifted form.
    float* pixels;
    double* partials;
    Conv2dShape shape;
    // The launch's samples are first, first + 1, ...
    uint32_t first;
};

// Sum of the squares of a thread's sums: rows pairwise, so that chains stay short.
template <typename T>
DEVICE float sum_squares(const T& tile) {
    float rows[T::THREAD_ROWS];
    UNROLL for (int i = 0; i < T::THREAD_ROWS; i++) {
        rows[i] = 0.0f;
        UNROLL for (int j = 0; j < T::THREAD_COLUMNS; j++) {
            rows[i] += tile.sums[i][j] * tile.sums[i][j];
        }
    }
    UNROLL for (int step = 1; step < T::THREAD_ROWS; step *= 2) {
        UNROLL for (int i = 0; i + step < T::THREAD_ROWS; i += 2 * step) rows[i] += rows[i + step];
    }
    return rows[0];
}

template <typename T>
DEVICE void instantiate(const Conv2dGradNormArgs& args, float* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t sample = args.first + blockIdx.z, positions = s.p * s.q;
    T tile;
    accumulate_outer(tile, args.x, args.dy, s, blockIdx.x * T::ROWS, blockIdx.y * T::COLUMNS,
                     sample * positions, (sample + 1) * positions, shared);
    // Sums beyond the last weight or channel are 0.
    const double squares = double(sum_squares(tile));
    const double sum = block_sum<T::THREADS>(squares, reinterpret_cast<double*>(shared));
    if (threadIdx.x == 0) {
        const uint32_t down = (s.r * s.s * s.c + T::ROWS - 1) / T::ROWS;
        const uint32_t tiles = down * ((s.k + T::COLUMNS - 1) / T::COLUMNS);
        args.partials[blockIdx.z * tiles + blockIdx.y * down + blockIdx.x] = sum;
    }
}

KERNEL(conv2d_grad_norm_instantiate_wide_f32, Conv2dGradNormArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    instantiate<WideTile>(args, shared);
}

KERNEL(conv2d_grad_norm_instantiate_narrow_f32, Conv2dGradNormArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    instantiate<NarrowTile>(args, shared);
}

constexpr uint32_t SIDE = FAIRPRUNE_GRAM_TILE;
using GramTile = Tile<FAIRPRUNE_GRAM_TILE, FAIRPRUNE_GRAM_TILE, 8, 4>;
static_assert(GramTile::THREADS == FAIRPRUNE_GRAM_THREADS, "tiles.h");
static_assert(GramTile::SHARED == FAIRPRUNE_GRAM_SHARED, "tiles.h");

// The block's tile of a symmetric matrix of `size` rows: tiles (0,0), (0,1), (1,1), (0,2), ...
struct TilePlace {
    uint32_t first_row, first_column;

    DEVICE TilePlace(uint32_t index) {
        uint32_t column = 0;
        while (index > column) index -= ++column;
        first_row = index * SIDE;
        first_column = column * SIDE;
    }
};

// The block's part of sum_{t,u} entry(t, u, i, j) * tile[t,u]: entries above the diagonal count
// twice, those below not at all.
template <typename F>
DEVICE double sum_products(const GramTile& tile, const TilePlace& place, uint32_t size,
                           const F& entry, float* shared) {
    double sum = 0.0;
    UNROLL for (int i = 0; i < GramTile::THREAD_ROWS; i++) {
        const uint32_t t = place.first_row + GramTile::row(i);
        UNROLL for (int j = 0; j < GramTile::THREAD_COLUMNS; j++) {
            const uint32_t u = place.first_column + GramTile::column(j / 4) + j % 4;
            if (t > u || u >= size) continue;
            const double product = double(entry(t, u, i, j)) * double(tile.sums[i][j]);
            sum += t < u ? 2.0 * product : product;
        }
    }
    return block_sum<GramTile::THREADS>(sum, reinterpret_cast<double*>(shared));
}

// tile = M M^T of a row-major matrix of `lines` rows and `depth` columns.
DEVICE void accumulate_gram(GramTile& tile, const float* matrix, uint32_t lines, uint32_t depth,
                            const TilePlace& place, float* shared) {
    using Lines = MatrixLines<GramTile::ROWS, GramTile::THREADS>;
    Lines a(matrix, place.first_row, lines, depth), b(matrix, place.first_column, lines, depth);
    tile.clear();
    tile.accumulate(a, b, 0, depth, shared);
}

using WindowLines = GatheredLines<FAIRPRUNE_GRAM_TILE, FAIRPRUNE_GRAM_THREADS, 1>;

// Lines are the windows of output positions first, first + 1, ... of one sample.
DEVICE WindowLines window_lines(const Conv2dGradNormArgs& args, uint32_t sample, uint32_t first) {
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.p * s.q;
    WindowLines lines({args.x, s.h, s.w, s.c}, s.by_c, s.by_s, s.r * s.s * s.c);
    UNROLL for (int i = 0; i < lines.QUADS; i++) {
        const uint32_t position = first + lines.line(i);
        if (position < positions) {
            lines.place(i, window_of(sample * positions + position, s));
        } else {
            lines.leave_empty(i);
        }
    }
    return lines;
}

KERNEL(conv2d_grad_norm_gram_f32, Conv2dGradNormArgs, FAIRPRUNE_GRAM_THREADS, 3) {
    SHARED_MEMORY(float, shared);
    const Conv2dShape& s = args.shape;
    const uint32_t sample = args.first + blockIdx.y, positions = s.p * s.q;
    const TilePlace place(blockIdx.x);
    GramTile inputs, gradients;
    {
        WindowLines a = window_lines(args, sample, place.first_row);
        WindowLines b = window_lines(args, sample, place.first_column);
        inputs.clear();
        inputs.accumulate(a, b, 0, s.r * s.s * s.c, shared);
    }
    const float* const dy = args.dy + uint64_t(sample) * positions * s.k;
    accumulate_gram(gradients, dy, positions, s.k, place, shared);
    const auto entry = [&](uint32_t, uint32_t, int i, int j) { return inputs.sums[i][j]; };
    const double sum = sum_products(gradients, place, positions, entry, shared);
    if (threadIdx.x == 0) args.partials[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

KERNEL(conv2d_grad_norm_pixel_gram_f32, Conv2dGradNormArgs, FAIRPRUNE_GRAM_THREADS, 3) {
    SHARED_MEMORY(float, shared);
    const Conv2dShape& s = args.shape;
    const uint32_t sample = args.first + blockIdx.y, pixels = s.h * s.w;
    const TilePlace place(blockIdx.x);
    GramTile tile;
    accumulate_gram(tile, args.x + uint64_t(sample) * pixels * s.c, pixels, s.c, place, shared);
    float* const matrix = args.pixels + uint64_t(blockIdx.y) * pixels * pixels;
    UNROLL for (int i = 0; i < GramTile::THREAD_ROWS; i++) {
        const uint32_t row = place.first_row + GramTile::row(i);
        UNROLL for (int j = 0; j < GramTile::THREAD_COLUMNS; j++) {
            const uint32_t column = place.first_column + GramTile::column(j / 4) + j % 4;
            if (row <= column && column < pixels) matrix[row * pixels + column] = tile.sums[i][j];
        }
    }
}

// (A A^T)[t,u] for t <= u, from the pixels' matrix.
DEVICE float shifted_entry(const Conv2dShape& s, const float* matrix, uint32_t t, uint32_t u) {
    const Pixels image{matrix, s.h, s.w, 1};
    const Window from = window_of(t, s), to = window_of(u, s);
    float sum = 0.0f;
    for (int32_t r = 0; r < int32_t(s.r); r++) {
        for (int32_t c = 0; c < int32_t(s.s); c++) {
            if (image.inside(from.row + r, from.column + c) &&
                image.inside(to.row + r, to.column + c)) {
                const uint32_t row = image.offset(0, from.row + r, from.column + c, 0);
                sum += matrix[row * (s.h * s.w) + image.offset(0, to.row + r, to.column + c, 0)];
            }
        }
    }
    return sum;
}

KERNEL(conv2d_grad_norm_shifted_gram_f32, Conv2dGradNormArgs, FAIRPRUNE_GRAM_THREADS, 3) {
    SHARED_MEMORY(float, shared);
    const Conv2dShape& s = args.shape;
    const uint32_t sample = args.first + blockIdx.y, positions = s.p * s.q, pixels = s.h * s.w;
    const TilePlace place(blockIdx.x);
    GramTile gradients;
    const float* const dy = args.dy + uint64_t(sample) * positions * s.k;
    accumulate_gram(gradients, dy, positions, s.k, place, shared);
    const float* const matrix = args.pixels + uint64_t(blockIdx.y) * pixels * pixels;
    const auto entry = [&](uint32_t t, uint32_t u, int, int) {
        return shifted_entry(s, matrix, t, u);
    };
    const double sum = sum_products(gradients, place, positions, entry, shared);
    if (threadIdx.x == 0) args.partials[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

struct Conv2dGradNormReduceArgs {
    const double* partials;
    // Of the launch's first sample; null without a bias.
    const float* dy;
    float* norms;
    uint32_t tiles, positions, k, clamp;
};

// norms += the sum of a sample's tiles, and the squared norm of the bias gradient.
KERNEL(conv2d_grad_norm_reduce_f32, Conv2dGradNormReduceArgs, FAIRPRUNE_GRAM_THREADS, 4) {
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
        const float* const dy = args.dy + uint64_t(blockIdx.x) * args.positions * args.k;
        // Threads lie along the channels first, the others take positions in turn; then the sums of a
        // channel in order.
        float* const sums = reinterpret_cast<float*>(shared + THREADS / 32);
        uint32_t lanes = 1;
        while (lanes < args.k && lanes < THREADS) lanes *= 2;
        const uint32_t rows = THREADS / lanes;
        double squares = 0.0;
        for (uint32_t k = threadIdx.x % lanes; k < args.k; k += lanes) {
            float channel = 0.0f;
            // Four on their way at once, added in order.
            for (uint32_t t = threadIdx.x / lanes; t < args.positions; t += 4 * rows) {
                float four[4] = {};
                UNROLL for (uint32_t i = 0; i < 4; i++) {
                    const uint32_t row = t + i * rows;
                    if (row < args.positions) four[i] = dy[row * args.k + k];
                }
                UNROLL for (int i = 0; i < 4; i++) channel += four[i];
            }
            if (lanes < THREADS) {
                sums[threadIdx.x] = channel;
            } else {
                squares += double(channel) * double(channel);
            }
        }
        if (lanes < THREADS) {
            block_barrier();
            if (threadIdx.x < args.k) {
                float channel = sums[threadIdx.x];
                for (uint32_t i = threadIdx.x + lanes; i < THREADS; i += lanes) channel += sums[i];
                squares += double(channel) * double(channel);
            }
        }
        block_barrier();
        sum += block_sum<THREADS>(squares, shared);
    }
    if (threadIdx.x == 0) args.norms[blockIdx.x] += float(sum);
}
