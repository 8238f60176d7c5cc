// One block's tile of a matrix product in exact f32: sums[row][column] += a[row] * b[column] over
// the depth, CONV_DEPTH terms at a time from shared memory. Shared by all convolution kernels.
//
// Operands lie in shared memory with the depth outermost: a[depth][row], b[depth][column]. Rows are
// PITCH values apart: 4 more than there are, so that transposed stores meet at most two-way bank
// conflicts and 128-bit loads stay aligned. A thread owns THREAD_ROWS x THREAD_COLUMNS sums, rows
// and columns in groups of four; a warp's loads of a group are broadcasts or 128 neighbouring bytes.
//
// Every sum is one chain of fused multiply-adds in order of depth.
#pragma once

#include "vector.cuh"

constexpr int DEPTH = FAIRPRUNE_CONV_DEPTH;

template <int LENGTH>
constexpr int PITCH = LENGTH + 4;

template <int ROWS_, int COLUMNS_, int THREAD_ROWS_, int THREAD_COLUMNS_>
struct Tile {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_;
    static constexpr int THREAD_ROWS = THREAD_ROWS_, THREAD_COLUMNS = THREAD_COLUMNS_;
    static constexpr int ACROSS = COLUMNS / THREAD_COLUMNS, DOWN = ROWS / THREAD_ROWS;
    static constexpr int THREADS = ACROSS * DOWN;
    // Bytes of shared memory, and where b begins.
    static constexpr int SHARED = DEPTH * (PITCH<ROWS> + PITCH<COLUMNS>) * 4;
    static constexpr int B = DEPTH * PITCH<ROWS>;

    float sums[THREAD_ROWS][THREAD_COLUMNS];

    DEVICE void clear() {
        UNROLL for (int i = 0; i < THREAD_ROWS; i++) {
            UNROLL for (int j = 0; j < THREAD_COLUMNS; j++) sums[i][j] = 0.0f;
        }
    }

    // The tile's row of this thread's i-th, and its column of group g of four.
    static DEVICE uint32_t row(int i) {
        return i / 4 * (4 * DOWN) + threadIdx.x / ACROSS * 4 + i % 4;
    }
    static DEVICE uint32_t column(int group) {
        return group * (4 * ACROSS) + threadIdx.x % ACROSS * 4;
    }

    DEVICE void multiply(const float* a, const float* b) {
        for (int depth = 0; depth < DEPTH; depth++) {
            float x[THREAD_ROWS], y[THREAD_COLUMNS];
            UNROLL for (int i = 0; i < THREAD_ROWS; i += 4) {
                const Vector<4> four = load<4>(a + depth * PITCH<ROWS> + row(i));
                UNROLL for (int e = 0; e < 4; e++) x[i + e] = four.v[e];
            }
            UNROLL for (int j = 0; j < THREAD_COLUMNS; j += 4) {
                const Vector<4> four = load<4>(b + depth * PITCH<COLUMNS> + column(j / 4));
                UNROLL for (int e = 0; e < 4; e++) y[j + e] = four.v[e];
            }
            UNROLL for (int i = 0; i < THREAD_ROWS; i++) {
                UNROLL for (int j = 0; j < THREAD_COLUMNS; j++) {
                    sums[i][j] = fma_f32(x[i], y[j], sums[i][j]);
                }
            }
        }
    }

    // Adds the product over depths begin..end. The operands fetch DEPTH terms into registers and
    // store them to shared memory; the next terms are on their way while these are multiplied.
    template <typename A, typename B_>
    DEVICE void accumulate(A& a, B_& b, uint32_t begin, uint32_t end, float* shared) {
        if (begin >= end) return;
        a.fetch(begin);
        b.fetch(begin);
        for (uint32_t depth = begin; depth < end; depth += DEPTH) {
            a.store(shared);
            b.store(shared + B);
            block_barrier();
            if (depth + DEPTH < end) {
                a.fetch(depth + DEPTH);
                b.fetch(depth + DEPTH);
            }
            multiply(shared, shared + B);
            block_barrier();
        }
    }
};

// Many output channels, and few.
using WideTile = Tile<FAIRPRUNE_CONV_WIDE_ROWS, FAIRPRUNE_CONV_WIDE_COLUMNS, 8, 8>;
using NarrowTile = Tile<FAIRPRUNE_CONV_NARROW_ROWS, FAIRPRUNE_CONV_NARROW_COLUMNS, 8, 4>;
static_assert(WideTile::THREADS == FAIRPRUNE_CONV_THREADS, "tiles.h");
static_assert(WideTile::SHARED == FAIRPRUNE_CONV_WIDE_SHARED, "tiles.h");
static_assert(NarrowTile::THREADS == FAIRPRUNE_CONV_THREADS, "tiles.h");
static_assert(NarrowTile::SHARED == FAIRPRUNE_CONV_NARROW_SHARED, "tiles.h");
