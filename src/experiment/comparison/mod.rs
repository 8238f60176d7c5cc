//! The comparison of strategies: full data, query runs, quotas, pruned runs, paired over seeds.

mod compare;
mod costs;
mod facts;
mod outcome;
mod picks;
mod pilots;
mod plan;
mod preparation;
mod recipe_rows;
mod settings;
mod spent;
mod summarise;
pub mod summary;
mod verdicts;
mod whole;
mod write;

pub use compare::{ComparisonProgress, compare};
pub use outcome::{ComparisonOutcome, Failure, StrategyRun};
pub use plan::{Block, ComparisonPlan, QueryPlan};
pub use settings::{Comparison, ComparisonSettings, RecallSmoothing};
pub use summarise::{Surroundings, summarise};
