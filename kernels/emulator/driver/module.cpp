// Modules, functions and their launches.
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "../control.h"
#include "../launch.h"
#include "../memory.h"
#include "../report.h"
#include "../settings.h"
#include "api.h"
#include "handles.h"
#include "module.h"
#include "stream.h"

namespace emulator {

struct Function {
    const Kernel* kernel;
    uint32_t most_shared;  // bytes that a launch may ask for
};

struct Module {
    std::string family;
    std::map<std::string, Function*> functions;
};

static Handles<Module> modules;
static Handles<Function> functions;
static uint64_t launches;  // that ran so far

void forget_launches() { launches = 0; }

// An image is the line "fairprune software image <family>"; nothing behind its end is read.
static Result read_image(const char* image, std::string& family) {
    const std::string head = "fairprune software image ";
    for (char expected : head) {
        if (*image++ != expected) return INVALID_IMAGE;
    }
    for (; *image != '\n'; image++) {
        if (*image == 0 || family.size() > 64) return INVALID_IMAGE;
        family += *image;
    }
    for (const Kernel* kernel = kernels; kernel; kernel = kernel->next) {
        if (family == kernel->family) return SUCCESS;
    }
    return INVALID_IMAGE;
}

static bool is_card_image(const void* image) {
    uint32_t magic;
    memcpy(&magic, image, sizeof magic);
    return magic == 0xba55ed50 || magic == 0x466243b1 || magic == 0x464c457f;
}

// PTX of a newer language than this driver's: CUDA 13.0 reads 9.0.
static bool is_newer_ptx(const char* image) {
    int major = 0, minor = 0;
    const char* const version = strstr(image, ".version ");
    if (version == nullptr || sscanf(version, ".version %d.%d", &major, &minor) != 2) return false;
    return major > 9 || (major == 9 && minor > 0);
}

static Result get_attribute(const Function& function, int which, int& value) {
    switch (which) {
        case 0: value = function.kernel->threads; break;     // threads a block
        case 1: value = 0; break;                            // static shared memory
        case 2: value = function.kernel->args_bytes; break;  // constant memory
        case 3: value = 0; break;                            // local memory
        case 4: value = 32; break;                           // registers; nominal
        case 5: case 6: value = settings().capability; break;  // PTX, binary version
        case 8: value = function.most_shared; break;
        case 9: value = -1; break;                           // carve-out: the driver's choice
        default: return INVALID_VALUE;
    }
    return SUCCESS;
}

static Result check_launch(const Function& function, Index grid, Index size, uint32_t shared_bytes) {
    const uint64_t threads = uint64_t(size.x) * size.y * size.z;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0) return INVALID_VALUE;
    if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) return INVALID_VALUE;
    if (size.x > 1024 || size.y > 1024 || size.z > 64) return INVALID_VALUE;
    if (threads > function.kernel->threads) return INVALID_VALUE;
    if (shared_bytes > function.most_shared) return INVALID_VALUE;
    return SUCCESS;
}

// The parameters' bytes, from one pointer a parameter or from a buffer with its size.
static const void* arguments(const Kernel& kernel, void** parameters, void** extra) {
    if (parameters != nullptr) return extra == nullptr ? parameters[0] : nullptr;
    if (extra == nullptr) return nullptr;
    const void* buffer = nullptr;
    size_t bytes = 0;
    for (; *extra != nullptr; extra += 2) {
        if (*extra == reinterpret_cast<void*>(1)) buffer = extra[1];
        if (*extra == reinterpret_cast<void*>(2)) bytes = *static_cast<size_t*>(extra[1]);
    }
    return bytes == kernel.args_bytes ? buffer : nullptr;
}

static void run(const Kernel* kernel, Index grid, Index size, uint32_t shared_bytes,
                const std::vector<char>& bytes, bool early) {
    if (++launches == settings().fail_launch) {
        report_copy(FAIRPRUNE_EMULATOR_INJECTED, kernel->name, 0, 0,
                    "fails as FAIRPRUNE_EMULATOR_FAIL_LAUNCH asks");
        context.fault = error_code(FAIRPRUNE_EMULATOR_INJECTED);
        return;
    }
    if (const uint32_t kind = run_launch(kernel, grid, size, shared_bytes, bytes.data(), early)) {
        context.fault = error_code(kind);
    }
}

}  // namespace emulator

using namespace emulator;

API cuModuleLoadData(void** result, const void* image) {
    return with_context([&] {
        if (result == nullptr || image == nullptr) return INVALID_VALUE;
        std::string family;
        if (read_image(static_cast<const char*>(image), family) != SUCCESS) {
            if (is_card_image(image)) return NO_BINARY_FOR_GPU;
            const char* const text = static_cast<const char*>(image);
            return is_newer_ptx(text) ? UNSUPPORTED_PTX_VERSION : INVALID_IMAGE;
        }
        *result = modules.add(new Module{family, {}});
        return SUCCESS;
    });
}

API cuModuleUnload(void* handle) {
    return with_context([&] {
        Module* module = modules.find(handle);
        if (module == nullptr) return INVALID_HANDLE;
        if (const Result result = drain_all()) return result;
        for (const auto& [name, function] : module->functions) functions.remove(function);
        modules.remove(module);
        return SUCCESS;
    });
}

API cuModuleGetFunction(void** result, void* handle, const char* name) {
    return with_context([&] {
        Module* module = modules.find(handle);
        if (module == nullptr) return INVALID_HANDLE;
        if (result == nullptr || name == nullptr) return INVALID_VALUE;
        if (const auto known = module->functions.find(name); known != module->functions.end()) {
            *result = known->second;
            return SUCCESS;
        }
        for (const Kernel* kernel = kernels; kernel; kernel = kernel->next) {
            if (module->family != kernel->family || strcmp(kernel->name, name) != 0) continue;
            Function* function = functions.add(new Function{kernel, SHARED_DEFAULT});
            module->functions[name] = function;
            *result = function;
            return SUCCESS;
        }
        return NOT_FOUND;
    });
}

API cuFuncGetAttribute(int* value, int which, void* handle) {
    return with_context([&] {
        const Function* function = functions.find(handle);
        if (function == nullptr) return INVALID_HANDLE;
        return value == nullptr ? INVALID_VALUE : get_attribute(*function, which, *value);
    });
}

API cuFuncSetAttribute(void* handle, int which, int value) {
    return with_context([&] {
        Function* function = functions.find(handle);
        if (function == nullptr) return INVALID_HANDLE;
        if (which == 9) return value >= -1 && value <= 100 ? SUCCESS : INVALID_VALUE;
        if (which != 8 || value < 0 || uint32_t(value) > SHARED_MOST) return INVALID_VALUE;
        function->most_shared = value;
        return SUCCESS;
    });
}

API cuFuncSetCacheConfig(void* handle, int config) {
    return with_context([&] {
        if (functions.find(handle) == nullptr) return INVALID_HANDLE;
        return config >= 0 && config <= 3 ? SUCCESS : INVALID_VALUE;
    });
}

API cuFuncGetParamInfo(void* handle, size_t index, size_t* offset, size_t* bytes) {
    return with_context([&] {
        const Function* function = functions.find(handle);
        if (function == nullptr) return INVALID_HANDLE;
        if (index != 0 || offset == nullptr) return INVALID_VALUE;
        *offset = 0;
        if (bytes != nullptr) *bytes = function->kernel->args_bytes;
        return SUCCESS;
    });
}

// Registers are not modelled: threads, shared memory and blocks alone limit.
API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, void* handle, int threads,
                                                         size_t shared_bytes, unsigned) {
    return with_context([&] {
        const Function* function = functions.find(handle);
        if (function == nullptr) return INVALID_HANDLE;
        if (blocks == nullptr || threads < 1) return INVALID_VALUE;
        const bool fits = uint32_t(threads) <= function->kernel->threads &&
                          shared_bytes <= function->most_shared;
        const size_t by_threads = 2048 / ((threads + 31) / 32 * 32);
        const size_t by_memory = (228 << 10) / (shared_bytes + 1024);
        *blocks = fits ? std::min({by_threads, by_memory, size_t(32)}) : 0;
        return SUCCESS;
    });
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* function, int threads,
                                                size_t shared_bytes) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads,
                                                                shared_bytes, 0);
}

// cuLaunchKernelEx's parameters.
struct Attribute {
    int which;
    char padding[4];
    union {
        char bytes[64];
        int number;
    } value;
};
struct LaunchConfig {
    unsigned grid[3], size[3], shared_bytes;
    void* stream;
    const Attribute* attributes;
    unsigned attribute_count;
};
static_assert(sizeof(Attribute) == 72 && sizeof(LaunchConfig) == 56, "cuda.h");

// May begin before the launch before it in the stream has ended.
constexpr int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

API cuLaunchKernelEx(const LaunchConfig* config, void* handle, void** parameters, void** extra) {
    return with_context([&] {
        if (config == nullptr) return INVALID_VALUE;
        const Function* function = functions.find(handle);
        Stream* stream = stream_of(config->stream);
        if (function == nullptr || stream == nullptr) return INVALID_HANDLE;
        bool early = false;
        if (config->attribute_count > 0 && config->attributes == nullptr) return INVALID_VALUE;
        for (unsigned i = 0; i < config->attribute_count; i++) {
            const Attribute& attribute = config->attributes[i];
            if (attribute.which != PROGRAMMATIC_STREAM_SERIALIZATION) return INVALID_VALUE;
            early = attribute.value.number != 0;
            // Its instructions are Hopper's, and graphs take it from CUDA 12.3 on.
            const bool recorded = stream->capture != nullptr && settings().driver_version < 12030;
            if (early && (settings().capability < 90 || recorded)) return NOT_SUPPORTED;
        }
        const Kernel* kernel = function->kernel;
        const auto [grid_x, grid_y, grid_z] = config->grid;
        const auto [size_x, size_y, size_z] = config->size;
        const Index grid = {grid_x, grid_y, grid_z}, size = {size_x, size_y, size_z};
        const uint32_t shared_bytes = config->shared_bytes;
        if (const Result result = check_launch(*function, grid, size, shared_bytes)) return result;
        const char* bytes = static_cast<const char*>(arguments(*kernel, parameters, extra));
        if (bytes == nullptr) return INVALID_VALUE;
        const std::vector<char> copy(bytes, bytes + kernel->args_bytes);
        enqueue(*stream, [=] { run(kernel, grid, size, shared_bytes, copy, early); });
        return SUCCESS;
    });
}

API cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned size_x,
                   unsigned size_y, unsigned size_z, unsigned shared_bytes, void* stream,
                   void** parameters, void** extra) {
    const LaunchConfig config = {{grid_x, grid_y, grid_z}, {size_x, size_y, size_z}, shared_bytes, stream,
                                 nullptr, 0};
    return cuLaunchKernelEx(&config, function, parameters, extra);
}
