//! Training: recipe, order of samples, loop, evaluation, checkpoints, recorded dynamics.

pub mod checkpoint;
pub mod evaluate;
pub mod order;
mod outcome;
pub mod recipe;
pub mod recorder;
mod trainer;

pub use evaluate::{Evaluation, evaluate, measure};
pub use outcome::{EpochRecord, Outcome};
pub use recipe::{Budget, Recipe, Schedule, Seeds};
pub use recorder::{Recorder, Recording};
pub use trainer::{Control, Progress, TrainJob, train};
