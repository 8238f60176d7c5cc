// Correct kernels: nothing may be found in them, and no order may change their results, but for
// `tickets`, which is made to depend on it.
#define FAMILY "test_correct"
#include "kernel.cuh"

struct FillArgs {
    float* out;
    uint32_t len;
    float value;
};

KERNEL(fill, FillArgs, 256, 1) {
    const uint32_t i = blockIdx.x * 256 + threadIdx.x;
    if (i < args.len) args.out[i] = args.value;
}

struct MapArgs {
    const float* x;
    float* y;
    uint32_t len;
    uint32_t filler;
};

// Sums of blocks of 256 values, through shared memory and shuffles; then the block's mirror image.
KERNEL(block_sums, MapArgs, 256, 1) {
    SHARED_MEMORY(float, shared);
    const uint32_t t = threadIdx.x, i = blockIdx.x * 256 + t;
    float value = i < args.len ? args.x[i] : 0.0f;
    for (int mask = 16; mask > 0; mask >>= 1) value += warp_shuffle_xor(value, mask);
    if (t % 32 == 0) shared[t / 32] = value;
    block_barrier();
    float sum = 0.0f;
    for (int warp = 0; warp < 8; warp++) sum += shared[warp];
    block_barrier();
    shared[t] = sum + float(t);
    block_barrier();
    if (i < args.len) args.y[i] = shared[255 - t];
}

// Each warp turns its 32 values around twice, with warp barriers alone.
KERNEL(warp_mirror, MapArgs, 128, 1) {
    SHARED_MEMORY(float, shared);
    const uint32_t lane = threadIdx.x % 32, i = blockIdx.x * 128 + threadIdx.x;
    float* own = shared + threadIdx.x / 32 * 32;
    float value = args.x[i];
    for (int turn = 0; turn < 3; turn++) {
        own[lane] = value;
        warp_barrier();
        value = own[31 - lane];
        warp_barrier();
    }
    args.y[i] = value + warp_broadcast(value, 3);
}

// In place through global memory: every thread reads its neighbour's, the block waits, all write.
KERNEL(rotate_in_place, MapArgs, 64, 1) {
    const uint32_t t = threadIdx.x;
    float* y = args.y + blockIdx.x * 64;
    const float value = y[(t + 1) % 64];
    block_barrier();
    y[t] = value;
}

struct ByteArgs {
    const uint8_t* x;
    uint8_t* y;
    uint64_t len;
};

// Bytes of one word belong to different threads, in global and in shared memory.
KERNEL(bytes, ByteArgs, 64, 1) {
    SHARED_MEMORY(uint8_t, shared);
    static const uint8_t TABLE[4] = {3, 1, 4, 1};
    const uint32_t t = threadIdx.x;
    const uint64_t i = blockIdx.x * 64 + t;
    shared[t] = i < args.len ? args.x[i] : 0;
    block_barrier();
    const uint8_t* word = shared + t / 4 * 4;
    const uint8_t sum = uint8_t(word[0] + word[1] + word[2] + word[3] + TABLE[shared[t] % 4]);
    block_barrier();
    shared[t] = sum;
    if (i < args.len) args.y[i] = shared[t];
}

struct CountArgs {
    const uint32_t* x;
    uint32_t* counts;
    uint32_t* least;
    uint32_t* order;
    uint32_t len;
    uint32_t filler;
};

KERNEL(histogram, CountArgs, 64, 1) {
    const uint32_t i = blockIdx.x * 64 + threadIdx.x;
    if (i >= args.len) return;
    atomic_add(args.counts + args.x[i] % 16, 1);
    atomic_min(args.least, args.x[i]);
    atomic_compare_exchange(args.least + 1, 0, 7);
}

// No race, yet what is written depends on which block comes first.
KERNEL(tickets, CountArgs, 32, 1) {
    if (threadIdx.x == 0) args.order[atomic_add(args.counts, 1)] = blockIdx.x;
}

struct IndexArgs {
    uint32_t* out;
    uint64_t filler;
};

// Every index a thread can ask for: 12 words a thread.
KERNEL(indices, IndexArgs, 64, 1) {
    const uint32_t block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const uint32_t thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    uint32_t* out = args.out + 12 * (block * blockDim.x * blockDim.y * blockDim.z + thread);
    const uint32_t all[12] = {blockIdx.x,  blockIdx.y,  blockIdx.z,  threadIdx.x,
                              threadIdx.y, threadIdx.z, gridDim.x,   gridDim.y,
                              gridDim.z,   blockDim.x,  blockDim.y,  blockDim.z};
    memcpy(out, all, sizeof all);
}

// Five stages of 64 values through three buffers; zeros where a copy is not valid.
KERNEL(pipeline, MapArgs, 64, 1) {
    SHARED_MEMORY(float, shared);
    const uint32_t t = threadIdx.x;
    const auto issue = [&](uint32_t stage) {
        float* to = shared + stage % 3 * 64 + t / 4 * 4;
        const float* from = args.x + stage * 64 + t / 4 * 4;
        if (stage < 5 && t % 4 == 0) async_copy_or_zero<16>(to, from, stage * 64 + t < args.len);
        async_copy_commit();
    };
    issue(0);
    issue(1);
    float sum = 0.0f;
    for (uint32_t stage = 0; stage < 5; stage++) {
        async_copy_wait<1>();
        block_barrier();
        sum = fma_f32(sum, 2.0f, shared[stage % 3 * 64 + 63 - t]);
        issue(stage + 2);
    }
    args.y[t] = sum;
}

// Traffic that the counters must show; len is the row length of a 32 x 32 transposition.
KERNEL(transpose, MapArgs, 32, 1) {
    SHARED_MEMORY(float, shared);
    const uint32_t lane = threadIdx.x;
    for (uint32_t row = 0; row < 32; row++) shared[row * args.len + lane] = args.x[row * 32 + lane];
    block_barrier();
    for (uint32_t row = 0; row < 32; row++) args.y[row * 32 + lane] = shared[lane * args.len + row];
}

// Reads its 64 values 3 times, writes them twice.
KERNEL(repeated, MapArgs, 64, 1) {
    const volatile float* x = args.x;
    volatile float* y = args.y;
    const uint32_t i = blockIdx.x * 64 + threadIdx.x;
    const float sum = x[i] + x[i] + x[i];
    y[i] = sum;
    y[i] = sum + 1.0f;
}

// Works on shared memory before it waits for the launches before it.
KERNEL_ENTRY(early_mirror, MapArgs, 64, 1, run_early) {
    SHARED_MEMORY(uint32_t, shared);
    const uint32_t t = threadIdx.x;
    shared[t] = 63 - t;
    block_barrier();
    const uint32_t from = shared[t];
    dependency_wait();
    args.y[t] = args.x[from];
}
