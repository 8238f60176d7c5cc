// What the environment asks of the device. Read once; a value that cannot be used ends the process.
#pragma once

#include <stdint.h>

namespace emulator {

struct Settings {
    uint64_t memory;          // FAIRPRUNE_EMULATOR_MEMORY: bytes of device memory
    uint32_t order;           // FAIRPRUNE_EMULATOR_ORDER: 0 forward, 1 backward, 2 shuffled
    uint64_t accesses;        // FAIRPRUNE_EMULATOR_ACCESSES: most that one launch may make
    uint64_t fail_launch;     // FAIRPRUNE_EMULATOR_FAIL_LAUNCH: this launch faults (from 1; 0: none)
    uint64_t fail_allocation; // FAIRPRUNE_EMULATOR_FAIL_ALLOCATION: this one finds no memory
    uint32_t driver_version;  // FAIRPRUNE_EMULATOR_DRIVER: 13000 for CUDA 13.0
    uint32_t devices;         // FAIRPRUNE_EMULATOR_DEVICES: 0 or 1
    uint32_t capability;      // FAIRPRUNE_EMULATOR_CAPABILITY: 90 for 9.0
    uint32_t init_error;      // FAIRPRUNE_EMULATOR_INIT: what cuInit answers, e.g. 34 for a stub
    bool bank_conflicts;      // FAIRPRUNE_EMULATOR_BANKS: 1 counts bank conflicts
    bool print;               // FAIRPRUNE_EMULATOR_PRINT: 0 keeps findings off stderr
};

Settings& settings();

}  // namespace emulator
