// What launches do to memory, counted.
#pragma once

#include <stdint.h>

#include "control.h"

namespace emulator {

using Counters = fairprune_emulator_counters;

// Of the running launch.
extern Counters counting;
// Checked accesses of the running launch, and the most it may make.
extern uint64_t accesses, most_accesses;

void begin_counting();
// Keeps the running launch's counters under its kernel's name.
void end_counting(const char* kernel);
// Null if there are none; `kernel` null is the last launch.
const Counters* counters(const char* kernel);
void forget_counters();

}  // namespace emulator
