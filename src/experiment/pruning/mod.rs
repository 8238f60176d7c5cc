//! Pruning one data set: what is asked for, what is looked at, which samples are kept.

mod given;
mod held_out;
mod plan;
mod select;
mod source;

pub use given::{GivenScores, GivenSettings};
pub use held_out::{HeldOut, Measuring};
pub use plan::PrunePlan;
pub use select::{Found, PruneInputs, Pruned, Shown};
pub use source::{Source, SourceSettings};
