// dy^T x over a range of output positions: the product behind wgrad and instantiated gradient
// norms. Rows of a tile are the weights (r, s, c) of a filter, columns the K output channels.
#pragma once

#include "operands.cuh"

template <typename T>
DEVICE void accumulate_outer(T& tile, const float* x, const float* dy, const Conv2dShape& shape,
                             uint32_t first_weight, uint32_t first_channel, uint32_t begin,
                             uint32_t end, float* shared) {
    WindowColumns<T::ROWS, T::THREADS> inputs(x, shape, first_weight, end);
    MatrixColumns<T::COLUMNS, T::THREADS> gradients(dy, first_channel, shape.k, end);
    tile.clear();
    tile.accumulate(inputs, gradients, begin, end, shared);
}
