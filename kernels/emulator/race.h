// Which accesses of different threads are ordered, and which race.
//
// Four bytes of memory have a cell: the last write and the last reads, with stamps of the clock.
// Two accesses are ordered if the same thread made both, if a barrier of the block lies between, or,
// within a warp, a warp barrier; accesses of two blocks of one launch never are. Reads that no
// later one replaces are joined: one thread, one warp, one block or several blocks. With these
// events that loses nothing: a write races with the joined reads exactly if it races with one.
#pragma once

#include "now.h"

namespace emulator {

enum class Access : uint8_t { read, write, atomic };

// Who made an access, in 16 bits: a thread's index, how many the entry stands for, and marks.
constexpr uint16_t THREAD = 0x03ff;
constexpr uint16_t SCOPE = 0x0c00, ONE = 0x0000, WARP = 0x0400, BLOCK = 0x0800, GRID = 0x0c00;
constexpr uint16_t ATOMIC = 0x1000;  // of a writer: all unordered writes were atomic
constexpr uint16_t SPLIT = 0x2000;   // of a word's writer: its bytes have cells of their own

struct Cell {
    uint32_t write, read;
    uint16_t writer, reader;
};

inline bool same_warp(uint16_t a, uint16_t b) { return ((a ^ b) & THREAD & ~31) == 0; }

// Does the access happen before whatever the running thread does now? `floor` is where the memory's
// history begins: the launch for global memory, the block for shared memory.
inline bool ordered(uint32_t stamp, uint16_t who, uint32_t floor) {
    if (stamp < floor) return true;
    if ((who & SCOPE) == GRID || stamp < now.block) return false;
    if (stamp < now.barrier) return true;
    if ((who & SCOPE) == BLOCK || !same_warp(who, now.thread)) return false;
    if (stamp < now.warp_barrier) return true;
    return (who & SCOPE) == ONE && (who & THREAD) == now.thread;
}

// Adds the running thread to an entry.
inline void join(uint32_t& stamp, uint16_t& who, uint32_t floor) {
    const uint16_t marks = who & ~(THREAD | SCOPE);
    uint16_t scope;
    if (stamp < floor) {
        scope = ONE;
    } else if ((who & SCOPE) == GRID || stamp < now.block) {
        scope = GRID;
    } else if (stamp < now.barrier) {
        scope = ONE;
    } else if ((who & SCOPE) == BLOCK || !same_warp(who, now.thread)) {
        scope = BLOCK;
    } else if (stamp < now.warp_barrier || (who & (SCOPE | THREAD)) == now.thread) {
        scope = ONE;
    } else {
        scope = WARP;
    }
    stamp = now.clock;
    who = marks | scope | now.thread;
}

// Enters an access into a cell of `bytes` bytes. False, with nothing entered, if it races. `fresh`
// grows by bytes not read (written) before in this launch.
template <Access A>
inline bool enter(Cell& cell, uint32_t floor, uint32_t bytes, uint64_t& fresh) {
    if (A == Access::read) {
        if (!ordered(cell.write, cell.writer, floor)) return false;
        if (cell.read < floor) fresh += bytes;
        join(cell.read, cell.reader, floor);
        return true;
    }
    if (!ordered(cell.read, cell.reader, floor)) return false;
    const bool together = A == Access::atomic && cell.write >= floor && (cell.writer & ATOMIC);
    if (!together && !ordered(cell.write, cell.writer, floor)) return false;
    if (cell.write < floor) fresh += bytes;
    if (together) {
        join(cell.write, cell.writer, floor);
        return true;
    }
    // After a plain write of its own that nothing ordered yet, others' atomics still race.
    const bool plain = cell.write >= floor && cell.write >= now.barrier &&
                       cell.write >= now.warp_barrier;
    cell.write = now.clock;
    cell.writer = now.thread | (A == Access::atomic && !plain ? ATOMIC : 0);
    return true;
}

}  // namespace emulator
