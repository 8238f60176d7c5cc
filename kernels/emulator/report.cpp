#include "report.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <vector>

#include "launch.h"
#include "race.h"
#include "settings.h"

namespace emulator {

static std::vector<Finding> all;

uint32_t findings() { return all.size(); }
const Finding* finding(uint32_t index) { return index < all.size() ? &all[index] : nullptr; }
void forget_findings() { all.clear(); }

int error_code(uint32_t kind) {
    switch (kind) {
        case FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS:
        case FAIRPRUNE_EMULATOR_USE_AFTER_FREE:
        case FAIRPRUNE_EMULATOR_PARAMETER_WRITE: return 700;
        case FAIRPRUNE_EMULATOR_ENDLESS: return 702;
        case FAIRPRUNE_EMULATOR_MISALIGNED: return 716;
        default: return 719;
    }
}

std::string format(const char* format, ...) {
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

std::string text(const Index& index) { return format("(%u, %u, %u)", index.x, index.y, index.z); }

static void store(uint32_t (&to)[3], const Index& from) {
    to[0] = from.x;
    to[1] = from.y;
    to[2] = from.z;
}

// File and line of an instruction, where addr2line is installed; else its place in the library.
static std::string source(const void* code) {
    Dl_info info;
    if (code == nullptr || !dladdr(code, &info) || info.dli_fname == nullptr) return "";
    // A return address: one less lies in the call.
    const size_t offset = static_cast<const char*>(code) - 1 - static_cast<char*>(info.dli_fbase);
    const std::string command =
        format("addr2line -e '%s' 0x%zx 2>/dev/null", info.dli_fname, offset);
    std::string line;
    if (FILE* output = popen(command.c_str(), "r")) {
        char buffer[256];
        if (fgets(buffer, sizeof buffer, output)) line = buffer;
        pclose(output);
    }
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    const size_t folder = line.rfind('/');
    if (folder != std::string::npos) line.erase(0, folder + 1);
    if (line.empty() || line[0] == '?') line = format("libcuda.so+0x%zx", offset);
    return " [" + line + "]";
}

static void keep(Finding finding, const std::string& text) {
    snprintf(finding.text, sizeof finding.text, "%s", text.c_str());
    if (settings().print) fprintf(stderr, "software device: %s\n", finding.text);
    all.push_back(finding);
}

void report(Finding finding, const void* code, const std::string& what) {
    snprintf(finding.kernel, sizeof finding.kernel, "%s", launch.kernel->name);
    const auto& [bx, by, bz] = finding.block;
    const auto& [tx, ty, tz] = finding.thread;
    keep(finding, std::string(finding.kernel) + ", block " + text({bx, by, bz}) + ", thread " +
                      text({tx, ty, tz}) + source(code) + ": " + what);
}

void report_copy(uint32_t kind, const char* function, uint64_t address, uint64_t bytes,
                 const std::string& what) {
    Finding finding = {};
    finding.kind = kind;
    finding.space = FAIRPRUNE_EMULATOR_GLOBAL;
    finding.address = address;
    finding.size = bytes > UINT32_MAX ? UINT32_MAX : bytes;
    snprintf(finding.kernel, sizeof finding.kernel, "%s", function);
    keep(finding, std::string(function) + ": " + what);
}

static Finding here(uint32_t kind, uint32_t space, uint64_t address, uint32_t bytes) {
    Finding finding = {};
    finding.kind = kind;
    finding.space = space;
    finding.address = address;
    finding.size = bytes;
    store(finding.block, launch.block);
    store(finding.thread, launch.thread[now.thread]);
    return finding;
}

void fault(uint32_t kind, uint32_t space, uint64_t address, uint32_t bytes, const void* code,
           const std::string& what) {
    report(here(kind, space, address, bytes), code, what);
    launch.abandon(kind);
}

void race(uint32_t kind, uint32_t space, uint64_t address, uint32_t bytes, const void* code,
          uint32_t stamp, uint16_t who) {
    Finding finding = here(kind, space, address, bytes);
    const Index block = launch.block_at(stamp), thread = launch.thread[who & THREAD];
    store(finding.other_block, block);
    store(finding.other_thread, thread);
    const bool blocks = stamp < now.block;
    const bool reads = kind == FAIRPRUNE_EMULATOR_READ_AFTER_WRITE;
    const bool after_read = kind == FAIRPRUNE_EMULATOR_WRITE_AFTER_READ;
    const std::string where = space == FAIRPRUNE_EMULATOR_SHARED
                                  ? format("byte %llu of shared memory", (unsigned long long)address)
                                  : format("0x%llx", (unsigned long long)address);
    const uint16_t scope = who & SCOPE;
    const std::string other = scope == GRID ? "threads of several blocks"
                              : scope != ONE ? "several threads"
                              : blocks ? "block " + text(block) + ", thread " + text(thread)
                                       : "thread " + text(thread);
    const char* between = blocks || scope == GRID ? "in the same launch"
                          : same_warp(who, now.thread) ? "without a warp barrier in between"
                                                       : "without a barrier in between";
    report(finding, code,
           format("race: %s %u bytes at %s, which %s %s %s", reads ? "reads" : "writes", bytes,
                  where.c_str(), other.c_str(), after_read ? "read" : "wrote", between));
    launch.abandon(kind);
}

}  // namespace emulator
