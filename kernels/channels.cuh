// Blocks over a row-major matrix of rows x channels (NHWC without H and W): what batch
// normalisation's kernels share.
//
// Threads lie along the channels first: `lanes` of them, a power of two up to 32, each with V
// neighbouring channels; the remaining threads take rows in turn. A block has a group of
// lanes * V channels (blockIdx.y) and a part of the rows (blockIdx.x).
#pragma once

#include "moments.cuh"
#include "vector.cuh"

struct ChannelShape {
    uint32_t rows, channels, lanes, part_rows, parts;
};

// Rows begin, begin + step, ... below end and channel.. of this thread; none beyond the last.
template <int V>
struct ChannelPlace {
    uint32_t channel, begin, end, step;

    DEVICE ChannelPlace(const ChannelShape& s, uint32_t group, uint32_t part)
        : channel((group * s.lanes + threadIdx.x % s.lanes) * V), begin(part * s.part_rows) {
        const uint32_t left = s.rows - begin;
        end = begin + (left < s.part_rows ? left : s.part_rows);
        begin += threadIdx.x / s.lanes;
        step = FAIRPRUNE_CHANNEL_THREADS / s.lanes;
        if (channel >= s.channels) end = begin;
    }
};

// Rows of one part.
DEVICE uint32_t rows_of_part(const ChannelShape& s, uint32_t part) {
    const uint32_t begin = part * s.part_rows;
    return s.rows - begin < s.part_rows ? s.rows - begin : s.part_rows;
}

// Sum of the values of all threads of a lane, on each of them: a tree over the threads of the lane,
// halves first. `shared` holds CHANNEL_SHARED bytes and is free again afterwards.
template <int V>
DEVICE Vector<V> channel_sum(Vector<V> value, uint32_t lanes, float* shared) {
    static_assert(FAIRPRUNE_CHANNEL_THREADS * V * 4 <= FAIRPRUNE_CHANNEL_SHARED, "tiles.h");
    store<V>(shared + threadIdx.x * V, value);
    for (uint32_t half = FAIRPRUNE_CHANNEL_THREADS / 2; half >= lanes; half /= 2) {
        block_barrier();
        if (threadIdx.x < half) {
            const Vector<V> other = load<V>(shared + (threadIdx.x + half) * V);
            UNROLL for (int i = 0; i < V; i++) value.v[i] += other.v[i];
            store<V>(shared + threadIdx.x * V, value);
        }
    }
    block_barrier();
    value = load<V>(shared + threadIdx.x % lanes * V);
    block_barrier();
    return value;
}
