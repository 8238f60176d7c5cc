// Gradient with respect to the weights and the bias, exact f32:
//
//   dw[k,r,s,c] = sum_{n,p,q} dy[n,p,q,k] * x[n, p*sh + r - ph, q*sw + s - pw, c]
//   db[k]       = sum_{n,p,q} dy[n,p,q,k]
//
// dw is an implicit matrix product: rows are the R S C weights of a filter, columns the K output
// channels, depth the N P Q positions. Positions are cut into splits, by the problem alone; each
// split's sums go to its own copy of dw in the workspace (or to dw if there is one split), and
// conv2d_wgrad_reduce adds the copies. db is summed likewise in parts.
//
// x is NHWC, dy NPQK, dw KRSC, each 16-byte aligned; 128-bit accesses where C (x, dw) or K (dy) is
// a multiple of 4.
//
// wide, narrow: grid row tiles x column tiles x splits; block CONV_THREADS; shared memory
// CONV_{WIDE,NARROW}_SHARED. bias_grad: grid channel groups of 32 x parts; block CHANNEL_THREADS;
// CHANNEL_SHARED. reduce: grid ceil(length / threads); block ELEMENTWISE_THREADS.
// Sums: a chain of fused multiply-adds over a split's positions, then one chain over the splits,
// s = positions a split + splits; deterministic. Oracle: reference::conv2d::{wgrad, bias_grad}.
#define FAMILY "conv2d_wgrad"
#include "kernel.cuh"
#include "tiles.h"

#include "outer.cuh"

struct Conv2dWgradArgs {
    const float* x;
    const float* dy;
    // One copy of dw a split.
    float* copies;
    Conv2dShape shape;
    uint32_t split_positions;
};

template <typename T>
DEVICE void wgrad(const Conv2dWgradArgs& args, float* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.n * s.p * s.q, window = s.r * s.s * s.c;
    const uint32_t begin = blockIdx.z * args.split_positions;
    const uint32_t left = positions - begin;
    const uint32_t end = begin + (left < args.split_positions ? left : args.split_positions);
    const uint32_t first_row = blockIdx.x * T::ROWS, first_column = blockIdx.y * T::COLUMNS;
    T tile;
    accumulate_outer(tile, args.x, args.dy, s, first_row, first_column, begin, end, shared);
    float* const copy = args.copies + uint64_t(blockIdx.z) * s.k * window;
    UNROLL for (int j = 0; j < T::THREAD_COLUMNS; j++) {
        const uint32_t column = first_column + T::column(j / 4) + j % 4;
        if (column >= s.k) continue;
        UNROLL for (int group = 0; group < T::THREAD_ROWS / 4; group++) {
            // Four neighbouring weights of one filter.
            const uint32_t row = first_row + T::row(group * 4);
            if (row >= window) continue;
            Vector<4> out;
            UNROLL for (int e = 0; e < 4; e++) out.v[e] = tile.sums[group * 4 + e][j];
            store_some(copy + column * window + row, out, window - row, window % 4 == 0);
        }
    }
}

KERNEL(conv2d_wgrad_wide_f32, Conv2dWgradArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    wgrad<WideTile>(args, shared);
}

KERNEL(conv2d_wgrad_narrow_f32, Conv2dWgradArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    wgrad<NarrowTile>(args, shared);
}

struct Conv2dBiasGradArgs {
    const float* dy;
    // One copy of db a part.
    float* copies;
    uint32_t rows, k, part_rows, filler;
};

// 32 channels a block, 8 rows at a time, then the 8 sums in order.
KERNEL(conv2d_bias_grad_f32, Conv2dBiasGradArgs, FAIRPRUNE_CHANNEL_THREADS, 4) {
    SHARED_MEMORY(float, shared);
    constexpr uint32_t ROWS = FAIRPRUNE_CHANNEL_THREADS / 32;
    const uint32_t lane = threadIdx.x % 32, channel = blockIdx.x * 32 + lane;
    const uint32_t begin = blockIdx.y * args.part_rows;
    const uint32_t left = args.rows - begin;
    const uint32_t end = begin + (left < args.part_rows ? left : args.part_rows);
    float sum = 0.0f;
    if (channel < args.k) {
        for (uint32_t row = begin + threadIdx.x / 32; row < end; row += ROWS) {
            sum += args.dy[row * args.k + channel];
        }
    }
    shared[threadIdx.x] = sum;
    block_barrier();
    if (threadIdx.x < 32 && channel < args.k) {
        for (uint32_t i = 1; i < ROWS; i++) sum += shared[i * 32 + lane];
        args.copies[uint64_t(blockIdx.y) * args.k + channel] = sum;
    }
}

struct Conv2dWgradReduceArgs {
    const float* copies;
    float* out;
    uint32_t length, count;
};

// out = the sum of `count` copies of `length` values, in order.
KERNEL(conv2d_wgrad_reduce_f32, Conv2dWgradReduceArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t i = blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    if (i >= args.length) return;
    float sum = 0.0f;
    for (uint32_t copy = 0; copy < args.count; copy++) {
        sum += args.copies[uint64_t(copy) * args.length + i];
    }
    args.out[i] = sum;
}
