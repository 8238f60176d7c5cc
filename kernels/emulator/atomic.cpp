// Atomics. Only one thread runs at a time, so each is a plain change after its check.
#include "access.h"
#include "block.h"
#include "counters.h"

namespace emulator {

static void check_atomic(uint32_t* address, const void* code) {
    check(Access::atomic, reinterpret_cast<uintptr_t>(address), sizeof *address, code);
    counting.atomics++;
}

uint32_t atomic_add(uint32_t* address, uint32_t value) {
    check_atomic(address, __builtin_return_address(0));
    const uint32_t before = *address;
    *address = before + value;
    return before;
}

uint32_t atomic_min(uint32_t* address, uint32_t value) {
    check_atomic(address, __builtin_return_address(0));
    const uint32_t before = *address;
    if (value < before) *address = value;
    return before;
}

uint32_t atomic_compare_exchange(uint32_t* address, uint32_t expected, uint32_t value) {
    check_atomic(address, __builtin_return_address(0));
    const uint32_t before = *address;
    if (before == expected) *address = value;
    return before;
}

}  // namespace emulator
