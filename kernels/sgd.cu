// One step of stochastic gradient descent over the whole parameter buffer, as torch.optim.SGD:
//
//   g = dw + decay * w;  v = momentum * v + g;  w -= lr * (nesterov ? g + momentum * v : v)
//
// lr = lrs[state[0]]. After a bad step (state[2] != 0) nothing is updated. `advance` then counts
// the batch: state[0] and state[3] grow by one. A batch without a rate (a defect of the caller)
// updates nothing and is recorded as a bad step.
//
// dw, w, v: `length` values, 16-byte aligned, four a thread and the rest one by one.
// sgd: grid ceil(ceil(length / 4) / threads); block ELEMENTWISE_THREADS. advance: one thread.
// No shared memory, no sums: equal to the CPU bit for bit. Oracle: reference::sgd.
#define FAMILY "sgd"
#include "kernel.cuh"
#include "tiles.h"

#include "vector.cuh"

struct SgdArgs {
    const float* dw;
    float* w;
    float* v;
    const float* lrs;
    const uint32_t* state;
    uint32_t length, rates;
    float momentum, decay;
    uint32_t nesterov, filler;
};

template <int V>
DEVICE void update(const SgdArgs& args, float lr, uint32_t at) {
    const Vector<V> dw = load<V>(args.dw + at);
    Vector<V> w = load<V>(args.w + at), v = load<V>(args.v + at);
    UNROLL for (int i = 0; i < V; i++) {
        const float g = dw.v[i] + args.decay * w.v[i];
        v.v[i] = args.momentum * v.v[i] + g;
        w.v[i] -= lr * (args.nesterov ? g + args.momentum * v.v[i] : v.v[i]);
    }
    store<V>(args.w + at, w);
    store<V>(args.v + at, v);
}

KERNEL(sgd_f32, SgdArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t at = (blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x) * 4;
    const uint32_t batch = args.state[0];
    if (at >= args.length || args.state[2] != 0 || batch >= args.rates) return;
    const float lr = args.lrs[batch];
    if (at + 4 <= args.length) {
        update<4>(args, lr, at);
    } else {
        for (uint32_t i = at; i < args.length; i++) update<1>(args, lr, i);
    }
}

struct AdvanceArgs {
    uint32_t* state;
    // Batches that have a learning rate; the largest number where none is needed.
    uint32_t rates, filler;
};

KERNEL(advance_u32, AdvanceArgs, 32, 1) {
    if (threadIdx.x != 0) return;
    if (args.state[2] == 0 && args.state[0] >= args.rates) args.state[2] = args.state[3] + 1;
    args.state[0] += 1;
    args.state[3] += 1;
}
