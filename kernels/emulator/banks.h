// Bank conflicts of shared memory: 32 banks of 4 bytes.
//
// The lanes of a warp run one after the other, so their accesses are brought together again: those
// that the lanes make with the same instruction, for the same time since the warp's threads were
// last together, count as one request.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace emulator {

extern bool count_banks;

// An access of the running thread.
void record_bank_access(const void* code, size_t offset, size_t bytes);
// The warp's threads are together again: its requests are complete.
void close_bank_requests(uint32_t warp);

}  // namespace emulator
