#include "explain.h"

#include <link.h>
#include <string.h>

#include "counters.h"
#include "fiber.h"
#include "launch.h"
#include "memory.h"
#include "report.h"

namespace emulator {

using ull = unsigned long long;

// Constants of the kernels: this library's segments that cannot be written.
static bool constant(uintptr_t address) {
    struct Search {
        uintptr_t address;
        bool found;
    } search = {address, false};
    dl_iterate_phdr(
        [](dl_phdr_info* library, size_t, void* data) {
            Search& search = *static_cast<Search*>(data);
            bool own = false, found = false;
            const uintptr_t self = reinterpret_cast<uintptr_t>(&constant);
            for (int i = 0; i < library->dlpi_phnum; i++) {
                const auto& segment = library->dlpi_phdr[i];
                const uintptr_t begin = library->dlpi_addr + segment.p_vaddr;
                if (segment.p_type != PT_LOAD) continue;
                own |= self - begin < segment.p_memsz;
                found |= search.address - begin < segment.p_memsz && !(segment.p_flags & PF_W);
            }
            search.found |= own && found;
            return int(own);
        },
        &search);
    return search.found;
}

static std::string global_place(uintptr_t address) {
    const Allocation before = allocation_before(address);
    if (before.bytes == 0) return format("0x%llx, below every allocation", ull(address));
    return format("0x%llx, %llu bytes behind the start of an allocation of %zu bytes", ull(address),
                  ull(address - before.address), before.bytes);
}

// A byte's state refuses the access: why?
static void explain_state(Access access, const Space& space, size_t offset, size_t bytes,
                          const void* code) {
    const bool in_shared = &space == &shared;
    const uintptr_t address = space.base + offset;
    const uint32_t kind = in_shared ? FAIRPRUNE_EMULATOR_SHARED : FAIRPRUNE_EMULATOR_GLOBAL;
    const uint64_t shown = in_shared ? offset - SHARED_OFFSET : address;
    const char* does = access == Access::write ? "writes" : "reads";
    const std::string shared_place =
        format("byte %lld of %u of shared memory", (long long)shown, launch.shared_bytes);
    const std::string place = in_shared ? shared_place : global_place(address);
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t state = space.state[offset + i];
        if (!(state & ADDRESSABLE)) {
            const Allocation gone = in_shared ? Allocation{0, 0} : freed_around(address + i);
            if (gone.bytes > 0) {
                fault(FAIRPRUNE_EMULATOR_USE_AFTER_FREE, kind, shown, bytes, code,
                      format("%s %zu bytes at 0x%llx, in a freed allocation of %zu bytes", does,
                             bytes, ull(address), gone.bytes));
            }
            fault(FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS, kind, shown, bytes, code,
                  format("%s %zu bytes out of bounds at ", does, bytes) + place);
        }
        if (state & COPY_UNDER_WAY) {
            fault(FAIRPRUNE_EMULATOR_COPY_UNDER_WAY, kind, shown, bytes, code,
                  format("%s %zu bytes that an asynchronous copy has yet to write, at ", does,
                         bytes) + place);
        }
        if (access != Access::write && !(state & WRITTEN)) {
            fault(FAIRPRUNE_EMULATOR_UNINITIALISED, kind, shown, bytes, code,
                  format("reads %zu bytes that nothing wrote, at ", bytes) + place);
        }
    }
}

// A cell refuses the access.
static void explain_cell(Access access, const Cell& cell, uint32_t floor, uint32_t space,
                         uint64_t shown, size_t bytes, const void* code) {
    const bool atomics = access == Access::atomic && (cell.writer & ATOMIC);
    if (!atomics && !ordered(cell.write, cell.writer, floor)) {
        race(access == Access::read ? FAIRPRUNE_EMULATOR_READ_AFTER_WRITE
                                    : FAIRPRUNE_EMULATOR_WRITE_AFTER_WRITE,
             space, shown, bytes, code, cell.write, cell.writer);
    }
    if (access != Access::read && !ordered(cell.read, cell.reader, floor)) {
        race(FAIRPRUNE_EMULATOR_WRITE_AFTER_READ, space, shown, bytes, code, cell.read,
             cell.reader);
    }
}

static void explain_race(Access access, const Space& space, size_t offset, size_t bytes,
                         const void* code) {
    const bool in_shared = &space == &shared;
    const uint32_t floor = in_shared ? now.block : now.launch;
    const uint32_t kind = in_shared ? FAIRPRUNE_EMULATOR_SHARED : FAIRPRUNE_EMULATOR_GLOBAL;
    const uint64_t shown = in_shared ? offset - SHARED_OFFSET : space.base + offset;
    for (size_t i = 0; i < bytes; i++) {
        const Cell& word = space.words[(offset + i) / 4];
        const bool split = word.writer & SPLIT;
        if (split && word.write < floor) continue;
        explain_cell(access, split ? space.bytes[offset + i] : word, floor, kind, shown, bytes,
                     code);
    }
}

static void explain_space(Access access, const Space& space, size_t offset, size_t bytes,
                          const void* code, bool aligned) {
    const bool in_shared = &space == &shared;
    if (!in_shared && now.reach == 0) {
        fault(FAIRPRUNE_EMULATOR_NOT_WAITED, FAIRPRUNE_EMULATOR_GLOBAL, space.base + offset, bytes,
              code,
              format("%s %zu bytes of device memory before dependency_wait(), at ",
                     access == Access::read ? "reads" : "writes", bytes) +
                  global_place(space.base + offset));
    }
    if (!aligned) {
        fault(FAIRPRUNE_EMULATOR_MISALIGNED,
              in_shared ? FAIRPRUNE_EMULATOR_SHARED : FAIRPRUNE_EMULATOR_GLOBAL,
              in_shared ? offset - SHARED_OFFSET : space.base + offset, bytes, code,
              format("misaligned: %zu bytes at 0x%llx, not a multiple of that", bytes,
                     ull(in_shared ? offset - SHARED_OFFSET : space.base + offset)));
    }
    // A refused write may have marked its first bytes as written; it is refused all the same.
    explain_state(access, space, offset, bytes, code);
    explain_race(access, space, offset, bytes, code);
    fault(FAIRPRUNE_EMULATOR_ENDLESS, FAIRPRUNE_EMULATOR_NO_SPACE, 0, 0, code,
          format("endless: more than %llu accesses in one launch", ull(most_accesses)));
}

void explain(Access access, uintptr_t address, size_t bytes, const void* code, bool aligned) {
    if (!now.running) return;
    const size_t global_offset = address - global.base, shared_offset = address - shared.base;
    if (global_offset < global.size && bytes <= global.size - global_offset) {
        return explain_space(access, global, global_offset, bytes, code, aligned);
    }
    if (shared_offset < shared.size && bytes <= shared.size - shared_offset) {
        return explain_space(access, shared, shared_offset, bytes, code, aligned);
    }
    const uintptr_t parameters = reinterpret_cast<uintptr_t>(launch.args);
    if (address - parameters < sizeof launch.args) {
        if (access == Access::read) return;
        fault(FAIRPRUNE_EMULATOR_PARAMETER_WRITE, FAIRPRUNE_EMULATOR_NO_SPACE,
              address - parameters, bytes, code,
              format("writes %zu bytes at byte %llu of its parameters", bytes,
                     ull(address - parameters)));
    }
    if (access == Access::read && constant(address)) return;
    fault(FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS, FAIRPRUNE_EMULATOR_FOREIGN, address, bytes, code,
          format("%s %zu bytes at 0x%llx, which is not device memory",
                 access == Access::read ? "reads" : "writes", bytes, ull(address)));
}

void misaligned(uintptr_t address, const char* file, uint32_t line) {
    if (!now.running || address - now.stack < STACK_BYTES) return;
    const bool in_shared = address - shared.base < shared.size;
    const uint64_t shown = in_shared ? address - shared.base - SHARED_OFFSET : address;
    const char* name = strrchr(file, '/');
    fault(FAIRPRUNE_EMULATOR_MISALIGNED,
          in_shared ? FAIRPRUNE_EMULATOR_SHARED : FAIRPRUNE_EMULATOR_GLOBAL, shown, 0, nullptr,
          format("misaligned: 0x%llx is not aligned for its type, %s:%u", ull(shown),
                 name ? name + 1 : file, line));
}

}  // namespace emulator
