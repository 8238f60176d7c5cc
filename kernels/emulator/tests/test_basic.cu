#define FAMILY "test_basic"
#include "kernel.cuh"

struct FillArgs {
    float* out;
    uint32_t len;
    float value;
};

// A correct kernel.
KERNEL(fill, FillArgs, 256, 1) {
    const uint32_t i = blockIdx.x * 256 + threadIdx.x;
    if (i < args.len) args.out[i] = args.value;
}
