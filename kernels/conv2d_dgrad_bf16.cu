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
// With `y` dx is the gradient of what a batch norm made of y, and the pass over it that batch norm's
// backward begins with is done here: where `out` (the output behind a ReLU) is not positive dx becomes
// 0, and every tile leaves the sums of dz = dx and dz (y - mean) rstd of each channel, of dz as stored,
// C x tiles each; batch_norm_sum_tiles_f32 adds them. A thread adds 8 rows in order, a warp 8 threads
// in a tree, the tile its warps in order: s = 8 + 3 + warps.
//
// The halo kernels are for 3 x 3 windows with stride 1 and padding 1: their tiles read each pixel of dy
// once, not once a tap (mma_halo.cuh), with the same results, bit for bit.
//
// Grid: (row tiles of the largest problem x column tiles, columns first) x 1 x problems. Block:
// MMA_{WIDE,MEDIUM,NARROW}_THREADS; shared memory likewise, halo kernels as fprop's.
// Sums: one chain of products of 16 terms, then one addition to dx, s = ceil(R S K / 16) + 1, whatever
// the tile or batch; deterministic. Oracle: reference::conv2d::dgrad on the rounded inputs.
#define FAMILY "conv2d_dgrad_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "mma_halo.cuh"

struct Conv2dDgrad16Args {
    const bf16_t* dy;
    const bf16_t* w;
    bf16_t* dx;
    Conv2dShape shape;
    Divisor by_k;
    uint32_t accumulate;
    // Chunks of a pixel of dy in a halo kernel's shared memory.
    Divisor by_pitch;
    // May be null: y with all below but out, which may be null, too.
    const bf16_t* y;
    const bf16_t* out;
    const float* mean;
    const float* rstd;
    float* sums;
    float* sums_xhat;
};

// Sums of dz and dz * xhat over a thread's rows of its eight channels.
struct Gathered {
    float dz[8], dz_xhat[8];
};

// dx of eight channels becomes dz: rounded, masked, added.
DEVICE Eight mask_and_add(const Conv2dDgrad16Args& args, uint32_t place, uint32_t channel,
                          const float (&values)[8], Gathered& gathered) {
    Eight dz = round_eight(values);
    if (args.out) {
        const Eight out = load_eight(args.out + place);
        UNROLL for (int p = 0; p < 4; p++) {
            const uint32_t low = out.value(2 * p) > 0.0f ? 0x0000ffffu : 0;
            const uint32_t high = out.value(2 * p + 1) > 0.0f ? 0xffff0000u : 0;
            dz.pairs[p] &= low | high;
        }
    }
    const Eight y = load_eight(args.y + place);
    UNROLL for (int half = 0; half < 2; half++) {
        const Vector<4> mean = load<4>(args.mean + channel + 4 * half);
        const Vector<4> rstd = load<4>(args.rstd + channel + 4 * half);
        UNROLL for (int i = 0; i < 4; i++) {
            const int e = 4 * half + i;
            gathered.dz[e] += dz.value(e);
            gathered.dz_xhat[e] += dz.value(e) * ((y.value(e) - mean.v[i]) * rstd.v[i]);
        }
    }
    return dz;
}

// Leaves the tile's sums, or zeros for a tile without rows.
template <typename T>
DEVICE void leave_sums(const Conv2dDgrad16Args& args, Gathered& gathered, bool empty,
                       uint32_t across, uint32_t first_column, float* shared) {
    const uint32_t lane = threadIdx.x % 32;
    if (!empty) {
        float* const own = T::pair(shared, threadIdx.x / 32);
        UNROLL for (int e = 0; e < 8; e++) {
            const float dz = T::column_sum(gathered.dz[e]);
            const float dz_xhat = T::column_sum(gathered.dz_xhat[e]);
            if (lane < 4) {
                own[lane * 8 + e] = dz;
                own[lane * 8 + e + T::WARP_COLUMNS] = dz_xhat;
            }
        }
        block_barrier();
    }
    const uint32_t column = first_column + threadIdx.x;
    if (threadIdx.x >= T::COLUMNS || column >= args.shape.c) return;
    float dz = 0.0f, dz_xhat = 0.0f;
    UNROLL for (int down = 0; down < T::DOWN; down++) {
        if (empty) continue;
        const float* const pair = T::pair(shared, T::warp_of(down, threadIdx.x));
        dz += pair[threadIdx.x % T::WARP_COLUMNS];
        dz_xhat += pair[threadIdx.x % T::WARP_COLUMNS + T::WARP_COLUMNS];
    }
    const uint32_t tiles = gridDim.x / across, part = blockIdx.z * tiles + blockIdx.x / across;
    args.sums[column * (tiles * gridDim.z) + part] = dz;
    args.sums_xhat[column * (tiles * gridDim.z) + part] = dz_xhat;
}

// Writes the tile's `positions` from first_row on and, with `y`, its sums; place(row) is a position's
// offset in dx.
template <typename T, typename F>
DEVICE void finish_tile(const Conv2dDgrad16Args& args, T& tile, uint32_t first_row,
                        uint32_t first_column, uint32_t positions, bf16_t* shared, F place) {
    const uint32_t across = (args.shape.c + T::COLUMNS - 1) / T::COLUMNS;
    float* const floats = reinterpret_cast<float*>(shared);
    Gathered gathered = {};
    tile.for_each_row(floats, [&](uint32_t row, uint32_t column, float(&values)[8]) {
        row += first_row;
        column += first_column;
        if (row >= positions || column >= args.shape.c) return;
        const uint32_t at = place(row) + column;
        if (args.accumulate) {
            const Eight before = load_eight(args.dx + at);
            UNROLL for (int e = 0; e < 8; e++) values[e] += before.value(e);
        }
        store_eight(args.dx + at, args.y ? mask_and_add(args, at, column, values, gathered)
                                         : round_eight(values));
    });
    if (args.y) leave_sums<T>(args, gathered, false, across, first_column, floats);
}

template <typename T>
DEVICE void dgrad(const Conv2dDgrad16Args& args, bf16_t* shared) {
    const Conv2dShape& s = args.shape;
    const Axis rows = axis(blockIdx.z / s.stride_w, s.h, s.r, s.stride_h, s.pad_h);
    const Axis columns = axis(blockIdx.z % s.stride_w, s.w, s.s, s.stride_w, s.pad_w);
    const uint32_t positions = s.n * rows.count * columns.count;
    const uint32_t across = (s.c + T::COLUMNS - 1) / T::COLUMNS;
    const uint32_t first_row = blockIdx.x / across * T::ROWS;
    const uint32_t first_column = blockIdx.x % across * T::COLUMNS;
    if (first_row >= positions) {
        Gathered gathered = {};
        float* const floats = reinterpret_cast<float*>(shared);
        if (args.y) leave_sums<T>(args, gathered, true, across, first_column, floats);
        return;
    }
    const uint32_t depth = rows.taps * columns.taps * s.k;
    if (depth == 0 && args.accumulate && !args.y) return;
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
    finish_tile(args, tile, first_row, first_column, positions, shared, [&](uint32_t image) {
        const uint32_t x = columns.first + divide(image, by_columns) * s.stride_w;
        const uint32_t y = rows.first + divide(image, by_rows) * s.stride_h;
        return ((image * s.h + y) * s.w + x) * s.c;
    });
}

// One problem, whose positions are those of dx in order.
template <typename T>
DEVICE void dgrad_halo(const Conv2dDgrad16Args& args, bf16_t* shared) {
    const Conv2dShape& s = args.shape;
    const uint32_t positions = s.n * s.h * s.w, depth = s.r * s.s * s.k;
    const uint32_t across = (s.c + T::COLUMNS - 1) / T::COLUMNS;
    const uint32_t first_row = blockIdx.x / across * T::ROWS;
    const uint32_t first_column = blockIdx.x % across * T::COLUMNS;
    const Axis rows = axis(0, s.h, s.r, 1, s.pad_h), columns = axis(0, s.w, s.s, 1, s.pad_w);
    WeightColumns16<T::COLUMNS, T::THREADS> w(args.w, s, rows, columns, args.by_k, s.by_s,
                                              first_column, depth);
    HaloLines16<T, -1> dy(args.dy, s, s.k, args.by_pitch, first_row, positions,
                          shared + STAGES * w.STAGE);
    T tile;
    tile.clear();
    tile.accumulate(dy, w, (depth + MMA_DEPTH - 1) / MMA_DEPTH, shared);
    finish_tile(args, tile, first_row, first_column, positions, shared,
                [&](uint32_t row) { return row * s.c; });
}

KERNEL(conv2d_dgrad_wide_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad<WideMma>(args, shared);
}

KERNEL(conv2d_dgrad_medium_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad<MediumMma>(args, shared);
}

KERNEL(conv2d_dgrad_narrow_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad<NarrowMma>(args, shared);
}

KERNEL(conv2d_dgrad_halo_wide_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_WIDE_THREADS,
       FAIRPRUNE_MMA_WIDE_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad_halo<WideMma>(args, shared);
}

KERNEL(conv2d_dgrad_halo_medium_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_MEDIUM_THREADS,
       MEDIUM_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad_halo<MediumMma>(args, shared);
}

KERNEL(conv2d_dgrad_halo_narrow_bf16, Conv2dDgrad16Args, FAIRPRUNE_MMA_NARROW_THREADS,
       FAIRPRUNE_MMA_NARROW_BLOCKS) {
    SHARED_MEMORY(bf16_t, shared);
    dgrad_halo<NarrowMma>(args, shared);
}
