// Operands of a bf16 convolution's matrix product: each starts the asynchronous copies of its lines'
// MMA_DEPTH terms to a stage (mma_tile.cuh). What lies outside a tensor, its padding or the problem
// arrives as zeros.
//
// A thread copies chunks: eight neighbours in memory, 16 aligned bytes. Channels are a multiple of 8,
// so a chunk lies within a tap. Offsets inside a tensor are 32-bit.
#pragma once

#include "conv2d_shape.cuh"
#include "mma_tile.cuh"

// Which chunks of a stage a thread copies: chunk() of rows row(0), row(1), ...
template <typename Layout_, int THREADS>
struct Copies {
    using Layout = Layout_;
    // Values of a stage.
    static constexpr int STAGE = Layout::ROWS * Layout::CHUNKS * 8;
    static constexpr int STEP = THREADS / Layout::CHUNKS, COUNT = Layout::ROWS / STEP;
    static_assert(STEP * Layout::CHUNKS == THREADS && COUNT * STEP == Layout::ROWS,
                  "whole chunks a thread");

    static DEVICE uint32_t chunk() { return threadIdx.x % Layout::CHUNKS; }
    static DEVICE uint32_t row(int i) { return threadIdx.x / Layout::CHUNKS + i * STEP; }

    // The operand's rows in a stage (MmaTile::multiply).
    struct Rows {
        const bf16_t* stage;

        DEVICE uint32_t at(uint32_t term) const { return term; }
        DEVICE void load(uint32_t (&x)[4], uint32_t row, int i, uint32_t term) const {
            Layout::row_fragment(x, stage, row + 16 * i, term);
        }
    };
    DEVICE Rows rows(uint32_t, const bf16_t* stage) const { return {stage}; }

    // Row i's chunk is that at `offset` of `tensor`, or zeros.
    static DEVICE void start(bf16_t* stage, int i, const bf16_t* tensor, uint32_t offset,
                             bool valid) {
        async_copy_or_zero<16>(stage + Layout::place(row(i), chunk()),
                               tensor + (valid ? offset : 0), valid);
    }
};

// Lines are pixels under a window: of x under output positions (SIGN 1), or of dy over input
// positions (SIGN -1, a later tap sees an earlier output). Depth is (tap row, tap column, channel).
template <int LINES, int THREADS, int SIGN>
struct GatheredLines16 : Copies<DepthRows<LINES>, THREADS> {
    using Base = Copies<DepthRows<LINES>, THREADS>;
    const bf16_t* pixels;
    uint32_t height, width, channels, depth;
    Divisor by_channels, by_taps;
    // Of each line: where its window begins, and that as an offset, which may be negative.
    int32_t row[Base::COUNT], column[Base::COUNT];
    uint32_t begin[Base::COUNT];

    DEVICE GatheredLines16(const bf16_t* pixels, uint32_t height, uint32_t width, uint32_t channels,
                           const Divisor& by_channels, const Divisor& by_taps, uint32_t depth)
        : pixels(pixels), height(height), width(width), channels(channels), depth(depth),
          by_channels(by_channels), by_taps(by_taps) {}

    DEVICE void place(int i, const Window& window) {
        row[i] = window.row;
        column[i] = window.column;
        const uint32_t line = window.image * height + uint32_t(window.row);
        begin[i] = (line * width + uint32_t(window.column)) * channels;
    }
    // The host keeps sizes far below the row that is never inside.
    DEVICE void leave_empty(int i) { place(i, {0, -(1 << 30), 0}); }

    DEVICE void start(uint32_t from, bf16_t* stage) {
        const uint32_t term = from + 8 * Base::chunk();
        const Tap tap = tap_of(term, by_channels, by_taps);
        const int32_t down = SIGN * tap.r, across = SIGN * tap.s;
        const uint32_t shift =
            (uint32_t(down) * width + uint32_t(across)) * channels + tap.channel;
        const bool exists = term < depth;
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const bool inside =
                uint32_t(row[i] + down) < height && uint32_t(column[i] + across) < width;
            Base::start(stage, i, pixels, begin[i] + shift, exists && inside);
        }
    }
};

// Lines are rows of a row-major matrix of `lines` rows and `depth` columns.
template <int LINES, int THREADS>
struct MatrixLines16 : Copies<DepthRows<LINES>, THREADS> {
    using Base = Copies<DepthRows<LINES>, THREADS>;
    const bf16_t* matrix;
    uint32_t first, lines, depth;

    DEVICE MatrixLines16(const bf16_t* matrix, uint32_t first, uint32_t lines, uint32_t depth)
        : matrix(matrix), first(first), lines(lines), depth(depth) {}

    DEVICE void start(uint32_t from, bf16_t* stage) {
        const uint32_t term = from + 8 * Base::chunk();
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const uint32_t line = first + Base::row(i);
            Base::start(stage, i, matrix, line * depth + term, line < lines && term < depth);
        }
    }
};

// Lines are columns of a row-major matrix of `lines` columns; terms below `end` are its rows.
template <int LINES, int THREADS>
struct MatrixColumns16 : Copies<LineRows<LINES>, THREADS> {
    using Base = Copies<LineRows<LINES>, THREADS>;
    const bf16_t* matrix;
    uint32_t line, lines, begin, end;

    DEVICE MatrixColumns16(const bf16_t* matrix, uint32_t first, uint32_t lines, uint32_t begin,
                           uint32_t end)
        : matrix(matrix), line(first + 8 * Base::chunk()), lines(lines), begin(begin), end(end) {}

    DEVICE void start(uint32_t from, bf16_t* stage) {
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const uint32_t term = begin + from + Base::row(i);
            Base::start(stage, i, matrix, term * lines + line, term < end && line < lines);
        }
    }
};

// Lines are weights (r, s, c) of a filter: the inputs they meet at output positions begin..end, the
// terms. A thread's lines share a tap, since it copies one chunk of every row.
template <int LINES, int THREADS>
struct WindowColumns16 : Copies<LineRows<LINES>, THREADS> {
    using Base = Copies<LineRows<LINES>, THREADS>;
    const bf16_t* x;
    const Conv2dShape& shape;
    uint32_t begin, end;
    Tap tap;

    DEVICE WindowColumns16(const bf16_t* x, const Conv2dShape& shape, uint32_t first,
                           uint32_t begin, uint32_t end)
        : x(x), shape(shape), begin(begin), end(end),
          tap(tap_of(first + 8 * Base::chunk(), shape.by_c, shape.by_s)) {}

    DEVICE void start(uint32_t from, bf16_t* stage) {
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const uint32_t term = begin + from + Base::row(i);
            const Window window = window_of(term, shape);
            const uint32_t row = uint32_t(window.row + tap.r);
            const uint32_t column = uint32_t(window.column + tap.s);
            // Beyond the last weight the tap's row lies below every filter.
            const bool valid =
                term < end && uint32_t(tap.r) < shape.r && row < shape.h && column < shape.w;
            const uint32_t line = window.image * shape.h + row;
            Base::start(stage, i, x, (line * shape.w + column) * shape.c + tap.channel, valid);
        }
    }
};

// Lines are input channels of the weights, terms (tap row, tap column, k) of one of dgrad's problems.
template <int LINES, int THREADS>
struct WeightColumns16 : Copies<LineRows<LINES>, THREADS> {
    using Base = Copies<LineRows<LINES>, THREADS>;
    const bf16_t* w;
    const Conv2dShape& shape;
    const Axis rows, columns;
    Divisor by_k, by_taps;
    uint32_t line, depth;

    DEVICE WeightColumns16(const bf16_t* w, const Conv2dShape& shape, const Axis& rows,
                           const Axis& columns, const Divisor& by_k, const Divisor& by_taps,
                           uint32_t first, uint32_t depth)
        : w(w), shape(shape), rows(rows), columns(columns), by_k(by_k), by_taps(by_taps),
          line(first + 8 * Base::chunk()), depth(depth) {}

    DEVICE void start(uint32_t from, bf16_t* stage) {
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const uint32_t term = from + Base::row(i);
            const Tap tap = tap_of(term, by_k, by_taps);
            const uint32_t r = rows.tap + uint32_t(tap.r) * shape.stride_h;
            const uint32_t s = columns.tap + uint32_t(tap.s) * shape.stride_w;
            const uint32_t weight = (tap.channel * shape.r + r) * shape.s + s;
            Base::start(stage, i, w, weight * shape.c + line, term < depth && line < shape.c);
        }
    }
};
