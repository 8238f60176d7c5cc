#include "kernel_entry.h"

namespace emulator {

const Kernel* kernels;

Kernel::Kernel(const char* family, const char* name, void (*run)(const void*), uint32_t args_bytes,
               uint32_t threads)
    : family(family),
      name(name),
      run(run),
      args_bytes(args_bytes),
      threads(threads),
      next(kernels) {
    kernels = this;
}

}  // namespace emulator
