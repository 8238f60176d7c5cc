//! The main job: full data, query, quotas, pruned runs, paired over seeds.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::cell::{Cell, Finished, Keeping, run_cell};
use super::prepared::Prepared;
use super::query::QueryData;
use super::run_plan::RunPlan;
use super::strategy::Strategy;
use super::summary::Phase;
use crate::artefact::OutputDir;
use crate::data::{QueryPart, SplitKind};
use crate::error::{Error, Result};
use crate::exec::{Mode, batch_sizes};
use crate::ops::Operators;
use crate::prune::{Population, Subset};
use crate::score::Method;
use crate::train::{Budget, Control, Progress, Seeds};

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
    pub finished: Finished,
}

/// Everything a run found.
pub struct RunOutcome {
    pub query: QueryData,
    pub runs: Vec<RunOf>,
    pub phases: Vec<Phase>,
}

/// Runs the plan; finished parts found in `dir` are not done again.
pub fn run<B: Operators>(
    prepared: &Prepared<B>,
    plan: &RunPlan,
    dir: &OutputDir,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(RunProgress),
) -> Result<RunOutcome> {
    let mut runner = Runner::new(prepared, plan, dir, interrupt, progress)?;
    let query_apart = runner.query_runs()?;
    let full =
        if runner.needs_full() { runner.full_runs(query_apart.is_none())? } else { Vec::new() };
    let sources: Vec<&Finished> = match &query_apart {
        Some(runs) => runs.iter().collect(),
        None => full.iter().map(|r| &r.finished).collect(),
    };
    let pooled = query_apart.is_some() && matches!(prepared.split.kind, SplitKind::Crossfit { .. });
    let query = QueryData::collect(&sources, pooled)?;
    let mut runs = full;
    for &strategy in plan.strategies.iter().filter(|s| **s != Strategy::Full) {
        runner.strategy(strategy, &query, &mut runs)?;
    }
    Ok(RunOutcome { query, runs, phases: runner.phases })
}

struct Runner<'a, B: Operators> {
    prepared: &'a Prepared<B>,
    plan: &'a RunPlan,
    keeping: Keeping<'a>,
    interrupt: &'a AtomicBool,
    progress: &'a mut dyn FnMut(RunProgress),
    methods: Vec<Method>,
    done: u64,
    total: u64,
    phases: Vec<Phase>,
}

impl<'a, B: Operators> Runner<'a, B> {
    fn new(
        prepared: &'a Prepared<B>,
        plan: &'a RunPlan,
        dir: &'a OutputDir,
        interrupt: &'a AtomicBool,
        progress: &'a mut dyn FnMut(RunProgress),
    ) -> Result<Self> {
        if plan.seeds == 0 {
            return Err(Error::invalid("--seeds", "0", "at least 1"));
        }
        let keeping = Keeping { dir, interval: plan.checkpoint_interval, keep_checkpoint: false };
        let mut runner = Runner {
            prepared,
            plan,
            keeping,
            interrupt,
            progress,
            methods: plan.methods(),
            done: 0,
            total: 0,
            phases: Vec::new(),
        };
        runner.total = runner.all_steps();
        Ok(runner)
    }

    /// The full-data runs are wanted for themselves, or because they are the query.
    fn needs_full(&self) -> bool {
        let wanted = self.plan.strategies.contains(&Strategy::Full);
        wanted
            || (self.plan.query.is_none() && self.plan.strategies.iter().any(|s| needs_query(*s)))
    }

    fn all_steps(&self) -> u64 {
        let plan = self.plan;
        let all = self.prepared.split.train.len();
        let pruned = plan.strategies.iter().filter(|s| **s != Strategy::Full).count() as u64;
        let of_density = |d: &f64| {
            let kept = crate::prune::Budget::new(*d, all).map_or(0, |b| b.count);
            plan.recipe.steps(plan.budget, kept, all)
        };
        let pruned_steps: u64 = plan.densities.iter().map(of_density).sum::<u64>() * pruned;
        let full_steps =
            if self.needs_full() { plan.recipe.steps(Budget::Fixed, all, all) } else { 0 };
        let query_steps = plan.query.as_ref().map_or(0, |q| {
            (0..q.runs)
                .map(|r| {
                    let n = self.prepared.split.query(r).train.len();
                    q.recipe.steps(Budget::Fixed, n, n)
                })
                .sum()
        });
        (full_steps + pruned_steps) * plan.seeds as u64 + query_steps
    }

    fn cell(&mut self, cell: &Cell, task: &str) -> Result<Finished> {
        let (done, total_steps) = (self.done, self.total);
        let report = &mut *self.progress;
        let mut forward =
            |p: Progress| report(RunProgress { task, steps: done + p.step, total_steps });
        forward(Progress { epoch: 0, step: 0, total_steps: cell.steps });
        let mut control =
            Control { interrupt: self.interrupt, progress: &mut forward, checkpoint: None };
        let finished = run_cell(self.prepared, cell, Some(&self.keeping), &mut control)?;
        self.done += cell.steps;
        (self.progress)(RunProgress { task, steps: self.done, total_steps });
        Ok(finished)
    }

    fn phase(&mut self, name: String, runs: &[&Finished]) {
        let batch = self.plan.recipe.batch as u64;
        let seconds = runs.iter().map(|f| f.result.train_seconds).sum();
        let samples = runs.iter().map(|f| f.result.steps * batch).sum();
        let peak_bytes = runs.iter().map(|f| f.result.planned_bytes).max();
        self.phases.push(Phase { name, seconds, samples: Some(samples), peak_bytes });
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

    fn query_runs(&mut self) -> Result<Option<Vec<Finished>>> {
        let Some(query) = &self.plan.query else { return Ok(None) };
        if !self.plan.strategies.iter().any(|s| needs_query(*s)) {
            return Ok(Some(Vec::new()));
        }
        let mut finished = Vec::new();
        let methods = self.methods.clone();
        for run in 0..query.runs {
            let part = self.prepared.split.query(run);
            let n = part.train.len();
            let cell = Cell {
                name: format!("query-r{run}"),
                recipe: &query.recipe,
                // Apart from the seeds of the compared runs.
                seeds: Seeds::derive(self.plan.seed, (1 << 32) + run as u64),
                steps: query.recipe.steps(Budget::Fixed, n, n),
                part,
                methods: &methods,
                test: false,
                evaluate_every: 1,
            };
            finished.push(self.cell(&cell, &format!("query run {} of {}", run + 1, query.runs))?);
        }
        self.phase("train query models".to_owned(), &finished.iter().collect::<Vec<_>>());
        Ok(Some(finished))
    }

    fn full_runs(&mut self, is_query: bool) -> Result<Vec<RunOf>> {
        let all = self.prepared.split.train.clone();
        let methods = if is_query { self.methods.clone() } else { Vec::new() };
        let steps = self.plan.recipe.steps(Budget::Fixed, all.len(), all.len());
        let mut runs = Vec::new();
        for seed in 0..self.plan.seeds {
            let part = self.part(all.clone());
            let cell = Cell {
                name: format!("full-s{seed}"),
                recipe: &self.plan.recipe,
                seeds: Seeds::derive(self.plan.seed, seed as u64),
                steps,
                part,
                methods: &methods,
                test: true,
                evaluate_every: 1,
            };
            let finished = self.cell(&cell, &format!("full data, seed {}", seed + 1))?;
            let subset = self.subset(Strategy::Full, 1.0, seed, &QueryData::default())?;
            runs.push(RunOf { strategy: Strategy::Full, density: 1.0, seed, subset, finished });
        }
        let name = "train on full data".to_owned();
        self.phase(name, &runs.iter().map(|r| &r.finished).collect::<Vec<_>>());
        Ok(runs)
    }

    fn strategy(
        &mut self,
        strategy: Strategy,
        query: &QueryData,
        runs: &mut Vec<RunOf>,
    ) -> Result<()> {
        let first = runs.len();
        let all = self.prepared.split.train.len();
        for &density in &self.plan.densities {
            for seed in 0..self.plan.seeds {
                let subset = self.subset(strategy, density, seed, query)?;
                let recipe = &self.plan.recipe;
                let steps = recipe.steps(self.plan.budget, subset.total(), all);
                // Epochs over a subset are short: validate as often as the full run does.
                let epoch = batch_sizes(Mode::Train, recipe.batch, subset.total()).len() as u64;
                let evaluate_every = (steps / epoch.max(1)) as u32 / recipe.epochs.max(1) as u32;
                let cell = Cell {
                    name: format!("{strategy}-d{density}-s{seed}"),
                    recipe,
                    seeds: Seeds::derive(self.plan.seed, seed as u64),
                    steps,
                    part: self.part(subset.kept.clone()),
                    methods: &[],
                    test: true,
                    evaluate_every: evaluate_every.max(1),
                };
                let task = format!("{} at density {density}, seed {}", strategy.label(), seed + 1);
                let finished = self.cell(&cell, &task)?;
                runs.push(RunOf { strategy, density, seed, subset, finished });
            }
        }
        let finished: Vec<&Finished> = runs[first..].iter().map(|r| &r.finished).collect();
        self.phase(format!("train on {}", strategy.label()), &finished);
        Ok(())
    }

    /// Final models validate on the split's validation images (crossfit has none to spare).
    fn part(&self, train: Vec<usize>) -> QueryPart {
        let split = &self.prepared.split;
        QueryPart { train, val_part: split.val_part, val: split.val.clone() }
    }

    fn subset(
        &self,
        strategy: Strategy,
        density: f64,
        seed: usize,
        query: &QueryData,
    ) -> Result<Subset> {
        let data = &self.prepared.data;
        let population = Population {
            labels: &data.train.labels,
            eligible: &self.prepared.split.train,
            classes: data.classes.len(),
        };
        let draw = Seeds::derive(self.plan.seed, seed as u64).subset;
        strategy.subset(population, density, draw, query, self.plan.quotas)
    }
}

/// Recalls or scores are needed before its subset is known.
fn needs_query(strategy: Strategy) -> bool {
    strategy.needs_recalls() || !strategy.methods().is_empty()
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
