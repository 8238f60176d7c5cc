#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <deque>
#include <map>

#include "kernel_entry.h"
#include "settings.h"

namespace emulator {

constexpr size_t PAGE = 4096;
constexpr size_t ALIGNMENT = 256, RED_ZONE = 256;
// From here on an allocation has pages of its own, which go back to the system when it is freed.
constexpr size_t LARGE = 64 << 10;
constexpr size_t REMEMBERED = 4096;

Space global, shared;

static size_t round_up(size_t value, size_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

static void* map(size_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        fprintf(stderr,
                "software device: the system refuses %zu bytes of address space; lower "
                "FAIRPRUNE_EMULATOR_MEMORY\n",
                bytes);
        _Exit(2);
    }
    madvise(at, bytes, MADV_DONTDUMP);
    return at;
}

void Space::reserve(size_t bytes) {
    base = reinterpret_cast<uintptr_t>(map(bytes));
    // A little more: accesses are looked up whole before their end is checked.
    state = static_cast<uint8_t*>(map(bytes + PAGE));
    words = static_cast<Cell*>(map(bytes / 4 * sizeof(Cell) + PAGE));
    this->bytes = static_cast<Cell*>(map(bytes * sizeof(Cell) + PAGE));
    size = bytes;
}

void Space::forget_accesses() {
    if (size == 0) return;
    madvise(words, size / 4 * sizeof(Cell), MADV_DONTNEED);
    madvise(bytes, size * sizeof(Cell), MADV_DONTNEED);
}

void Space::mark(uintptr_t address, size_t count, uint8_t value) {
    memset(state + (address - base), value, count);
}

bool Space::written(uintptr_t address, size_t count) const {
    const uint8_t* at = state + (address - base);
    constexpr uint8_t expected = ADDRESSABLE | WRITTEN;
    return count == 0 || (*at == expected && memcmp(at, at + 1, count - 1) == 0);
}

// ---- shared memory

static uint32_t shared_bytes;

// Known before main, so that kernels see one constant address.
unsigned char* const shared_memory = [] {
    shared.reserve(SHARED_REACH);
    return reinterpret_cast<unsigned char*>(shared.base + SHARED_OFFSET);
}();

void set_shared(uint32_t bytes) {
    shared.mark(shared.base + SHARED_OFFSET, shared_bytes, 0);
    shared_bytes = bytes;
}

void clear_shared() { shared.mark(shared.base + SHARED_OFFSET, shared_bytes, ADDRESSABLE); }

// ---- device memory

using Allocations = std::map<uintptr_t, size_t>;  // address and bytes
static Allocations live;
static std::deque<Allocation> freed;  // newest first
static uintptr_t untouched;           // nothing was allocated from here on
static uint64_t in_use;

static size_t footprint(size_t bytes) {
    return bytes < LARGE ? round_up(bytes, ALIGNMENT) + RED_ZONE
                         : round_up(bytes + RED_ZONE, PAGE);
}

static uintptr_t aligned(uintptr_t address, size_t bytes) {
    return round_up(address, bytes < LARGE ? ALIGNMENT : PAGE);
}

// The first gap that fits between live allocations.
static uintptr_t first_gap(size_t bytes) {
    uintptr_t at = global.base + RED_ZONE;
    for (const auto& [address, size] : live) {
        if (aligned(at, bytes) + footprint(bytes) <= address) break;
        at = address + footprint(size);
    }
    return aligned(at, bytes);
}

uint64_t memory_bytes() { return settings().memory; }
uint64_t allocated_bytes() { return in_use; }
uint64_t allocation_count() { return live.size(); }

uintptr_t allocate(size_t bytes) {
    if (global.size == 0) {
        global.reserve(round_up(2 * memory_bytes(), PAGE) + (64 << 20));
        untouched = global.base + RED_ZONE;
    }
    const size_t charged = round_up(bytes, ALIGNMENT);
    if (bytes > memory_bytes() || in_use + charged > memory_bytes()) return 0;
    const uintptr_t end = global.base + global.size;
    uintptr_t at = aligned(untouched, bytes);
    if (at + footprint(bytes) > end) at = first_gap(bytes);
    if (at + footprint(bytes) > end) return 0;
    if (at + footprint(bytes) > untouched) untouched = at + footprint(bytes);
    live[at] = bytes;
    in_use += charged;
    global.mark(at, bytes, ADDRESSABLE);
    return at;
}

// Gives the whole pages of a range back to the system; they then read as zero.
static void give_back(uintptr_t& first, uintptr_t& last) {
    first = round_up(first, PAGE);
    last = last / PAGE * PAGE;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

static void clear(void* at, size_t bytes) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(at), end = begin + bytes;
    uintptr_t first = begin, last = end;
    give_back(first, last);
    if (first >= last) {
        memset(at, 0, bytes);
    } else {
        memset(at, 0, first - begin);
        memset(reinterpret_cast<void*>(last), 0, end - last);
    }
}

static void forget(const Allocation& gone) {
    const size_t offset = gone.address - global.base;
    clear(reinterpret_cast<void*>(gone.address), gone.bytes);
    clear(global.state + offset, gone.bytes);
    clear(global.words + offset / 4, round_up(gone.bytes, 4) / 4 * sizeof(Cell));
    // These are read only where a word is marked as split.
    uintptr_t first = reinterpret_cast<uintptr_t>(global.bytes + offset);
    uintptr_t last = reinterpret_cast<uintptr_t>(global.bytes + offset + gone.bytes);
    give_back(first, last);
    freed.push_front(gone);
    if (freed.size() > REMEMBERED) freed.pop_back();
}

bool release(uintptr_t address) {
    const auto found = live.find(address);
    if (found == live.end()) return false;
    forget({found->first, found->second});
    in_use -= round_up(found->second, ALIGNMENT);
    live.erase(found);
    return true;
}

void release_all() {
    while (!live.empty()) release(live.begin()->first);
}

Allocation allocation_before(uintptr_t address) {
    auto found = live.upper_bound(address);
    if (found == live.begin()) return {0, 0};
    --found;
    return {found->first, found->second};
}

Allocation allocation_around(uintptr_t address) {
    const Allocation before = allocation_before(address);
    return address - before.address < before.bytes ? before : Allocation{0, 0};
}

Allocation freed_around(uintptr_t address) {
    for (const Allocation& gone : freed) {
        if (address - gone.address < gone.bytes) return gone;
    }
    return {0, 0};
}

}  // namespace emulator
