//! One training run, from what is wanted of it to what it leaves on disk.

mod compute;
pub mod cost;
mod export;
mod keep;
mod result;
mod run;
mod scores;
mod stages;
mod test_results;

pub use cost::{Cost, Total};
pub use export::network_facts;
pub use keep::{Keeping, complete, discard_checkpoint, discard_result, record_files, records_file};
pub use result::{
    Extraction, FEATURES, Finished, Presentations, RunResult, ScorePart, ValidationPredictions,
};
pub use run::{Record, TrainingRun};
pub(super) use scores::{NetworkScores, network_scores};
