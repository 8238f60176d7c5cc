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
// Grid: row tiles x column tiles in x, columns first, so that blocks beside each other read the same
// pixels. Block: MMA_{WIDE,MEDIUM,NARROW}_THREADS; shared memory likewise.
// Sums: one chain of products of 16 terms over (r, s, c), s = ceil(R S C / 16), whatever the tile or
// batch; deterministic. Oracle: reference::conv2d::fprop on the rounded inputs, u_out = 2^-8.
#define FAMILY "conv2d_fprop_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "mma_operands.cuh"

struct Conv2dFprop16Args {
    const bf16_t* x;
    const bf16_t* w;
    const float* bias;
    const float* scale;
    const float* shift;
    const bf16_t* residual;
    bf16_t* y;
    Conv2dShape shape;
    uint32_t relu;
};

// Eight sums of neighbouring channels become y.
DEVICE void finish(const Conv2dFprop16Args& args, uint32_t row, uint32_t column, float (&y)[8]) {
    float vector[8];
    if (args.bias) {
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

template <typename T>
DEVICE void fprop(const Conv2dFprop16Args& args, bf16_t* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t rows = s.n * s.p * s.q, window = s.r * s.s * s.c;
    const uint32_t across = (s.k + T::COLUMNS - 1) / T::COLUMNS;
    const uint32_t first_row = blockIdx.x / across * T::ROWS;
    const uint32_t first_column = blockIdx.x % across * T::COLUMNS;
    GatheredLines16<T::ROWS, T::THREADS, 1> x(args.x, s.h, s.w, s.c, s.by_c, s.by_s, window);
    UNROLL for (int i = 0; i < x.COUNT; i++) {
        const uint32_t row = first_row + x.Base::row(i);
        if (row < rows) {
            x.place(i, window_of(row, s));
        } else {
            x.leave_empty(i);
        }
    }
    MatrixLines16<T::COLUMNS, T::THREADS> w(args.w, first_column, s.k, window);
    T tile;
    tile.clear();
    tile.accumulate(x, w, (window + MMA_DEPTH - 1) / MMA_DEPTH, shared);
    tile.for_each_row(reinterpret_cast<float*>(shared),
                      [&](uint32_t row, uint32_t column, float(&values)[8]) {
                          row += first_row;
                          column += first_column;
                          if (row < rows && column < s.k) finish(args, row, column, values);
                      });
}

KERNEL(conv2d_fprop_wide_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<WideMma>(args, shared);
}

KERNEL(conv2d_fprop_medium_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       FAIRPRUNE_MMA_MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<MediumMma>(args, shared);
}

KERNEL(conv2d_fprop_narrow_bf16, Conv2dFprop16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    fprop<NarrowMma>(args, shared);
}
