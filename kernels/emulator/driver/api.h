// What all driver calls share: types and codes of the CUDA driver API, the lock, the context's state.
//
// One device with one context, the primary one. Work is queued in streams and runs when something
// waits for it (stream.h), so results are there at the latest legal moment. A finding in a kernel
// makes the context unusable: every later call that needs it answers the code of that fault.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <mutex>

namespace emulator {

using Result = int;
using DevicePointer = unsigned long long;

constexpr Result SUCCESS = 0,
                 INVALID_VALUE = 1,
                 OUT_OF_MEMORY = 2,
                 NOT_INITIALIZED = 3,
                 NO_DEVICE = 100,
                 INVALID_DEVICE = 101,
                 INVALID_IMAGE = 200,
                 INVALID_CONTEXT = 201,
                 NO_BINARY_FOR_GPU = 209,
                 UNSUPPORTED_PTX_VERSION = 222,
                 INVALID_HANDLE = 400,
                 ILLEGAL_STATE = 401,
                 NOT_FOUND = 500,
                 NOT_READY = 600,
                 NOT_SUPPORTED = 801,
                 CAPTURE_UNSUPPORTED = 900,
                 CAPTURE_INVALIDATED = 901,
                 CAPTURE_UNMATCHED = 903,
                 CAPTURE_ISOLATION = 905,
                 CAPTURED_EVENT = 907;

struct Context {
    bool initialised;  // cuInit
    uint32_t retained;
    Result fault;  // SUCCESS, or what every call answers
};

extern Context context;
extern std::recursive_mutex lock;

// The calling thread's context is set and alive: SUCCESS, the fault, or what is missing.
Result usable();

// A call that needs the context.
template <typename Body>
Result with_context(Body body) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    if (const Result result = usable()) return result;
    const Result result = body();
    return context.fault != SUCCESS ? context.fault : result;
}

// A call that needs cuInit alone.
template <typename Body>
Result with_driver(Body body) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    return context.initialised ? body() : NOT_INITIALIZED;
}

}  // namespace emulator

#define API extern "C" __attribute__((visibility("default"))) emulator::Result
