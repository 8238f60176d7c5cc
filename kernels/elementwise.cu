// Element-wise helpers of the backend.
//
// fill: out[i] = value. Grid: ceil(length / threads). Block: ELEMENTWISE_THREADS. No shared memory.
#define FAMILY "elementwise"
#include "kernel.cuh"
#include "tiles.h"

struct FillArgs {
    float* out;
    uint32_t length;
    float value;
};

KERNEL(fill_f32, FillArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t i = blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    if (i < args.length) args.out[i] = args.value;
}
