//! What a run compares, and the runs that this takes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::baseline;
use super::cell::Cell;
use super::cost::Cost;
use super::prepared::Prepared;
use super::queries::{Queries, Short};
use super::strategy::{QuotaSettings, Strategy};
use crate::data::QueryPart;
use crate::error::Result;
use crate::ops::Operators;
use crate::score::{Method, Options, Source};
use crate::train::{Budget, Recipe, Seeds};

/// Every strategy at every density, with every seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub strategies: Vec<Strategy>,
    /// Densities of the pruned runs.
    pub densities: Vec<f64>,
    /// Paired repetitions.
    pub seeds: usize,
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// What they have in common is done once.
    pub blocks: Vec<Block>,
    pub seed: u64,
    pub recipe: Recipe,
    pub budget: Budget,
    /// Separate short query runs; None: the full-data runs stand in for them. Training dynamics are
    /// always those of a run of their own.
    pub query: Option<QueryPlan>,
    /// Variants of the scores.
    pub options: Options,
    pub quotas: QuotaSettings,
    pub checkpoint_interval: Duration,
    /// A run that fails is reported, and the others are done.
    pub keep_going: bool,
}

/// Query runs apart from the full-data runs: no augmentation, usually shorter.
#[derive(Clone, Debug)]
pub struct QueryPlan {
    pub runs: usize,
    pub recipe: Recipe,
}

impl RunPlan {
    /// Each strategy once, in the order of the blocks.
    pub fn strategies(&self) -> Vec<Strategy> {
        let mut list = Vec::new();
        for &strategy in self.blocks.iter().flat_map(|b| &b.strategies) {
            if !list.contains(&strategy) {
                list.push(strategy);
            }
        }
        list
    }

    /// All densities, ascending.
    pub fn densities(&self) -> Vec<f64> {
        let mut list: Vec<f64> =
            self.blocks.iter().flat_map(|b| b.densities.iter().copied()).collect();
        list.sort_by(f64::total_cmp);
        list.dedup();
        list
    }

    /// Most repetitions of anything.
    pub fn seeds(&self) -> usize {
        self.blocks.iter().map(|b| b.seeds).max().unwrap_or(0)
    }

    /// Densities at which a strategy is run, ascending, each with its repetitions; 1 alone for what
    /// does not prune.
    pub fn densities_of(&self, strategy: Strategy) -> Vec<(f64, usize)> {
        if strategy.stands_beside_all() {
            let with = self.blocks.iter().filter(|b| b.strategies.contains(&strategy));
            return with.map(|b| b.seeds).max().map(|seeds| (1.0, seeds)).into_iter().collect();
        }
        let seeds = |density: f64| {
            let with =
                |b: &&Block| b.strategies.contains(&strategy) && b.densities.contains(&density);
            self.blocks.iter().filter(with).map(|b| b.seeds).max()
        };
        self.densities().into_iter().filter_map(|d| Some((d, seeds(d)?))).collect()
    }

    /// Repetitions of training on full data, for itself or to stand in for query runs.
    pub fn full_seeds(&self) -> usize {
        let queries = self.queries();
        let stand_in =
            self.query.is_none() && (queries.recalls || !queries.of_stand_in(0).is_empty());
        if stand_in {
            return self.seeds();
        }
        let with = self.blocks.iter().filter(|b| b.strategies.contains(&Strategy::Full));
        with.map(|b| b.seeds).max().unwrap_or(0)
    }

    /// Scores that the strategies need.
    pub fn methods(&self) -> Vec<Method> {
        let methods: BTreeSet<Method> =
            self.strategies().iter().flat_map(|s| s.methods()).collect();
        methods.into_iter().collect()
    }

    /// The query runs of the plan.
    pub fn queries(&self) -> Queries {
        let (runs, recipe, first_seed) = match &self.query {
            // Apart from the seeds of the compared runs.
            Some(query) => (query.runs, query.recipe.clone(), 1 << 32),
            None => (self.seeds(), self.recipe.without_augmentation(), 0),
        };
        Queries {
            seed: self.seed,
            methods: self.methods(),
            options: self.options,
            short: Short { runs, recipe, first_seed },
            stand_in: self.query.is_none(),
            recalls: self.strategies().iter().any(|s| self.needs_short_recalls(*s)),
            full: self.recipe.clone(),
            save_features: false,
        }
    }

    /// Quotas from recalls, which are those of the recorded run where that ranks the samples.
    fn needs_short_recalls(&self, strategy: Strategy) -> bool {
        let recorded = |m: Method| m.source(&self.options) == Source::Dynamics;
        strategy.needs_recalls() && !strategy.ranking_method().is_some_and(recorded)
    }

    /// What every run of the plan is as far as its cost goes: query runs, full data, pruned runs at
    /// the size they will have.
    pub fn costs<B: Operators>(&self, prepared: &Prepared<B>, queries: &Queries) -> Vec<Cost> {
        let split = &prepared.split;
        let runs = queries.runs(split);
        let mut costs: Vec<Cost> =
            runs.iter().map(|run| Cost::of(prepared, &run.cell(&queries.options))).collect();
        for seed in 0..self.full_seeds() {
            let methods = queries.of_stand_in(seed);
            let cell = self.final_cell(prepared, split.train.clone(), seed, &methods);
            costs.push(Cost::of(prepared, &cell));
        }
        for strategy in self.strategies().into_iter().filter(|s| *s != Strategy::Full) {
            for (density, seeds) in self.densities_of(strategy) {
                let kept = crate::prune::Budget::new(density, split.train.len());
                let kept = kept.map_or(0, |b| b.count);
                let train = match baseline::subset(strategy, prepared, 0) {
                    Ok(Some(subset)) => subset.kept,
                    _ => split.train[..kept].to_vec(),
                };
                let cell = self.final_cell(prepared, train, 0, &[]);
                let cost =
                    Cost::of(prepared, &baseline::set(cell, strategy, density, self, prepared));
                costs.extend(std::iter::repeat_n(cost, seeds));
            }
        }
        costs
    }

    /// Bytes that the largest run will allocate on the device, images apart; an error where they
    /// do not fit.
    pub fn planned_memory<B: Operators>(
        &self,
        prepared: &Prepared<B>,
        queries: &Queries,
    ) -> Result<u64> {
        let methods = queries.of_stand_in(0);
        let train = prepared.split.train.clone();
        let full = self.final_cell(prepared, train, 0, &methods).planned_memory(prepared)?;
        let mut largest = full.total();
        for strategy in self.strategies().into_iter().filter(|s| s.baseline().is_some()) {
            let cell = self.final_cell(prepared, prepared.split.train.clone(), 0, &[]);
            let cell = baseline::set(cell, strategy, 1.0, self, prepared);
            largest = largest.max(cell.planned_memory(prepared)?.total());
        }
        for run in queries.runs(&prepared.split) {
            let planned = run.cell(&queries.options).planned_memory(prepared)?;
            largest = largest.max(planned.total());
        }
        Ok(largest)
    }

    /// A run of a final model on `train`.
    pub fn final_cell<'a, B: Operators>(
        &'a self,
        prepared: &Prepared<B>,
        train: Vec<usize>,
        seed: usize,
        methods: &'a [Method],
    ) -> Cell<'a> {
        let split = &prepared.split;
        let (kept, all) = (train.len(), split.train.len());
        let budget = if kept == all { Budget::Fixed } else { self.budget };
        let steps = self.recipe.steps(budget, kept, all);
        Cell {
            name: String::new(),
            recipe: &self.recipe,
            seeds: Seeds::derive(self.seed, seed as u64),
            steps,
            until: steps,
            // Final models validate on the split's validation images (crossfit has none to spare).
            part: QueryPart { train, val_part: split.val_part, val: split.val.clone() },
            methods,
            options: &self.options,
            record: None,
            save_features: false,
            test: true,
            evaluate_every: 1,
            baseline: None,
        }
    }
}
