// Pooling of NHWC tensors, exact f32; formulas in ops::pool.
//
// max            y = maximum of a window, tap = row * window + column of the first maximum; NaN above
//                all, the last of them; padding never wins
// max backward   dx = the sum of dy over the windows whose tap points here, gathered in row-major
//                order of the windows, so that no two threads write one place
// global         y = sum over the positions in order / positions
// global backw.  dx = dy / positions
//
// Tensors are 16-byte aligned; a thread has V neighbouring channels, 4 where C is a multiple of 4,
// else 1. Grid: ceil(values / V / threads). Block: ELEMENTWISE_THREADS. No shared memory.
// Sums: one chain, s = positions (global), windows over a pixel (max backward); deterministic, and
// equal to the CPU's bit for bit. Oracle: reference::pool.
#define FAMILY "pool"
#include "kernel.cuh"
#include "tiles.h"

#include "divisor.cuh"
#include "vector.cuh"

// One thread's index among all vectors of V values.
DEVICE uint32_t vector_index() {
    return blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
}

struct MaxPoolArgs {
    const float* x;
    float* y;
    // u32 in the bits of the values.
    float* taps;
    uint32_t vectors, h, w, c, window, stride, pad;
    // Vectors of a pixel; columns and rows of y.
    Divisor by_c, by_q, by_p;
};

template <int V>
DEVICE void max_pool(const MaxPoolArgs& args) {
    uint32_t image = vector_index();
    if (image >= args.vectors) return;
    const uint32_t place = image * V;
    const uint32_t channel = divide(image, args.by_c) * V;
    const int32_t left = int32_t(divide(image, args.by_q) * args.stride) - int32_t(args.pad);
    const int32_t top = int32_t(divide(image, args.by_p) * args.stride) - int32_t(args.pad);
    Vector<V> best;
    uint32_t taps[V] = {};
    bool first = true;
    UNROLL for (int i = 0; i < V; i++) best.v[i] = -INFINITY;
    for (uint32_t r = 0; r < args.window; r++) {
        for (uint32_t s = 0; s < args.window; s++) {
            const uint32_t row = uint32_t(top + int32_t(r)), column = uint32_t(left + int32_t(s));
            if (row >= args.h || column >= args.w) continue;
            const uint32_t tap = r * args.window + s;
            const Vector<V> x =
                load<V>(args.x + ((image * args.h + row) * args.w + column) * args.c + channel);
            UNROLL for (int i = 0; i < V; i++) {
                // Minus infinity wins only where nothing else is seen.
                if (first || x.v[i] > best.v[i] || x.v[i] != x.v[i]) {
                    best.v[i] = x.v[i];
                    taps[i] = tap;
                }
            }
            first = false;
        }
    }
    store<V>(args.y + place, best);
    UNROLL for (int i = 0; i < V; i++) best.v[i] = bits_as_float(taps[i]);
    store<V>(args.taps + place, best);
}

KERNEL(max_pool_f32, MaxPoolArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    if (args.c % 4 == 0) {
        max_pool<4>(args);
    } else {
        max_pool<1>(args);
    }
}

struct MaxPoolBackwardArgs {
    const float* dy;
    const float* taps;
    float* dx;
    uint32_t vectors, h, w, p, q, c, window, stride, pad;
    // Vectors of a pixel; columns and rows of x.
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

template <int V>
DEVICE void max_pool_backward(const MaxPoolBackwardArgs& args) {
    uint32_t image = vector_index();
    if (image >= args.vectors) return;
    const uint32_t place = image * V;
    const uint32_t channel = divide(image, args.by_c) * V;
    const uint32_t column = divide(image, args.by_w), row = divide(image, args.by_h);
    const Covering rows(row, args.pad, args.window, args.stride, args.p);
    const Covering columns(column, args.pad, args.window, args.stride, args.q);
    Vector<V> sum = zeros<V>();
    for (uint32_t i = rows.begin; i < rows.end; i++) {
        for (uint32_t j = columns.begin; j < columns.end; j++) {
            const uint32_t tap = (row + args.pad - i * args.stride) * args.window +
                                 (column + args.pad - j * args.stride);
            const uint32_t at = ((image * args.p + i) * args.q + j) * args.c + channel;
            const Vector<V> dy = load<V>(args.dy + at), taps = load<V>(args.taps + at);
            UNROLL for (int e = 0; e < V; e++) {
                if (float_as_bits(taps.v[e]) == tap) sum.v[e] += dy.v[e];
            }
        }
    }
    store<V>(args.dx + place, sum);
}

KERNEL(max_pool_backward_f32, MaxPoolBackwardArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    if (args.c % 4 == 0) {
        max_pool_backward<4>(args);
    } else {
        max_pool_backward<1>(args);
    }
}

struct GlobalPoolArgs {
    // x and y, or dx and dy.
    float* x;
    float* y;
    // Of y (forward) or x (backward).
    uint32_t vectors, positions, c;
    // Vectors of a pixel, and of an image.
    Divisor by_c, by_image;
    uint32_t filler;
};

template <int V>
DEVICE void global_pool(const GlobalPoolArgs& args) {
    uint32_t image = vector_index();
    if (image >= args.vectors) return;
    const uint32_t place = image * V;
    const uint32_t channel = divide(image, args.by_c) * V;
    const float* const x = args.x + image * args.positions * args.c + channel;
    Vector<V> sum = zeros<V>();
    for (uint32_t i = 0; i < args.positions; i++) {
        const Vector<V> value = load<V>(x + i * args.c);
        UNROLL for (int e = 0; e < V; e++) sum.v[e] += value.v[e];
    }
    UNROLL for (int e = 0; e < V; e++) sum.v[e] /= float(args.positions);
    store<V>(args.y + place, sum);
}

KERNEL(global_pool_f32, GlobalPoolArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    if (args.c % 4 == 0) {
        global_pool<4>(args);
    } else {
        global_pool<1>(args);
    }
}

template <int V>
DEVICE void global_pool_backward(const GlobalPoolArgs& args) {
    const uint32_t i = vector_index();
    if (i >= args.vectors) return;
    uint32_t image = i;
    divide(image, args.by_image);
    uint32_t pixel = i;
    const uint32_t channel = divide(pixel, args.by_c) * V;
    Vector<V> d = load<V>(args.y + image * args.c + channel);
    UNROLL for (int e = 0; e < V; e++) d.v[e] /= float(args.positions);
    store<V>(args.x + i * V, d);
}

KERNEL(global_pool_backward_f32, GlobalPoolArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    if (args.c % 4 == 0) {
        global_pool_backward<4>(args);
    } else {
        global_pool_backward<1>(args);
    }
}
