// Says what is wrong with an access that was refused.
#pragma once

#include <stdint.h>

#include "race.h"

namespace emulator {

// Faults; returns if the access is legal after all: to parameters, to constants in the code, or
// outside any kernel.
void explain(Access access, uintptr_t address, size_t bytes, const void* code, bool aligned);

// A pointer that is not aligned for its type was followed in that line.
void misaligned(uintptr_t address, const char* file, uint32_t line);

}  // namespace emulator
