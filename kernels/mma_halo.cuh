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

    // The line of zeros and the pixels behind it, on a multiple of 128 bytes.
    const bf16_t* halo;
    // Bytes from one row of pixels to the next, of a pixel, and of the lane's first pixel from `halo`.
    uint32_t line, pitch, first;
    // Bit t of fragment i: the lane's row of it sees a pixel under tap t of x.
    uint32_t seen[T::FRAGMENT_ROWS];
    Divisor by_channels;

    // Starts the copies of what rows first_row .. of `positions` see.
    DEVICE HaloLines16(const bf16_t* pixels, const Conv2dShape& s, uint32_t channels,
                       const Divisor& by_channels, const Divisor& by_pitch, uint32_t first_row,
                       uint32_t positions, bf16_t* halo)
        : halo(halo), line(s.w * by_pitch.value * 16), pitch(by_pitch.value * 16),
          by_channels(by_channels) {
        const uint32_t lane = threadIdx.x % 32, own = T::warp_row() + lane % 16;
        first = ZEROS * 2 + own * pitch;
        UNROLL for (int i = 0; i < T::FRAGMENT_ROWS; i++) {
            const uint32_t row = first_row + own + 16 * i;
            seen[i] = row < positions ? taps_inside(row, s) : 0;
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

    DEVICE void start(uint32_t, bf16_t*) {}

    // Where a lane finds 8 terms: under which tap of x, as a bit, and how far from its first pixel.
    struct View {
        uint32_t tap, offset;
    };
    struct Rows {
        const HaloLines16& lines;
        uint32_t from;

        DEVICE View at(uint32_t term) const {
            uint32_t tap = from + term + threadIdx.x % 32 / 16 * 8;
            const uint32_t channel = divide(tap, lines.by_channels);
            // Beyond the last term the number has no bit.
            tap = SIGN > 0 ? tap : TAPS - 1 - tap;
            return {1u << tap % 32, tap / 3 * lines.line + tap % 3 * lines.pitch + 2 * channel};
        }
        DEVICE void load(uint32_t (&x)[4], uint32_t, int i, const View& view) const {
            uint32_t place = lines.first + 16 * i * lines.pitch + view.offset;
            // The same chunk of the line of zeros.
            if (!(lines.seen[i] & view.tap)) place &= ZEROS * 2 - 16;
            ldmatrix_x4(x, reinterpret_cast<const unsigned char*>(lines.halo) + place);
        }
    };
    DEVICE Rows rows(uint32_t from, const bf16_t*) const { return {*this, from}; }
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

    // The line of zeros, on a multiple of 128 bytes; stages lie behind it.
    const bf16_t* zeros;
    const bf16_t* x;
    const Conv2dShape& shape;
    // The filter row, the warp's tap, the lane's first position, and the split's end.
    uint32_t r, s, position, end;
    // The first pixel that this thread copies, its place in x and in a stage.
    uint32_t pixel, offset, to;
    // Bytes of the lane's pixel in a stage, of each fragment's channels.
    uint32_t from_stage[T::FRAGMENT_ROWS];

    DEVICE HaloColumns16(const bf16_t* x, const Conv2dShape& shape, uint32_t r, uint32_t channel,
                         uint32_t begin, uint32_t end, bf16_t* zeros)
        : zeros(zeros), x(x), shape(shape), r(r), s(T::warp_row() / LINES), end(end) {
        const uint32_t lane = threadIdx.x % 32, within = lane / 16 * 8 + lane % 8;
        const uint32_t row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
        position = begin + within;
        pixel = begin + (r - 1) * shape.w - 1 + row;
        offset = pixel * shape.c + channel + 8 * chunk;
        to = Layout::place(row, chunk);
        UNROLL for (int i = 0; i < T::FRAGMENT_ROWS; i++) {
            from_stage[i] = 2 * Layout::place(within + s, 2 * i + lane / 8 % 2);
        }
        if (threadIdx.x < CHUNKS) store_eight(zeros + 8 * threadIdx.x, {});
    }

    DEVICE void start(uint32_t from, bf16_t* stage) {
        const uint32_t pixels = shape.n * shape.h * shape.w;
        UNROLL for (int i = 0; i < PIXELS; i += STEP) {
            if (i + STEP > PIXELS && threadIdx.x >= uint32_t((PIXELS - i) * CHUNKS)) continue;
            const bool valid = pixel + (from + i) < pixels;
            const uint32_t place = offset + (from + i) * shape.c;
            async_copy_or_zero<16>(stage + to + i * LINES, x + (valid ? place : 0), valid);
        }
    }

    // 16 terms further in the stage, in bytes; whether the lane's position sees its pixel.
    struct View {
        uint32_t offset;
        bool seen;
    };
    struct Rows {
        const HaloColumns16& lines;
        uint32_t from, stage;

        DEVICE View at(uint32_t term) const {
            const Conv2dShape& shape = lines.shape;
            uint32_t position = lines.position + from + term;
            const bool exists = position < lines.end;
            const uint32_t column = divide(position, shape.by_q), row = divide(position, shape.by_p);
            // Above and left of an image wraps around.
            const bool inside = (row + lines.r - 1 < shape.h) & (column + lines.s - 1 < shape.w);
            return {stage + term * LINES * 2, exists && inside};
        }
        DEVICE void load(uint32_t (&a)[4], uint32_t, int i, const View& view) const {
            uint32_t place = lines.from_stage[i] + view.offset;
            // The same chunk of the line of zeros.
            if (!view.seen) place &= LINES * 2 - 16;
            ldmatrix_x4_transposed(a, reinterpret_cast<const unsigned char*>(lines.zeros) + place);
        }
    };
    DEVICE Rows rows(uint32_t from, const bf16_t* stage) const {
        return {*this, from, uint32_t(stage - zeros) * 2};
    }
};

// MatrixColumns16 for threads of which not all have as many chunks to copy.
template <int LINES, int THREADS>
struct UnevenColumns16 {
    using Layout = LineRows<LINES>;
    static constexpr int CHUNKS = LINES / 8, STAGE = MMA_DEPTH * LINES;
    static_assert(THREADS / CHUNKS % 8 == 0 && THREADS % CHUNKS == 0, "rows keep their place");

    static constexpr int STEP = THREADS / CHUNKS;

    const bf16_t* matrix;
    uint32_t lines, end;
    // Whether the thread's lines exist; its first term, that one's place in the matrix and in a stage.
    bool exists;
    uint32_t term, offset, to;

    DEVICE UnevenColumns16(const bf16_t* matrix, uint32_t first, uint32_t lines, uint32_t begin,
                           uint32_t end)
        : matrix(matrix), lines(lines), end(end) {
        const uint32_t row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
        exists = first + 8 * chunk < lines;
        term = begin + row;
        offset = term * lines + first + 8 * chunk;
        to = Layout::place(row, chunk);
    }

    DEVICE void start(uint32_t from, bf16_t* stage) {
        UNROLL for (int i = 0; i < MMA_DEPTH; i += STEP) {
            if (i + STEP > MMA_DEPTH && threadIdx.x >= uint32_t((MMA_DEPTH - i) * CHUNKS)) continue;
            const bool valid = exists && term + (from + i) < end;
            const uint32_t place = offset + (from + i) * lines;
            async_copy_or_zero<16>(stage + to + i * LINES, matrix + (valid ? place : 0), valid);
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
