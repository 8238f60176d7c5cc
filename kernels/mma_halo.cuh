// The rows of a 3 x 3 convolution's matrix product with stride 1 and padding 1 on tensor cores, from
// pixels that shared memory holds once, not once a tap (mma_operands.cuh copies them once a tap).
//
// Output and input have the same positions. In memory, where images follow each other, position m
// sees under tap (r, s) pixel m + (r - 1) W + s - 1: ROWS neighbouring positions see ROWS + 2 (W + 1)
// neighbouring pixels. They are copied once, and a tap is a shift of the addresses that matrix loads
// take; a lane whose pixel lies outside its image takes a line of zeros instead. Tiles and the order
// of terms are those of GatheredLines16, so that the sums are the same bits.
//
// The same for wgrad and instantiated gradient norms, whose depth is the positions: the three taps of a
// filter row see what one range of pixels holds.
//
// Shared memory of a pixel is an odd number of chunks: eight neighbouring pixels lie in different
// groups of 4 banks whatever the shift. The line of zeros has a chunk in every group, and a lane takes
// that of the pixel it does not see.
#pragma once

#include "mma_operands.cuh"

// Lines for x under output positions (SIGN 1) and dy over input positions (SIGN -1), where a tap
// sees what the opposite one sees of x. `channels` of a pixel, terms (tap row, tap column, channel).
template <typename T, int SIGN>
struct HaloLines16 {
    static constexpr int STAGE = 0;
    // Values of the line of zeros.
    static constexpr uint32_t ZEROS = FAIRPRUNE_MMA_HALO_ZEROS / 2;
    static constexpr int TAPS = 9;

    // Addresses of the line of zeros, on a multiple of 128 bytes, and of the lane's pixel and channels that
    // come next, of the warp's first fragment; bytes of 16 pixels.
    uint32_t zeros, place, further;
    // Bytes to the next tap's pixel, in a row and from one row to the next.
    uint32_t across, down;
    // Under which tap of x, as a bit, and from which channel on the lane's next 8 terms are.
    uint32_t tap, channel, channels;
    // Bit t of fragment i: the lane's row of it sees a pixel under tap t of x.
    uint32_t seen[T::FRAGMENT_ROWS];

    // Starts the copies of what rows first_row .. of `positions` see.
    DEVICE HaloLines16(const bf16_t* pixels, const Conv2dShape& s, uint32_t channels,
                       const Divisor& by_pitch, uint32_t first_row, uint32_t positions, bf16_t* halo)
        : zeros(shared_address(halo)), tap(SIGN > 0 ? 1u : 1u << (TAPS - 1)), channels(channels) {
        const uint32_t lane = threadIdx.x % 32, own = T::warp_row() + lane % 16;
        const uint32_t pitch = by_pitch.value * 16, line = s.w * pitch;
        channel = 0;
        // A later tap of dy's sees an earlier pixel.
        const uint32_t last = SIGN > 0 ? 0 : 2 * line + 2 * pitch;
        place = zeros + ZEROS * 2 + own * pitch + last;
        further = kept(16 * pitch);
        across = SIGN > 0 ? pitch : 0 - pitch;
        down = SIGN > 0 ? line - 2 * pitch : 2 * pitch - line;
        advance(lane / 16 * 8);
        UNROLL for (int i = 0; i < T::FRAGMENT_ROWS; i++) {
            const uint32_t row = first_row + own + 16 * i;
            seen[i] = kept(row < positions ? taps_inside(row, s) : 0);
        }
        if (threadIdx.x < ZEROS / 8) store_eight(halo + 8 * threadIdx.x, {});
        // Nobody sees what lies before the first pixel or behind the last, nor a pixel's last chunk
        // where it is there for the banks only.
        const uint32_t begin = first_row - s.w - 1, chunks = (T::ROWS + 2 * (s.w + 1)) * by_pitch.value;
        for (uint32_t i = threadIdx.x; i < chunks; i += T::THREADS) {
            uint32_t pixel = i;
            const uint32_t channel = 8 * divide(pixel, by_pitch);
            pixel += begin;
            if (channel >= channels || pixel >= positions) continue;
            async_copy<16>(halo + ZEROS + 8 * i, pixels + (pixel * channels + channel));
        }
    }

    static DEVICE uint32_t taps_inside(uint32_t position, const Conv2dShape& s) {
        const uint32_t column = divide(position, s.by_q), row = divide(position, s.by_p);
        const uint32_t columns = 2u | (column > 0 ? 1u : 0u) | (column + 1 < s.w ? 4u : 0u);
        return columns << 3 | (row > 0 ? columns : 0) | (row + 1 < s.h ? columns << 6 : 0);
    }

    DEVICE void reads_rows(uint32_t) {}
    DEVICE void start(uint32_t, uint32_t) {}

    // The lane's next 8 terms are `terms` further. Behind the last tap there is no bit.
    DEVICE void advance(uint32_t terms) {
        // Where a new row of taps begins.
        constexpr uint32_t ROWS = SIGN > 0 ? 1u << 3 | 1u << 6 : 1u << 5 | 1u << 2;
        channel += terms;
        place += 2 * terms;
        while (channel >= channels) {
            tap = SIGN > 0 ? tap << 1 : tap >> 1;
            place += tap & ROWS ? down : across;
            channel -= channels;
            place -= 2 * channels;
        }
    }

    struct View {
        uint32_t tap, place;
    };
    struct Rows {
        HaloLines16& lines;

        DEVICE View at(int) const {
            const View view = {lines.tap, lines.place};
            lines.advance(16);
            return view;
        }
        DEVICE void load(uint32_t (&x)[4], int i, const View& view) const {
            uint32_t place = view.place + i * lines.further;
            // The same chunk of the line of zeros.
            if (!(lines.seen[i] & view.tap)) place = lines.zeros | (place & (ZEROS * 2 - 16));
            ldmatrix_x4(x, place);
        }
    };
    // In the order of the stages, each once.
    DEVICE Rows rows(uint32_t, uint32_t) { return {*this}; }
};

// Lines are weights of filter row r: taps s = 0, 1, 2 of 64 input channels from `channel` on. Terms are
// the output positions begin..end: a stage has the pixels that MMA_DEPTH of them see, two more than they
// are. Layout of mma_tile.cuh's LineRows<64>. A warp's 64 lines are one tap.
template <typename T>
struct HaloColumns16 {
    static constexpr int TAPS = 3, LINES = 64, CHUNKS = LINES / 8, PIXELS = MMA_DEPTH + TAPS - 1;
    static constexpr int STAGE = PIXELS * LINES;
    static_assert(T::WARP_ROWS == LINES && T::ROWS == TAPS * LINES, "a warp row is a tap");
    using Layout = LineRows<LINES>;

    // Rows that all threads copy at once.
    static constexpr int STEP = T::THREADS / CHUNKS;
    static_assert(STEP % 8 == 0 && T::THREADS % CHUNKS == 0, "rows keep their place");

    const bf16_t* x;
    // Address of the line of zeros, on a multiple of 128 bytes.
    uint32_t zeros;
    uint32_t pixels, channels;
    // The first pixel that this thread copies, its place in x and (in bytes) in a stage.
    uint32_t pixel, offset, to;
    // Row and column of the pixel that the lane's next position sees, counted from the filter row and the
    // tap so that what lies outside of the image is large; how many positions are left to it.
    uint32_t row, column, height, width, left;
    // Where counting begins again: behind the last row and column that any position sees; and how far 16
    // positions move.
    uint32_t last_row, last_column, rows_on, columns_on;
    // Bytes from a stage to the lane's pixel, of the warp's first fragment.
    uint32_t lane;

    DEVICE HaloColumns16(const bf16_t* x, const Conv2dShape& shape, uint32_t r, uint32_t channel,
                         uint32_t begin, uint32_t end, bf16_t* zeros)
        : x(x), zeros(shared_address(zeros)), pixels(shape.n * shape.h * shape.w), channels(shape.c),
          height(shape.h), width(shape.w) {
        const uint32_t l = threadIdx.x % 32, within = l / 16 * 8 + l % 8;
        const uint32_t line = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
        const uint32_t s = T::warp_row() / LINES;
        pixel = kept(begin + (r - 1) * shape.w - 1 + line);
        offset = kept(pixel * shape.c + channel + 8 * chunk);
        to = kept(2 * Layout::place(line, chunk));
        lane = kept(2 * Layout::place(within + s, l / 8 % 2));
        uint32_t position = begin + within;
        left = position < end ? end - position : 0;
        column = divide(position, shape.by_q) + s - 1;
        row = divide(position, shape.by_p) + r - 1;
        last_row = height + r - 1;
        last_column = width + s - 1;
        uint32_t on = 16;
        columns_on = divide(on, shape.by_q);
        rows_on = divide(on, shape.by_p);
        if (threadIdx.x < CHUNKS) store_eight(zeros + 8 * threadIdx.x, {});
    }

    DEVICE void reads_rows(uint32_t) {}

    DEVICE void start(uint32_t from, uint32_t stage) const {
        UNROLL for (int i = 0; i < PIXELS; i += STEP) {
            if (i + STEP > PIXELS && threadIdx.x >= uint32_t((PIXELS - i) * CHUNKS)) continue;
            async_copy_or_zero<16>(stage + to + i * LINES * 2, x + (offset + (from + i) * channels),
                                   pixel + (from + i) < pixels);
        }
    }

    // The lane's next position is 16 further. Rows and columns above and left of the image are those before
    // 0, so that comparisons are of signed numbers.
    DEVICE void advance() {
        column += columns_on;
        uint32_t carry = 0;
        if (int32_t(column) >= int32_t(last_column)) {
            column -= width;
            carry = 1;
        }
        row += rows_on + carry;
        if (int32_t(row) >= int32_t(last_row)) row -= height;
    }

    struct Rows {
        HaloColumns16& lines;
        uint32_t from, stage;

        // The lane's pixel, or the same chunk of the line of zeros.
        DEVICE uint32_t at(int term) const {
            const bool inside = (lines.row < lines.height) & (lines.column < lines.width);
            const bool seen = inside && from + term < lines.left;
            lines.advance();
            const uint32_t place = stage + term * LINES * 2;
            return seen ? place : lines.zeros | (place & (LINES * 2 - 16));
        }
        DEVICE void load(uint32_t (&a)[4], int i, uint32_t at) const {
            Layout::load(a, Layout::further(at, i, 0));
        }
    };
    // In the order of the stages, each once.
    DEVICE Rows rows(uint32_t from, uint32_t stage) { return {*this, from, stage + lane}; }
};

// MatrixColumns16 for threads of which not all have as many chunks to copy.
template <int LINES, int THREADS>
struct UnevenColumns16 {
    using Layout = LineRows<LINES>;
    static constexpr int CHUNKS = LINES / 8, STAGE = MMA_DEPTH * LINES;
    static_assert(THREADS / CHUNKS % 8 == 0 && THREADS % CHUNKS == 0, "rows keep their place");

    static constexpr int STEP = THREADS / CHUNKS;

    const bf16_t* matrix;
    // The thread's first chunk, the length of a row, rows behind the first one, and the place in a stage.
    uint32_t first, lines, left, to;

    DEVICE UnevenColumns16(const bf16_t* matrix, uint32_t line, uint32_t lines, uint32_t begin,
                           uint32_t end)
        : matrix(matrix), lines(lines) {
        const uint32_t row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS, term = begin + row;
        line += 8 * chunk;
        first = kept(term * lines + line);
        left = term < end && line < lines ? end - term : 0;
        to = kept(2 * Layout::place(row, chunk));
    }

    DEVICE void start(uint32_t from, uint32_t stage) const {
        UNROLL for (int i = 0; i < MMA_DEPTH; i += STEP) {
            if (i + STEP > MMA_DEPTH && threadIdx.x >= uint32_t((MMA_DEPTH - i) * CHUNKS)) continue;
            async_copy_or_zero<16>(stage + to + i * LINES * 2, matrix + (first + (from + i) * lines),
                                   from + i < left);
        }
    }
};

// Its rows are the three taps of a filter row.
using TallMma = MmaTile<FAIRPRUNE_MMA_TALL_ROWS, FAIRPRUNE_MMA_TALL_COLUMNS>;
static_assert(TallMma::THREADS == FAIRPRUNE_MMA_TALL_THREADS, "tiles.h");

// Which weights a block's tile has: filter row r's taps of 64 channels from `channel` on, of the filters
// from `first_column` on. Tiles are (filter row, channel group, column tile), the last first.
struct TallPlace {
    uint32_t r, channel, first_column;
};

// tile = the gradient of the weights of tile `index` over output positions begin..end.
DEVICE TallPlace multiply_tall(TallMma& tile, const bf16_t* x, const bf16_t* dy,
                               const Conv2dShape& s, uint32_t index, uint32_t begin, uint32_t end,
                               bf16_t* shared) {
    using Pixels = HaloColumns16<TallMma>;
    using Gradients = UnevenColumns16<TallMma::COLUMNS, TallMma::THREADS>;
    constexpr uint32_t ALL = STAGES * (Pixels::STAGE + Gradients::STAGE);
    static_assert((ALL + Pixels::LINES) * 2 == FAIRPRUNE_MMA_TALL_SHARED, "tiles.h");
    constexpr uint32_t COLUMNS = TallMma::COLUMNS, LINES = Pixels::LINES;
    const uint32_t across = (s.k + COLUMNS - 1) / COLUMNS, groups = s.c / LINES;
    const uint32_t row_tile = index / across, first_column = index % across * COLUMNS;
    const uint32_t r = row_tile / groups, channel = row_tile % groups * LINES;
    Pixels pixels(x, s, r, channel, begin, end, shared);
    Gradients gradients(dy, first_column, s.k, begin, end);
    tile.clear();
    tile.accumulate(pixels, gradients, (end - begin + MMA_DEPTH - 1) / MMA_DEPTH, shared + LINES);
    return {r, channel, first_column};
}
