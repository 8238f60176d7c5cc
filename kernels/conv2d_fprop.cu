// Forward convolution, exact f32, as one implicit matrix product:
//
//   y[n,p,q,k] = sum_{r,s,c} x[n, p*sh + r - ph, q*sw + s - pw, c] * w[k,r,s,c]   (+ bias[k])
//   y          = act(y * scale[k] + shift[k] (+ residual[n,p,q,k]))    where scale is given
//
// Rows are the N P Q output positions, columns the K output channels, depth the R S C weights of a
// filter. x is NHWC, w is KRSC, y and residual NPQK, each 16-byte aligned; 128-bit accesses where
// C (x), R S C (w) or K (y) is a multiple of 4. bias, scale, shift, residual may be null (scale and
// shift together).
//
// Grid: row tiles x column tiles. Block: CONV_THREADS. Shared memory: CONV_{WIDE,NARROW}_SHARED.
// Sums: one chain of fused multiply-adds over (r, s, c), s = R S C; deterministic.
// Oracle: reference::conv2d::fprop. Statistics of y are batch_norm's kernels, launched after this.
#define FAMILY "conv2d_fprop"
#include "kernel.cuh"
#include "tiles.h"

#include "operands.cuh"

struct Conv2dFpropArgs {
    const float* x;
    const float* w;
    const float* bias;
    const float* scale;
    const float* shift;
    const float* residual;
    float* y;
    Conv2dShape shape;
    uint32_t relu;
};

template <typename T>
DEVICE void finish(const Conv2dFpropArgs& args, const T& tile, uint32_t first_row,
                   uint32_t first_column) {
    const uint32_t rows = args.shape.n * args.shape.p * args.shape.q, k = args.shape.k;
    const bool vector = k % 4 == 0;
    UNROLL for (int group = 0; group < T::THREAD_COLUMNS / 4; group++) {
        const uint32_t column = first_column + T::column(group);
        if (column >= k) continue;
        const uint32_t left = k - column;
        Vector<4> bias = zeros<4>(), scale = zeros<4>(), shift = zeros<4>();
        if (args.bias) bias = load_some(args.bias + column, left, vector);
        if (args.scale) {
            scale = load_some(args.scale + column, left, vector);
            shift = load_some(args.shift + column, left, vector);
        }
        UNROLL for (int i = 0; i < T::THREAD_ROWS; i++) {
            const uint32_t row = first_row + T::row(i);
            if (row >= rows) continue;
            Vector<4> y;
            UNROLL for (int e = 0; e < 4; e++) y.v[e] = tile.sums[i][group * 4 + e];
            if (args.bias) {
                UNROLL for (int e = 0; e < 4; e++) y.v[e] += bias.v[e];
            }
            if (args.scale) {
                UNROLL for (int e = 0; e < 4; e++) y.v[e] = y.v[e] * scale.v[e] + shift.v[e];
            }
            if (args.residual) {
                const Vector<4> r = load_some(args.residual + row * k + column, left, vector);
                UNROLL for (int e = 0; e < 4; e++) y.v[e] += r.v[e];
            }
            UNROLL for (int e = 0; e < 4; e++) {
                if (args.relu && y.v[e] <= 0.0f) y.v[e] = 0.0f;
            }
            store_some(args.y + row * k + column, y, left, vector);
        }
    }
}

template <typename T>
DEVICE void fprop(const Conv2dFpropArgs& args, float* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t rows = s.n * s.p * s.q, window = s.r * s.s * s.c;
    const uint32_t first_row = blockIdx.x * T::ROWS, first_column = blockIdx.y * T::COLUMNS;
    GatheredLines<T::ROWS, T::THREADS, 1> x({args.x, s.h, s.w, s.c}, s.by_c, s.by_s, window);
    UNROLL for (int i = 0; i < x.QUADS; i++) {
        const uint32_t row = first_row + x.line(i);
        if (row < rows) {
            x.place(i, window_of(row, s));
        } else {
            x.leave_empty(i);
        }
    }
    MatrixLines<T::COLUMNS, T::THREADS> w(args.w, first_column, s.k, window);
    T tile;
    tile.clear();
    tile.accumulate(x, w, 0, window, shared);
    finish(args, tile, first_row, first_column);
}

KERNEL(conv2d_fprop_wide_f32, Conv2dFpropArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    fprop<WideTile>(args, shared);
}

KERNEL(conv2d_fprop_narrow_f32, Conv2dFpropArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    fprop<NarrowTile>(args, shared);
}
