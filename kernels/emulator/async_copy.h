// Copies from global to shared memory that go on in the background (cp.async).
//
// A copy arrives at the latest moment that is legal: when its thread waits for the copy's group. Until
// then its destination may not be touched, and its source is not read; both are checked when the copy
// is issued and again when it arrives, since the hardware may move the bytes at any time between.
#pragma once

namespace emulator {

// A block begins: no copy is under way.
void begin_async_copies();

}  // namespace emulator
