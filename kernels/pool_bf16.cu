// Pooling of NHWC tensors stored as bf16; formulas in ops::pool, the f32 form in pool.cu.
//
// max            y and the winner's tap; a tap is a number below 256, stored as bf16, exactly
// max backward   dx = the sum of dy over the windows whose tap points here, in row-major order of the
//                windows, in f32, rounded once
// global         bf16 to f32: y = sum over the positions in order / positions
// global backw.  f32 to bf16: dx = dy / positions, rounded once
//
// C is a multiple of 8, tensors are 16-byte aligned; a thread has 8 neighbouring channels, so that every
// access has 16 bytes. Grid: ceil(values / 8 / threads). Block: ELEMENTWISE_THREADS. No shared memory.
// Sums: one chain, s = positions (global), windows over a pixel (max backward); deterministic.
// Oracle: reference::pool on the stored inputs, u_out = 2^-8 (global: f32's).
#define FAMILY "pool_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "bf16.cuh"
#include "divisor.cuh"

// One thread's index among all groups of 8 values.
DEVICE uint32_t group_index() {
    return blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
}

struct MaxPool16Args {
    const bf16_t* x;
    bf16_t* y;
    bf16_t* taps;
    uint32_t vectors, h, w, c, window, stride, pad;
    // Vectors of 8 values of a pixel; columns and rows of y.
    Divisor by_c, by_q, by_p;
};

KERNEL(max_pool_bf16, MaxPool16Args, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    uint32_t image = group_index();
    if (image >= args.vectors) return;
    const uint32_t place = image * 8;
    const uint32_t channel = divide(image, args.by_c) * 8;
    const int32_t left = int32_t(divide(image, args.by_q) * args.stride) - int32_t(args.pad);
    const int32_t top = int32_t(divide(image, args.by_p) * args.stride) - int32_t(args.pad);
    float best[8], taps[8] = {};
    bool first = true;
    UNROLL for (int e = 0; e < 8; e++) best[e] = -INFINITY;
    for (uint32_t r = 0; r < args.window; r++) {
        for (uint32_t s = 0; s < args.window; s++) {
            const uint32_t row = uint32_t(top + int32_t(r)), column = uint32_t(left + int32_t(s));
            if (row >= args.h || column >= args.w) continue;
            const float tap = float(r * args.window + s);
            const Eight x =
                load_eight(args.x + ((image * args.h + row) * args.w + column) * args.c + channel);
            UNROLL for (int e = 0; e < 8; e++) {
                const float value = x.value(e);
                // Minus infinity wins only where nothing else is seen.
                if (first || value > best[e] || value != value) {
                    best[e] = value;
                    taps[e] = tap;
                }
            }
            first = false;
        }
    }
    store_eight(args.y + place, round_eight(best));
    store_eight(args.taps + place, round_eight(taps));
}

struct MaxPoolBackward16Args {
    const bf16_t* dy;
    const bf16_t* taps;
    bf16_t* dx;
    uint32_t vectors, h, w, p, q, c, window, stride, pad;
    // Vectors of 8 values of a pixel; columns and rows of x.
    Divisor by_c, by_w, by_h;
};

// Outputs begin..end of one dimension whose windows cover input `at`.
struct Covering {
    uint32_t begin, end;

    DEVICE Covering(uint32_t at, uint32_t pad, uint32_t window, uint32_t stride, uint32_t outputs) {
        const uint32_t last = (at + pad) / stride;
        begin = at + pad < window ? 0 : (at + pad - window) / stride + 1;
        end = last + 1 < outputs ? last + 1 : outputs;
    }
};

KERNEL(max_pool_backward_bf16, MaxPoolBackward16Args, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    uint32_t image = group_index();
    if (image >= args.vectors) return;
    const uint32_t place = image * 8;
    const uint32_t channel = divide(image, args.by_c) * 8;
    const uint32_t column = divide(image, args.by_w), row = divide(image, args.by_h);
    const Covering rows(row, args.pad, args.window, args.stride, args.p);
    const Covering columns(column, args.pad, args.window, args.stride, args.q);
    float sum[8] = {};
    for (uint32_t i = rows.begin; i < rows.end; i++) {
        for (uint32_t j = columns.begin; j < columns.end; j++) {
            const float tap = float((row + args.pad - i * args.stride) * args.window +
                                    (column + args.pad - j * args.stride));
            const uint32_t at = ((image * args.p + i) * args.q + j) * args.c + channel;
            const Eight dy = load_eight(args.dy + at), taps = load_eight(args.taps + at);
            UNROLL for (int e = 0; e < 8; e++) {
                if (taps.value(e) == tap) sum[e] += dy.value(e);
            }
        }
    }
    store_eight(args.dx + place, round_eight(sum));
}

struct GlobalPool16Args {
    const bf16_t* x;
    float* y;
    // Of y.
    uint32_t groups, positions, c;
    // Groups of a pixel.
    Divisor by_c;
};

KERNEL(global_pool_bf16, GlobalPool16Args, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    uint32_t image = group_index();
    if (image >= args.groups) return;
    const uint32_t place = image * 8;
    const uint32_t channel = divide(image, args.by_c) * 8;
    const bf16_t* const x = args.x + image * args.positions * args.c + channel;
    float sum[8] = {};
    for (uint32_t i = 0; i < args.positions; i++) {
        const Eight value = load_eight(x + i * args.c);
        UNROLL for (int e = 0; e < 8; e++) sum[e] += value.value(e);
    }
    UNROLL for (int half = 0; half < 2; half++) {
        Vector<4> mean;
        UNROLL for (int i = 0; i < 4; i++) mean.v[i] = sum[4 * half + i] / float(args.positions);
        store<4>(args.y + place + 4 * half, mean);
    }
}

struct GlobalPoolBackward16Args {
    const float* dy;
    bf16_t* dx;
    // Of dx.
    uint32_t groups, positions, c;
    // Groups of a pixel, and of an image.
    Divisor by_c, by_image;
    uint32_t filler;
};

KERNEL(global_pool_backward_bf16, GlobalPoolBackward16Args, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t i = group_index();
    if (i >= args.groups) return;
    uint32_t image = i, pixel = i;
    divide(image, args.by_image);
    const uint32_t channel = divide(pixel, args.by_c) * 8;
    float d[8];
    load_floats(d, args.dy + image * args.c + channel);
    UNROLL for (int e = 0; e < 8; e++) d[e] /= float(args.positions);
    store_eight(args.dx + uint64_t(i) * 8, round_eight(d));
}
