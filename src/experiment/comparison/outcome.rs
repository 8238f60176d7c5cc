//! What a comparison found, run by run.

use std::collections::BTreeMap;

use super::spent::QueryTimes;
use super::summary::Phase;
use crate::experiment::strategy::{QueryData, Strategy};
use crate::experiment::training::Finished;
use crate::prune::Subset;

/// One pruned (or full) run.
pub struct StrategyRun {
    pub strategy: Strategy,
    pub density: f64,
    /// Index of the repetition.
    pub seed: usize,
    pub subset: Subset,
    /// What choosing it took.
    pub choose_seconds: f64,
    pub finished: Finished,
}

/// A run that failed, of a plan that keeps going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `Random at density 0.5, seed 1`.
    pub task: String,
    pub error: String,
}

/// Everything a run found.
pub struct ComparisonOutcome {
    /// What was asked: for all repetitions, or for each.
    pub queries: Vec<QueryData>,
    pub runs: Vec<StrategyRun>,
    /// What the query runs took.
    pub query_times: QueryTimes,
    pub phases: Vec<Phase>,
    pub failures: Vec<Failure>,
}

impl ComparisonOutcome {
    /// What the queries of repetition `seed` told.
    pub fn query(&self, seed: usize) -> &QueryData {
        of_seed(&self.queries, seed)
    }
}

/// One for all, or one a repetition.
pub(super) fn of_seed<T>(list: &[T], seed: usize) -> &T {
    if list.len() == 1 { &list[0] } else { &list[seed] }
}

/// Runs by strategy and density, in the order of the plan.
pub fn grouped(runs: &[StrategyRun]) -> BTreeMap<(usize, u64), Vec<&StrategyRun>> {
    let mut order: Vec<Strategy> = Vec::new();
    let mut groups: BTreeMap<(usize, u64), Vec<&StrategyRun>> = BTreeMap::new();
    for run in runs {
        let index = order.iter().position(|s| *s == run.strategy).unwrap_or_else(|| {
            order.push(run.strategy);
            order.len() - 1
        });
        // Densities are positive, so their bits sort as they do.
        groups.entry((index, run.density.to_bits())).or_default().push(run);
    }
    groups
}
