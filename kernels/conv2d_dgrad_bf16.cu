// Gradient with respect to the input on tensor cores: bf16 dy, w and dx, f32 sums.
//
//   dx[n,h,w,c] (+)= sum_{k,r,s} dy[n,p,q,k] * w[k,r,s,c]   over p*sh + r - ph = h, q*sw + s - pw = w
//
// rounded once to bf16; where dx accumulates, its old value is added in f32 before. conv2d_dgrad.cu
// is the exact f32 form and says how a stride makes sh sw problems; one without taps writes zeros, or
// leaves dx as it is. Rows are a problem's input positions, columns the C input channels, depth is
// (tap row, tap column, k). dy is NPQK, w KRSC, dx NHWC, each 16-byte aligned, C and K multiples of 8:
// every copy, load and store has 16 bytes. w is read as it lies, [k][c], through transposing matrix
// loads.
//
// Grid: (row tiles of the largest problem x column tiles, columns first) x 1 x problems. Block:
// MMA_{WIDE,MEDIUM,NARROW}_THREADS; shared memory likewise.
// Sums: one chain of products of 16 terms, then one addition to dx, s = ceil(R S K / 16) + 1, whatever
// the tile or batch; deterministic. Oracle: reference::conv2d::dgrad on the rounded inputs.
#define FAMILY "conv2d_dgrad_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "mma_operands.cuh"

struct Conv2dDgrad16Args {
    const bf16_t* dy;
    const bf16_t* w;
    bf16_t* dx;
    Conv2dShape shape;
    Divisor by_k;
    uint32_t accumulate, filler;
};

template <typename T>
DEVICE void dgrad(const Conv2dDgrad16Args& args, bf16_t* shared) {
    const Conv2dShape& s = args.shape;
    const Axis rows = axis(blockIdx.z / s.stride_w, s.h, s.r, s.stride_h, s.pad_h);
    const Axis columns = axis(blockIdx.z % s.stride_w, s.w, s.s, s.stride_w, s.pad_w);
    const uint32_t positions = s.n * rows.count * columns.count;
    const uint32_t across = (s.c + T::COLUMNS - 1) / T::COLUMNS;
    const uint32_t first_row = blockIdx.x / across * T::ROWS;
    const uint32_t first_column = blockIdx.x % across * T::COLUMNS;
    if (first_row >= positions) return;
    const uint32_t depth = rows.taps * columns.taps * s.k;
    if (depth == 0 && args.accumulate) return;
    const Divisor by_taps = divisor(columns.taps > 0 ? columns.taps : 1);
    const Divisor by_columns = divisor(columns.count), by_rows = divisor(rows.count);
    GatheredLines16<T::ROWS, T::THREADS, -1> dy(args.dy, s.p, s.q, s.k, args.by_k, by_taps, depth);
    UNROLL for (int i = 0; i < dy.COUNT; i++) {
        uint32_t image = first_row + dy.Base::row(i);
        if (image < positions) {
            const int32_t x = int32_t(columns.p0 + divide(image, by_columns));
            const int32_t y = int32_t(rows.p0 + divide(image, by_rows));
            dy.place(i, {image, y, x});
        } else {
            dy.leave_empty(i);
        }
    }
    WeightColumns16<T::COLUMNS, T::THREADS> w(args.w, s, rows, columns, args.by_k, by_taps,
                                              first_column, depth);
    T tile;
    tile.clear();
    tile.accumulate(dy, w, (depth + MMA_DEPTH - 1) / MMA_DEPTH, shared);
    tile.for_each_row(
        reinterpret_cast<float*>(shared), [&](uint32_t row, uint32_t column, float(&values)[8]) {
            uint32_t image = row + first_row;
            column += first_column;
            if (image >= positions || column >= s.c) return;
            const uint32_t x = columns.first + divide(image, by_columns) * s.stride_w;
            const uint32_t y = rows.first + divide(image, by_rows) * s.stride_h;
            bf16_t* const place = args.dx + ((image * s.h + y) * s.w + x) * s.c + column;
            if (args.accumulate) {
                const Eight before = load_eight(place);
                UNROLL for (int e = 0; e < 8; e++) values[e] += before.value(e);
            }
            store_eight(place, round_eight(values));
        });
}

KERNEL(conv2d_dgrad_wide_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad<WideMma>(args, shared);
}

KERNEL(conv2d_dgrad_medium_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       FAIRPRUNE_MMA_MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad<MediumMma>(args, shared);
}

KERNEL(conv2d_dgrad_narrow_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad<NarrowMma>(args, shared);
}
