// Shows that host and device agree on how a kernel's structure and its place in the grid are passed.
//
//   out[t] = the fields of args, then block and thread indices and the sizes, as 32-bit words
//
// for thread t of all threads, blocks counted x first. One record is FAIRPRUNE_ECHO_WORDS words.
// Grid: any. Block: FAIRPRUNE_ECHO_THREADS. Shared memory: none. Every word is written once.
#define FAMILY "echo"
#include "kernel.cuh"
#include "tiles.h"

struct EchoArgs {
    uint32_t* out;
    uint64_t wide;
    float real;
    int32_t negative;
    uint32_t word;
    uint32_t last;
};
static_assert(sizeof(EchoArgs) == 32, "no padding");

KERNEL(echo_fields, EchoArgs, FAIRPRUNE_ECHO_THREADS, 1) {
    const uint32_t block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    uint32_t* record =
        args.out + (block * FAIRPRUNE_ECHO_THREADS + threadIdx.x) * FAIRPRUNE_ECHO_WORDS;
    const uint64_t address = reinterpret_cast<uint64_t>(args.out);
    record[0] = static_cast<uint32_t>(address);
    record[1] = static_cast<uint32_t>(address >> 32);
    record[2] = static_cast<uint32_t>(args.wide);
    record[3] = static_cast<uint32_t>(args.wide >> 32);
    reinterpret_cast<float*>(record)[4] = args.real;
    record[5] = static_cast<uint32_t>(args.negative);
    record[6] = args.word;
    record[7] = args.last;
    record[8] = sizeof(EchoArgs);
    record[9] = blockIdx.x;
    record[10] = blockIdx.y;
    record[11] = blockIdx.z;
    record[12] = threadIdx.x;
    record[13] = gridDim.x * gridDim.y * gridDim.z;
    record[14] = blockDim.x;
}
