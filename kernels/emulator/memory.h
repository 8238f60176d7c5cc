// Device memory and shared memory: where they lie, which bytes may be used, what happened to them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "race.h"

namespace emulator {

// State of one byte; 0 where nothing is allocated.
constexpr uint8_t ADDRESSABLE = 1, WRITTEN = 2, COPY_UNDER_WAY = 4;

// A range of addresses with a state a byte, a cell a word, and cells a byte for split words. All of
// it is reserved at once and becomes real where it is touched.
struct Space {
    uintptr_t base;
    size_t size;
    uint8_t* state;
    Cell* words;
    Cell* bytes;

    // Reserves `size` bytes, a multiple of 4096. The process ends if the system refuses.
    void reserve(size_t size);
    void forget_accesses();
    void mark(uintptr_t address, size_t size, uint8_t state);
    bool written(uintptr_t address, size_t size) const;
};

extern Space global, shared;

// The running block's shared memory lies here in the space, with room for stray accesses around it.
constexpr size_t SHARED_OFFSET = 256 << 10, SHARED_REACH = 1 << 20;
// What a block may ask for on compute capability 9.0, and without asking.
constexpr uint32_t SHARED_MOST = 227 << 10, SHARED_DEFAULT = 48 << 10;

// Bytes of shared memory of the blocks to come; none of them is written at a block's start.
void set_shared(uint32_t bytes);
void clear_shared();

// Device memory. Allocations begin at multiples of 256 with red zones between; addresses are used
// again only when there are no others.
struct Allocation {
    uintptr_t address;
    size_t bytes;
};

// 0 if there is no room within the memory that the settings give.
uintptr_t allocate(size_t bytes);
// False if no allocation begins there.
bool release(uintptr_t address);
void release_all();
// The live allocation around an address, or {0, 0}.
Allocation allocation_around(uintptr_t address);
// The allocation, live or freed, that is nearest below the address or around it, or {0, 0}.
Allocation allocation_before(uintptr_t address);
Allocation freed_around(uintptr_t address);
uint64_t allocated_bytes();
uint64_t allocation_count();
uint64_t memory_bytes();

}  // namespace emulator
