// Numbers that kernels and host agree on: `#define FAIRPRUNE_X 1` here is `cuda::tiles::X` there.
// One positive integer literal a line.
#pragma once

// echo: threads a block, and words of a thread's record.
#define FAIRPRUNE_ECHO_THREADS 32
#define FAIRPRUNE_ECHO_WORDS 15
