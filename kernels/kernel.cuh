// What every kernel source includes: how kernels and shared memory are declared, so that the same
// source compiles for the card (nvcc) and for the software device (g++, FAIRPRUNE_EMULATOR).
//
//   #define FAMILY "elementwise"
//   #include "kernel.cuh"
//
//   struct FillArgs { float* out; uint32_t len; float value; };
//   KERNEL(fill_f32, FillArgs, 256, 1) {
//       const uint32_t i = blockIdx.x * 256 + threadIdx.x;
//       if (i < args.len) args.out[i] = args.value;
//   }
//
// Before its body a kernel waits for the ones it depends on: it may have been begun while they end
// (programmatic dependent launch).
//
// A kernel takes one structure by value, `args`, without padding bytes: the host passes the same
// bytes and compares sizes. There are no static __shared__, __constant__ or device globals. A
// source defines FAMILY before it includes this file; the name of its image is the family's.
#pragma once

#ifndef FAMILY
#error "define FAMILY, the name of this file without .cu in quotes, before including kernel.cuh"
#endif

#include <stdint.h>

#ifdef FAIRPRUNE_EMULATOR

#include "emulator/device.h"

#else

// One kernel of at most `threads` threads a block, at least `blocks` blocks on a multiprocessor.
#define KERNEL(name, Args, threads, blocks)                                                       \
    static_assert(sizeof(Args) <= 4096, "kernel parameters are at most 4096 bytes");              \
    static DEVICE void name##_body(const Args& args);                                             \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(                           \
        const __grid_constant__ Args args) {                                                      \
        dependency_wait();                                                                        \
        dependents_launch();                                                                      \
        name##_body(args);                                                                        \
    }                                                                                             \
    static DEVICE void name##_body(const Args& args)

// The block's dynamic shared memory, as an array of T.
#define SHARED_MEMORY(T, name)                                                                    \
    extern __shared__ __align__(1024) unsigned char fairprune_shared_memory[];                    \
    T* const name = reinterpret_cast<T*>(fairprune_shared_memory)

#define DEVICE __device__ __forceinline__

#endif

#include "ptx.cuh"
