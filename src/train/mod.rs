//! Training: recipe, order of samples, loop, evaluation, checkpoints, recorded dynamics, and
//! baselines that change the objective or what an epoch presents.

pub mod baseline;
pub mod checkpoint;
pub mod evaluate;
mod job;
pub mod order;
mod outcome;
pub mod recipe;
pub mod recorder;
mod trainer;

pub use baseline::{Baseline, BaselineInput};
pub use evaluate::{Evaluation, evaluate, measure, run_pass};
pub use job::{Control, Progress, TrainJob};
pub use outcome::{EpochRecord, Outcome};
pub use recipe::{Budget, Recipe, Schedule, Seeds};
pub use recorder::{Recorder, Recording};
pub use trainer::{train, train_with};
