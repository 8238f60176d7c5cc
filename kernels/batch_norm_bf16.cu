// Batch normalisation over the rows (N H W) of an NHWC tensor stored as bf16; arithmetic, statistics and
// per-channel vectors in f32. Formulas in ops::batch_norm, the exact f32 form in batch_norm.cu, whose
// kernels of one value a channel serve both.
//
// Tensors are rows x C, C a multiple of 8, 16-byte aligned; a thread has 8 neighbouring channels, so that
// every access to a tensor has 16 bytes. What is stored is rounded once, to nearest; statistics are those
// of the stored values. Partial results lie channel by channel: C x parts.
//
// statistics, backward_reduce, backward_apply: grid parts of the rows x channel groups; block
// CHANNEL_THREADS; shared memory CHANNEL_SHARED (apply none). backward_eval: a block a sample. apply: a
// thread 8 values; ELEMENTWISE_THREADS. merge_tiles, sum_tiles: a block of MERGE16_THREADS a channel, for
// as many parts as a convolution has tiles; shared memory MERGE16_SHARED.
//
// Sums: a thread's rows in order, a tree over a block's threads; parts of a thread in order, a tree over
// the block's threads: s = rows a thread + log2(threads a channel) + parts / 256 + 8; deterministic.
// Oracle: reference::batch_norm on the stored inputs, u_out = 2^-8.
#define FAMILY "batch_norm_bf16"
#include "kernel.cuh"
#include "tiles.h"

#include "bf16.cuh"
#include "channels.cuh"
#include "divisor.cuh"
#include "reduce.cuh"

// The values of eight neighbours.
DEVICE void unpack(float (&values)[8], const Eight& eight) {
    UNROLL for (int e = 0; e < 8; e++) values[e] = eight.value(e);
}

// Eight values of a per-channel vector, 0 beyond the last channel.
DEVICE void channel_values(float (&values)[8], const float* vector, uint32_t channel,
                           uint32_t channels) {
    UNROLL for (int e = 0; e < 8; e++) values[e] = 0.0f;
    if (channel < channels) load_floats(values, vector + channel);
}

// channel_sum of eight channels: four, then the other four.
DEVICE void channel_sums(float (&values)[8], uint32_t lanes, float* shared) {
    UNROLL for (int half = 0; half < 2; half++) {
        Vector<4> four;
        UNROLL for (int i = 0; i < 4; i++) four.v[i] = values[4 * half + i];
        four = channel_sum<4>(four, lanes, shared);
        UNROLL for (int i = 0; i < 4; i++) values[4 * half + i] = four.v[i];
    }
}

// ---- Statistics ----

struct BatchNormStatistics16Args {
    const bf16_t* y;
    float* means;
    float* m2s;
    ChannelShape shape;
    uint32_t filler;
};

KERNEL(batch_norm_statistics_bf16, BatchNormStatistics16Args, FAIRPRUNE_CHANNEL_THREADS, 4) {
    SHARED_MEMORY(float, shared);
    const ChannelShape& s = args.shape;
    const ChannelPlace<8> at(s, blockIdx.y, blockIdx.x);
    float mean[8] = {}, squares[8] = {};
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        const Eight y = load_eight(args.y + row * s.channels + at.channel);
        UNROLL for (int e = 0; e < 8; e++) mean[e] += y.value(e);
    }
    channel_sums(mean, s.lanes, shared);
    const float count = float(rows_of_part(s, blockIdx.x));
    UNROLL for (int e = 0; e < 8; e++) mean[e] /= count;
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        const Eight y = load_eight(args.y + row * s.channels + at.channel);
        UNROLL for (int e = 0; e < 8; e++) {
            const float deviation = y.value(e) - mean[e];
            squares[e] += deviation * deviation;
        }
    }
    channel_sums(squares, s.lanes, shared);
    if (threadIdx.x < s.lanes && at.channel < s.channels) {
        UNROLL for (int e = 0; e < 8; e++) {
            const uint32_t place = (at.channel + e) * s.parts + blockIdx.x;
            args.means[place] = mean[e];
            args.m2s[place] = squares[e];
        }
    }
}

// Folds the block's values into thread 0's, halves first: combine(thread's slot, other's slot).
template <typename T, typename F>
DEVICE void fold_block(T* slots, const F& combine) {
    for (uint32_t half = FAIRPRUNE_MERGE16_THREADS / 2; half > 0; half /= 2) {
        block_barrier();
        if (threadIdx.x < half) slots[threadIdx.x] = combine(slots[threadIdx.x], slots[threadIdx.x + half]);
    }
}

struct BatchNormMergeTilesArgs {
    const float* means;
    const float* m2s;
    float* mean;
    float* m2;
    uint32_t rows, part_rows, parts, filler;
};

// Mean and sum of squared deviations of a channel from those of its parts.
KERNEL(batch_norm_merge_tiles_f32, BatchNormMergeTilesArgs, FAIRPRUNE_MERGE16_THREADS, 4) {
    SHARED_MEMORY(Moments, slots);
    static_assert(FAIRPRUNE_MERGE16_THREADS * sizeof(Moments) <= FAIRPRUNE_MERGE16_SHARED, "tiles.h");
    Moments all = {0.0f, 0.0f, 0.0f};
    const uint32_t first = blockIdx.x * args.parts;
    // Merging is slow: the values of four parts are on their way meanwhile.
    for (uint32_t four = threadIdx.x; four < args.parts; four += 4 * FAIRPRUNE_MERGE16_THREADS) {
        float means[4] = {}, m2s[4] = {};
        UNROLL for (int i = 0; i < 4; i++) {
            const uint32_t part = four + i * FAIRPRUNE_MERGE16_THREADS;
            if (part >= args.parts) continue;
            means[i] = args.means[first + part];
            m2s[i] = args.m2s[first + part];
        }
        UNROLL for (int i = 0; i < 4; i++) {
            const uint32_t part = four + i * FAIRPRUNE_MERGE16_THREADS;
            if (part >= args.parts) continue;
            const uint32_t left = args.rows - part * args.part_rows;
            const float count = float(left < args.part_rows ? left : args.part_rows);
            all = merge(all, {count, means[i], m2s[i]});
        }
    }
    slots[threadIdx.x] = all;
    fold_block(slots, [](const Moments& a, const Moments& b) { return merge(a, b); });
    if (threadIdx.x == 0) {
        args.mean[blockIdx.x] = slots[0].mean;
        args.m2[blockIdx.x] = slots[0].m2;
    }
}

// Two sums side by side.
struct Sums {
    float dz, dz_xhat;
};

struct BatchNormSumTilesArgs {
    const float* sums;
    const float* sums_xhat;
    float* dbeta;
    float* dgamma;
    uint32_t parts, filler;
};

KERNEL(batch_norm_sum_tiles_f32, BatchNormSumTilesArgs, FAIRPRUNE_MERGE16_THREADS, 4) {
    SHARED_MEMORY(Sums, slots);
    Sums all = {0.0f, 0.0f};
    const uint32_t first = blockIdx.x * args.parts;
    for (uint32_t part = threadIdx.x; part < args.parts; part += FAIRPRUNE_MERGE16_THREADS) {
        all.dz += args.sums[first + part];
        all.dz_xhat += args.sums_xhat[first + part];
    }
    slots[threadIdx.x] = all;
    fold_block(slots, [](const Sums& a, const Sums& b) {
        return Sums{a.dz + b.dz, a.dz_xhat + b.dz_xhat};
    });
    if (threadIdx.x == 0) {
        args.dbeta[blockIdx.x] = slots[0].dz;
        args.dgamma[blockIdx.x] = slots[0].dz_xhat;
    }
}

// ---- Forward ----

struct BatchNormApply16Args {
    const bf16_t* y;
    const float* scale;
    const float* shift;
    // May be null.
    const bf16_t* residual;
    bf16_t* out;
    // Vectors of 8 values: all, and a row's.
    uint32_t vectors;
    Divisor by_row;
    uint32_t relu, filler;
};

KERNEL(batch_norm_apply_bf16, BatchNormApply16Args, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t i = blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    if (i >= args.vectors) return;
    const uint32_t channel = (i - quotient(i, args.by_row) * args.by_row.value) * 8;
    const uint64_t place = uint64_t(i) * 8;
    float z[8], scale[8], shift[8];
    unpack(z, load_eight(args.y + place));
    load_floats(scale, args.scale + channel);
    load_floats(shift, args.shift + channel);
    UNROLL for (int e = 0; e < 8; e++) z[e] = z[e] * scale[e] + shift[e];
    if (args.residual) {
        const Eight residual = load_eight(args.residual + place);
        UNROLL for (int e = 0; e < 8; e++) z[e] += residual.value(e);
    }
    UNROLL for (int e = 0; e < 8; e++) {
        if (args.relu && z[e] <= 0.0f) z[e] = 0.0f;
    }
    store_eight(args.out + place, round_eight(z));
}

// ---- Backward ----

// dz = dout * [out > 0], of one thread's row; `out` null: dz = dout. Exact: nothing is rounded.
DEVICE Eight masked(const bf16_t* dout, const bf16_t* out, uint32_t offset) {
    Eight dz = load_eight(dout + offset);
    if (out) {
        const Eight mask = load_eight(out + offset);
        UNROLL for (int p = 0; p < 4; p++) {
            const uint32_t low = mask.value(2 * p) > 0.0f ? 0x0000ffffu : 0;
            const uint32_t high = mask.value(2 * p + 1) > 0.0f ? 0xffff0000u : 0;
            dz.pairs[p] &= low | high;
        }
    }
    return dz;
}

struct BatchNormBackwardReduce16Args {
    bf16_t* dout;
    // May be null.
    const bf16_t* out;
    const bf16_t* y;
    const float* mean;
    const float* rstd;
    float* sums;
    float* sums_xhat;
    ChannelShape shape;
    uint32_t mask_in_place;
};

// Adds one row to the sums of dz and dz * xhat, and stores dz where asked.
template <typename Args>
DEVICE Eight add_row(const Args& args, uint32_t offset, const float (&mean)[8],
                     const float (&rstd)[8], float (&sum)[8], float (&sum_xhat)[8]) {
    const Eight dz = masked(args.dout, args.out, offset), y = load_eight(args.y + offset);
    if (args.mask_in_place && args.out) store_eight(args.dout + offset, dz);
    UNROLL for (int e = 0; e < 8; e++) {
        sum[e] += dz.value(e);
        sum_xhat[e] += dz.value(e) * ((y.value(e) - mean[e]) * rstd[e]);
    }
    return dz;
}

KERNEL(batch_norm_backward_reduce_bf16, BatchNormBackwardReduce16Args, FAIRPRUNE_CHANNEL_THREADS,
       4) {
    SHARED_MEMORY(float, shared);
    const ChannelShape& s = args.shape;
    const ChannelPlace<8> at(s, blockIdx.y, blockIdx.x);
    float mean[8], rstd[8], sum[8] = {}, sum_xhat[8] = {};
    channel_values(mean, args.mean, at.channel, s.channels);
    channel_values(rstd, args.rstd, at.channel, s.channels);
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        add_row(args, row * s.channels + at.channel, mean, rstd, sum, sum_xhat);
    }
    channel_sums(sum, s.lanes, shared);
    channel_sums(sum_xhat, s.lanes, shared);
    if (threadIdx.x < s.lanes && at.channel < s.channels) {
        UNROLL for (int e = 0; e < 8; e++) {
            const uint32_t place = (at.channel + e) * s.parts + blockIdx.x;
            args.sums[place] = sum[e];
            args.sums_xhat[place] = sum_xhat[e];
        }
    }
}

struct BatchNormBackwardApply16Args {
    const bf16_t* dout;
    // May be null.
    const bf16_t* out;
    const bf16_t* y;
    const float* mean;
    const float* rstd;
    const float* gamma;
    const float* dgamma;
    const float* dbeta;
    bf16_t* dy;
    ChannelShape shape;
    // Values a channel.
    float count;
};

// dy = scale * dz - (y - mean) * slope - offset, from the form in ops::batch_norm.
KERNEL(batch_norm_backward_apply_bf16, BatchNormBackwardApply16Args, FAIRPRUNE_CHANNEL_THREADS, 4) {
    const ChannelShape& s = args.shape;
    const ChannelPlace<8> at(s, blockIdx.y, blockIdx.x);
    if (at.channel >= s.channels) return;
    float mean[8], scale[8], slope[8], offset[8];
    load_floats(mean, args.mean + at.channel);
    UNROLL for (int e = 0; e < 8; e++) {
        const uint32_t c = at.channel + e;
        scale[e] = args.gamma[c] * args.rstd[c];
        slope[e] = scale[e] * args.rstd[c] * args.dgamma[c] / args.count;
        offset[e] = scale[e] * args.dbeta[c] / args.count;
    }
    for (uint32_t row = at.begin; row < at.end; row += at.step) {
        const uint32_t place = row * s.channels + at.channel;
        const Eight dz = masked(args.dout, args.out, place), y = load_eight(args.y + place);
        float dy[8];
        UNROLL for (int e = 0; e < 8; e++) {
            const float from_slope = (y.value(e) - mean[e]) * slope[e];
            dy[e] = (scale[e] * dz.value(e) - from_slope) - offset[e];
        }
        store_eight(args.dy + place, round_eight(dy));
    }
}

struct BatchNormBackwardEval16Args {
    bf16_t* dout;
    // May be null.
    const bf16_t* out;
    const bf16_t* y;
    const float* mean;
    const float* rstd;
    const float* scale;
    bf16_t* dy;
    float* norms;
    // Parts are samples.
    ChannelShape shape;
    uint32_t mask_in_place;
};

KERNEL(batch_norm_backward_eval_bf16, BatchNormBackwardEval16Args, FAIRPRUNE_CHANNEL_THREADS, 4) {
    SHARED_MEMORY(float, shared);
    const ChannelShape& s = args.shape;
    // Squares of the lane's channels, group by group.
    float squares = 0.0f;
    for (uint32_t group = 0; group * s.lanes * 8 < s.channels; group++) {
        const ChannelPlace<8> at(s, group, blockIdx.x);
        float mean[8], rstd[8], scale[8], sum[8] = {}, sum_xhat[8] = {};
        channel_values(mean, args.mean, at.channel, s.channels);
        channel_values(rstd, args.rstd, at.channel, s.channels);
        channel_values(scale, args.scale, at.channel, s.channels);
        for (uint32_t row = at.begin; row < at.end; row += at.step) {
            const uint32_t offset = row * s.channels + at.channel;
            float dy[8];
            unpack(dy, add_row(args, offset, mean, rstd, sum, sum_xhat));
            UNROLL for (int e = 0; e < 8; e++) dy[e] *= scale[e];
            store_eight(args.dy + offset, round_eight(dy));
        }
        channel_sums(sum, s.lanes, shared);
        channel_sums(sum_xhat, s.lanes, shared);
        UNROLL for (int e = 0; e < 8; e++) {
            squares += sum[e] * sum[e];
            squares += sum_xhat[e] * sum_xhat[e];
        }
    }
    // The first warp has every lane's channels once.
    if (threadIdx.x < 32) {
        squares = warp_sum(threadIdx.x < s.lanes ? squares : 0.0f);
        if (threadIdx.x == 0) args.norms[blockIdx.x] += squares;
    }
}
