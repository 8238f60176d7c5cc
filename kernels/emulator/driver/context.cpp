// Start of the driver, the device and its primary context.
#include <stdio.h>
#include <string.h>

#include "../memory.h"
#include "../settings.h"
#include "api.h"
#include "stream.h"

namespace emulator {

Context context;
std::recursive_mutex lock;

// The handle of the only context: any address will do.
static char primary;
static thread_local void* current;

Result usable() {
    if (!context.initialised) return NOT_INITIALIZED;
    if (current != &primary || context.retained == 0) return INVALID_CONTEXT;
    return context.fault;
}

static Result attribute(int which, int& value) {
    switch (which) {
        case 1: value = 1024; break;                  // threads a block
        case 2: case 3: value = 1024; break;          // along x, y
        case 4: value = 64; break;                    // along z
        case 5: value = 0x7fffffff; break;            // blocks along x
        case 6: case 7: value = 65535; break;         // along y, z
        case 8: value = SHARED_DEFAULT; break;        // shared memory a block
        case 9: value = 65536; break;                 // constant memory
        case 10: value = 32; break;                   // threads a warp
        case 12: case 82: value = 65536; break;       // registers a block, a multiprocessor
        case 13: value = 1980000; break;              // kHz
        case 16: value = 132; break;                  // multiprocessors
        case 17: case 18: case 19: value = 0; break;  // time limit, integrated, mapped host memory
        case 20: value = 0; break;                    // compute mode: default
        case 31: case 32: value = 1; break;           // concurrent kernels, ECC
        case 36: value = 3201000; break;              // memory kHz
        case 37: value = 6144; break;                 // memory bus bits
        case 38: value = 50 << 20; break;             // L2 bytes
        case 39: value = 2048; break;                 // threads a multiprocessor
        case 40: value = 3; break;                    // copy engines
        case 41: value = 1; break;                    // unified addressing
        case 75: value = settings().capability / 10; break;
        case 76: value = settings().capability % 10; break;
        case 78: value = 0; break;                    // stream priorities
        case 81: value = 228 << 10; break;            // shared memory a multiprocessor
        case 97: value = SHARED_MOST; break;          // shared memory a block may ask for
        case 106: value = 32; break;                  // blocks a multiprocessor
        case 111: value = 1024; break;                // shared memory reserved a block
        case 115: value = 1; break;                   // memory pools, for cuMemAllocAsync
        default: return INVALID_VALUE;
    }
    return SUCCESS;
}

// The last owner let go: nothing of the context remains, not even a fault.
static void end_context() {
    drop_streams();
    release_all();
    context.fault = SUCCESS;
}

}  // namespace emulator

using namespace emulator;

API cuInit(unsigned flags) {
    std::lock_guard<std::recursive_mutex> guard(emulator::lock);
    if (flags != 0) return INVALID_VALUE;
    if (settings().init_error != 0) return settings().init_error;
    if (settings().devices == 0) return NO_DEVICE;
    emulator::context.initialised = true;
    return SUCCESS;
}

API cuDriverGetVersion(int* version) {
    if (version == nullptr) return INVALID_VALUE;
    *version = settings().driver_version;
    return SUCCESS;
}

API cuDeviceGetCount(int* count) {
    return with_driver([&] {
        if (count == nullptr) return INVALID_VALUE;
        *count = settings().devices;
        return SUCCESS;
    });
}

API cuDeviceGet(int* device, int ordinal) {
    return with_driver([&] {
        if (device == nullptr) return INVALID_VALUE;
        if (ordinal < 0 || uint32_t(ordinal) >= settings().devices) return INVALID_DEVICE;
        *device = ordinal;
        return SUCCESS;
    });
}

API cuDeviceGetName(char* name, int length, int device) {
    return with_driver([&] {
        if (name == nullptr || length < 1) return INVALID_VALUE;
        if (device != 0) return INVALID_DEVICE;
        snprintf(name, length, "fairprune software device");
        return SUCCESS;
    });
}

API cuDeviceGetUuid_v2(void* uuid, int device) {
    return with_driver([&] {
        if (uuid == nullptr) return INVALID_VALUE;
        if (device != 0) return INVALID_DEVICE;
        memcpy(uuid, "fairprune-emulat", 16);
        return SUCCESS;
    });
}

API cuDeviceTotalMem_v2(size_t* bytes, int device) {
    return with_driver([&] {
        if (bytes == nullptr) return INVALID_VALUE;
        if (device != 0) return INVALID_DEVICE;
        *bytes = memory_bytes();
        return SUCCESS;
    });
}

API cuDeviceGetAttribute(int* value, int which, int device) {
    return with_driver([&] {
        if (value == nullptr) return INVALID_VALUE;
        if (device != 0) return INVALID_DEVICE;
        return attribute(which, *value);
    });
}

API cuDevicePrimaryCtxRetain(void** result, int device) {
    return with_driver([&] {
        if (result == nullptr) return INVALID_VALUE;
        if (device != 0) return INVALID_DEVICE;
        emulator::context.retained++;
        *result = &primary;
        return SUCCESS;
    });
}

API cuDevicePrimaryCtxRelease_v2(int device) {
    return with_driver([&] {
        if (device != 0) return INVALID_DEVICE;
        if (emulator::context.retained == 0) return INVALID_CONTEXT;
        if (--emulator::context.retained == 0) end_context();
        return SUCCESS;
    });
}

API cuDevicePrimaryCtxReset_v2(int device) {
    return with_driver([&] {
        if (device != 0) return INVALID_DEVICE;
        end_context();
        return SUCCESS;
    });
}

API cuCtxSetCurrent(void* context) {
    return with_driver([&] {
        if (context != nullptr && context != &primary) return INVALID_CONTEXT;
        current = context;
        return SUCCESS;
    });
}

API cuCtxGetCurrent(void** context) {
    return with_driver([&] {
        if (context == nullptr) return INVALID_VALUE;
        *context = current;
        return SUCCESS;
    });
}

API cuCtxSynchronize() {
    return with_context([] { return drain_all(); });
}
