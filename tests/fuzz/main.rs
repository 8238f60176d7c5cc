//! Every reader and parser on mutated input: no panic, bounded time, bounded memory.
//!
//! The inputs are a pure function of (target, number), so a finding is a number that anybody can run
//! again. `cargo test` tries a few thousand of each target; `scripts/fuzz.sh` a million.
//!
//! | variable | meaning |
//! |---|---|
//! | `FAIRPRUNE_FUZZ_INPUTS` | inputs of each target |
//! | `FAIRPRUNE_FUZZ_FIRST` | number of the first input |
//! | `FAIRPRUNE_FUZZ_REPORT` | a file that gets a line a target |

mod bombs;
mod corpus;
mod harness;
mod mutate;
#[path = "../common/png.rs"]
#[allow(dead_code)]
mod png_file;
mod targets;

#[global_allocator]
static ALLOCATOR: harness::Counting = harness::Counting;
