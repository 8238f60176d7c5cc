#include "access.h"

#include "banks.h"
#include "counters.h"
#include "explain.h"
#include "fiber.h"
#include "memory.h"

namespace emulator {

Now now;

// A word that is split: the accesses of its bytes are kept apart. The word's own stamp is that of the
// last of them, so that it is whole again once all are history.
template <Access A>
static bool enter_byte(Space& space, size_t offset, uint32_t floor, uint64_t& fresh) {
    Cell& word = space.words[offset / 4];
    Cell* bytes = space.bytes + offset / 4 * 4;
    if (!(word.writer & SPLIT) || word.write < floor) {
        const Cell before = word.writer & SPLIT ? Cell{} : word;
        for (int i = 0; i < 4; i++) bytes[i] = before;
        word = {0, 0, SPLIT, 0};
    }
    word.write = now.clock;
    return enter<A>(bytes[offset % 4], floor, 1, fresh);
}

template <Access A>
static bool enter_bytes(Space& space, size_t offset, size_t count, uint32_t floor,
                        uint64_t& fresh) {
    for (size_t i = 0; i < count; i++) {
        if (!enter_byte<A>(space, offset + i, floor, fresh)) return false;
    }
    return true;
}

template <Access A>
static inline bool enter_all(Space& space, size_t offset, size_t count, uint32_t floor,
                             uint64_t& fresh) {
    if ((offset | count) & 3) return enter_bytes<A>(space, offset, count, floor, fresh);
    for (size_t end = offset + count; offset < end; offset += 4) {
        Cell& cell = space.words[offset / 4];
        if (__builtin_expect((cell.writer & SPLIT) != 0, 0)) {
            if (cell.write >= floor) {
                if (!enter_bytes<A>(space, offset, 4, floor, fresh)) return false;
                continue;
            }
            cell = {};
        }
        if (!enter<A>(cell, floor, 4, fresh)) return false;
    }
    return true;
}

// The states of `count` bytes allow the access; a write then makes them written.
template <Access A, typename Word>
static inline bool pass(uint8_t* state) {
    constexpr Word ones = Word(~Word(0)) / 255;
    Word word;
    __builtin_memcpy(&word, state, sizeof word);
    if (A == Access::write) {
        if ((word & (ones * (ADDRESSABLE | COPY_UNDER_WAY))) != ones * ADDRESSABLE) return false;
        word = ones * (ADDRESSABLE | WRITTEN);
        __builtin_memcpy(state, &word, sizeof word);
        return true;
    }
    return word == ones * (ADDRESSABLE | WRITTEN);
}

template <Access A>
static inline bool pass_all(uint8_t* state, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        if (!pass<A, uint64_t>(state + i)) return false;
    }
    if (i + 4 <= count) {
        if (!pass<A, uint32_t>(state + i)) return false;
        i += 4;
    }
    for (; i < count; i++) {
        if (!pass<A, uint8_t>(state + i)) return false;
    }
    return true;
}

template <Access A>
static inline void checked(uintptr_t address, size_t count, const void* code, bool aligned,
                           Count counted) {
    if (address - now.stack < STACK_BYTES) return;
    size_t offset = address - global.base;
    if (offset < now.reach && count <= now.reach - offset) {
        uint64_t& fresh = A == Access::read ? counting.global_read_unique_bytes
                                            : counting.global_written_unique_bytes;
        if (aligned && pass_all<A>(global.state + offset, count) &&
            enter_all<A>(global, offset, count, now.launch, fresh)) {
            if (counted == Count::no) return;
            (A == Access::read ? counting.global_read_bytes : counting.global_written_bytes) +=
                count;
            if (++accesses <= most_accesses) return;
        }
    } else if (offset = address - shared.base; offset < shared.size &&
                                               count <= shared.size - offset) {
        uint64_t unused = 0;
        if (aligned && pass_all<A>(shared.state + offset, count) &&
            enter_all<A>(shared, offset, count, now.block, unused)) {
            if (counted == Count::no) return;
            (A == Access::read ? counting.shared_read_bytes : counting.shared_written_bytes) +=
                count;
            if (count_banks) record_bank_access(code, offset, count);
            if (++accesses <= most_accesses) return;
        }
    }
    explain(A, address, count, code, aligned);
}

void check(Access access, uintptr_t address, size_t bytes, const void* code, Count count,
           bool any_alignment) {
    const bool power = bytes <= 16 && (bytes & (bytes - 1)) == 0;
    const bool aligned = any_alignment || !power || address % bytes == 0;
    switch (access) {
        case Access::read: return checked<Access::read>(address, bytes, code, aligned, count);
        case Access::write: return checked<Access::write>(address, bytes, code, aligned, count);
        case Access::atomic: return checked<Access::atomic>(address, bytes, code, aligned, count);
    }
}

bool written_since(uintptr_t address, size_t bytes, uint32_t stamp) {
    const size_t begin = address - global.base;
    for (size_t offset = begin; offset < begin + bytes; offset++) {
        const Cell& word = global.words[offset / 4];
        const Cell& cell = word.writer & SPLIT ? global.bytes[offset] : word;
        if (word.write > stamp && cell.write > stamp) return true;
    }
    return false;
}

void mark_copy(uintptr_t address, size_t bytes, bool under_way) {
    shared.mark(address, bytes, ADDRESSABLE | (under_way ? COPY_UNDER_WAY : WRITTEN));
}

}  // namespace emulator

// What the compiler calls for the accesses of kernels (-fsanitize=thread). The sanitizer's own
// library is not linked.

using emulator::Access;
using emulator::Count;

#define CODE __builtin_return_address(0)
#define HOOKS(bytes)                                                                              \
    void __tsan_read##bytes(void* at) {                                                           \
        const uintptr_t a = uintptr_t(at);                                                        \
        emulator::checked<Access::read>(a, bytes, CODE, a % bytes == 0, Count::yes);              \
    }                                                                                             \
    void __tsan_write##bytes(void* at) {                                                          \
        const uintptr_t a = uintptr_t(at);                                                        \
        emulator::checked<Access::write>(a, bytes, CODE, a % bytes == 0, Count::yes);             \
    }                                                                                             \
    void __tsan_unaligned_read##bytes(void* at) {                                                 \
        emulator::checked<Access::read>(uintptr_t(at), bytes, CODE, true, Count::yes);            \
    }                                                                                             \
    void __tsan_unaligned_write##bytes(void* at) {                                                \
        emulator::checked<Access::write>(uintptr_t(at), bytes, CODE, true, Count::yes);           \
    }

extern "C" {

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void* at, size_t bytes) {
    emulator::check(Access::read, uintptr_t(at), bytes, CODE, Count::yes, true);
}
void __tsan_write_range(void* at, size_t bytes) {
    emulator::check(Access::write, uintptr_t(at), bytes, CODE, Count::yes, true);
}
void __tsan_init() {}

// Copies and fills in kernels: written there (device.h), or made by the compiler (build.sh).
void* emulator_memcpy(void* to, const void* from, size_t bytes) {
    if (bytes > 0) {
        emulator::check(Access::read, uintptr_t(from), bytes, CODE, Count::yes, true);
        emulator::check(Access::write, uintptr_t(to), bytes, CODE, Count::yes, true);
    }
    return __builtin_memcpy(to, from, bytes);
}
void* emulator_memmove(void* to, const void* from, size_t bytes) {
    if (bytes > 0) {
        emulator::check(Access::read, uintptr_t(from), bytes, CODE, Count::yes, true);
        emulator::check(Access::write, uintptr_t(to), bytes, CODE, Count::yes, true);
    }
    return __builtin_memmove(to, from, bytes);
}
void* emulator_memset(void* to, int value, size_t bytes) {
    if (bytes > 0) emulator::check(Access::write, uintptr_t(to), bytes, CODE, Count::yes, true);
    return __builtin_memset(to, value, bytes);
}

// Dereferences of a pointer that is not aligned for its type (-fsanitize=alignment): vectors that
// the compiler takes apart before their accesses are seen above.
struct TypeMismatch {
    const char* file;
    uint32_t line, column;
};
void __ubsan_handle_type_mismatch_v1(TypeMismatch* where, uintptr_t address) {
    emulator::misaligned(address, where->file, where->line);
}

}  // extern "C"
