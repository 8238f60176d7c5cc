// Kernels with one planted error each; tests/emulator/faults.rs says what must be found.
#define FAMILY "test_faults"
#include "kernel.cuh"

struct FaultArgs {
    float* data;
    float* other;
    uint32_t* words;
    uint64_t filler;
};

#define FAULT(name) KERNEL(name, FaultArgs, 128, 1)
#define ME threadIdx.x

// ---- addresses

// 2 blocks of 64 threads on 100 values.
FAULT(global_overrun) { args.data[blockIdx.x * 64 + ME] = 1.0f; }
FAULT(global_underrun) {
    if (ME == 3) args.data[-1] = 1.0f;
}
FAULT(global_read_overrun) {
    if (ME == 7) args.other[0] = args.data[100];
}
FAULT(null_pointer) {
    if (ME == 9) args.data[0] = *args.other;
}
FAULT(freed_pointer) {
    if (ME == 2) args.data[4] = 1.0f;
}
FAULT(foreign_stack) {
    SHARED_MEMORY(float*, pointer);
    float own = 1.0f;
    if (ME == 0) *pointer = &own;
    block_barrier();
    if (ME == 1) args.data[0] = **pointer;
    block_barrier();
}
FAULT(shared_overrun) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
}
FAULT(shared_underrun) {
    SHARED_MEMORY(float, shared);
    if (ME == 1) shared[-1] = 1.0f;
}
FAULT(parameter_write) {
    if (ME == 6) const_cast<FaultArgs&>(args).filler = 1;
}
FAULT(filled_overrun) {
    if (ME == 4) memset(args.data, 0, size_t(args.words[0]));
}

// ---- alignment

struct alignas(16) Four {
    float v[4];
};
FAULT(misaligned_global) {
    if (ME == 3) args.other[0] = reinterpret_cast<const Four*>(args.data + 1)->v[1];
}
FAULT(misaligned_word) {
    if (ME == 3) *reinterpret_cast<float*>(reinterpret_cast<char*>(args.data) + 2) = 1.0f;
}
FAULT(misaligned_shared) {
    SHARED_MEMORY(float, shared);
    if (ME == 5) *reinterpret_cast<Four*>(shared + 2) = Four{{1, 2, 3, 4}};
}

// ---- memory that nothing wrote

FAULT(uninitialised_global) {
    if (ME == 11) args.other[0] = args.data[12];
}
// Bytes 0 to 2 of the word are written.
FAULT(uninitialised_byte) {
    uint8_t* bytes = reinterpret_cast<uint8_t*>(args.words);
    if (ME != 0) return;
    for (int i = 0; i < 3; i++) bytes[i] = 1;
    args.other[0] = float(args.words[0]);
}
FAULT(uninitialised_shared) {
    SHARED_MEMORY(float, shared);
    if (ME != 13) shared[ME] = 1.0f;
    block_barrier();
    args.data[ME] = shared[ME];
}

// ---- races in shared memory between warps; 1 and 40 are threads of two

FAULT(read_after_write) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    block_barrier();
    if (ME == 1) shared[40] = 2.0f;
    if (ME == 40) args.data[0] = shared[40];
}
FAULT(write_after_read) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    block_barrier();
    if (ME == 1) args.data[0] = shared[40];
    if (ME == 40) shared[40] = 2.0f;
}
FAULT(write_after_write) {
    SHARED_MEMORY(float, shared);
    if (ME == 1 || ME == 40) shared[40] = 1.0f;
}
// 1 reads, 40 reads, and then 40 writes: 1's read must not be forgotten.
FAULT(write_after_two_reads) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    block_barrier();
    float value = 0.0f;
    if (ME == 1 || ME == 40) value = shared[40];
    args.data[ME] = value;
    if (ME == 40) shared[40] = value + 1.0f;
}
// Two bytes of one word, one of them shared.
FAULT(byte_race) {
    SHARED_MEMORY(uint8_t, shared);
    shared[ME] = 1;
    if (ME == 41) shared[40] = 2;
}
FAULT(warp_barrier_between_warps) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    block_barrier();
    if (ME == 1) shared[40] = 1.0f;
    warp_barrier();
    if (ME == 40) args.data[0] = shared[40];
}

// ---- races within a warp; 1 and 5 are threads of one

FAULT(warp_read_after_write) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    warp_barrier();
    if (ME == 1) shared[5] = 2.0f;
    if (ME == 5) args.data[0] = shared[5];
}
FAULT(warp_write_after_read) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    warp_barrier();
    if (ME == 1) args.data[0] = shared[5];
    if (ME == 5) shared[5] = 2.0f;
}
FAULT(warp_write_after_write) {
    SHARED_MEMORY(float, shared);
    if (ME == 1 || ME == 5) shared[5] = 1.0f;
}
// A shuffle brings threads together but does not order memory.
FAULT(shuffle_is_no_barrier) {
    SHARED_MEMORY(float, shared);
    if (ME == 1) shared[5] = 2.0f;
    const float value = warp_shuffle_xor(1.0f, 1);
    if (ME == 5) args.data[0] = shared[5] + value;
}

// ---- races in global memory

FAULT(global_race_in_block) {
    if (ME == 1) args.data[40] = 1.0f;
    if (ME == 40) args.other[0] = args.data[40];
}
FAULT(blocks_write_one_place) {
    if (ME == 8) args.data[5] = 1.0f;
}
FAULT(block_reads_others) {
    if (ME == 0) args.data[blockIdx.x] = 1.0f;
    if (ME == 8 && blockIdx.x == 1) args.other[0] = args.data[0];
}
FAULT(block_overwrites_what_others_read) {
    if (ME == 8) args.other[blockIdx.x] = args.data[1];
    if (ME == 8 && blockIdx.x == 1) args.data[1] = 2.0f;
}
FAULT(plain_beside_atomic) {
    if (ME == 8 && blockIdx.x == 0) atomic_add(args.words, 1);
    if (ME == 8 && blockIdx.x == 1) args.words[0] = 0;
}
FAULT(plain_read_beside_atomic) {
    if (ME == 8 && blockIdx.x == 0) atomic_add(args.words, 1);
    if (ME == 8 && blockIdx.x == 1) args.words[1] = args.words[0];
}

// ---- meeting points

FAULT(divergent_barrier) {
    if (ME < 32) {
        block_barrier();
    } else {
        block_barrier();
    }
}
FAULT(barrier_not_reached) {
    if (ME < 96) block_barrier();
}
FAULT(missing_lanes) {
    if (ME % 32 != 17) args.data[ME] = warp_shuffle_xor(1.0f, 1);
}
FAULT(different_instructions) {
    if (ME % 32 < 16) {
        warp_barrier();
    } else {
        args.data[ME] = warp_broadcast(1.0f, 0);
    }
}
// 40 threads: the last warp has 8.
FAULT(partial_warp) { args.data[ME] = warp_shuffle_xor(1.0f, 1); }

FAULT(endless) {
    if (ME == 0) {
        while (atomic_add(args.words, 0) == 0) {
        }
    }
}

// ---- asynchronous copies

FAULT(copy_read_before_wait) {
    SHARED_MEMORY(float, shared);
    async_copy<4>(shared + ME, args.data + ME);
    async_copy_commit();
    args.other[ME] = shared[ME];
}
// Two groups; waiting for all but one leaves the second under way.
FAULT(copy_waits_for_too_few) {
    SHARED_MEMORY(float, shared);
    for (int i = 0; i < 2; i++) {
        async_copy<4>(shared + i * 64 + ME, args.data + ME);
        async_copy_commit();
    }
    async_copy_wait<1>();
    args.other[ME] = shared[ME] + shared[64 + ME];
}
FAULT(copy_without_commit) {
    SHARED_MEMORY(float, shared);
    async_copy<4>(shared + ME, args.data + ME);
    async_copy_wait<0>();
    args.other[ME] = shared[ME];
}
FAULT(copy_without_barrier) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    block_barrier();
    if (ME == 1) {
        async_copy<4>(shared, args.data);
        async_copy_commit();
        async_copy_wait<0>();
    }
    if (ME == 40) args.other[0] = shared[0];
}
// The next stage's copy is issued while others may still read this stage.
FAULT(copy_over_what_others_read) {
    SHARED_MEMORY(float, shared);
    shared[ME] = 1.0f;
    block_barrier();
    if (ME == 1) args.other[0] = shared[0];
    if (ME == 40) async_copy<4>(shared, args.data);
}
// Barriers do not help: the copy may read at any time until it is waited for.
FAULT(copy_source_changes) {
    SHARED_MEMORY(float, shared);
    if (ME == 1) async_copy<4>(shared, args.data);
    async_copy_commit();
    block_barrier();
    if (ME == 40) args.data[0] = 2.0f;
    block_barrier();
    async_copy_wait<0>();
}
FAULT(copy_misaligned) {
    SHARED_MEMORY(float, shared);
    if (ME == 1) async_copy<16>(shared + 4, args.data + 2);
}
FAULT(copy_source_out_of_bounds) {
    SHARED_MEMORY(float, shared);
    if (ME == 1) async_copy<16>(shared + 4, args.data + 100);
}
FAULT(copy_to_global) {
    if (ME == 1) async_copy<4>(args.other, args.data);
}

// ---- matrix loads

FAULT(ldmatrix_misaligned) {
    SHARED_MEMORY(uint16_t, shared);
    for (uint32_t i = ME; i < 512; i += 32) shared[i] = 1;
    warp_barrier();
    uint32_t values[4];
    ldmatrix_x4(values, shared + ME * 8 + (ME == 9 ? 4 : 0));
    args.data[ME] = float(values[0]);
}
// Each lane wrote the row that it gives, but other lanes receive it.
FAULT(ldmatrix_without_barrier) {
    SHARED_MEMORY(uint16_t, shared);
    for (int i = 0; i < 8; i++) shared[ME * 8 + i] = 1;
    uint32_t values[4];
    ldmatrix_x4(values, shared + ME * 8);
    args.data[ME] = float(values[0]);
}

// ---- launches that may begin before the launch before them has ended

#define EARLY_FAULT(name) KERNEL_ENTRY(name, FaultArgs, 128, 1, run_early)

EARLY_FAULT(early_read) {
    if (ME == 5) args.other[0] = args.data[5];
    dependency_wait();
}
EARLY_FAULT(early_write) {
    if (ME == 6) args.data[6] = 1.0f;
    dependency_wait();
}
EARLY_FAULT(early_atomic) {
    if (ME == 7) atomic_add(args.words, 1);
    dependency_wait();
}
EARLY_FAULT(early_copy) {
    SHARED_MEMORY(float, shared);
    if (ME == 8) async_copy<4>(shared, args.data + 8);
    dependency_wait();
}
// A barrier does not make the others' wait one's own.
EARLY_FAULT(early_behind_a_barrier) {
    if (ME == 0) dependency_wait();
    block_barrier();
    if (ME == 9) args.data[9] = 1.0f;
    block_barrier();
    dependency_wait();
}
EARLY_FAULT(early_end) {
    if (ME != 10) dependency_wait();
}
