// Device and pinned host memory, copies and fills.
#include "../memory.h"

#include <stdlib.h>
#include <string.h>

#include <map>
#include <memory>
#include <vector>

#include "../control.h"
#include "../report.h"
#include "../settings.h"
#include "api.h"
#include "module.h"
#include "stream.h"

namespace emulator {

static uint64_t allocations;  // asked for so far
static std::map<uintptr_t, size_t> pinned;

static bool is_pinned(const void* at, size_t bytes) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(at);
    auto found = pinned.upper_bound(address);
    if (found == pinned.begin()) return false;
    --found;
    return address - found->first + bytes <= found->second;
}

// The bytes are all of one live allocation; else a finding says what is there.
static bool inside(const char* function, DevicePointer address, size_t bytes) {
    const Allocation around = allocation_around(address);
    if (around.bytes > 0 && bytes <= around.address + around.bytes - address) return true;
    const Allocation gone = freed_around(address);
    if (around.bytes == 0 && gone.bytes > 0) {
        report_copy(FAIRPRUNE_EMULATOR_USE_AFTER_FREE, function, address, bytes,
                    format("%zu bytes at 0x%llx, in a freed allocation of %zu bytes", bytes,
                           address, gone.bytes));
        return false;
    }
    const Allocation before = allocation_before(address);
    report_copy(FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS, function, address, bytes,
                format("%zu bytes out of bounds at 0x%llx, %llu bytes behind the start of an "
                       "allocation of %zu bytes",
                       bytes, address, (unsigned long long)(address - before.address),
                       before.bytes));
    return false;
}

// The same when the operation runs: the memory may have been freed since.
static bool still_inside(const char* function, DevicePointer address, size_t bytes) {
    if (inside(function, address, bytes)) return true;
    context.fault = error_code(FAIRPRUNE_EMULATOR_USE_AFTER_FREE);
    return false;
}

static void* host(DevicePointer address) { return reinterpret_cast<void*>(address); }

static Result allocate_for(DevicePointer* result, size_t bytes) {
    if (++allocations == settings().fail_allocation) return OUT_OF_MEMORY;
    uintptr_t address = allocate(bytes);
    if (address == 0) {
        // Frees may be waiting in streams.
        run_everything();
        address = allocate(bytes);
    }
    if (address == 0) return OUT_OF_MEMORY;
    *result = address;
    return SUCCESS;
}

static Result upload(const char* function, DevicePointer to, const void* from, size_t bytes,
                     Stream* stream) {
    if (stream == nullptr) return INVALID_HANDLE;
    if (bytes == 0) return SUCCESS;
    if (from == nullptr || !inside(function, to, bytes)) return INVALID_VALUE;
    const auto copy = [=](const void* source) {
        if (!still_inside(function, to, bytes)) return;
        memcpy(host(to), source, bytes);
        global.mark(to, bytes, ADDRESSABLE | WRITTEN);
    };
    if (is_pinned(from, bytes)) {
        enqueue(*stream, [=] { copy(from); });
        return SUCCESS;
    }
    if (stream->capture != nullptr) return invalidate(*stream);
    // Ordinary memory is read before the call returns.
    const char* first = static_cast<const char*>(from);
    const auto staged = std::make_shared<std::vector<char>>(first, first + bytes);
    enqueue(*stream, [=] { copy(staged->data()); });
    return SUCCESS;
}

static void download_now(const char* function, void* to, DevicePointer from, size_t bytes) {
    if (!still_inside(function, from, bytes)) return;
    if (!global.written(from, bytes)) {
        report_copy(FAIRPRUNE_EMULATOR_UNINITIALISED, function, from, bytes,
                    format("%zu bytes at 0x%llx, some of which nothing wrote", bytes, from));
        context.fault = error_code(FAIRPRUNE_EMULATOR_UNINITIALISED);
        return;
    }
    memcpy(to, host(from), bytes);
}

static Result download(const char* function, void* to, DevicePointer from, size_t bytes,
                       Stream* stream) {
    if (stream == nullptr) return INVALID_HANDLE;
    if (bytes == 0) return SUCCESS;
    if (to == nullptr || !inside(function, from, bytes)) return INVALID_VALUE;
    const bool later = is_pinned(to, bytes);
    if (!later && stream->capture != nullptr) return invalidate(*stream);
    enqueue(*stream, [=] { download_now(function, to, from, bytes); });
    // A copy to ordinary memory is complete when the call returns.
    if (!later) drain(*stream);
    return SUCCESS;
}

static Result copy(const char* function, DevicePointer to, DevicePointer from, size_t bytes,
                   Stream* stream) {
    if (stream == nullptr) return INVALID_HANDLE;
    if (bytes == 0) return SUCCESS;
    if (!inside(function, to, bytes) || !inside(function, from, bytes)) return INVALID_VALUE;
    if (to < from + bytes && from < to + bytes) return INVALID_VALUE;
    enqueue(*stream, [=] {
        if (!still_inside(function, to, bytes) || !still_inside(function, from, bytes)) return;
        memcpy(host(to), host(from), bytes);
        // What was never written stays so.
        memcpy(global.state + (to - global.base), global.state + (from - global.base), bytes);
    });
    return SUCCESS;
}

template <typename Value>
static Result fill(const char* function, DevicePointer to, Value value, size_t count,
                   Stream* stream) {
    if (stream == nullptr) return INVALID_HANDLE;
    if (count == 0) return SUCCESS;
    const size_t bytes = count * sizeof value;
    if (to % sizeof value != 0 || !inside(function, to, bytes)) return INVALID_VALUE;
    enqueue(*stream, [=] {
        if (!still_inside(function, to, bytes)) return;
        Value* at = static_cast<Value*>(host(to));
        for (size_t i = 0; i < count; i++) at[i] = value;
        global.mark(to, bytes, ADDRESSABLE | WRITTEN);
    });
    return SUCCESS;
}

static Result free_now(DevicePointer address) {
    if (address == 0) return SUCCESS;
    if (release(address)) return SUCCESS;
    const Allocation gone = freed_around(address);
    report_copy(gone.bytes > 0 ? FAIRPRUNE_EMULATOR_USE_AFTER_FREE
                               : FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS,
                "cuMemFree", address, 0,
                format(gone.bytes > 0 ? "0x%llx was freed before"
                                      : "0x%llx is not the start of an allocation",
                       address));
    return INVALID_VALUE;
}

// The calls that wait for themselves go through the NULL stream.
template <typename Body>
static Result at_once(Body body) {
    return with_context([&] {
        if (const Result result = refuse_capture()) return result;
        Stream* stream = stream_of(nullptr);
        const Result result = body(stream);
        drain(*stream);
        return result;
    });
}

void forget_allocations() { allocations = 0; }

}  // namespace emulator

using namespace emulator;

API cuMemGetInfo_v2(size_t* free, size_t* total) {
    return with_context([&] {
        // Frees that wait in streams count as done.
        run_everything();
        if (free != nullptr) *free = memory_bytes() - allocated_bytes();
        if (total != nullptr) *total = memory_bytes();
        return SUCCESS;
    });
}

API cuMemAlloc_v2(DevicePointer* result, size_t bytes) {
    return with_context([&] {
        if (result == nullptr || bytes == 0) return INVALID_VALUE;
        if (const Result result = refuse_capture()) return result;
        return allocate_for(result, bytes);
    });
}

API cuMemAllocAsync(DevicePointer* result, size_t bytes, void* handle) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (result == nullptr) return INVALID_VALUE;
        if (stream->capture != nullptr) return invalidate(*stream);
        *result = 0;
        return bytes == 0 ? SUCCESS : allocate_for(result, bytes);
    });
}

API cuMemFree_v2(DevicePointer address) {
    return with_context([&] {
        if (const Result result = drain_all()) return result;
        return free_now(address);
    });
}

API cuMemFreeAsync(DevicePointer address, void* handle) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (stream->capture != nullptr) return invalidate(*stream);
        enqueue(*stream, [=] {
            if (const Result result = free_now(address)) context.fault = result;
        });
        return SUCCESS;
    });
}

API cuMemHostAlloc(void** result, size_t bytes, unsigned flags) {
    return with_context([&] {
        if (result == nullptr || bytes == 0 || flags > 7) return INVALID_VALUE;
        void* at = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
        if (at == nullptr) return OUT_OF_MEMORY;
        pinned[reinterpret_cast<uintptr_t>(at)] = bytes;
        *result = at;
        return SUCCESS;
    });
}

API cuMemFreeHost(void* at) {
    return with_context([&] {
        if (const Result result = drain_all()) return result;
        if (pinned.erase(reinterpret_cast<uintptr_t>(at)) == 0) return INVALID_VALUE;
        free(at);
        return SUCCESS;
    });
}

API cuMemcpyHtoD_v2(DevicePointer to, const void* from, size_t bytes) {
    return at_once([&](Stream* s) { return upload("cuMemcpyHtoD", to, from, bytes, s); });
}
API cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, size_t bytes, void* stream) {
    return with_context(
        [&] { return upload("cuMemcpyHtoDAsync", to, from, bytes, stream_of(stream)); });
}

API cuMemcpyDtoH_v2(void* to, DevicePointer from, size_t bytes) {
    return at_once([&](Stream* s) { return download("cuMemcpyDtoH", to, from, bytes, s); });
}
API cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, size_t bytes, void* stream) {
    return with_context(
        [&] { return download("cuMemcpyDtoHAsync", to, from, bytes, stream_of(stream)); });
}

API cuMemcpyDtoD_v2(DevicePointer to, DevicePointer from, size_t bytes) {
    return at_once([&](Stream* s) { return copy("cuMemcpyDtoD", to, from, bytes, s); });
}
API cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from, size_t bytes, void* stream) {
    return with_context(
        [&] { return copy("cuMemcpyDtoDAsync", to, from, bytes, stream_of(stream)); });
}

API cuMemsetD8_v2(DevicePointer to, unsigned char value, size_t count) {
    return at_once([&](Stream* s) { return fill("cuMemsetD8", to, value, count, s); });
}
API cuMemsetD8Async(DevicePointer to, unsigned char value, size_t count, void* stream) {
    return with_context(
        [&] { return fill("cuMemsetD8Async", to, value, count, stream_of(stream)); });
}

API cuMemsetD32_v2(DevicePointer to, unsigned value, size_t count) {
    return at_once([&](Stream* s) { return fill("cuMemsetD32", to, value, count, s); });
}
API cuMemsetD32Async(DevicePointer to, unsigned value, size_t count, void* stream) {
    return with_context(
        [&] { return fill("cuMemsetD32Async", to, value, count, stream_of(stream)); });
}
