// Operands of a convolution's matrix product: each fetches DEPTH terms of its lines (the tile's
// rows or columns) into registers and stores them to shared memory as tile.cuh wants them.
// What lies outside a tensor, its padding or the problem is 0.
//
// A thread moves quads: four neighbours in memory, in one 128-bit access where `vector` says that
// the innermost extent is a multiple of four, so that a quad is aligned and never straddles taps.
// Offsets inside a tensor are 32-bit: the host admits no tensor of 2^31 elements.
#pragma once

#include "conv2d_shape.cuh"
#include "tile.cuh"

// NHWC pixels.
struct Pixels {
    const float* data;
    uint32_t height, width, channels;

    DEVICE bool inside(int32_t row, int32_t column) const {
        return uint32_t(row) < height && uint32_t(column) < width;
    }
    DEVICE uint32_t offset(uint32_t image, int32_t row, int32_t column, uint32_t channel) const {
        return ((image * height + uint32_t(row)) * width + uint32_t(column)) * channels + channel;
    }
};

// ---- Operands whose depth is contiguous in memory: stored transposed. ----

// Where a thread's quads go: terms 4 * (thread % 4).. of lines thread / 4 + i * STEP.
template <int LINES, int THREADS>
struct AlongDepth {
    static constexpr int STEP = THREADS / (DEPTH / 4), QUADS = LINES / STEP;
    static_assert(QUADS * STEP == LINES, "whole quads a thread");
    Vector<4> values[QUADS];

    static DEVICE uint32_t term() { return threadIdx.x % (DEPTH / 4) * 4; }
    static DEVICE uint32_t line(int i) { return threadIdx.x / (DEPTH / 4) + i * STEP; }

    DEVICE void store(float* shared) {
        UNROLL for (int i = 0; i < QUADS; i++) {
            UNROLL for (int e = 0; e < 4; e++) {
                shared[(term() + e) * PITCH<LINES> + line(i)] = values[i].v[e];
            }
        }
    }
};

// Lines are pixels under a window: of x under output positions (SIGN 1), or of dy over input
// positions (SIGN -1, a later tap sees an earlier output). Depth is (tap row, tap column, channel).
template <int LINES, int THREADS, int SIGN>
struct GatheredLines : AlongDepth<LINES, THREADS> {
    using Base = AlongDepth<LINES, THREADS>;
    Pixels pixels;
    Divisor by_channels, by_taps;
    uint32_t depth;
    bool vector;
    uint32_t image[Base::QUADS];
    int32_t row[Base::QUADS], column[Base::QUADS];

    DEVICE GatheredLines(const Pixels& pixels, const Divisor& by_channels, const Divisor& by_taps,
                         uint32_t depth)
        : pixels(pixels), by_channels(by_channels), by_taps(by_taps), depth(depth),
          vector(pixels.channels % 4 == 0) {}

    // Line i starts at `window`; the host keeps sizes far below the row that is never inside.
    DEVICE void place(int i, const Window& window) {
        image[i] = window.image;
        row[i] = window.row;
        column[i] = window.column;
    }
    DEVICE void leave_empty(int i) { place(i, {0, -(1 << 30), 0}); }

    DEVICE void fetch(uint32_t from) {
        const uint32_t term = from + Base::term();
        if (vector) {
            fetch_terms<4>(term, 0);
        } else {
            UNROLL for (int e = 0; e < 4; e++) fetch_terms<1>(term + e, e);
        }
    }

  private:
    template <int V>
    DEVICE void fetch_terms(uint32_t term, int e) {
        const Tap tap = tap_of(term, by_channels, by_taps);
        UNROLL for (int i = 0; i < Base::QUADS; i++) {
            const int32_t y = row[i] + SIGN * tap.r, x = column[i] + SIGN * tap.s;
            Vector<V> loaded = zeros<V>();
            if (term < depth && pixels.inside(y, x)) {
                loaded = load<V>(pixels.data + pixels.offset(image[i], y, x, tap.channel));
            }
            UNROLL for (int j = 0; j < V; j++) this->values[i].v[e + j] = loaded.v[j];
        }
    }
};

// Lines are rows of a row-major matrix of `lines` rows and `depth` columns.
template <int LINES, int THREADS>
struct MatrixLines : AlongDepth<LINES, THREADS> {
    using Base = AlongDepth<LINES, THREADS>;
    const float* matrix;
    uint32_t first, lines, depth;
    bool vector;

    DEVICE MatrixLines(const float* matrix, uint32_t first, uint32_t lines, uint32_t depth)
        : matrix(matrix), first(first), lines(lines), depth(depth), vector(depth % 4 == 0) {}

    DEVICE void fetch(uint32_t from) {
        const uint32_t term = from + Base::term();
        UNROLL for (int i = 0; i < Base::QUADS; i++) {
            const uint32_t line = first + Base::line(i);
            this->values[i] = zeros<4>();
            if (line >= lines || term >= depth) continue;
            this->values[i] = load_some(matrix + line * depth + term, depth - term, vector);
        }
    }
};

// ---- Operands whose lines are contiguous in memory: stored as they are. ----

// Where a thread's quads go: lines 4 * (thread % (LINES / 4)).. of terms term(0), term(1), ...
template <int LINES, int THREADS>
struct AlongLines {
    static constexpr int ACROSS = LINES / 4, STEP = THREADS / ACROSS, QUADS = DEPTH / STEP;
    static_assert(QUADS * STEP == DEPTH, "whole quads a thread");
    Vector<4> values[QUADS];

    static DEVICE uint32_t line() { return threadIdx.x % ACROSS * 4; }
    static DEVICE uint32_t term(int i) { return threadIdx.x / ACROSS + i * STEP; }

    DEVICE void store(float* shared) {
        UNROLL for (int i = 0; i < QUADS; i++) {
            ::store<4>(shared + term(i) * PITCH<LINES> + line(), values[i]);
        }
    }
};

// Lines are columns of a row-major matrix; terms `begin..end` are its rows.
template <int LINES, int THREADS>
struct MatrixColumns : AlongLines<LINES, THREADS> {
    using Base = AlongLines<LINES, THREADS>;
    const float* matrix;
    uint32_t line, lines, end;

    DEVICE MatrixColumns(const float* matrix, uint32_t first, uint32_t lines, uint32_t end)
        : matrix(matrix), line(first + Base::line()), lines(lines), end(end) {}

    DEVICE void fetch(uint32_t from) {
        UNROLL for (int i = 0; i < Base::QUADS; i++) {
            const uint32_t term = from + Base::term(i);
            this->values[i] = zeros<4>();
            if (term >= end || line >= lines) continue;
            const float* const source = matrix + term * lines + line;
            this->values[i] = load_some(source, lines - line, lines % 4 == 0);
        }
    }
};

// Lines are weights (r, s, c) of a filter: the inputs they meet at every output position, the terms.
template <int LINES, int THREADS>
struct WindowColumns : AlongLines<LINES, THREADS> {
    using Base = AlongLines<LINES, THREADS>;
    const Conv2dShape& shape;
    Pixels pixels;
    uint32_t end;
    bool vector;
    // Of the thread's four lines; one is enough for a quad within a tap.
    Tap taps[4];
    bool valid[4];

    DEVICE WindowColumns(const float* x, const Conv2dShape& shape, uint32_t first, uint32_t end)
        : shape(shape), pixels{x, shape.h, shape.w, shape.c}, end(end), vector(shape.c % 4 == 0) {
        UNROLL for (int e = 0; e < 4; e++) {
            const uint32_t weight = first + Base::line() + e;
            taps[e] = tap_of(weight, shape.by_c, shape.by_s);
            valid[e] = weight < shape.r * shape.s * shape.c;
        }
    }

    DEVICE void fetch(uint32_t from) {
        UNROLL for (int i = 0; i < Base::QUADS; i++) {
            const uint32_t term = from + Base::term(i);
            this->values[i] = zeros<4>();
            if (term >= end) continue;
            const Window window = window_of(term, shape);
            if (vector) {
                fetch_lines<4>(i, 0, window);
            } else {
                UNROLL for (int e = 0; e < 4; e++) fetch_lines<1>(i, e, window);
            }
        }
    }

  private:
    template <int V>
    DEVICE void fetch_lines(int i, int e, const Window& window) {
        const int32_t y = window.row + taps[e].r, x = window.column + taps[e].s;
        if (!valid[e] || !pixels.inside(y, x)) return;
        const Vector<V> loaded =
            load<V>(pixels.data + pixels.offset(window.image, y, x, taps[e].channel));
        UNROLL for (int j = 0; j < V; j++) this->values[i].v[e + j] = loaded.v[j];
    }
};
