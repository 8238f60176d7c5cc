//! The library on the processor: every module against its oracle, its golden values and hostile input.
//! One program, since each one that links the library compiles its generic code again.
//! `cargo test --test library theory` runs the tests of one room.

mod baselines;
mod contributing;
mod determinism;
mod dynamics;
mod golden;
mod layering;
mod ops;
mod prune;
mod quality;
mod readers;
mod report;
mod selection;
mod theory;

#[path = "common/png.rs"]
mod png_file;
#[path = "common/recorded_run.rs"]
mod recorded_run;
#[path = "common/small_run.rs"]
mod small_run;
