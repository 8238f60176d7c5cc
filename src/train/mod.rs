//! Training: recipe, order of samples, loop, evaluation, checkpoints.

pub mod checkpoint;
pub mod evaluate;
pub mod order;
pub mod recipe;
mod trainer;

pub use evaluate::{Evaluation, evaluate, measure};
pub use recipe::{Budget, Recipe, Schedule, Seeds};
pub use trainer::{Control, EpochRecord, Outcome, Progress, TrainJob, train};
