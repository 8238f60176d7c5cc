//! The comparison of strategies: full data, query runs, quotas, pruned runs, paired over seeds.

mod compare;
mod outcome;
mod plan;
mod preparation;
mod spent;
mod summarise;
pub mod summary;
mod verdicts;
mod whole;

pub use compare::{ComparisonProgress, compare};
pub use outcome::{ComparisonOutcome, Failure, StrategyRun};
pub use plan::{Block, ComparisonPlan, QueryPlan};
pub use summarise::{Surroundings, summarise};
