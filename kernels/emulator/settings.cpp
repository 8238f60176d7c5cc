#include "settings.h"

#include <stdio.h>
#include <stdlib.h>

namespace emulator {

static uint64_t number(const char* name, uint64_t otherwise, uint64_t least, uint64_t most) {
    const char* text = getenv(name);
    if (text == nullptr) return otherwise;
    char* end;
    const uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || value < least || value > most) {
        fprintf(stderr, "software device: %s: found '%s', expected a number from %llu to %llu\n",
                name, text, (unsigned long long)least, (unsigned long long)most);
        _Exit(2);
    }
    return value;
}

Settings& settings() {
    const uint64_t any = uint64_t(1) << 48;
    static Settings all = {
        number("FAIRPRUNE_EMULATOR_MEMORY", uint64_t(8) << 30, 1 << 20, uint64_t(1) << 38),
        uint32_t(number("FAIRPRUNE_EMULATOR_ORDER", 0, 0, 2)),
        number("FAIRPRUNE_EMULATOR_ACCESSES", uint64_t(1) << 33, 1, any),
        number("FAIRPRUNE_EMULATOR_FAIL_LAUNCH", 0, 0, any),
        number("FAIRPRUNE_EMULATOR_FAIL_ALLOCATION", 0, 0, any),
        uint32_t(number("FAIRPRUNE_EMULATOR_DRIVER", 13000, 1000, 99990)),
        uint32_t(number("FAIRPRUNE_EMULATOR_DEVICES", 1, 0, 1)),
        uint32_t(number("FAIRPRUNE_EMULATOR_CAPABILITY", 90, 10, 999)),
        uint32_t(number("FAIRPRUNE_EMULATOR_INIT", 0, 0, 999)),
        number("FAIRPRUNE_EMULATOR_BANKS", 0, 0, 1) == 1,
        number("FAIRPRUNE_EMULATOR_PRINT", 1, 0, 1) == 1,
    };
    return all;
}

}  // namespace emulator
