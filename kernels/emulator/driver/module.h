// What the control functions reset.
#pragma once

namespace emulator {

// Launches and allocations are counted from one again (settings.h: the failing ones).
void forget_launches();
void forget_allocations();

}  // namespace emulator
