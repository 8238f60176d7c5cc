// Storage types: y = x, f32 rounded to bf16 (to nearest, ties to even), or bf16 as f32 (exact).
//
// Eight values a thread, 16-byte accesses where all eight exist; x and y are 16-byte aligned.
// Grid: ceil(ceil(len / 8) / threads). Block: ELEMENTWISE_THREADS. No shared memory.
// Oracle: half::bf16.
#define FAMILY "cast"
#include "kernel.cuh"
#include "tiles.h"

#include "bf16.cuh"

struct CastToBf16Args {
    const float* x;
    bf16_t* y;
    uint32_t len, filler;
};

KERNEL(cast_f32_to_bf16, CastToBf16Args, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t first = (blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x) * 8;
    if (first >= args.len) return;
    if (args.len - first >= 8) {
        float values[8];
        load_floats(values, args.x + first);
        store_eight(args.y + first, round_eight(values));
    } else {
        for (uint32_t i = first; i < args.len; i++) args.y[i] = bf16_from_f32(args.x[i]);
    }
}

struct CastToF32Args {
    const bf16_t* x;
    float* y;
    uint32_t len, filler;
};

KERNEL(cast_bf16_to_f32, CastToF32Args, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t first = (blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x) * 8;
    if (first >= args.len) return;
    if (args.len - first >= 8) {
        const Eight all = load_eight(args.x + first);
        UNROLL for (int half = 0; half < 2; half++) {
            Vector<4> values;
            UNROLL for (int i = 0; i < 4; i++) values.v[i] = all.value(4 * half + i);
            store<4>(args.y + first + 4 * half, values);
        }
    } else {
        for (uint32_t i = first; i < args.len; i++) args.y[i] = f32_from_bf16(args.x[i]);
    }
}
