#include "async_copy.h"

#include <string.h>

#include <vector>

#include "access.h"
#include "block.h"
#include "counters.h"
#include "fiber.h"
#include "memory.h"
#include "report.h"

namespace emulator {

struct Copy {
    uintptr_t to, from;
    uint32_t bytes;
    bool valid;       // else zeros arrive
    uint32_t group;   // groups that its thread had committed before it
    uint32_t issued;  // when, by the clock
};

struct Copies {
    std::vector<Copy> under_way;  // oldest first
    uint32_t committed = 0;
};

static Copies copies[MOST_THREADS];
static bool in_use;

void begin_async_copies() {
    if (!in_use) return;
    for (Copies& thread : copies) {
        thread.under_way.clear();
        thread.committed = 0;
    }
    in_use = false;
}

void async_copy(void* to, const void* from, uint32_t bytes, bool valid) {
    const void* code = __builtin_return_address(0);
    const uintptr_t target = reinterpret_cast<uintptr_t>(to);
    const uintptr_t source = reinterpret_cast<uintptr_t>(from);
    if (target - shared.base >= shared.size) {
        fault(FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS, FAIRPRUNE_EMULATOR_FOREIGN, target, bytes, code,
              "an asynchronous copy to what is not shared memory");
    }
    if (valid && source - global.base >= global.size) {
        fault(FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS, FAIRPRUNE_EMULATOR_FOREIGN, source, bytes, code,
              "an asynchronous copy from what is not global memory");
    }
    if (valid) check(Access::read, source, bytes, code);
    check(Access::write, target, bytes, code);
    mark_copy(target, bytes, true);
    memset(to, 0xff, bytes);
    Copies& self = copies[now.thread];
    // What is written to the source from now on has a later stamp.
    self.under_way.push_back({target, source, bytes, valid, self.committed, now.clock++});
    counting.async_copies++;
    in_use = true;
}

void async_copy_commit() { copies[now.thread].committed++; }

void async_copy_wait(uint32_t pending) {
    const void* code = __builtin_return_address(0);
    Copies& self = copies[now.thread];
    size_t arrived = 0;
    for (const Copy& copy : self.under_way) {
        // Uncommitted copies belong to no group and are not waited for.
        if (copy.group + pending >= self.committed) break;
        if (copy.valid) check(Access::read, copy.from, copy.bytes, code, Count::no);
        if (copy.valid && written_since(copy.from, copy.bytes, copy.issued)) {
            fault(FAIRPRUNE_EMULATOR_COPY_UNDER_WAY, FAIRPRUNE_EMULATOR_GLOBAL, copy.from,
                  copy.bytes, code,
                  format("the source of an asynchronous copy, %u bytes at 0x%llx, was written "
                         "while the copy was under way",
                         copy.bytes, (unsigned long long)copy.from));
        }
        mark_copy(copy.to, copy.bytes, false);
        check(Access::write, copy.to, copy.bytes, code, Count::no);
        if (copy.valid) {
            memcpy(reinterpret_cast<void*>(copy.to), reinterpret_cast<void*>(copy.from),
                   copy.bytes);
        } else {
            memset(reinterpret_cast<void*>(copy.to), 0, copy.bytes);
        }
        arrived++;
    }
    self.under_way.erase(self.under_way.begin(), self.under_way.begin() + arrived);
}

}  // namespace emulator
