// Warp instructions that move values between lanes or multiply matrices. None orders memory.
#include <string.h>

#include "access.h"
#include "block.h"

namespace emulator {

struct Exchange {
    uint32_t value;
    int lane;  // or the mask
    uint32_t result;
};

uint32_t shuffle_xor(uint32_t value, int mask, Site site) {
    Exchange self = {value, mask, 0};
    warp_instruction(
        &self,
        [](void* const* lanes) {
            for (int lane = 0; lane < 32; lane++) {
                Exchange* to = static_cast<Exchange*>(lanes[lane]);
                to->result = static_cast<Exchange*>(lanes[(lane ^ to->lane) & 31])->value;
            }
        },
        "warp_shuffle_xor", site);
    return self.result;
}

uint32_t broadcast(uint32_t value, int lane, Site site) {
    Exchange self = {value, lane, 0};
    warp_instruction(
        &self,
        [](void* const* lanes) {
            for (int lane = 0; lane < 32; lane++) {
                Exchange* to = static_cast<Exchange*>(lanes[lane]);
                to->result = static_cast<Exchange*>(lanes[to->lane & 31])->value;
            }
        },
        "warp_broadcast", site);
    return self.result;
}

struct MatrixLoad {
    const void* row;
    const void* code;
    uint32_t* result;
};

// The rows as the lanes give them, 8 values each; matrix m is rows 8 m .. 8 m + 8.
static void load_rows(void* const* lanes, uint16_t (&rows)[32][8]) {
    for (uint32_t lane = 0; lane < 32; lane++) {
        const MatrixLoad* load = static_cast<MatrixLoad*>(lanes[lane]);
        const uintptr_t row = reinterpret_cast<uintptr_t>(load->row);
        // Every lane gets a part of the row: two readers stand for all of them.
        as_lane(lane, [&] { check(Access::read, row, 16, load->code); });
        as_lane(lane ^ 1, [&] { check(Access::read, row, 16, load->code, Count::no); });
        memcpy(rows[lane], load->row, 16);
    }
}

void ldmatrix_x4(uint32_t* result, const void* row, bool transposed, Site site) {
    MatrixLoad self = {row, __builtin_return_address(0), result};
    const Operation plain = [](void* const* lanes) {
        uint16_t rows[32][8];
        load_rows(lanes, rows);
        for (int lane = 0; lane < 32; lane++) {
            for (int m = 0; m < 4; m++) {
                const uint16_t* from = rows[8 * m + lane / 4] + lane % 4 * 2;
                static_cast<MatrixLoad*>(lanes[lane])->result[m] =
                    from[0] | uint32_t(from[1]) << 16;
            }
        }
    };
    const Operation turned = [](void* const* lanes) {
        uint16_t rows[32][8];
        load_rows(lanes, rows);
        for (int lane = 0; lane < 32; lane++) {
            for (int m = 0; m < 4; m++) {
                const int row = 8 * m + lane % 4 * 2;
                static_cast<MatrixLoad*>(lanes[lane])->result[m] =
                    rows[row][lane / 4] | uint32_t(rows[row + 1][lane / 4]) << 16;
            }
        }
    };
    warp_instruction(&self, transposed ? turned : plain, "ldmatrix", site);
}

struct Mma {
    float* d;
    const uint32_t* a;
    const uint32_t* b;
};

static double half_of(uint32_t pair, int high) {
    const uint32_t bits = high ? pair & 0xffff0000 : pair << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The products are exact and their sum is taken in double precision, then rounded once. A card rounds
// or truncates on the way; how far is its conformance record's matter.
static void multiply(void* const* lanes) {
    double a[16][16], b[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const Mma* mma = static_cast<Mma*>(lanes[lane]);
        const int g = lane / 4, t = lane % 4;
        for (int high = 0; high < 2; high++) {
            for (int r = 0; r < 4; r++) {
                a[g + r % 2 * 8][t * 2 + high + r / 2 * 8] = half_of(mma->a[r], high);
            }
            for (int r = 0; r < 2; r++) b[t * 2 + high + r * 8][g] = half_of(mma->b[r], high);
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        float* d = static_cast<Mma*>(lanes[lane])->d;
        for (int r = 0; r < 4; r++) {
            const int row = lane / 4 + r / 2 * 8, column = lane % 4 * 2 + r % 2;
            double sum = 0;
            for (int k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
            d[r] = float(sum + d[r]);
        }
    }
}

void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site) {
    Mma self = {d, a, b};
    warp_instruction(&self, multiply, "mma", site);
}

}  // namespace emulator
