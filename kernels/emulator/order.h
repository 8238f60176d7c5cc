// The orders in which blocks and threads run (settings.h). Results must not depend on them.
#pragma once

#include <stdint.h>

#include <numeric>

#include "settings.h"

namespace emulator {

// A generator for orders alone: the same in every run.
inline uint64_t next_shuffle(uint64_t& state) {
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// Which block runs i-th.
class BlockOrder {
  public:
    explicit BlockOrder(uint64_t blocks) : blocks(blocks) {
        uint64_t state = blocks;
        // Steps of a size without a common divisor visit every block once.
        do {
            step = next_shuffle(state) % blocks;
        } while (std::gcd(step, blocks) != 1);
        first = next_shuffle(state) % blocks;
    }

    uint64_t block(uint64_t i) const {
        switch (settings().order) {
            case 0: return i;
            case 1: return blocks - 1 - i;
            default: return uint64_t((unsigned __int128)i * step + first) % blocks;
        }
    }

  private:
    uint64_t blocks, step, first;
};

// Takes one of the set bits: the next that runs.
inline uint32_t take(uint32_t& set, uint64_t& state) {
    uint32_t index;
    if (settings().order == 0) {
        index = __builtin_ctz(set);
    } else if (settings().order == 1) {
        index = 31 - __builtin_clz(set);
    } else {
        const uint32_t turn = next_shuffle(state) % 32;
        const uint32_t turned = set >> turn | uint32_t(uint64_t(set) << (32 - turn));
        index = (__builtin_ctz(turned) + turn) % 32;
    }
    set &= ~(1u << index);
    return index;
}

}  // namespace emulator
