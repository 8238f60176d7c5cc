//! The comparison: full data, query, quotas, pruned runs, paired over seeds.

use std::sync::Arc;
use std::time::Instant;

use super::outcome::{ComparisonOutcome, Failure, StrategyRun, of_seed};
use super::picks;
use super::pilots;
use super::plan::ComparisonPlan;
use super::spent::{QueryTimes, Spent, own_features};
use super::summary::Phase;
use super::whole::{of_strategy, whole_subset};
use crate::artefact::OutputDir;
use crate::error::{Error, Result};
use crate::exec::{Mode, batch_sizes};
use crate::experiment::folder::features::read_features;
use crate::experiment::query::Queries;
use crate::experiment::session::Session;
use crate::experiment::strategy::{QueryData, Strategy};
use crate::experiment::training::{Finished, Keeping, ScorePart, TrainingRun, complete};
use crate::prune::{Population, Subset, over};
use crate::requests::Requests;
use crate::score::features::{self, Evidence};
use crate::score::{Kind, ScoreSource};
use crate::train::{Control, Seeds, TrainProgress};

/// How far a run is, for people.
#[derive(Clone, Debug)]
pub struct ComparisonProgress<'a> {
    /// What is being done: `full data, seed 2`.
    pub task: &'a str,
    /// Training steps done and in all, over all runs.
    pub steps: u64,
    pub total_steps: u64,
}

/// Runs the plan; finished parts found in `dir` are not done again.
pub fn compare(
    session: &Session,
    plan: &ComparisonPlan,
    dir: &OutputDir,
    requests: &Requests,
    progress: &mut dyn FnMut(ComparisonProgress),
) -> Result<ComparisonOutcome> {
    if plan.blocks.iter().any(|b| b.seeds == 0) {
        return Err(Error::invalid("`seeds`", "0", "at least 1"));
    }
    let queries = plan.queries();
    queries.iter().try_for_each(Queries::check)?;
    plan.check_baselines(session)?;
    let mut runner = Runner {
        session,
        plan,
        keeping: Keeping { dir, interval: plan.checkpoint_interval, keep_checkpoint: false },
        requests,
        progress,
        done: 0,
        total: plan.costs(session).iter().map(|c| c.steps).sum(),
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
    Ok(ComparisonOutcome { queries: answers, runs, query_times, phases, failures })
}

struct Runner<'a> {
    session: &'a Session,
    plan: &'a ComparisonPlan,
    keeping: Keeping<'a>,
    requests: &'a Requests,
    progress: &'a mut dyn FnMut(ComparisonProgress),
    done: u64,
    total: u64,
    phases: Vec<Phase>,
    query_times: QueryTimes,
    failures: Vec<Failure>,
}

impl Runner<'_> {
    fn run(&mut self, run: &TrainingRun, task: &str) -> Result<Finished> {
        let (done, total_steps) = (self.done, self.total);
        let report = &mut *self.progress;
        let mut forward = |p: TrainProgress| {
            report(ComparisonProgress { task, steps: done + p.step, total_steps })
        };
        forward(TrainProgress { epoch: 0, step: 0, total_steps: run.until, finished: None });
        let mut control =
            Control { requests: self.requests, progress: &mut forward, checkpoint: None };
        let mut finished = complete(self.session, run, Some(&self.keeping), &mut control)?;
        finished.result = finished.result.by(&self.session.partition)?;
        self.done += run.until;
        (self.progress)(ComparisonProgress { task, steps: self.done, total_steps });
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
            let samples = scored.count() as u64 * self.session.data.train.len() as u64;
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
    fn query_runs(&mut self, queries: &[Queries]) -> Result<Vec<Vec<(ScoreSource, Finished)>>> {
        let mut all = Vec::with_capacity(queries.len());
        for queries in queries {
            let session = self.session;
            let finished = queries.train(&session.split, |training, task| {
                let done = self.run(training, task);
                let Some(done) = self.tolerate(task, done)? else { return Ok(None) };
                self.query_times.insert(training.name.clone(), Spent::of(&done.result));
                Ok(Some(done))
            })?;
            all.push(finished);
        }
        for (source, name) in [
            (ScoreSource::Query, "train query models"),
            (ScoreSource::Initial, "query models before training"),
            (ScoreSource::Dynamics, "train the query model of the dynamics"),
            (ScoreSource::Augmented, "train the augmented query model"),
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
        asked: &[(ScoreSource, Finished)],
        full: &[StrategyRun],
    ) -> Result<QueryData> {
        let stand_in: Vec<&Finished> =
            full.iter().map(|r| &r.finished).filter(|_| queries.stand_in).collect();
        let (session, plan) = (self.session, self.plan);
        let mut answer = queries.collect(&session.split, asked, &stand_in)?;
        let data = &session.data;
        if let Some(extract) = &queries.extract {
            let root = self.keeping.dir.root();
            let material = read_features(root, extract, data.train.len(), data.classes.len());
            // A query run that failed has left none: reported where a strategy misses them.
            match material {
                Ok(material) => answer.material = material,
                Err(_) if plan.keep_going => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(own) = &plan.features {
            answer.material.features = Some(Arc::clone(own));
            let seed = Seeds::derive(plan.seed, queries.repetition.unwrap_or(0) as u64).subset;
            let evidence = Evidence::of(data, &session.split.train, own, None, seed);
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

    fn full_runs(&mut self, queries: &[Queries]) -> Result<Vec<StrategyRun>> {
        let all = self.session.split.train.clone();
        let mut runs = Vec::new();
        for seed in 0..self.plan.full_seeds() {
            // Queries of a repetition are never stood in for.
            let first = queries.first();
            let methods = first.map_or(Vec::new(), |q| q.of_stand_in(seed));
            let plan = self.plan;
            let run = TrainingRun {
                name: format!("full-s{seed}"),
                extract: first.and_then(|q| q.extract_of_stand_in(seed)),
                predictions: first.is_some_and(Queries::stand_in_predicts),
                ..plan.final_run(self.session, all.clone(), seed, &methods)
            };
            let task = format!("full data, seed {}", seed + 1);
            let finished = self.run(&run, &task);
            let Some(finished) = self.tolerate(&task, finished)? else { continue };
            let subset = self.subset(Strategy::Full, 1.0, seed, &QueryData::default())?;
            runs.push(StrategyRun {
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
        runs: &mut Vec<StrategyRun>,
    ) -> Result<()> {
        let first = runs.len();
        for (density, seeds) in self.plan.densities_of(strategy) {
            let told = self.with_pilots(strategy, density, seeds, answers)?;
            let answers = told.as_deref().unwrap_or(answers);
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
                let run = plan.final_run(self.session, subset.kept.clone(), seed, &[]);
                let run = TrainingRun { weights, ..run };
                let run = of_strategy(run, strategy, density, plan.budget, self.session);
                // Epochs over a subset are short: validate as often as the full run does.
                let epoch = batch_sizes(Mode::Train, recipe.batch, subset.total()).len() as u64;
                let every = (run.steps / epoch.max(1)) as u32 / recipe.epochs.max(1) as u32;
                let run = TrainingRun {
                    name: format!("{}-d{density}-s{seed}", strategy.stem()),
                    evaluate_every: every.max(1),
                    ..run
                };
                let finished = self.run(&run, &task);
                let Some(finished) = self.tolerate(&task, finished)? else { continue };
                // SUBG has a density of its own.
                let all = self.session.split.train.len() as f64;
                let own = subset.total() as f64 / all;
                let density = if strategy.stands_beside_all() { own } else { density };
                runs.push(StrategyRun {
                    strategy,
                    density,
                    seed,
                    subset,
                    choose_seconds,
                    finished,
                });
            }
        }
        let finished: Vec<&Finished> = runs[first..].iter().map(|r| &r.finished).collect();
        self.phase(format!("train on {}", strategy.label()), &finished);
        Ok(())
    }

    /// What the queries tell, with the pilots of the strategy; None where it has none.
    fn with_pilots(
        &mut self,
        strategy: Strategy,
        density: f64,
        seeds: usize,
        answers: &[QueryData],
    ) -> Result<Option<Vec<QueryData>>> {
        let (plan, session) = (self.plan, self.session);
        let mut told = Vec::new();
        for (seed, query) in answers.iter().enumerate().take(seeds) {
            let Some(wanted) = pilots::of_strategy(plan, session, strategy, density, seed) else {
                return Ok(None);
            };
            told.push(wanted.add_to(query, |training, task| {
                let done = self.run(training, task)?;
                self.query_times.insert(training.name.clone(), Spent::of(&done.result));
                self.phase("train pilots".to_owned(), &[&done]);
                Ok(done)
            })?);
        }
        Ok(Some(told))
    }

    /// The phase of all choices.
    fn choosing(&mut self, runs: &[StrategyRun]) {
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
        if let Some(subset) = whole_subset(strategy, self.session, draw)? {
            return Ok(subset);
        }
        let (partition, dir) = (&self.session.partition, self.keeping.dir);
        // Picking may take longer than training on what was picked: a resumed run does not do it again.
        let run = format!("{}-d{density}-s{seed}", strategy.stem());
        let known = match strategy.pickers().next() {
            Some(_) => picks::known(dir, &run)?,
            None => None,
        };
        let (population, choice, anew) = (self.population(), &self.plan.choice, known.is_none());
        let subset = strategy.subset_of_picks(population, density, draw, query, choice, known);
        let subset = subset.map_err(|e| over(partition.unit(), &partition.names, e))?;
        if let (Some(picked), true) = (&subset.picks, anew) {
            picks::keep(dir, &run, picked)?;
        }
        Ok(subset)
    }

    fn population(&self) -> Population<'_> {
        self.session.population()
    }
}
