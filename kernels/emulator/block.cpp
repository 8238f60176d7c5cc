#include "block.h"

#include <string.h>

#include "async_copy.h"
#include "banks.h"
#include "counters.h"
#include "fiber.h"
#include "launch.h"
#include "memory.h"
#include "order.h"
#include "report.h"

// The running thread's, see device.h.
extern "C" {
__attribute__((visibility("hidden"))) emulator::Index threadIdx, blockIdx, blockDim, gridDim;
}

namespace emulator {

enum class State : uint8_t { ready, at_barrier, in_instruction, done };

struct Thread {
    void* stack_pointer;
    void* argument;  // of the warp instruction it waits in
    Site site;       // where it waits
    State state;
    bool waited;  // for the launches before
};

struct Warp {
    uint32_t ready;    // a bit a lane
    uint32_t arrived;  // lanes in the warp instruction
    uint32_t synced;   // clock when it last passed a warp barrier
    Operation operation;
    const char* name;
    Site site;
};

constexpr uint32_t WARPS = MOST_THREADS / 32;

static Thread threads[MOST_THREADS];
static Warp warps[WARPS];
static void* scheduler;  // its stack pointer while a thread runs
static uint32_t done, waiting;  // threads that ended, that are at the barrier
static Site barrier_site;
static bool released;  // by the barrier: every warp has something to run again
static uint64_t shuffle_state;

static bool same(const Site& a, const Site& b) {
    return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

static std::string text(const Site& site) {
    const char* name = strrchr(site.file, '/');
    return format("%s:%d", name ? name + 1 : site.file, site.line);
}

static void leave() { emulator_switch(&threads[now.thread].stack_pointer, scheduler); }

void dependency_wait() {
    threads[now.thread].waited = true;
    now.reach = global.size;
}

static void thread_main() {
    launch.kernel->run(launch.args);
    if (!threads[now.thread].waited) {
        fault(FAIRPRUNE_EMULATOR_NOT_WAITED, FAIRPRUNE_EMULATOR_NO_SPACE, 0, 0, nullptr,
              "ends without dependency_wait(): what comes after may run before what came before");
    }
    threads[now.thread].state = State::done;
    done++;
    leave();
    __builtin_unreachable();
}

void Launch::abandon(uint32_t kind) {
    failure = kind;
    leave();
    __builtin_unreachable();
}

static void resume(uint32_t index) {
    Thread& thread = threads[index];
    now.thread = index;
    now.stack = stack_of(index);
    now.reach = thread.waited ? global.size : 0;
    now.warp_barrier = warps[index / 32].synced;
    threadIdx = launch.thread[index];
    now.running = true;
    emulator_switch(&scheduler, thread.stack_pointer);
    now.running = false;
}

static uint32_t lanes_of(uint32_t warp) {
    const uint32_t left = launch.threads - warp * 32;
    return left >= 32 ? ~0u : (1u << left) - 1;
}

// ---- meeting points

void block_barrier(Site site) {
    Thread& self = threads[now.thread];
    if (waiting == 0) barrier_site = site;
    if (!same(site, barrier_site)) {
        fault(FAIRPRUNE_EMULATOR_DIVERGENT_BARRIER, FAIRPRUNE_EMULATOR_NO_SPACE, 0, 0, nullptr,
              "divergent barrier: comes to " + text(site) + " while others wait at " +
                  text(barrier_site));
    }
    self.state = State::at_barrier;
    self.site = site;
    if (++waiting == launch.threads) {
        waiting = 0;
        released = true;
        counting.block_barriers++;
        now.barrier = ++now.clock;
        for (uint32_t w = 0; w * 32 < launch.threads; w++) {
            if (count_banks) close_bank_requests(w);
            warps[w].ready = lanes_of(w);
        }
        for (uint32_t t = 0; t < launch.threads; t++) threads[t].state = State::ready;
    }
    leave();
}

void warp_instruction(void* argument, Operation operation, const char* name, Site site) {
    Thread& self = threads[now.thread];
    Warp& warp = warps[now.thread / 32];
    if (warp.arrived == 0) {
        warp.operation = operation;
        warp.name = name;
        warp.site = site;
    }
    if (operation != warp.operation || !same(site, warp.site)) {
        fault(FAIRPRUNE_EMULATOR_MISSING_LANES, FAIRPRUNE_EMULATOR_NO_SPACE, 0, 0, nullptr,
              std::string("missing lanes: comes to ") + name + " at " + text(site) +
                  " while others of its warp are in " + warp.name + " at " + text(warp.site));
    }
    self.state = State::in_instruction;
    self.site = site;
    self.argument = argument;
    if (++warp.arrived == 32) {
        Thread* lanes = threads + now.thread / 32 * 32;
        void* arguments[32];
        for (int i = 0; i < 32; i++) arguments[i] = lanes[i].argument;
        warp.arrived = 0;
        counting.warp_instructions++;
        if (count_banks) close_bank_requests(now.thread / 32);
        operation(arguments);
        for (int i = 0; i < 32; i++) lanes[i].state = State::ready;
        warp.ready = ~0u;
    }
    leave();
}

void warp_barrier(Site site) {
    warp_instruction(
        nullptr, [](void* const*) { warps[now.thread / 32].synced = ++now.clock; },
        "a warp barrier", site);
}

// ---- the block

// Nothing can run and not all threads have ended: says who is missing where.
static void report_stuck() {
    Finding finding = {};
    uint32_t culprit = launch.threads;
    std::string what;
    for (uint32_t t = 0; t < launch.threads && what.empty(); t++) {
        if (threads[t].state != State::in_instruction) continue;
        const Warp& warp = warps[t / 32];
        uint32_t missing = 0;
        for (uint32_t lane = 0; lane < 32; lane++) {
            const uint32_t other = t / 32 * 32 + lane;
            const bool there = other < launch.threads &&
                               threads[other].state == State::in_instruction;
            if (!there) missing |= 1u << lane;
        }
        culprit = t / 32 * 32 + __builtin_ctz(missing);
        if (culprit >= launch.threads) culprit = t;
        finding.kind = FAIRPRUNE_EMULATOR_MISSING_LANES;
        what = format("missing lanes: mask %08x does not take part in %s at ", missing, warp.name) +
               text(warp.site);
    }
    for (uint32_t t = 0; t < launch.threads && what.empty(); t++) {
        if (threads[t].state != State::done) continue;
        culprit = t;
        finding.kind = FAIRPRUNE_EMULATOR_BARRIER_NOT_REACHED;
        what = format("barrier not reached: ended while %u of %u threads wait at ", waiting,
                      launch.threads) +
               text(barrier_site);
    }
    const Index thread = launch.thread[culprit];
    const uint32_t block[3] = {launch.block.x, launch.block.y, launch.block.z};
    memcpy(finding.block, block, sizeof block);
    const uint32_t at[3] = {thread.x, thread.y, thread.z};
    memcpy(finding.thread, at, sizeof at);
    report(finding, nullptr, what);
    launch.failure = finding.kind;
}

static void begin_block() {
    now.block = now.barrier = ++now.clock;
    blockIdx = launch.block;
    blockDim = launch.size;
    gridDim = launch.grid;
    shuffle_state = now.clock;
    done = waiting = 0;
    begin_async_copies();
    for (uint32_t t = 0; t < launch.threads; t++) {
        threads[t] = {new_fiber(t, thread_main), nullptr, {}, State::ready, !launch.early};
    }
    for (uint32_t w = 0; w * 32 < launch.threads; w++) {
        warps[w] = {lanes_of(w), 0, now.block, nullptr, nullptr, {}};
    }
}

// A bit a warp that has something to run.
static uint32_t ready_warps() {
    uint32_t ready = 0;
    for (uint32_t w = 0; w * 32 < launch.threads; w++) ready |= uint32_t(warps[w].ready != 0) << w;
    return ready;
}

void run_block() {
    begin_block();
    while (uint32_t ready = ready_warps()) {
        released = false;
        while (ready != 0 && !released) {
            Warp& warp = warps[take(ready, shuffle_state)];
            while (warp.ready != 0 && !released) {
                const uint32_t lane = take(warp.ready, shuffle_state);
                resume(uint32_t(&warp - warps) * 32 + lane);
                if (launch.failure != 0) return;
            }
        }
    }
    if (done < launch.threads) return report_stuck();
    counting.blocks++;
    counting.threads += launch.threads;
    for (uint32_t w = 0; count_banks && w * 32 < launch.threads; w++) close_bank_requests(w);
}

}  // namespace emulator
