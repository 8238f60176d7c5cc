// Operands of a bf16 convolution's matrix product: each starts the asynchronous copies of its lines'
// MMA_DEPTH terms to a stage (mma_tile.cuh). What lies outside a tensor, its padding or the problem
// arrives as zeros.
//
// A thread copies chunks: eight neighbours in memory, 16 aligned bytes. Channels are a multiple of 8,
// so a chunk lies within a tap. Offsets inside a tensor are 32-bit.
#pragma once

#include "conv2d_shape.cuh"
#include "mma_tile.cuh"

// Which chunks of a stage a thread copies: chunk() of rows row(0), row(1), ... What does not change from
// stage to stage is computed once, since the loop's tensor cores wait for every other instruction.
template <typename Layout_, int THREADS>
struct Copies {
    using Layout = Layout_;
    // Values of a stage.
    static constexpr int STAGE = Layout::ROWS * Layout::CHUNKS * 8;
    static constexpr int STEP = THREADS / Layout::CHUNKS, COUNT = Layout::ROWS / STEP;
    static_assert(STEP * Layout::CHUNKS == THREADS && COUNT * STEP == Layout::ROWS,
                  "whole chunks a thread");
    // Rows 8 apart have their chunks at the same places.
    static constexpr int KINDS = STEP % 8 == 0 ? 1 : 8 / STEP;
    static_assert(STEP % 8 == 0 || 8 % STEP == 0, "rows repeat");

    // Of the thread's first chunks in a stage, and of the lane's row of the warp's first fragment.
    uint32_t to[KINDS], lane = 0;

    DEVICE Copies() {
        UNROLL for (int i = 0; i < KINDS; i++) to[i] = kept(2 * Layout::place(row(i), chunk()));
    }

    static DEVICE uint32_t chunk() { return threadIdx.x % Layout::CHUNKS; }
    static DEVICE uint32_t row(int i) { return threadIdx.x / Layout::CHUNKS + i * STEP; }

    // The operand's rows in a stage (MmaTile::multiply).
    struct Rows {
        uint32_t address;

        DEVICE uint32_t at(int term) const { return Layout::further(address, 0, term); }
        DEVICE void load(uint32_t (&x)[4], int i, uint32_t at) const {
            Layout::load(x, Layout::further(at, i, 0));
        }
    };
    DEVICE void reads_rows(uint32_t warp_row) { lane = kept(Layout::row_lane(warp_row)); }
    DEVICE Rows rows(uint32_t, uint32_t stage) const { return {stage + lane}; }

    // Row i's chunk is that at `offset` of `tensor`, or zeros.
    DEVICE void start(uint32_t stage, int i, const bf16_t* tensor, uint32_t offset, bool valid) const {
        constexpr uint32_t ROW = Layout::CHUNKS * 16;
        const uint32_t place = to[i % KINDS] + uint32_t(i / KINDS * KINDS * STEP) * ROW;
        async_copy_or_zero<16>(stage + place, tensor + offset, valid);
    }
};

// Lines are pixels under a window: of x under output positions (SIGN 1), or of dy over input
// positions (SIGN -1, a later tap sees an earlier output). Depth is (tap row, tap column, channel).
template <int LINES, int THREADS, int SIGN>
struct GatheredLines16 : Copies<DepthRows<LINES>, THREADS> {
    using Base = Copies<DepthRows<LINES>, THREADS>;
    static_assert(Base::COUNT <= 32, "bits of `inside`");
    const bf16_t* pixels;
    uint32_t height, width, channels, depth;
    Divisor by_channels, by_taps;
    // Of each line: where its window begins, and that as an offset, which may be negative.
    int32_t row[Base::COUNT], column[Base::COUNT];
    uint32_t begin[Base::COUNT];
    // The tap's last term and one; what is added to a term for its offset from a line's window; lines
    // that see a pixel, as bits.
    uint32_t end = 0, shift = 0, inside = 0;

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

    // The tap of a term; there is none behind the last one.
    DEVICE void enter(uint32_t term) {
        const Tap tap = tap_of(term, by_channels, by_taps);
        const int32_t down = SIGN * tap.r, across = SIGN * tap.s;
        end = term - tap.channel + channels;
        shift = (uint32_t(down) * width + uint32_t(across)) * channels + tap.channel - term;
        inside = 0;
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const bool sees =
                uint32_t(row[i] + down) < height && uint32_t(column[i] + across) < width;
            inside |= uint32_t(sees && term < depth) << i;
        }
    }

    DEVICE void start(uint32_t from, uint32_t stage) {
        const uint32_t term = from + 8 * Base::chunk();
        if (term >= end) enter(term);
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            Base::start(stage, i, pixels, begin[i] + (shift + term), inside >> i & 1);
        }
    }
};

// Lines are rows of a row-major matrix of `lines` rows and `depth` columns.
template <int LINES, int THREADS>
struct MatrixLines16 : Copies<DepthRows<LINES>, THREADS> {
    using Base = Copies<DepthRows<LINES>, THREADS>;
    const bf16_t* matrix;
    // The thread's first chunk, the distance of its rows, and how many terms each has left.
    uint32_t begin, step, left[Base::COUNT];

    DEVICE MatrixLines16(const bf16_t* matrix, uint32_t first, uint32_t lines, uint32_t depth)
        : matrix(matrix), begin(kept((first + Base::row(0)) * depth + 8 * Base::chunk())),
          step(Base::STEP * depth) {
        const uint32_t terms = depth > 8 * Base::chunk() ? depth - 8 * Base::chunk() : 0;
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            left[i] = kept(first + Base::row(i) < lines ? terms : 0);
        }
    }

    DEVICE void start(uint32_t from, uint32_t stage) const {
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            Base::start(stage, i, matrix, begin + from + i * step, from < left[i]);
        }
    }
};

// Lines are columns of a row-major matrix of `lines` columns; terms below `end` are its rows.
template <int LINES, int THREADS>
struct MatrixColumns16 : Copies<LineRows<LINES>, THREADS> {
    using Base = Copies<LineRows<LINES>, THREADS>;
    const bf16_t* matrix;
    // The thread's first chunk, the length of a row, and the rows behind the thread's first one.
    uint32_t first, lines, left;

    DEVICE MatrixColumns16(const bf16_t* matrix, uint32_t line, uint32_t lines, uint32_t begin,
                           uint32_t end)
        : matrix(matrix), lines(lines) {
        const uint32_t term = begin + Base::row(0);
        line += 8 * Base::chunk();
        first = kept(term * lines + line);
        left = term < end && line < lines ? end - term : 0;
    }

    DEVICE void start(uint32_t from, uint32_t stage) const {
        const uint32_t offset = first + from * lines;
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const uint32_t further = i * Base::STEP;
            Base::start(stage, i, matrix, offset + further * lines, from + further < left);
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
          tap(tap_of(first + 8 * Base::chunk(), shape.by_c, shape.by_s)) {
        // Beyond the last weight the tap's row lies below every filter.
        if (uint32_t(tap.r) >= shape.r) this->end = 0;
    }

    DEVICE void start(uint32_t from, uint32_t stage) const {
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const uint32_t term = begin + from + Base::row(i);
            const Window window = window_of(term, shape);
            const uint32_t row = uint32_t(window.row + tap.r);
            const uint32_t column = uint32_t(window.column + tap.s);
            const bool valid = term < end && row < shape.h && column < shape.w;
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
    // Terms, none where the line is no channel; the thread's first.
    uint32_t line, depth, row;
    // Weights of a filter; of each row of terms its tap's last term and one, and what is added to a term's
    // weights for its offset.
    uint32_t filter, end[Base::COUNT], shift[Base::COUNT];

    DEVICE WeightColumns16(const bf16_t* w, const Conv2dShape& shape, const Axis& rows,
                           const Axis& columns, const Divisor& by_k, const Divisor& by_taps,
                           uint32_t first, uint32_t depth)
        : w(w), shape(shape), rows(rows), columns(columns), by_k(by_k), by_taps(by_taps),
          line(first + 8 * Base::chunk()), depth(kept(line < shape.c ? depth : 0)),
          row(kept(Base::row(0))),
          filter(shape.r * shape.s * shape.c) {
        UNROLL for (int i = 0; i < Base::COUNT; i++) end[i] = shift[i] = 0;
    }

    DEVICE void enter(int i, uint32_t term) {
        const Tap tap = tap_of(term, by_k, by_taps);
        const uint32_t r = rows.tap + uint32_t(tap.r) * shape.stride_h;
        const uint32_t s = columns.tap + uint32_t(tap.s) * shape.stride_w;
        end[i] = term - tap.channel + by_k.value;
        shift[i] = (r * shape.s + s) * shape.c + line - (term - tap.channel) * filter;
    }

    DEVICE void start(uint32_t from, uint32_t stage) {
        UNROLL for (int i = 0; i < Base::COUNT; i++) {
            const uint32_t term = from + row + i * Base::STEP;
            if (term >= end[i]) enter(i, term);
            Base::start(stage, i, w, shift[i] + term * filter, term < depth);
        }
    }
};
