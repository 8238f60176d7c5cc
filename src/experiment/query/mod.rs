//! Query runs: which ones a set of scores takes, and what they tell.

mod answers;
mod execution;
mod folds;
mod queries;

pub use answers::mean_scores;
pub use folds::check_folds;
pub use queries::{DYNAMICS_SEEDS, Queries, QueryRun, Short};
