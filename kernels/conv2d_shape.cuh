// Sizes of a convolution, and where its terms lie.
#pragma once

#include "divisor.cuh"

// Sizes as in ops::conv2d::Conv2dProblem, and divisions by some of them.
struct Conv2dShape {
    uint32_t n, h, w, c, k, r, s, p, q;
    uint32_t stride_h, stride_w, pad_h, pad_w;
    Divisor by_p, by_q, by_c, by_s;
};

// Whether output positions see the pixel at their own place and nothing else: x is a matrix then, of
// positions x channels.
DEVICE bool is_matrix(const Conv2dShape& s) {
    return s.r == 1 && s.s == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_h == 0 && s.pad_w == 0;
}

// A weight's place (r, s, c) in its filter, or a term's (tap row, tap column, channel).
struct Tap {
    int32_t r, s;
    uint32_t channel;
};

DEVICE Tap tap_of(uint32_t index, const Divisor& by_channels, const Divisor& by_taps) {
    Tap tap;
    tap.channel = divide(index, by_channels);
    tap.s = int32_t(divide(index, by_taps));
    tap.r = int32_t(index);
    return tap;
}

// An output position's image and the input row and column under its window's first tap.
struct Window {
    uint32_t image;
    int32_t row, column;
};

DEVICE Window window_of(uint32_t position, const Conv2dShape& s) {
    const uint32_t q = divide(position, s.by_q), p = divide(position, s.by_p);
    return {position, int32_t(p * s.stride_h) - int32_t(s.pad_h),
            int32_t(q * s.stride_w) - int32_t(s.pad_w)};
}

// One dimension of one of dgrad's problems (conv2d_dgrad.cu): its input rows are first,
// first + stride, ..., `count` of them; its taps are tap, tap + stride, ..., `taps` of them; row
// `first` meets its first tap at output `p0`.
struct Axis {
    uint32_t first, count, tap, taps, p0;
};

DEVICE Axis axis(uint32_t remainder, uint32_t size, uint32_t window, uint32_t stride, uint32_t pad) {
    Axis a;
    a.first = remainder;
    a.count = size > remainder ? (size - remainder + stride - 1) / stride : 0;
    a.tap = (remainder + pad) % stride;
    a.taps = window > a.tap ? (window - a.tap + stride - 1) / stride : 0;
    a.p0 = (remainder + pad) / stride;
    return a;
}
