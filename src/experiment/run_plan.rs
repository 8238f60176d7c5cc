//! What a run compares, and the memory that this takes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cell::Cell;
use super::prepared::Prepared;
use super::strategy::{QuotaSettings, Strategy};
use crate::data::QueryPart;
use crate::error::Result;
use crate::ops::Operators;
use crate::score::Method;
use crate::train::{Budget, Recipe, Seeds};

/// What to compare.
#[derive(Clone, Debug)]
pub struct RunPlan {
    pub strategies: Vec<Strategy>,
    /// Densities of the pruned runs.
    pub densities: Vec<f64>,
    pub seed: u64,
    /// Paired repetitions.
    pub seeds: usize,
    pub recipe: Recipe,
    pub budget: Budget,
    /// Separate query runs of this many epochs; None: the full-data runs are the query.
    pub query: Option<QueryPlan>,
    pub quotas: QuotaSettings,
    pub checkpoint_interval: Duration,
}

impl RunPlan {
    /// Scores that the strategies need.
    pub(super) fn methods(&self) -> Vec<Method> {
        let methods: BTreeSet<Method> = self.strategies.iter().flat_map(|s| s.methods()).collect();
        methods.into_iter().collect()
    }

    /// Bytes that the largest run will allocate on the device, images apart; an error where they
    /// do not fit.
    pub fn planned_memory<B: Operators>(&self, prepared: &Prepared<B>) -> Result<u64> {
        let split = &prepared.split;
        let methods = self.methods();
        let largest = |recipe, test| Cell {
            name: String::new(),
            recipe,
            seeds: Seeds::derive(self.seed, 0),
            steps: 0,
            part: QueryPart {
                train: split.train.clone(),
                val_part: split.val_part,
                val: split.val.clone(),
            },
            methods: &methods,
            test,
            evaluate_every: 1,
        };
        let query = match &self.query {
            Some(query) => largest(&query.recipe, false).planned_memory(prepared)?,
            None => 0,
        };
        Ok(query.max(largest(&self.recipe, true).planned_memory(prepared)?))
    }
}

/// Query runs apart from the full-data runs: no augmentation, usually shorter.
#[derive(Clone, Debug)]
pub struct QueryPlan {
    pub runs: usize,
    pub recipe: Recipe,
}
