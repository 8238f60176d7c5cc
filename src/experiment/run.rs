//! The main job: full data, query, quotas, pruned runs, paired over seeds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::baseline;
use super::cell::{Cell, Finished, Keeping, run_cell};
use super::export;
use super::prepared::Prepared;
use super::queries::{Queries, QueryRun};
use super::query::QueryData;
use super::run_plan::RunPlan;
use super::spent::{QueryTimes, ScorePart, Spent, own_features};
use super::strategy::Strategy;
use super::summary::Phase;
use crate::artefact::OutputDir;
use crate::error::{Error, Result};
use crate::exec::{Mode, batch_sizes};
use crate::ops::Operators;
use crate::prune::{Population, Subset, over};
use crate::score::features::{self, Evidence};
use crate::score::{Kind, Source};
use crate::train::{Control, Progress, Seeds};

/// How far a run is, for people.
#[derive(Clone, Debug)]
pub struct RunProgress<'a> {
    /// What is being done: `full data, seed 2`.
    pub task: &'a str,
    /// Training steps done and in all, over all runs.
    pub steps: u64,
    pub total_steps: u64,
}

/// One pruned (or full) run.
pub struct RunOf {
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
pub struct RunOutcome {
    /// What was asked: for all repetitions, or for each.
    pub queries: Vec<QueryData>,
    pub runs: Vec<RunOf>,
    /// What the query runs took.
    pub query_times: QueryTimes,
    pub phases: Vec<Phase>,
    pub failures: Vec<Failure>,
}

impl RunOutcome {
    /// What the queries of repetition `seed` told.
    pub fn query(&self, seed: usize) -> &QueryData {
        of_seed(&self.queries, seed)
    }
}

/// One for all, or one a repetition.
fn of_seed<T>(list: &[T], seed: usize) -> &T {
    if list.len() == 1 { &list[0] } else { &list[seed] }
}

/// Runs the plan; finished parts found in `dir` are not done again.
pub fn run<B: Operators>(
    prepared: &Prepared<B>,
    plan: &RunPlan,
    dir: &OutputDir,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(RunProgress),
) -> Result<RunOutcome> {
    if plan.blocks.iter().any(|b| b.seeds == 0) {
        return Err(Error::invalid("--seeds", "0", "at least 1"));
    }
    let queries = plan.queries();
    queries.iter().try_for_each(Queries::check)?;
    baseline::check_plan(plan, prepared)?;
    let mut runner = Runner {
        prepared,
        plan,
        keeping: Keeping { dir, interval: plan.checkpoint_interval, keep_checkpoint: false },
        interrupt,
        progress,
        done: 0,
        total: plan.costs(prepared).iter().map(|c| c.steps).sum(),
        phases: Vec::new(),
        query_times: QueryTimes::new(),
        failures: Vec::new(),
    };
    let asked = runner.query_runs(&queries)?;
    let full = runner.full_runs(&queries)?;
    let mut answers = Vec::with_capacity(queries.len());
    for (queries, asked) in queries.iter().zip(&asked) {
        answers.push(runner.answer(queries, asked, &full)?);
    }
    let mut runs = full;
    for strategy in plan.strategies().into_iter().filter(|s| *s != Strategy::Full) {
        runner.strategy(strategy, &answers, &mut runs)?;
    }
    runner.choosing(&runs);
    let Runner { phases, failures, query_times, .. } = runner;
    Ok(RunOutcome { queries: answers, runs, query_times, phases, failures })
}

struct Runner<'a, B: Operators> {
    prepared: &'a Prepared<B>,
    plan: &'a RunPlan,
    keeping: Keeping<'a>,
    interrupt: &'a AtomicBool,
    progress: &'a mut dyn FnMut(RunProgress),
    done: u64,
    total: u64,
    phases: Vec<Phase>,
    query_times: QueryTimes,
    failures: Vec<Failure>,
}

impl<B: Operators> Runner<'_, B> {
    fn cell(&mut self, cell: &Cell, task: &str) -> Result<Finished> {
        let (done, total_steps) = (self.done, self.total);
        let report = &mut *self.progress;
        let mut forward =
            |p: Progress| report(RunProgress { task, steps: done + p.step, total_steps });
        forward(Progress { epoch: 0, step: 0, total_steps: cell.until });
        let mut control =
            Control { interrupt: self.interrupt, progress: &mut forward, checkpoint: None };
        let mut finished = run_cell(self.prepared, cell, Some(&self.keeping), &mut control)?;
        finished.result = finished.result.by(&self.prepared.partition)?;
        self.done += cell.until;
        (self.progress)(RunProgress { task, steps: self.done, total_steps });
        Ok(finished)
    }

    /// A failure is kept, where the plan says so and the user has not asked to stop.
    fn tolerate<T>(&mut self, task: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.plan.keep_going && !matches!(error, Error::Interrupted) => {
                self.failures.push(Failure { task: task.to_owned(), error: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn phase(&mut self, name: String, runs: &[&Finished]) {
        let batch = self.plan.recipe.batch as u64;
        let trained: u64 = runs.iter().map(|f| f.result.steps).sum();
        let peak_bytes = runs.iter().map(|f| f.result.planned_bytes).max();
        if trained > 0 {
            let seconds = runs.iter().map(|f| f.result.train_seconds).sum();
            self.phases.push(Phase { name, seconds, samples: Some(trained * batch), peak_bytes });
        }
        let scored = runs.iter().filter(|f| f.result.score_seconds > 0.0 && !f.scores.is_empty());
        let score_seconds: f64 = scored.clone().map(|f| f.result.score_seconds).sum();
        if score_seconds > 0.0 {
            let samples = scored.count() as u64 * self.prepared.data.train.len() as u64;
            let name = "score all training samples".to_owned();
            self.phases.push(Phase {
                name,
                seconds: score_seconds,
                samples: Some(samples),
                peak_bytes,
            });
        }
    }

    /// The runs of each of the queries.
    fn query_runs(&mut self, queries: &[Queries]) -> Result<Vec<Vec<(Source, Finished)>>> {
        let mut all = Vec::with_capacity(queries.len());
        for queries in queries {
            let runs: Vec<QueryRun> = queries.runs(&self.prepared.split);
            let mut finished = Vec::with_capacity(runs.len());
            for run in &runs {
                let cell = run.cell(&queries.options);
                let done = self.cell(&cell, &run.task);
                let Some(done) = self.tolerate(&run.task, done)? else { continue };
                self.query_times.insert(cell.name, Spent::of(&done.result));
                finished.push((run.source, done));
            }
            all.push(finished);
        }
        for (source, name) in [
            (Source::Query, "train query models"),
            (Source::Initial, "query models before training"),
            (Source::Dynamics, "train the query model of the dynamics"),
            (Source::Augmented, "train the augmented query model"),
        ] {
            let of: Vec<&Finished> =
                all.iter().flatten().filter(|f| f.0 == source).map(|f| &f.1).collect();
            self.phase(name.to_owned(), &of);
        }
        Ok(all)
    }

    /// What finished runs tell, features included.
    fn answer(
        &mut self,
        queries: &Queries,
        asked: &[(Source, Finished)],
        full: &[RunOf],
    ) -> Result<QueryData> {
        let stand_in: Vec<&Finished> =
            full.iter().map(|r| &r.finished).filter(|_| queries.stand_in).collect();
        let (prepared, plan) = (self.prepared, self.plan);
        let mut answer = queries.collect(&prepared.split, asked, &stand_in)?;
        let data = &prepared.data;
        if let Some(extract) = &queries.extract {
            let root = self.keeping.dir.root();
            let material =
                export::read_features(root, extract, data.train.len(), data.classes.len());
            // A query run that failed has left none: reported where a strategy misses them.
            match material {
                Ok(material) => answer.material = material,
                Err(_) if plan.keep_going => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(own) = &plan.features {
            answer.material.features = Some(Arc::clone(own));
            let evidence = Evidence {
                features: own,
                probabilities: None,
                labels: &data.train.labels,
                eligible: &prepared.split.train,
                classes: data.classes.len(),
                seed: Seeds::derive(plan.seed, queries.repetition.unwrap_or(0) as u64).subset,
            };
            let times = self.query_times.entry(own_features(queries.repetition)).or_default();
            for method in plan.methods() {
                if method.kind(&plan.options) == Kind::Features {
                    let clock = Instant::now();
                    let values = features::score(method, &plan.options, evidence)?;
                    let seconds = clock.elapsed().as_secs_f64();
                    times.parts.push(ScorePart::new(&[method], false, seconds));
                    answer.scores.insert(method, values.into_iter().map(f64::from).collect());
                }
            }
        }
        Ok(answer)
    }

    fn full_runs(&mut self, queries: &[Queries]) -> Result<Vec<RunOf>> {
        let all = self.prepared.split.train.clone();
        let mut runs = Vec::new();
        for seed in 0..self.plan.full_seeds() {
            // Queries of a repetition are never stood in for.
            let first = queries.first();
            let methods = first.map_or(Vec::new(), |q| q.of_stand_in(seed));
            let plan = self.plan;
            let cell = Cell {
                name: format!("full-s{seed}"),
                extract: first.and_then(|q| q.extract_of_stand_in(seed)),
                ..plan.final_cell(self.prepared, all.clone(), seed, &methods)
            };
            let task = format!("full data, seed {}", seed + 1);
            let finished = self.cell(&cell, &task);
            let Some(finished) = self.tolerate(&task, finished)? else { continue };
            let subset = self.subset(Strategy::Full, 1.0, seed, &QueryData::default())?;
            runs.push(RunOf {
                strategy: Strategy::Full,
                density: 1.0,
                seed,
                subset,
                choose_seconds: 0.0,
                finished,
            });
        }
        if !runs.is_empty() {
            let name = "train on full data".to_owned();
            self.phase(name, &runs.iter().map(|r| &r.finished).collect::<Vec<_>>());
        }
        Ok(runs)
    }

    fn strategy(
        &mut self,
        strategy: Strategy,
        answers: &[QueryData],
        runs: &mut Vec<RunOf>,
    ) -> Result<()> {
        let first = runs.len();
        for (density, seeds) in self.plan.densities_of(strategy) {
            for seed in 0..seeds {
                let task = match strategy.stands_beside_all() {
                    true => format!("{}, seed {}", strategy.label(), seed + 1),
                    false => {
                        format!("{} at density {density}, seed {}", strategy.label(), seed + 1)
                    }
                };
                let clock = Instant::now();
                let subset = self.subset(strategy, density, seed, of_seed(answers, seed));
                let choose_seconds = clock.elapsed().as_secs_f64();
                let Some(subset) = self.tolerate(&task, subset)? else { continue };
                let (plan, recipe) = (self.plan, &self.plan.recipe);
                let weights = match strategy.trains_with_weights(&plan.choice) {
                    true => strategy.weights_of(&subset, self.population(), &plan.choice)?,
                    false => None,
                };
                let cell = plan.final_cell(self.prepared, subset.kept.clone(), seed, &[]);
                let cell = Cell { weights, ..cell };
                let cell = baseline::set(cell, strategy, density, plan, self.prepared);
                // Epochs over a subset are short: validate as often as the full run does.
                let epoch = batch_sizes(Mode::Train, recipe.batch, subset.total()).len() as u64;
                let every = (cell.steps / epoch.max(1)) as u32 / recipe.epochs.max(1) as u32;
                let cell = Cell {
                    name: format!("{}-d{density}-s{seed}", strategy.stem()),
                    evaluate_every: every.max(1),
                    ..cell
                };
                let finished = self.cell(&cell, &task);
                let Some(finished) = self.tolerate(&task, finished)? else { continue };
                // SUBG has a density of its own.
                let all = self.prepared.split.train.len() as f64;
                let own = subset.total() as f64 / all;
                let density = if strategy.stands_beside_all() { own } else { density };
                runs.push(RunOf { strategy, density, seed, subset, choose_seconds, finished });
            }
        }
        let finished: Vec<&Finished> = runs[first..].iter().map(|r| &r.finished).collect();
        self.phase(format!("train on {}", strategy.label()), &finished);
        Ok(())
    }

    /// The phase of all choices.
    fn choosing(&mut self, runs: &[RunOf]) {
        let seconds: f64 = runs.iter().map(|r| r.choose_seconds).sum();
        if seconds > 0.0 {
            let name = "choose samples".to_owned();
            self.phases.push(Phase { name, seconds, samples: None, peak_bytes: None });
        }
    }

    fn subset(
        &self,
        strategy: Strategy,
        density: f64,
        seed: usize,
        query: &QueryData,
    ) -> Result<Subset> {
        let draw = Seeds::derive(self.plan.seed, seed as u64).subset;
        if let Some(subset) = baseline::subset(strategy, self.prepared, draw)? {
            return Ok(subset);
        }
        let partition = &self.prepared.partition;
        let subset = strategy.subset(self.population(), density, draw, query, &self.plan.choice);
        subset.map_err(|e| over(partition.unit(), &partition.names, e))
    }

    fn population(&self) -> Population<'_> {
        population(self.prepared)
    }
}

/// What is pruned: the training samples, by class or group.
pub fn population<B: Operators>(prepared: &Prepared<B>) -> Population<'_> {
    Population {
        labels: prepared.train_labels(),
        eligible: &prepared.split.train,
        classes: prepared.partition.len(),
    }
}

/// Runs by strategy and density, in the order of the plan.
pub fn grouped(runs: &[RunOf]) -> BTreeMap<(usize, u64), Vec<&RunOf>> {
    let mut order: Vec<Strategy> = Vec::new();
    let mut groups: BTreeMap<(usize, u64), Vec<&RunOf>> = BTreeMap::new();
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
