// Forward convolution on tensor cores: bf16 x, w, residual and y, f32 sums and epilogue.
//
//   y[n,p,q,k] = sum_{r,s,c} x[n, p*sh + r - ph, q*sw + s - pw, c] * w[k,r,s,c]   (+ bias[k])
//   y          = act(y * scale[k] + shift[k] (+ residual[n,p,q,k]))    where scale is given
//
// in f32, rounded once to bf16, to nearest. conv2d_fprop.cu is the exact f32 form. Rows are the N P Q
// output positions, columns the K output channels, depth the R S C weights of a filter: an implicit
// matrix product (mma_tile.cuh). x is NHWC, w KRSC, y and residual NPQK, all bf16; bias, scale, shift
// f32. All are 16-byte aligned, C and K multiples of 8: every copy, load and store of bf16 has 16
// bytes. bias, scale, shift, residual may be null (scale and shift together).
//
// With `means` (and without scale) every row tile leaves mean and sum of squared deviations of each
// channel's stored values, K x row tiles each: batch norm's statistics without reading y again. A warp
// takes them of its 64 rows in two passes over registers, the tile merges its warps in order;
// batch_norm_merge_tiles_f32 merges the tiles. s = 8 + 3 a warp.
//
// The halo kernels are for 3 x 3 windows with stride 1 and padding 1: their tiles read each pixel once,
// not once a tap (mma_halo.cuh), with the same results, bit for bit.
//
// Grid: row tiles x column tiles in x, columns first, so that blocks beside each other read the same
// pixels. Block: MMA_{WIDE,MEDIUM,NARROW}_THREADS; shared memory likewise, halo kernels
// MMA_STAGES * COLUMNS * MMA_DEPTH * 2 + MMA_HALO_ZEROS + (ROWS + 2 (W + 1)) * by_pitch * 16 bytes, at
// least MMA_{...}_TURNED.
// Sums: one chain of products of 16 terms over (r, s, c), s = ceil(R S C / 16), whatever the tile or
// batch; deterministic. Oracle: reference::conv2d::fprop on the rounded inputs, u_out = 2^-8.
#define FAMILY "conv2d_fprop_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "mma_halo.cuh"
#include "moments.cuh"

struct Conv2dFprop16Args {
    const bf16_t* x;
    const bf16_t* w;
    const float* bias;
    const float* scale;
    const float* shift;
    const bf16_t* residual;
    bf16_t* y;
    // May be null.
    float* means;
    float* m2s;
    Conv2dShape shape;
    uint32_t relu;
    // 1 / (rows % 64), 0 where that is 0.
    float last_share;
    // N P Q.
    uint32_t rows;
    // Chunks of a pixel in a halo kernel's shared memory.
    Divisor by_pitch;
    uint32_t filler;
};

// Eight sums of neighbouring channels become y.
DEVICE void finish(const Conv2dFprop16Args& args, uint32_t row, uint32_t column, float (&y)[8]) {
    float vector[8];
    // Statistics were taken of sums with their bias.
    if (args.bias && !args.means) {
        load_floats(vector, args.bias + column);
        UNROLL for (int e = 0; e < 8; e++) y[e] += vector[e];
    }
    if (args.scale) {
        load_floats(vector, args.scale + column);
        UNROLL for (int e = 0; e < 8; e++) y[e] *= vector[e];
        load_floats(vector, args.shift + column);
        UNROLL for (int e = 0; e < 8; e++) y[e] += vector[e];
    }
    const uint32_t place = row * args.shape.k + column;
    if (args.residual) {
        const Eight residual = load_eight(args.residual + place);
        UNROLL for (int e = 0; e < 8; e++) y[e] += residual.value(e);
    }
    UNROLL for (int e = 0; e < 8; e++) {
        if (args.relu && y[e] <= 0.0f) y[e] = 0.0f;
    }
    store_eight(args.y + place, round_eight(y));
}

// Rows of the tensor among the 64 of a warp that begin at `first`.
DEVICE uint32_t warp_rows(uint32_t rows, uint32_t first) {
    const uint32_t left = rows > first ? rows - first : 0;
    return left < 64 ? left : 64;
}

// Adds the bias, rounds the sums to what will be stored, and leaves the moments of every column.
template <typename T>
DEVICE void leave_moments(const Conv2dFprop16Args& args, T& tile, uint32_t first_row,
                          uint32_t first_column, float* shared) {
    const uint32_t lane = threadIdx.x % 32, k = args.shape.k;
    const uint32_t count = warp_rows(args.rows, first_row + T::warp_row());
    float* const own = T::pair(shared, threadIdx.x / 32);
    UNROLL for (int j = 0; j < T::FRAGMENT_COLUMNS; j++) {
        UNROLL for (int side = 0; side < 2; side++) {
            const uint32_t within = 8 * j + lane % 4 * 2 + side;
            const uint32_t column = first_column + T::warp_column() + within;
            if (args.bias && column < k) {
                const float bias = args.bias[column];
                UNROLL for (int i = 0; i < 2 * T::FRAGMENT_ROWS; i++) {
                    tile.sums[i / 2][j][i % 2 * 2 + side] += bias;
                }
            }
            float sum = 0.0f, squares = 0.0f;
            UNROLL for (int i = 0; i < 2 * T::FRAGMENT_ROWS; i++) {
                float& value = tile.sums[i / 2][j][i % 2 * 2 + side];
                value = f32_from_bf16(bf16_from_f32(value));
                if (8 * i + lane / 4 < count) sum += value;
            }
            // Only the last warp with rows has fewer than 64.
            const float mean = T::column_sum(sum) * (count == 64 ? 1.0f / 64.0f : args.last_share);
            UNROLL for (int i = 0; i < 2 * T::FRAGMENT_ROWS; i++) {
                const float deviation = tile.sums[i / 2][j][i % 2 * 2 + side] - mean;
                if (8 * i + lane / 4 < count) squares += deviation * deviation;
            }
            squares = T::column_sum(squares);
            if (lane < 4) {
                own[within] = mean;
                own[within + T::WARP_COLUMNS] = squares;
            }
        }
    }
}

// The moments of the tile's columns from those of its warps.
template <typename T>
DEVICE void merge_moments(const Conv2dFprop16Args& args, uint32_t first_row, uint32_t first_column,
                          float* shared) {
    block_barrier();
    const uint32_t column = first_column + threadIdx.x, k = args.shape.k;
    if (threadIdx.x >= T::COLUMNS || column >= k) return;
    Moments all = {0.0f, 0.0f, 0.0f};
    UNROLL for (int down = 0; down < T::DOWN; down++) {
        const float* const pair = T::pair(shared, T::warp_of(down, threadIdx.x));
        const uint32_t within = threadIdx.x % T::WARP_COLUMNS;
        const float of_warp = float(warp_rows(args.rows, first_row + down * T::WARP_ROWS));
        all = merge(all, {of_warp, pair[within], pair[within + T::WARP_COLUMNS]});
    }
    const uint32_t across = (k + T::COLUMNS - 1) / T::COLUMNS, parts = gridDim.x / across;
    args.means[column * parts + blockIdx.x / across] = all.mean;
    args.m2s[column * parts + blockIdx.x / across] = all.m2;
}

// Writes the tile, and what it leaves of its moments.
template <typename T>
DEVICE void finish_tile(const Conv2dFprop16Args& args, T& tile, uint32_t first_row,
                        uint32_t first_column, bf16_t* shared) {
    float* const floats = reinterpret_cast<float*>(shared);
    if (args.means) leave_moments(args, tile, first_row, first_column, floats);
    tile.for_each_row(floats, [&](uint32_t row, uint32_t column, float(&values)[8]) {
        row += first_row;
        column += first_column;
        if (row < args.rows && column < args.shape.k) finish(args, row, column, values);
    });
    if (args.means) merge_moments<T>(args, first_row, first_column, floats);
}

template <typename T, bool HALO>
DEVICE void fprop(const Conv2dFprop16Args& args, bf16_t* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t window = s.r * s.s * s.c, steps = (window + MMA_DEPTH - 1) / MMA_DEPTH;
    const uint32_t across = (s.k + T::COLUMNS - 1) / T::COLUMNS;
    const uint32_t first_row = blockIdx.x / across * T::ROWS;
    const uint32_t first_column = blockIdx.x % across * T::COLUMNS;
    MatrixLines16<T::COLUMNS, T::THREADS> w(args.w, first_column, s.k, window);
    T tile;
    tile.clear();
    if constexpr (HALO) {
        HaloLines16<T, 1> x(args.x, s, s.c, args.by_pitch, first_row, args.rows,
                            shared + STAGES * w.STAGE);
        tile.accumulate(x, w, steps, shared);
    } else {
        GatheredLines16<T::ROWS, T::THREADS, 1> x(args.x, s.h, s.w, s.c, s.by_c, s.by_s, window);
        UNROLL for (int i = 0; i < x.COUNT; i++) {
            const uint32_t row = first_row + x.Base::row(i);
            if (row < args.rows) {
                x.place(i, window_of(row, s));
            } else {
                x.leave_empty(i);
            }
        }
        tile.accumulate(x, w, steps, shared);
    }
    finish_tile(args, tile, first_row, first_column, shared);
}

KERNEL(conv2d_fprop_wide_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<WideMma, false>(args, shared);
}

KERNEL(conv2d_fprop_medium_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<MediumMma, false>(args, shared);
}

KERNEL(conv2d_fprop_narrow_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<NarrowMma, false>(args, shared);
}

KERNEL(conv2d_fprop_halo_wide_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<WideMma, true>(args, shared);
}

KERNEL(conv2d_fprop_halo_medium_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<MediumMma, true>(args, shared);
}

KERNEL(conv2d_fprop_halo_narrow_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<NarrowMma, true>(args, shared);
}
