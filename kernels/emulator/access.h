// Every access of a kernel to memory is checked here before it is made.
#pragma once

#include <stdint.h>

#include "race.h"

namespace emulator {

// What an access is good for, besides being checked.
enum class Count : uint8_t { yes, no };

// Checks an access of the running thread and enters it; a finding ends the launch. `code` is the
// instruction. Misalignment is found for 1, 2, 4, 8 and 16 bytes only, unless `any_alignment`.
void check(Access access, uintptr_t address, size_t bytes, const void* code,
           Count count = Count::yes, bool any_alignment = false);

// Some of these bytes of device memory were written after the clock showed `stamp`.
bool written_since(uintptr_t address, size_t bytes, uint32_t stamp);

// Marks the written bytes of shared memory as those of an asynchronous copy under way, or as landed.
void mark_copy(uintptr_t shared_address, size_t bytes, bool under_way);

}  // namespace emulator
