// Batch normalisation over the rows (N H W) of an NHWC tensor, exact f32, with PyTorch's semantics;
// formulas in ops::batch_norm.
//
// Tensors are rows x C, 16-byte aligned; 128-bit accesses where C is a multiple of 4. Per-channel
// vectors hold C values. Partial results lie channel by channel: C x parts.
//
// statistics, backward_reduce, backward_apply: grid parts of the rows x channel groups; block
// CHANNEL_THREADS; shared memory CHANNEL_SHARED (apply none). merge, backward_sum: one warp a
// channel; MERGE_THREADS. finalize, eval_affine: a thread a channel; apply: a thread V values;
// ELEMENTWISE_THREADS. backward_eval: a block a sample.
//
// Statistics take two passes over a part: the mean, then the squared deviations from it; parts are
// merged as (n, mean, M2) by Chan, Golub, LeVeque (1983), never E[y^2] - E[y]^2.
// Sums: a thread's rows in order, a tree over a block's threads, a warp's parts in order, a tree
// over the warp's lanes: s = rows a thread + log2(threads a channel) + parts / 32 + 5;
// deterministic. Oracle: reference::batch_norm.
#define FAMILY "batch_norm"
#include "kernel.cuh"
#include "tiles.h"

#include "channels.cuh"
#include "divisor.cuh"
#include "reduce.cuh"

constexpr float EPS = 1e-5f;
constexpr float MOMENTUM = 0.1f;

// ---- Statistics ----

struct BatchNormStatisticsArgs {
    const float* y;
    float* means;
    float* m2s;
    ChannelShape shape;
    uint32_t filler;
};

template <int V>
DEVICE void statistics(const BatchNormStatisticsArgs& args, float* shared) {
    const ChannelShape& s = args.shape;
    const ChannelPlace<V> at(s, blockIdx.y, blockIdx.x);
    Vector<V> sum = zeros<V>(), squares = zeros<V>();
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        const Vector<V> y = load<V>(args.y + row * s.channels + at.channel);
        UNROLL for (int i = 0; i < V; i++) sum.v[i] += y.v[i];
    }
    Vector<V> mean = channel_sum<V>(sum, s.lanes, shared);
    const float count = float(rows_of_part(s, blockIdx.x));
    UNROLL for (int i = 0; i < V; i++) mean.v[i] /= count;
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        const Vector<V> y = load<V>(args.y + row * s.channels + at.channel);
        UNROLL for (int i = 0; i < V; i++) {
            const float deviation = y.v[i] - mean.v[i];
            squares.v[i] += deviation * deviation;
        }
    }
    const Vector<V> m2 = channel_sum<V>(squares, s.lanes, shared);
    if (threadIdx.x < s.lanes && at.channel < s.channels) {
        UNROLL for (int i = 0; i < V; i++) {
            const uint32_t place = (at.channel + i) * s.parts + blockIdx.x;
            args.means[place] = mean.v[i];
            args.m2s[place] = m2.v[i];
        }
    }
}

KERNEL(batch_norm_statistics_f32, BatchNormStatisticsArgs, FAIRPRUNE_CHANNEL_THREADS, 4) {
    SHARED_MEMORY(float, shared);
    if (args.shape.channels % 4 == 0) {
        statistics<4>(args, shared);
    } else {
        statistics<1>(args, shared);
    }
}

struct BatchNormMergeArgs {
    const float* means;
    const float* m2s;
    float* mean;
    float* m2;
    ChannelShape shape;
    uint32_t filler;
};

KERNEL(batch_norm_merge_f32, BatchNormMergeArgs, FAIRPRUNE_MERGE_THREADS, 4) {
    const ChannelShape& s = args.shape;
    const uint32_t channel = blockIdx.x * (FAIRPRUNE_MERGE_THREADS / 32) + threadIdx.x / 32;
    if (channel >= s.channels) return;
    const uint32_t lane = threadIdx.x % 32;
    Moments all = {0.0f, 0.0f, 0.0f};
    for (uint32_t part = lane; part < s.parts; part += 32) {
        const uint32_t place = channel * s.parts + part;
        all = merge(all, {float(rows_of_part(s, part)), args.means[place], args.m2s[place]});
    }
    // Lane 0's tree counts: lanes 0 and 16, 1 and 17, ... first.
    for (int mask = 16; mask > 0; mask >>= 1) {
        const Moments other = {warp_shuffle_xor(all.count, mask), warp_shuffle_xor(all.mean, mask),
                               warp_shuffle_xor(all.m2, mask)};
        all = merge(all, other);
    }
    if (lane == 0) {
        args.mean[channel] = all.mean;
        args.m2[channel] = all.m2;
    }
}

// ---- The affine map ----

struct BatchNormFinalizeArgs {
    const float* mean;
    const float* m2;
    const float* gamma;
    const float* beta;
    float* running_mean;
    float* running_variance;
    float* rstd;
    float* scale;
    float* shift;
    uint32_t channels;
    // Values a channel, and one less (at least 1).
    float count, unbiased;
    uint32_t filler;
};

KERNEL(batch_norm_finalize_f32, BatchNormFinalizeArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t c = blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    if (c >= args.channels) return;
    const float mean = args.mean[c], m2 = args.m2[c];
    const float rstd = 1.0f / sqrtf(m2 / args.count + EPS);
    const float scale = args.gamma[c] * rstd;
    args.rstd[c] = rstd;
    args.scale[c] = scale;
    args.shift[c] = args.beta[c] - mean * scale;
    args.running_mean[c] += MOMENTUM * (mean - args.running_mean[c]);
    args.running_variance[c] += MOMENTUM * (m2 / args.unbiased - args.running_variance[c]);
}

struct BatchNormEvalAffineArgs {
    const float* gamma;
    const float* beta;
    const float* running_mean;
    const float* running_variance;
    float* rstd;
    float* scale;
    float* shift;
    uint32_t channels, filler;
};

KERNEL(batch_norm_eval_affine_f32, BatchNormEvalAffineArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t c = blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    if (c >= args.channels) return;
    const float rstd = 1.0f / sqrtf(args.running_variance[c] + EPS);
    const float scale = args.gamma[c] * rstd;
    args.rstd[c] = rstd;
    args.scale[c] = scale;
    args.shift[c] = args.beta[c] - args.running_mean[c] * scale;
}

struct BatchNormApplyArgs {
    const float* y;
    const float* scale;
    const float* shift;
    // May be null.
    const float* residual;
    float* out;
    // Vectors of V values: all, and a row's.
    uint32_t vectors;
    Divisor by_row;
    uint32_t relu, filler;
};

template <int V>
DEVICE void apply(const BatchNormApplyArgs& args) {
    const uint32_t i = blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    if (i >= args.vectors) return;
    const uint32_t channel = (i - quotient(i, args.by_row) * args.by_row.value) * V;
    Vector<V> z = load<V>(args.y + uint64_t(i) * V);
    const Vector<V> scale = load<V>(args.scale + channel), shift = load<V>(args.shift + channel);
    UNROLL for (int e = 0; e < V; e++) z.v[e] = z.v[e] * scale.v[e] + shift.v[e];
    if (args.residual) {
        const Vector<V> residual = load<V>(args.residual + uint64_t(i) * V);
        UNROLL for (int e = 0; e < V; e++) z.v[e] += residual.v[e];
    }
    UNROLL for (int e = 0; e < V; e++) {
        if (args.relu && z.v[e] <= 0.0f) z.v[e] = 0.0f;
    }
    store<V>(args.out + uint64_t(i) * V, z);
}

KERNEL(batch_norm_apply_vector_f32, BatchNormApplyArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    apply<4>(args);
}

KERNEL(batch_norm_apply_scalar_f32, BatchNormApplyArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    apply<1>(args);
}

// ---- Backward ----

// dz = dout * [out > 0], of one thread's row; `out` null: dz = dout.
template <int V>
DEVICE Vector<V> masked(const float* dout, const float* out, uint32_t offset) {
    Vector<V> dz = load<V>(dout + offset);
    if (out) {
        const Vector<V> mask = load<V>(out + offset);
        UNROLL for (int i = 0; i < V; i++) {
            if (!(mask.v[i] > 0.0f)) dz.v[i] = 0.0f;
        }
    }
    return dz;
}

struct BatchNormBackwardReduceArgs {
    float* dout;
    // May be null.
    const float* out;
    const float* y;
    const float* mean;
    const float* rstd;
    float* sums;
    float* sums_xhat;
    ChannelShape shape;
    uint32_t mask_in_place;
};

// Adds one row to the sums of dz and dz * xhat, and stores dz where asked.
template <int V, typename Args>
DEVICE Vector<V> add_row(const Args& args, uint32_t offset, const Vector<V>& mean,
                         const Vector<V>& rstd, Vector<V>& sum, Vector<V>& sum_xhat) {
    const Vector<V> dz = masked<V>(args.dout, args.out, offset);
    if (args.mask_in_place && args.out) store<V>(args.dout + offset, dz);
    const Vector<V> y = load<V>(args.y + offset);
    UNROLL for (int i = 0; i < V; i++) {
        sum.v[i] += dz.v[i];
        sum_xhat.v[i] += dz.v[i] * ((y.v[i] - mean.v[i]) * rstd.v[i]);
    }
    return dz;
}

// V values of a per-channel vector, 0 beyond the last channel.
template <int V>
DEVICE Vector<V> channel_values(const float* values, uint32_t channel, uint32_t channels) {
    return channel < channels ? load<V>(values + channel) : zeros<V>();
}

template <int V>
DEVICE void backward_reduce(const BatchNormBackwardReduceArgs& args, float* shared) {
    const ChannelShape& s = args.shape;
    const ChannelPlace<V> at(s, blockIdx.y, blockIdx.x);
    const Vector<V> mean = channel_values<V>(args.mean, at.channel, s.channels);
    const Vector<V> rstd = channel_values<V>(args.rstd, at.channel, s.channels);
    Vector<V> sum = zeros<V>(), sum_xhat = zeros<V>();
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        add_row<V>(args, row * s.channels + at.channel, mean, rstd, sum, sum_xhat);
    }
    sum = channel_sum<V>(sum, s.lanes, shared);
    sum_xhat = channel_sum<V>(sum_xhat, s.lanes, shared);
    if (threadIdx.x < s.lanes && at.channel < s.channels) {
        UNROLL for (int i = 0; i < V; i++) {
            const uint32_t place = (at.channel + i) * s.parts + blockIdx.x;
            args.sums[place] = sum.v[i];
            args.sums_xhat[place] = sum_xhat.v[i];
        }
    }
}

KERNEL(batch_norm_backward_reduce_f32, BatchNormBackwardReduceArgs, FAIRPRUNE_CHANNEL_THREADS, 4) {
    SHARED_MEMORY(float, shared);
    if (args.shape.channels % 4 == 0) {
        backward_reduce<4>(args, shared);
    } else {
        backward_reduce<1>(args, shared);
    }
}

struct BatchNormBackwardSumArgs {
    const float* sums;
    const float* sums_xhat;
    float* dbeta;
    float* dgamma;
    uint32_t channels, parts;
};

KERNEL(batch_norm_backward_sum_f32, BatchNormBackwardSumArgs, FAIRPRUNE_MERGE_THREADS, 4) {
    const uint32_t channel = blockIdx.x * (FAIRPRUNE_MERGE_THREADS / 32) + threadIdx.x / 32;
    if (channel >= args.channels) return;
    const uint32_t lane = threadIdx.x % 32;
    float dbeta = 0.0f, dgamma = 0.0f;
    for (uint32_t part = lane; part < args.parts; part += 32) {
        dbeta += args.sums[channel * args.parts + part];
        dgamma += args.sums_xhat[channel * args.parts + part];
    }
    dbeta = warp_sum(dbeta);
    dgamma = warp_sum(dgamma);
    if (lane == 0) {
        args.dbeta[channel] = dbeta;
        args.dgamma[channel] = dgamma;
    }
}

struct BatchNormBackwardApplyArgs {
    const float* dout;
    // May be null.
    const float* out;
    const float* y;
    const float* mean;
    const float* rstd;
    const float* gamma;
    const float* dgamma;
    const float* dbeta;
    float* dy;
    ChannelShape shape;
    // Values a channel.
    float count;
};

// dy = scale * dz - (y - mean) * slope - offset, from the form in ops::batch_norm.
template <int V>
DEVICE void backward_apply(const BatchNormBackwardApplyArgs& args) {
    const ChannelShape& s = args.shape;
    const ChannelPlace<V> at(s, blockIdx.y, blockIdx.x);
    if (at.channel >= s.channels) return;
    const Vector<V> mean = load<V>(args.mean + at.channel);
    Vector<V> scale, slope, offset;
    UNROLL for (int i = 0; i < V; i++) {
        const uint32_t c = at.channel + i;
        scale.v[i] = args.gamma[c] * args.rstd[c];
        slope.v[i] = scale.v[i] * args.rstd[c] * args.dgamma[c] / args.count;
        offset.v[i] = scale.v[i] * args.dbeta[c] / args.count;
    }
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        const uint32_t place = row * s.channels + at.channel;
        const Vector<V> dz = masked<V>(args.dout, args.out, place), y = load<V>(args.y + place);
        Vector<V> dy;
        UNROLL for (int i = 0; i < V; i++) {
            const float from_slope = (y.v[i] - mean.v[i]) * slope.v[i];
            dy.v[i] = (scale.v[i] * dz.v[i] - from_slope) - offset.v[i];
        }
        store<V>(args.dy + place, dy);
    }
}

KERNEL(batch_norm_backward_apply_f32, BatchNormBackwardApplyArgs, FAIRPRUNE_CHANNEL_THREADS, 4) {
    if (args.shape.channels % 4 == 0) {
        backward_apply<4>(args);
    } else {
        backward_apply<1>(args);
    }
}

struct BatchNormBackwardEvalArgs {
    float* dout;
    // May be null.
    const float* out;
    const float* y;
    const float* mean;
    const float* rstd;
    const float* scale;
    float* dy;
    float* norms;
    // Parts are samples.
    ChannelShape shape;
    uint32_t mask_in_place;
};

template <int V>
DEVICE void backward_eval(const BatchNormBackwardEvalArgs& args, float* shared) {
    const ChannelShape& s = args.shape;
    // Squares of the lane's channels, group by group.
    float squares = 0.0f;
    for (uint32_t group = 0; group * s.lanes * V < s.channels; group++) {
        const ChannelPlace<V> at(s, group, blockIdx.x);
        const Vector<V> mean = channel_values<V>(args.mean, at.channel, s.channels);
        const Vector<V> rstd = channel_values<V>(args.rstd, at.channel, s.channels);
        const Vector<V> scale = channel_values<V>(args.scale, at.channel, s.channels);
        Vector<V> sum = zeros<V>(), sum_xhat = zeros<V>();
        for (uint32_t row = at.begin; row < at.end; row += at.step) {
            const uint32_t offset = row * s.channels + at.channel;
            Vector<V> dy = add_row<V>(args, offset, mean, rstd, sum, sum_xhat);
            UNROLL for (int i = 0; i < V; i++) dy.v[i] *= scale.v[i];
            store<V>(args.dy + offset, dy);
        }
        sum = channel_sum<V>(sum, s.lanes, shared);
        sum_xhat = channel_sum<V>(sum_xhat, s.lanes, shared);
        UNROLL for (int i = 0; i < V; i++) {
            squares += sum.v[i] * sum.v[i];
            squares += sum_xhat.v[i] * sum_xhat.v[i];
        }
    }
    // The first warp has every lane's channels once.
    if (threadIdx.x < 32) {
        squares = warp_sum(threadIdx.x < s.lanes ? squares : 0.0f);
        if (threadIdx.x == 0) args.norms[blockIdx.x] += squares;
    }
}

KERNEL(batch_norm_backward_eval_f32, BatchNormBackwardEvalArgs, FAIRPRUNE_CHANNEL_THREADS, 4) {
    SHARED_MEMORY(float, shared);
    if (args.shape.channels % 4 == 0) {
        backward_eval<4>(args, shared);
    } else {
        backward_eval<1>(args, shared);
    }
}
