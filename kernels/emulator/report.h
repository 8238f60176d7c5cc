// Findings: what a kernel did that it must not.
#pragma once

#include <stdint.h>

#include <string>

#include "control.h"
#include "kernel_entry.h"

namespace emulator {

using Finding = fairprune_emulator_finding;

// Ends the running thread's launch with a finding. `code` is the instruction, or null.
[[noreturn]] void fault(uint32_t kind, uint32_t space, uint64_t address, uint32_t bytes,
                        const void* code, const std::string& what);
// The same for a race; the access before was `who`'s at `stamp` (race.h).
[[noreturn]] void race(uint32_t kind, uint32_t space, uint64_t address, uint32_t bytes,
                       const void* code, uint32_t stamp, uint16_t who);

// Keeps and prints a finding about a thread of the running block, or about a copy.
void report(Finding finding, const void* code, const std::string& what);
void report_copy(uint32_t kind, const char* function, uint64_t address, uint64_t bytes,
                 const std::string& what);

uint32_t findings();
const Finding* finding(uint32_t index);
void forget_findings();
// The code that calls on the driver answer after a finding of this kind.
int error_code(uint32_t kind);

// "(1, 2, 0)"
std::string text(const Index& index);
std::string format(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace emulator
