//! What a run compares, and the runs that this takes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::data::{PartName, QueryPart, Split};
use crate::error::{Error, Result};
use crate::experiment::folder::features::Extract;
use crate::experiment::query::{Queries, QueryRun, Short};
use crate::experiment::session::Session;
use crate::experiment::strategy::{Choice, Picker, Strategy};
use crate::experiment::training::TrainingRun;
use crate::score::features::FeatureMatrix;
use crate::score::{Kind, Method, Options, ScoreSource};
use crate::train::baseline::plan as baseline_plan;
use crate::train::{Recipe, Seeds, StepBudget};

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
pub struct ComparisonPlan {
    /// What they have in common is done once.
    pub blocks: Vec<Block>,
    pub seed: u64,
    pub recipe: Recipe,
    pub budget: StepBudget,
    /// Separate short query runs; None: the full-data runs stand in for them. Training dynamics are
    /// always those of a run of their own.
    pub query: Option<QueryPlan>,
    /// Variants of the scores.
    pub options: Options,
    /// Options of quotas and methods of selection.
    pub choice: Choice,
    /// Features of the user's, instead of a query model's.
    pub features: Option<Arc<FeatureMatrix>>,
    pub checkpoint_interval: Duration,
    /// Query runs keep what quotas are predicted from: what they are over are classes.
    pub predicts: bool,
    /// A run that fails is reported, and the others are done.
    pub keep_going: bool,
}

/// Query runs apart from the full-data runs: no augmentation, usually shorter.
#[derive(Clone, Debug)]
pub struct QueryPlan {
    pub runs: usize,
    pub recipe: Recipe,
    /// Each sample is scored by the run that did not train on it.
    pub out_of_fold: bool,
    /// So many for each repetition, which then varies everything, instead of for all of them.
    pub per_seed: bool,
}

impl ComparisonPlan {
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
        if self.queries().iter().any(Queries::needs_stand_in) {
            return self.seeds();
        }
        let with = self.blocks.iter().filter(|b| b.strategies.contains(&Strategy::Full));
        with.map(|b| b.seeds).max().unwrap_or(0)
    }

    /// Scores that the strategies need.
    pub fn methods(&self) -> Vec<Method> {
        self.methods_of(&self.strategies())
    }

    fn methods_of(&self, strategies: &[Strategy]) -> Vec<Method> {
        let methods: BTreeSet<Method> =
            strategies.iter().flat_map(|s| s.methods(&self.choice.pickers)).collect();
        methods.into_iter().collect()
    }

    /// The query runs of the plan: for all repetitions, or for each.
    pub fn queries(&self) -> Vec<Queries> {
        if !self.query.as_ref().is_some_and(|q| q.per_seed) {
            return vec![self.queries_of(&self.strategies(), None)];
        }
        let of = |seed: usize| {
            let wanted = |s: &&Strategy| {
                self.blocks.iter().any(|b| b.seeds > seed && b.strategies.contains(s))
            };
            let strategies: Vec<Strategy> = self.strategies();
            let strategies: Vec<Strategy> = strategies.iter().filter(wanted).copied().collect();
            self.queries_of(&strategies, Some(seed))
        };
        (0..self.seeds()).map(of).collect()
    }

    /// The query runs that one strategy would need alone, for one repetition.
    pub fn queries_for(&self, strategy: Strategy, seed: usize) -> Queries {
        let per_seed = self.query.as_ref().is_some_and(|q| q.per_seed);
        self.queries_of(&[strategy], per_seed.then_some(seed))
    }

    fn queries_of(&self, strategies: &[Strategy], repetition: Option<usize>) -> Queries {
        let (runs, recipe, first_seed) = match &self.query {
            // Apart from the seeds of the compared runs.
            Some(query) => {
                let first = repetition.unwrap_or(0) * query.runs;
                (query.runs, query.recipe.clone(), (1 << 32) + first as u64)
            }
            None => (self.seeds(), self.recipe.without_augmentation(), 0),
        };
        let pickers = &self.choice.pickers;
        let any = |wanted: &dyn Fn(Picker) -> bool| {
            strategies.iter().flat_map(|s| s.pickers()).any(wanted)
        };
        let features = self.features.is_none() && any(&|p| p.needs_features(pickers));
        let folder = repetition.map_or("features".to_owned(), |s| format!("features-s{s}"));
        let validation = any(&|p| p.needs_validation(pickers));
        let extract = (features || any(&|p| p.needs_probabilities(pickers))).then_some(Extract {
            folder,
            validation,
            parts: false,
        });
        let mut methods = self.methods_of(strategies);
        if self.features.is_some() {
            methods.retain(|m| m.kind(&self.options) != Kind::Features);
        }
        Queries {
            seed: self.seed,
            methods,
            options: self.options,
            short: Short { runs, recipe, first_seed },
            stand_in: self.query.is_none(),
            predictions: self.predicts,
            recalls: strategies.iter().any(|s| self.needs_short_recalls(*s)),
            full: self.recipe.clone(),
            out_of_fold: self.query.as_ref().is_some_and(|q| q.out_of_fold),
            within: None,
            extract,
            repetition,
        }
    }

    /// Quotas from recalls, which are those of the recorded run where that ranks the samples.
    fn needs_short_recalls(&self, strategy: Strategy) -> bool {
        let recorded = |m: Method| m.source(&self.options) == ScoreSource::Dynamics;
        let of = strategy.recalls_of(&self.choice.pickers);
        strategy.needs_recalls() && !of.is_some_and(recorded)
    }

    /// Refuses baselines that cannot be run on the session.
    pub fn check_baselines(&self, session: &Session) -> Result<()> {
        let mut baselines = self.strategies().into_iter().filter_map(Strategy::baseline);
        baselines.try_for_each(|wanted| baseline_plan::check(wanted, &session.split, &self.recipe))
    }

    /// Refuses predicted quotas where nothing can be predicted.
    pub fn check_predictions(&self, session: &Session) -> Result<()> {
        let strategies = self.strategies();
        let Some(quota) = strategies.iter().find_map(|s| s.predicted()) else { return Ok(()) };
        let what = format!("`quota` {quota}");
        if let Some(attribute) = &session.partition.attribute {
            let found = format!("groups by {attribute}");
            let expected = "classes: a network answers classes, and how densities of groups shift its \
                            answers is not known";
            return Err(Error::invalid(what, found, expected));
        }
        let split = &session.split;
        // Of folds, every training image validates once.
        let (part, val) = match split.val.is_empty() {
            true => (PartName::Train, &split.train),
            false => (split.val_part, &split.val),
        };
        let sizes = session.sizes();
        let mut counts = vec![0; sizes.len()];
        if let Some(part) = session.data.part(part) {
            val.iter().for_each(|&i| counts[part.labels[i] as usize] += 1);
        }
        match (0..sizes.len()).find(|&k| sizes[k] > 0 && counts[k] < 2) {
            None => Ok(()),
            Some(k) => {
                let class = &session.data.classes[k];
                let found = format!("{} validation images of {class:?}", counts[k]);
                Err(Error::invalid(what, found, "at least 2 of every class"))
            }
        }
    }

    /// The runs of all queries.
    pub fn query_runs(&self, split: &Split) -> Vec<QueryRun> {
        self.queries().iter().flat_map(|q| q.runs(split)).collect()
    }

    /// Scores that full-data run `seed` gives in place of query runs.
    pub(super) fn of_stand_in(&self, seed: usize) -> Vec<Method> {
        self.queries().iter().flat_map(|q| q.of_stand_in(seed)).collect()
    }

    /// A run of a final model on `train`.
    pub fn final_run<'a>(
        &'a self,
        session: &Session,
        train: Vec<usize>,
        seed: usize,
        methods: &'a [Method],
    ) -> TrainingRun<'a> {
        let split = &session.split;
        let (kept, all) = (train.len(), split.train.len());
        let budget = if kept == all { StepBudget::Fixed } else { self.budget };
        let steps = self.recipe.steps(budget, kept, all);
        TrainingRun {
            name: String::new(),
            recipe: &self.recipe,
            seeds: Seeds::derive(self.seed, seed as u64),
            steps,
            until: steps,
            // Final models validate on the split's validation images (crossfit has none to spare).
            part: QueryPart { train, val_part: split.val_part, val: split.val.clone() },
            weights: None,
            methods,
            options: &self.options,
            record: None,
            scored: None,
            extract: None,
            predictions: false,
            test: true,
            evaluate_every: 1,
            baseline: None,
        }
    }
}
