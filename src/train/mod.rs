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
pub use evaluate::{EvaluationTotals, evaluate, measure, run_pass};
pub use job::{Control, TrainJob, TrainProgress};
pub use outcome::{EpochRecord, TrainOutcome};
pub use recipe::{Recipe, Schedule, Seeds, StepBudget};
pub use recorder::{Recorder, Recording};
pub use trainer::{train, train_with};
