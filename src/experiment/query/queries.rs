//! Which query runs a set of scores needs: short ones for scores of trained networks, one of full
//! length for training dynamics, fresh networks for scores at initialisation. Each kind serves all of
//! its scores.

use std::collections::BTreeMap;

use super::answers::{mean_scores, recalls};
use crate::data::{QueryPart, Split, SplitKind};
use crate::error::Result;
use crate::exec::{Mode, batch_sizes};
use crate::experiment::folder::features::Extract;
use crate::experiment::strategy::{Material, QueryData};
use crate::experiment::training::{Finished, Record, TrainingRun};
use crate::score::options::EL2N_EPOCHS;
use crate::score::{Kind, Method, Options, ScoreSource};
use crate::train::{Recipe, Recording, Seeds, StepBudget};

/// Where the seeds of recorded runs start: apart from those of compared and of short query runs.
pub const DYNAMICS_SEEDS: u64 = 1 << 33;

/// Short query runs.
#[derive(Clone, Debug)]
pub struct Short {
    pub runs: usize,
    /// Without augmentation.
    pub recipe: Recipe,
    /// Run r has the seeds of run `first_seed` + r.
    pub first_seed: u64,
}

/// What is asked of query runs.
#[derive(Clone, Debug)]
pub struct Queries {
    pub seed: u64,
    pub methods: Vec<Method>,
    pub options: Options,
    pub short: Short,
    /// Other runs stand in for the short ones.
    pub stand_in: bool,
    /// Recalls of the short runs are wanted, even if no score needs them.
    pub recalls: bool,
    /// How the final models are trained, augmentation included.
    pub full: Recipe,
    /// Runs that tell recalls keep what they say of each validation image: what quotas do is predicted
    /// from it.
    pub predictions: bool,
    /// Short runs score the samples that they did not train on, and no others.
    pub out_of_fold: bool,
    /// Positions, ascending, that all runs keep to when they train and score; None: no limit.
    pub within: Option<Vec<usize>>,
    /// The short run 0 writes its features.
    pub extract: Option<Extract>,
    /// The repetition that these queries are for; None: they serve all.
    pub repetition: Option<usize>,
}

/// One query run.
pub struct QueryRun {
    pub source: ScoreSource,
    name: String,
    /// For people: `query run 2 of 5`.
    pub task: String,
    recipe: Recipe,
    seeds: Seeds,
    steps: u64,
    until: u64,
    part: QueryPart,
    methods: Vec<Method>,
    record: Option<Record>,
    predictions: bool,
    scored: Option<Vec<usize>>,
    extract: Option<Extract>,
}

impl QueryRun {
    /// The training run that answers it.
    pub fn training<'a>(&'a self, options: &'a Options) -> TrainingRun<'a> {
        TrainingRun {
            name: self.name.clone(),
            recipe: &self.recipe,
            seeds: self.seeds,
            steps: self.steps,
            until: self.until,
            part: self.part.clone(),
            weights: None,
            methods: &self.methods,
            options,
            record: self.record.clone(),
            scored: self.scored.clone(),
            extract: self.extract.clone(),
            predictions: self.predictions,
            test: false,
            evaluate_every: 1,
            baseline: None,
        }
    }

    /// Epochs that it trains for, and whether images are changed at random.
    pub fn epochs(&self) -> usize {
        let per_epoch = batch_sizes(Mode::Train, self.recipe.batch, self.part.train.len()).len();
        (self.until as usize).div_ceil(per_epoch.max(1))
    }

    /// Scores that it gives.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// How it is trained.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }
}

impl Queries {
    fn of(&self, source: ScoreSource) -> Vec<Method> {
        let methods = self.methods.iter().copied();
        methods.filter(|m| m.source(&self.options) == source).collect()
    }

    /// Refuses scores that need more epochs than their run has, and those that have no value out of fold:
    /// now, not when it is done.
    pub fn check(&self) -> Result<()> {
        self.options.check()?;
        if self.out_of_fold {
            self.methods.iter().try_for_each(|m| m.check_out_of_fold(&self.options))?;
        }
        self.methods.iter().try_for_each(|m| m.check(&self.options, self.full.epochs))
    }

    /// All runs, in order.
    pub fn runs(&self, split: &Split) -> Vec<QueryRun> {
        let mut runs = Vec::new();
        let query = self.of(ScoreSource::Query);
        let wanted = self.recalls || self.extract.is_some() || !query.is_empty();
        if wanted && !self.stand_in {
            runs.extend(self.short_runs(split, ScoreSource::Query, &query));
        }
        let initial = self.of(ScoreSource::Initial);
        if !initial.is_empty() {
            runs.extend(self.short_runs(split, ScoreSource::Initial, &initial));
        }
        for source in [ScoreSource::Dynamics, ScoreSource::Augmented] {
            let methods = self.of(source);
            if !methods.is_empty() {
                runs.extend(self.recorded_runs(split, source, &methods));
            }
        }
        runs
    }

    /// Does all runs, one after the other; `train` does one of them, of the name that people see, or
    /// leaves it out.
    pub fn train(
        &self,
        split: &Split,
        mut train: impl FnMut(&TrainingRun, &str) -> Result<Option<Finished>>,
    ) -> Result<Vec<(ScoreSource, Finished)>> {
        let mut all = Vec::new();
        for run in self.runs(split) {
            let done = train(&run.training(&self.options), &run.task)?;
            all.extend(done.map(|done| (run.source, done)));
        }
        Ok(all)
    }

    /// Scores that run `run` of several gives. Features of several networks have no mean: they are
    /// those of the first.
    fn of_run(&self, run: usize, methods: &[Method]) -> Vec<Method> {
        let wanted = |m: &&Method| run == 0 || m.kind(&self.options) != Kind::Features;
        methods.iter().filter(wanted).copied().collect()
    }

    /// Scores that run `run` of those gives that stand in for short ones.
    pub fn of_stand_in(&self, run: usize) -> Vec<Method> {
        if self.stand_in { self.of_run(run, &self.of(ScoreSource::Query)) } else { Vec::new() }
    }

    /// Whether those runs are needed, not only there.
    pub fn needs_stand_in(&self) -> bool {
        let wanted = self.recalls || self.extract.is_some() || !self.of_stand_in(0).is_empty();
        self.stand_in && wanted
    }

    /// Whether those keep what they say of each validation image.
    pub fn stand_in_predicts(&self) -> bool {
        self.stand_in && self.recalls && self.predictions
    }

    /// What run `run` of those writes of its features.
    pub fn extract_of_stand_in(&self, run: usize) -> Option<Extract> {
        self.extract.clone().filter(|_| self.stand_in && run == 0)
    }

    /// The part of a name that says which repetition it is of.
    fn tag(&self) -> String {
        self.repetition.map_or(String::new(), |s| format!("s{s}-"))
    }

    /// The part of a text for people that says which repetition it is about.
    fn whose(&self) -> String {
        self.repetition.map_or(String::new(), |s| format!(", seed {}", s + 1))
    }

    /// What query run `run` trains on and is evaluated on.
    fn part(&self, split: &Split, run: usize) -> QueryPart {
        let mut part = split.query(run);
        if let Some(within) = &self.within {
            part.train.retain(|i| within.binary_search(i).is_ok());
        }
        part
    }

    fn short_runs(&self, split: &Split, source: ScoreSource, methods: &[Method]) -> Vec<QueryRun> {
        let (short, trained, whose) = (&self.short, source == ScoreSource::Query, self.whose());
        let one = |run: usize| {
            let part = self.part(split, run);
            let scored = match self.out_of_fold && trained {
                true => Some(part.val.clone()),
                false => self.within.clone(),
            };
            let steps = short.recipe.steps(StepBudget::Fixed, part.train.len(), part.train.len());
            QueryRun {
                source,
                name: format!("query-{}{}r{run}", self.tag(), if trained { "" } else { "init-" }),
                task: match source {
                    ScoreSource::Initial => {
                        format!("initialisation {} of {}{whose}", run + 1, short.runs)
                    }
                    _ => format!("query run {} of {}{whose}", run + 1, short.runs),
                },
                recipe: short.recipe.clone(),
                seeds: Seeds::derive(self.seed, short.first_seed + run as u64),
                steps,
                until: if trained { steps } else { 0 },
                part,
                methods: self.of_run(run, methods),
                record: None,
                predictions: self.predictions && trained,
                scored,
                extract: self.extract.clone().filter(|_| trained && run == 0),
            }
        };
        (0..short.runs).map(one).collect()
    }

    /// The seed of the first recorded run: each repetition has its own.
    pub fn first_dynamics_seed(&self, split: &Split) -> u64 {
        let folds = split.query_runs().unwrap_or(1);
        DYNAMICS_SEEDS + (self.repetition.unwrap_or(0) * folds) as u64
    }

    /// One run, or one a fold.
    fn recorded_runs(
        &self,
        split: &Split,
        source: ScoreSource,
        methods: &[Method],
    ) -> Vec<QueryRun> {
        let folds = split.query_runs();
        let augmented = source == ScoreSource::Augmented;
        let recipe = if augmented { self.full.clone() } else { self.full.without_augmentation() };
        let kind = if augmented { "augmented" } else { "full" };
        let divergence = methods.contains(&Method::Tdds);
        let repetition = self.repetition.map_or(String::new(), |s| format!("-s{s}"));
        let one = |run: usize| {
            let part = self.part(split, run);
            let n = part.train.len();
            let steps = recipe.steps(StepBudget::Fixed, n, n);
            let per_epoch = batch_sizes(Mode::Train, recipe.batch, n).len();
            let fold = if folds.is_some() { format!("-r{run}") } else { String::new() };
            let of = folds.map_or(String::new(), |r| format!(" {} of {r}", run + 1));
            QueryRun {
                source,
                name: format!("query-{}{kind}{fold}", self.tag()),
                task: format!("{kind} query run{of}{}", self.whose()),
                recipe: recipe.clone(),
                seeds: Seeds::derive(self.seed, self.first_dynamics_seed(split) + run as u64),
                steps,
                until: if augmented { steps.min((EL2N_EPOCHS * per_epoch) as u64) } else { steps },
                part,
                methods: methods.to_vec(),
                record: Some(Record {
                    what: Recording { divergence },
                    folder: match augmented {
                        true => format!("dynamics-augmented{repetition}{fold}"),
                        false => format!("dynamics{repetition}{fold}"),
                    },
                }),
                predictions: self.predictions && !augmented,
                scored: None,
                extract: None,
            }
        };
        (0..folds.unwrap_or(1)).map(one).collect()
    }

    /// What finished runs tell; `stand_in`: runs that take the place of short ones.
    pub fn collect(
        &self,
        split: &Split,
        finished: &[(ScoreSource, Finished)],
        stand_in: &[&Finished],
    ) -> Result<QueryData> {
        let folds = matches!(split.kind, SplitKind::Crossfit { .. });
        let of = |source: ScoreSource| -> Vec<&Finished> {
            finished.iter().filter(|f| f.0 == source).map(|f| &f.1).collect()
        };
        let short = of(ScoreSource::Query);
        let mut scores = BTreeMap::new();
        for source in [
            ScoreSource::Query,
            ScoreSource::Initial,
            ScoreSource::Dynamics,
            ScoreSource::Augmented,
        ] {
            scores.extend(mean_scores(&of(source))?);
        }
        scores.extend(mean_scores(stand_in)?);
        let of_short = match short.is_empty() {
            false => recalls(&short, folds)?,
            true => recalls(stand_in, false)?,
        };
        let recorded = [ScoreSource::Dynamics, ScoreSource::Augmented].map(of);
        let recorded = recorded.into_iter().find(|runs| !runs.is_empty());
        Ok(QueryData {
            recalls: of_short,
            of_dynamics: recorded.map(|runs| recalls(&runs, folds)).transpose()?,
            from_dynamics: self.of(ScoreSource::Dynamics).into_iter().collect(),
            scores,
            material: Material::default(),
            given: None,
        })
    }
}
