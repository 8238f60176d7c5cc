/* What tests ask the software device beyond the driver's calls. All functions may be called from any
 * thread; those that read results first run everything that streams still hold. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What was found in a kernel, or in a copy. Every finding ends the launch and the context, as a
 * fault does on a card: the calls that follow answer the code given here. */
enum fairprune_emulator_kind {
    FAIRPRUNE_EMULATOR_OUT_OF_BOUNDS = 1,       /* 700: beside every allocation */
    FAIRPRUNE_EMULATOR_USE_AFTER_FREE = 2,      /* 700 */
    FAIRPRUNE_EMULATOR_MISALIGNED = 3,          /* 716: not a multiple of the access's size */
    FAIRPRUNE_EMULATOR_UNINITIALISED = 4,       /* 719: reads bytes that nothing wrote */
    FAIRPRUNE_EMULATOR_COPY_UNDER_WAY = 5,      /* 719: touches what an asynchronous copy will write,
                                                   or writes what it reads */
    FAIRPRUNE_EMULATOR_READ_AFTER_WRITE = 6,    /* 719: races; in a block without a barrier between, */
    FAIRPRUNE_EMULATOR_WRITE_AFTER_READ = 7,    /* in a warp without a warp barrier, */
    FAIRPRUNE_EMULATOR_WRITE_AFTER_WRITE = 8,   /* or between blocks of one launch */
    FAIRPRUNE_EMULATOR_PARAMETER_WRITE = 9,     /* 700: the kernel's parameters are constant */
    FAIRPRUNE_EMULATOR_DIVERGENT_BARRIER = 10,  /* 719: threads meet at different barriers */
    FAIRPRUNE_EMULATOR_BARRIER_NOT_REACHED = 11, /* 719: a thread ended while others wait */
    FAIRPRUNE_EMULATOR_MISSING_LANES = 12,      /* 719: a warp instruction without all 32 lanes */
    FAIRPRUNE_EMULATOR_ENDLESS = 13,            /* 702: more accesses than a launch may make */
    FAIRPRUNE_EMULATOR_INJECTED = 14,           /* 719: FAIRPRUNE_EMULATOR_FAIL_LAUNCH */
    FAIRPRUNE_EMULATOR_NOT_WAITED = 15,         /* 719: touches device memory, or ends, without having
                                                   waited for the launch before */
};

enum fairprune_emulator_space {
    FAIRPRUNE_EMULATOR_NO_SPACE = 0,
    FAIRPRUNE_EMULATOR_GLOBAL = 1,
    FAIRPRUNE_EMULATOR_SHARED = 2, /* addresses are offsets in the block's shared memory */
    FAIRPRUNE_EMULATOR_FOREIGN = 3, /* host memory, another thread's stack, code */
};

struct fairprune_emulator_finding {
    uint32_t kind, space;
    uint64_t address;
    uint32_t size;            /* bytes of the access */
    uint32_t block[3], thread[3];
    uint32_t other_block[3], other_thread[3]; /* of a race: the access before, or the last of several */
    char kernel[64];          /* or the driver's function, for a copy to the host */
    char text[400];           /* the line that was printed */
};

/* Number of findings since the start or the last reset. */
uint32_t fairprune_emulator_findings(void);
/* Copies finding `index`; 0 if there is none of that number, else 1. */
int fairprune_emulator_get_finding(uint32_t index, struct fairprune_emulator_finding* out);

/* Traffic of launches. Bytes are those that threads asked for; unique ones count every byte once a
 * launch, as if a cache held everything. Atomics count as written. Bank conflicts are counted only
 * while asked for: requests are warp-wide accesses, passes what the banks need to serve them. */
struct fairprune_emulator_counters {
    uint64_t launches, blocks, threads;
    uint64_t global_read_bytes, global_read_unique_bytes;
    uint64_t global_written_bytes, global_written_unique_bytes;
    uint64_t shared_read_bytes, shared_written_bytes;
    uint64_t block_barriers, warp_instructions, atomics, async_copies;
    uint64_t bank_requests, bank_passes;
    /* Passes beyond the fewest for requests of that width: 4 bytes 1, 8 bytes 2, 16 bytes 4. */
    uint64_t bank_conflicts;
    uint64_t early; /* launches that might begin before the one before them had ended */
};

/* Sums over the launches of one kernel since the start or the last reset; of the last launch if
 * `kernel` is null. 0 if there was none, else 1. */
int fairprune_emulator_get_counters(const char* kernel, struct fairprune_emulator_counters* out);

/* Order in which blocks and threads run: 0 forward, 1 backward, 2 shuffled. */
void fairprune_emulator_set_order(uint32_t order);
/* Counts bank conflicts from the next launch on (1) or no longer (0); slower by about half. */
void fairprune_emulator_count_bank_conflicts(int on);
/* Findings are printed on stderr (1, as at the start) or only kept (0). */
void fairprune_emulator_print_findings(int on);
/* Live device allocations and their bytes. */
void fairprune_emulator_allocations(uint64_t* count, uint64_t* bytes);
/* As after the process's start: work in streams is dropped, device memory freed, findings and
 * counters forgotten, faults cleared. Handles stay valid; pointers do not. */
void fairprune_emulator_reset(void);

#ifdef __cplusplus
}
#endif
