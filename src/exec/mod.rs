//! From a network description to work on a backend: fused blocks, steps on views, one arena.

pub mod arena;
mod block;
mod compute;
mod executor;
mod fit;
mod forward;
mod layout;
mod lower;
mod pass;
mod plan;
mod recorded;
mod step;
mod stepping;
mod streaming;

pub use arena::ArenaMode;
pub use compute::{Compute, Fusion};
pub use executor::Executor;
pub use fit::{PlannedMemory, batch_sizes, planned_memory};
pub use forward::{EvaluationSet, run_pass, run_pass_from};
pub use layout::Layout;
pub use pass::{Counters, Mode, Pass, Requirements, TrainOptions};
pub use plan::Plan;
