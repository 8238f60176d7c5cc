//! Query runs: which ones a set of scores takes, and what they tell.

mod answers;
mod queries;

pub use answers::mean_scores;
pub use queries::{DYNAMICS_SEEDS, Queries, QueryRun, Short};
