// Gradient with respect to the input, exact f32:
//
//   dx[n,h,w,c] (+)= sum_{k,r,s} dy[n,p,q,k] * w[k,r,s,c]   over p*sh + r - ph = h, q*sw + s - pw = w
//
// With a stride, an input row meets only the taps r = (h + ph) mod sh, + sh, + 2 sh, ...: rows of
// one remainder form a problem of their own, and columns likewise. Each of the sh sw problems is an
// implicit matrix product: rows are its input positions, columns the C input channels, depth is
// (tap row, tap column, k). Tap i sees output row p0 - i, where p0 belongs to the first tap. A
// problem without taps (1x1, stride 2) writes zeros, or leaves dx when accumulating.
//
// dy is NPQK, w KRSC, dx NHWC, each 16-byte aligned; 128-bit accesses where K (dy) or C (w, dx) is
// a multiple of 4.
//
// Grid: row tiles of the largest problem x column tiles x problems. Block: CONV_THREADS. Shared
// memory: CONV_{WIDE,NARROW}_SHARED. Sums: one chain of fused multiply-adds over (r, s, k), then
// one addition to dx, s = R S K + 1; deterministic. Oracle: reference::conv2d::dgrad.
#define FAMILY "conv2d_dgrad"
#include "kernel.cuh"
#include "tiles.h"

#include "operands.cuh"

struct Conv2dDgradArgs {
    const float* dy;
    const float* w;
    float* dx;
    Conv2dShape shape;
    Divisor by_k;
    uint32_t accumulate, filler;
};

// Lines are input channels of the weights, terms (tap row, tap column, k).
template <int LINES, int THREADS>
struct WeightColumns : AlongLines<LINES, THREADS> {
    using Base = AlongLines<LINES, THREADS>;
    const Conv2dDgradArgs& args;
    const Axis rows, columns;
    Divisor by_taps;
    uint32_t line, depth;

    DEVICE WeightColumns(const Conv2dDgradArgs& args, const Axis& rows, const Axis& columns,
                         const Divisor& by_taps, uint32_t first, uint32_t depth)
        : args(args), rows(rows), columns(columns), by_taps(by_taps), line(first + Base::line()),
          depth(depth) {}

    DEVICE void fetch(uint32_t from) {
        const Conv2dShape& s = args.shape;
        UNROLL for (int i = 0; i < Base::QUADS; i++) {
            const uint32_t term = from + Base::term(i);
            this->values[i] = zeros<4>();
            if (term >= depth || line >= s.c) continue;
            const Tap tap = tap_of(term, args.by_k, by_taps);
            const uint32_t r = rows.tap + tap.r * s.stride_h, c = columns.tap + tap.s * s.stride_w;
            const float* const source = args.w + ((tap.channel * s.r + r) * s.s + c) * s.c + line;
            this->values[i] = load_some(source, s.c - line, s.c % 4 == 0);
        }
    }
};

template <typename T>
DEVICE void finish(const Conv2dDgradArgs& args, const T& tile, const Axis& rows,
                   const Axis& columns, uint32_t first_row, uint32_t first_column) {
    const Conv2dShape& s = args.shape;
    UNROLL for (int i = 0; i < T::THREAD_ROWS; i++) {
        uint32_t image = first_row + T::row(i);
        if (image >= s.n * rows.count * columns.count) continue;
        const uint32_t x = columns.first + image % columns.count * s.stride_w;
        image /= columns.count;
        const uint32_t y = rows.first + image % rows.count * s.stride_h;
        image /= rows.count;
        UNROLL for (int group = 0; group < T::THREAD_COLUMNS / 4; group++) {
            const uint32_t column = first_column + T::column(group);
            if (column >= s.c) continue;
            float* const place = args.dx + ((image * s.h + y) * s.w + x) * s.c + column;
            Vector<4> out = zeros<4>();
            if (args.accumulate) out = load_some(place, s.c - column, s.c % 4 == 0);
            UNROLL for (int e = 0; e < 4; e++) out.v[e] += tile.sums[i][group * 4 + e];
            store_some(place, out, s.c - column, s.c % 4 == 0);
        }
    }
}

template <typename T>
DEVICE void dgrad(const Conv2dDgradArgs& args, float* shared) {
    const Conv2dShape& s = args.shape;
    const Axis rows = axis(blockIdx.z / s.stride_w, s.h, s.r, s.stride_h, s.pad_h);
    const Axis columns = axis(blockIdx.z % s.stride_w, s.w, s.s, s.stride_w, s.pad_w);
    const uint32_t positions = s.n * rows.count * columns.count;
    const uint32_t first_row = blockIdx.x * T::ROWS, first_column = blockIdx.y * T::COLUMNS;
    if (first_row >= positions) return;
    const uint32_t depth = rows.taps * columns.taps * s.k;
    const Divisor by_taps = divisor(columns.taps > 0 ? columns.taps : 1);
    GatheredLines<T::ROWS, T::THREADS, -1> dy({args.dy, s.p, s.q, s.k}, args.by_k, by_taps, depth);
    UNROLL for (int i = 0; i < dy.QUADS; i++) {
        uint32_t image = first_row + dy.line(i);
        if (image < positions) {
            const int32_t x = int32_t(columns.p0 + image % columns.count);
            image /= columns.count;
            const int32_t y = int32_t(rows.p0 + image % rows.count);
            dy.place(i, {image / rows.count, y, x});
        } else {
            dy.leave_empty(i);
        }
    }
    WeightColumns<T::COLUMNS, T::THREADS> w(args, rows, columns, by_taps, first_column, depth);
    T tile;
    tile.clear();
    tile.accumulate(dy, w, 0, depth, shared);
    finish(args, tile, rows, columns, first_row, first_column);
}

KERNEL(conv2d_dgrad_wide_f32, Conv2dDgradArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    dgrad<WideTile>(args, shared);
}

KERNEL(conv2d_dgrad_narrow_f32, Conv2dDgradArgs, FAIRPRUNE_CONV_THREADS, 6) {
    SHARED_MEMORY(float, shared);
    dgrad<NarrowTile>(args, shared);
}
