#include "fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef __x86_64__
#error "the software device switches threads in x86-64 assembly; other processors need theirs here"
#endif

// What a function must preserve (System V ABI) goes on the stack; everything else is the caller's.
// The floating-point control words are never changed.
asm(R"(
.text
.type emulator_switch, @function
.globl emulator_switch
.hidden emulator_switch
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch, . - emulator_switch
)");

namespace emulator {

const uintptr_t stacks = [] {
    constexpr size_t STRIDE = STACK_GUARD + STACK_BYTES;
    void* at = mmap(nullptr, STRIDE * MOST_THREADS, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED) {
        fprintf(stderr, "software device: no memory for %zu bytes of stacks\n",
                STRIDE * MOST_THREADS);
        _Exit(2);
    }
    for (uint32_t i = 0; i < MOST_THREADS; i++) {
        mprotect(static_cast<char*>(at) + i * STRIDE, STACK_GUARD, PROT_NONE);
    }
    return reinterpret_cast<uintptr_t>(at);
}();

void* new_fiber(uint32_t thread, void (*entry)()) {
    // Tops of stacks are spread over the cache's sets.
    const uintptr_t top = stack_of(thread) + STACK_BYTES - 64 - thread % 61 * 64;
    void** at = reinterpret_cast<void**>(top);
    // `ret` takes the entry; the stack is then as after a call, 8 beside a multiple of 16.
    *--at = nullptr;
    *--at = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; i++) *--at = nullptr;
    return at;
}

}  // namespace emulator
