// One block's tile of a matrix product on tensor cores: sums[row][column] += a[row] * b[column],
// bf16 operands, f32 sums (mma.sync m16n8k16). Shared by the bf16 convolution kernels.
//
// MMA_DEPTH terms of both operands make a stage in shared memory. STAGES - 1 of them are under way
// as asynchronous copies of 16 bytes (chunks of 8 values) while one is multiplied; one barrier a
// stage. A warp owns 64 x 32 sums: for 16 terms, 6 matrix loads and 16 products. An operand of rows
// may keep what it loads elsewhere in shared memory (mma_halo.cuh): its part of a stage is then empty.
//
// Layouts of a stage, both free of bank conflicts for copies and matrix loads, whose 8 chunks of a
// pass lie in different groups of 4 banks:
//   DepthRows  [line][depth]: rows of 4 chunks (64 bytes), chunk ^ (row / 2 % 4)
//   LineRows   [depth][line]: rows of 8 chunks or more, chunk ^ (row % 8); of 4 chunks as above
//
// Every sum is one chain of products of 16 terms in order of depth, whatever the tile.
#pragma once

#include "bf16.cuh"

constexpr int MMA_DEPTH = FAIRPRUNE_MMA_DEPTH, STAGES = FAIRPRUNE_MMA_STAGES;

// What an operand of LINES rows or columns looks like in a stage. A lane's address is that of the first
// 16 terms of 16 lines; `further` gives those of 16 i lines and `term` terms (0 or 16) further on, by
// an exclusive or where the swizzle is and a constant that loads add themselves. Addresses are bytes of
// shared memory, stages begin on multiples of 128.
template <int LINES>
struct DepthRows {
    static constexpr int ROWS = LINES, CHUNKS = MMA_DEPTH / 8;

    static DEVICE uint32_t place(uint32_t row, uint32_t chunk) {
        return row * MMA_DEPTH + (chunk ^ (row / 2 % 4)) * 8;
    }
    // From a stage's beginning, for lines from `line` on as mma takes a.
    static DEVICE uint32_t row_lane(uint32_t line) {
        const uint32_t lane = threadIdx.x % 32;
        return 2 * place(line + lane % 16, lane / 16);
    }
    // The same as it takes b: 16 lines are two fragments.
    static DEVICE uint32_t column_lane(uint32_t line) {
        const uint32_t lane = threadIdx.x % 32;
        return 2 * place(line + lane / 16 * 8 + lane % 8, lane / 8 % 2);
    }
    static DEVICE uint32_t further(uint32_t address, int i, int term) {
        return (address ^ uint32_t(2 * term)) + uint32_t(i * 16 * MMA_DEPTH * 2);
    }
    static DEVICE void load(uint32_t (&fragment)[4], uint32_t address) {
        ldmatrix_x4(fragment, address);
    }
};

template <int LINES>
struct LineRows {
    static constexpr int ROWS = MMA_DEPTH, CHUNKS = LINES / 8;

    static DEVICE uint32_t place(uint32_t row, uint32_t chunk) {
        return row * LINES + (chunk ^ (CHUNKS >= 8 ? row % 8 : row / 2 % 4)) * 8;
    }
    static DEVICE uint32_t row_lane(uint32_t line) {
        const uint32_t lane = threadIdx.x % 32;
        return 2 * place(lane / 16 * 8 + lane % 8, line / 8 + lane / 8 % 2);
    }
    static DEVICE uint32_t column_lane(uint32_t line) {
        const uint32_t lane = threadIdx.x % 32;
        return 2 * place(lane / 8 % 2 * 8 + lane % 8, line / 8 + lane / 16);
    }
    static DEVICE uint32_t further(uint32_t address, int i, int term) {
        return (address ^ uint32_t(32 * i)) + uint32_t(term * LINES * 2);
    }
    static DEVICE void load(uint32_t (&fragment)[4], uint32_t address) {
        ldmatrix_x4_transposed(fragment, address);
    }
};

template <int ROWS_, int COLUMNS_>
struct MmaTile {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_;
    static constexpr int WARP_ROWS = FAIRPRUNE_MMA_WARP_ROWS, WARP_COLUMNS = 32;
    static constexpr int DOWN = ROWS / WARP_ROWS, ACROSS = COLUMNS / WARP_COLUMNS;
    static constexpr int THREADS = DOWN * ACROSS * 32;
    // Bytes of all stages of operands that both lie there.
    static constexpr int SHARED = STAGES * (ROWS + COLUMNS) * MMA_DEPTH * 2;
    // Fragments of 16 rows x 8 columns.
    static constexpr int FRAGMENT_ROWS = WARP_ROWS / 16, FRAGMENT_COLUMNS = WARP_COLUMNS / 8;

    float sums[FRAGMENT_ROWS][FRAGMENT_COLUMNS][4];

    DEVICE void clear() {
        UNROLL for (int i = 0; i < FRAGMENT_ROWS; i++) {
            UNROLL for (int j = 0; j < FRAGMENT_COLUMNS; j++) {
                UNROLL for (int e = 0; e < 4; e++) sums[i][j][e] = 0.0f;
            }
        }
    }

    // The first row and column of this thread's warp: down first, where that is a power of two.
    static constexpr bool DOWN_FIRST = (DOWN & (DOWN - 1)) == 0;
    static DEVICE uint32_t warp_row() {
        const uint32_t warp = threadIdx.x / 32;
        return (DOWN_FIRST ? warp % DOWN : warp / ACROSS) * WARP_ROWS;
    }
    static DEVICE uint32_t warp_column() {
        const uint32_t warp = threadIdx.x / 32;
        return (DOWN_FIRST ? warp / DOWN : warp % ACROSS) * WARP_COLUMNS;
    }

    // Rows of `a` times columns whose lane's address is `b`. a.at(term) is where 16 terms of the stage lie,
    // and a.load(x, i, at) those of 16 rows, the fragment i of the warp.
    template <typename B, typename A>
    DEVICE void multiply(A& a, uint32_t b) {
        UNROLL for (int term = 0; term < MMA_DEPTH; term += 16) {
            uint32_t y[FRAGMENT_COLUMNS / 2][4];
            UNROLL for (int j = 0; j < FRAGMENT_COLUMNS / 2; j++) {
                B::load(y[j], B::further(b, j, term));
            }
            const auto at = a.at(term);
            UNROLL for (int i = 0; i < FRAGMENT_ROWS; i++) {
                uint32_t x[4];
                a.load(x, i, at);
                UNROLL for (int j = 0; j < FRAGMENT_COLUMNS; j++) {
                    const uint32_t column[2] = {y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]};
                    mma_m16n8k16_bf16(sums[i][j], x, column);
                }
            }
        }
    }

    // Adds the product over `steps` stages. The operands start the copies of one stage after the other:
    // what they have no terms for arrives as zeros. Copies that were started before arrive with the
    // first one. All threads may use all of `shared` afterwards, which begins on a multiple of 128 bytes.
    template <typename A, typename B>
    DEVICE void accumulate(A& a, B& b, uint32_t steps, bf16_t* shared) {
        constexpr uint32_t STAGE = 2 * (A::STAGE + B::STAGE), BEHIND = 2 * A::STAGE;
        const uint32_t stages = shared_address(shared);
        const uint32_t column = kept(stages + BEHIND + B::Layout::column_lane(warp_column()));
        a.reads_rows(warp_row());
        steps = kept(steps);
        const auto start = [&](uint32_t step) {
            if (step < steps) {
                const uint32_t stage = stages + step % STAGES * STAGE;
                a.start(step * MMA_DEPTH, stage);
                b.start(step * MMA_DEPTH, stage + BEHIND);
            }
            // A group a step, so that waiting for a number of groups waits for a step.
            async_copy_commit();
        };
        for (uint32_t step = 0; step < STAGES - 1; step++) start(step);
        for (uint32_t step = 0; step < steps; step++) {
            async_copy_wait<STAGES - 2>();
            block_barrier();
            // Into the stage that every thread had read before the barrier.
            start(step + STAGES - 1);
            const uint32_t within = step % STAGES * STAGE;
            auto rows = a.rows(step * MMA_DEPTH, stages + within);
            multiply<typename B::Layout>(rows, column + within);
        }
        async_copy_wait<0>();
        block_barrier();
    }

    // Two values a column of every warp, behind what the functions below turn sums in: `first` and
    // `second` of column c (of 32) of a warp at pair(shared, warp)[c] and [c + 32].
    static constexpr int TURNED = THREADS / 32 * WARP_ROWS / 2 * (WARP_COLUMNS + 8);
    static constexpr int TURNED_BYTES = (TURNED + THREADS / 32 * 2 * WARP_COLUMNS) * 4;
    static_assert(TURNED_BYTES <= SHARED, "room for pairs");

    static DEVICE float* pair(float* shared, uint32_t warp) {
        return shared + TURNED + warp * (2 * WARP_COLUMNS);
    }

    // The warp whose rows are the tile's `down`-th and whose columns hold `column`.
    static DEVICE uint32_t warp_of(uint32_t down, uint32_t column) {
        static_assert(DOWN_FIRST, "as warp_row() has it");
        return column / WARP_COLUMNS * DOWN + down;
    }

    // Sum over the 8 lanes that share lane % 4, and so their columns: a tree, on each of them.
    static DEVICE float column_sum(float value) {
        UNROLL for (int mask = 4; mask < 32; mask *= 2) value += warp_shuffle_xor(value, mask);
        return value;
    }

    // Gives out the sums, 8 neighbouring columns of a row at a time: f(row, column, values) with the
    // tile's row and column. Each warp turns its own through shared memory, 32 rows at a time; rows
    // are 8 banks apart for the stores, and odd ones are read second half first.
    template <typename F>
    DEVICE void for_each_row(float* shared, F f) {
        constexpr int PITCH = WARP_COLUMNS + 8, HALF = FRAGMENT_ROWS / 2;
        static_assert(THREADS / 32 * HALF * 16 * PITCH * 4 <= SHARED, "room for a half");
        const uint32_t lane = threadIdx.x % 32;
        float* const own = shared + threadIdx.x / 32 * (HALF * 16 * PITCH);
        UNROLL for (int half = 0; half < 2; half++) {
            UNROLL for (int i = 0; i < HALF; i++) {
                UNROLL for (int j = 0; j < FRAGMENT_COLUMNS; j++) {
                    float* const to = own + (16 * i + lane / 4) * PITCH + 8 * j + lane % 4 * 2;
                    const float* const d = sums[half * HALF + i][j];
                    store_pair(to, d[0], d[1]);
                    store_pair(to + 8 * PITCH, d[2], d[3]);
                }
            }
            warp_barrier();
            UNROLL for (int i = 0; i < HALF * 2; i++) {
                const uint32_t row = 8 * i + lane / 4, column = lane % 4 * 8, odd = row % 2;
                const float* const from = own + row * PITCH + column;
                const Vector<4> first = load<4>(from + 4 * odd), second = load<4>(from + 4 - 4 * odd);
                float values[8];
                UNROLL for (int e = 0; e < 4; e++) {
                    values[e] = odd ? second.v[e] : first.v[e];
                    values[e + 4] = odd ? first.v[e] : second.v[e];
                }
                f(warp_row() + half * HALF * 16 + row, warp_column() + column, values);
            }
            warp_barrier();
        }
    }

    // The same, 4 neighbouring rows of a column at a time: f(row, column, values). Columns are 36
    // values apart, two of them 8 banks.
    template <typename F>
    DEVICE void for_each_column(float* shared, F f) {
        constexpr int HALF = FRAGMENT_ROWS / 2, PITCH = HALF * 16 + 4;
        static_assert(HALF * 16 == 32, "two columns are 8 banks apart");
        static_assert(THREADS / 32 * WARP_COLUMNS * PITCH * 4 <= SHARED, "room for a half");
        const uint32_t lane = threadIdx.x % 32;
        float* const own = shared + threadIdx.x / 32 * (WARP_COLUMNS * PITCH);
        UNROLL for (int half = 0; half < 2; half++) {
            UNROLL for (int i = 0; i < HALF; i++) {
                UNROLL for (int j = 0; j < FRAGMENT_COLUMNS; j++) {
                    UNROLL for (int e = 0; e < 4; e++) {
                        const uint32_t row = 16 * i + lane / 4 + e / 2 * 8;
                        own[(8 * j + lane % 4 * 2 + e % 2) * PITCH + row] =
                            sums[half * HALF + i][j][e];
                    }
                }
            }
            warp_barrier();
            UNROLL for (int i = 0; i < WARP_COLUMNS / 4; i++) {
                const uint32_t column = 4 * i + lane / 8, row = lane % 8 * 4;
                const Vector<4> values = load<4>(own + column * PITCH + row);
                f(warp_row() + half * HALF * 16 + row, warp_column() + column, values);
            }
            warp_barrier();
        }
    }
};

// Medium blocks that registers must suffice for: before Hopper a multiprocessor has shared memory for
// three.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
constexpr int MEDIUM_BLOCKS = 3;
#else
constexpr int MEDIUM_BLOCKS = FAIRPRUNE_MMA_MEDIUM_BLOCKS;
#endif

// Many columns, up to 64, up to 32.
using WideMma = MmaTile<FAIRPRUNE_MMA_WIDE_ROWS, FAIRPRUNE_MMA_WIDE_COLUMNS>;
using MediumMma = MmaTile<FAIRPRUNE_MMA_MEDIUM_ROWS, FAIRPRUNE_MMA_MEDIUM_COLUMNS>;
using NarrowMma = MmaTile<FAIRPRUNE_MMA_NARROW_ROWS, FAIRPRUNE_MMA_NARROW_COLUMNS>;
static_assert(WideMma::THREADS == FAIRPRUNE_MMA_WIDE_THREADS, "tiles.h");
static_assert(WideMma::SHARED == FAIRPRUNE_MMA_WIDE_SHARED, "tiles.h");
static_assert(MediumMma::THREADS == FAIRPRUNE_MMA_MEDIUM_THREADS, "tiles.h");
static_assert(MediumMma::SHARED == FAIRPRUNE_MMA_MEDIUM_SHARED, "tiles.h");
static_assert(NarrowMma::THREADS == FAIRPRUNE_MMA_NARROW_THREADS, "tiles.h");
static_assert(NarrowMma::SHARED == FAIRPRUNE_MMA_NARROW_SHARED, "tiles.h");
static_assert(WideMma::TURNED_BYTES == FAIRPRUNE_MMA_WIDE_TURNED, "tiles.h");
static_assert(MediumMma::TURNED_BYTES == FAIRPRUNE_MMA_MEDIUM_TURNED, "tiles.h");
static_assert(NarrowMma::TURNED_BYTES == FAIRPRUNE_MMA_NARROW_TURNED, "tiles.h");
