//! The CUDA layer: what it says where there is no card, and memory, launches, events and graphs on
//! the software device (or a card, with `FAIRPRUNE_REQUIRE_CUDA=1`).

mod absence;
mod baselines;
mod bf16;
mod commands;
mod dynamics;
mod faults;
mod graph;
mod launch;
mod memory;
mod network;
mod parity;
mod program;
mod resume;
mod selftest;
mod streaming;

#[path = "../common/cuda_device.rs"]
mod cuda_device;
#[path = "../common/png.rs"]
#[allow(dead_code)]
mod png_file;
#[path = "../common/recorded_run.rs"]
mod recorded_run;
#[path = "../common/small_run.rs"]
mod small_run;

use fairprune::backend::View;
use fairprune::tensor::Dtype;

/// A view of a memory's buffer.
fn view(buffer: u32, offset: usize, len: usize, dtype: Dtype) -> View {
    View { buffer, offset, len, dtype }
}

/// f32 values from the start of a buffer.
fn floats(buffer: u32, len: usize) -> View {
    view(buffer, 0, len, Dtype::F32)
}

/// u32 values from the start of a buffer.
fn words(buffer: u32, len: usize) -> View {
    view(buffer, 0, len, Dtype::U32)
}
