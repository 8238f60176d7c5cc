//! What runs will need, before they begin: time, memory, disk.

use std::collections::BTreeSet;
use std::time::Instant;

use super::run::TrainingRun;
use crate::error::Result;
use crate::exec::{Mode, Pass, batch_sizes};
use crate::experiment::session::{OnBackend, Session, on_backend};
use crate::nn::init::initialise;
use crate::ops::Operators;
use crate::train::{Baseline, Recipe};

/// What one run will need. Bytes of the device are those of `TrainingRun::planned_memory`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Images through training, and through passes without updates.
    pub trained: u64,
    pub passed: Vec<(Mode, u64)>,
    pub steps: u64,
    /// Bytes in main memory beside the device's and the images: columns, trajectories, features.
    pub host: u64,
    /// Bytes that stay in the output folder, and those that are there while it runs, beyond them.
    pub kept: u64,
    pub working: u64,
}

impl Cost {
    /// What `run` will need.
    pub fn of(session: &Session, run: &TrainingRun) -> Cost {
        let (samples, classes) = (session.data.train.len() as u64, session.network.classes as u64);
        let sizes = batch_sizes(Mode::Train, run.recipe.batch, run.part.train.len());
        let epochs = run.until.div_ceil(sizes.len().max(1) as u64);
        let presented = sizes.iter().sum::<usize>() as u64;
        let trained = match sizes.len() as u64 {
            0 => 0,
            per_epoch => run.until * presented / per_epoch,
        };
        let validations = epochs / u64::from(run.evaluate_every.max(1));
        let test = if run.test { 2 * session.split.test.len() as u64 } else { 0 };
        let mut passed = vec![(Mode::Score, validations * run.part.val.len() as u64 + test)];
        if run.predictions {
            passed.push((Mode::Score, run.part.val.len() as u64));
        }
        passed.extend(run.scoring(samples as usize).into_iter().map(|(mode, n)| (mode, n as u64)));
        let scores = samples * 4 * run.methods.len() as u64;
        let mut cost = Cost {
            trained,
            passed,
            steps: run.until,
            host: 2 * scores,
            kept: scores,
            // Weights, velocities, the best weights.
            working: 3 * 4 * session.network.parameter_count() as u64,
        };
        add_baseline(session, run, &mut cost);
        if run.predictions {
            let bytes = 4 * run.part.val.len() as u64 * classes;
            cost.host += bytes;
            cost.kept += bytes;
        }
        if let Some(record) = &run.record {
            let quantities = record.what.quantities().len() as u64;
            let rows = record.what.bytes(epochs as usize, samples as usize);
            let previous = if record.what.divergence { 4 * samples * classes } else { 0 };
            // One quantity of the whole run is in memory at a time.
            cost.host += 4 * samples * quantities + previous + 4 * samples * epochs;
            cost.kept += rows;
            cost.working += rows + 4 * samples * quantities + previous;
        }
        if run.needs_features() {
            let features = 4 * samples * (session.network.feature_count() as u64 + classes);
            cost.host += features;
            cost.kept += if run.extract.is_some() { features } else { 0 };
        }
        cost
    }
}

/// Samples that the run which a baseline needs before its own trains with, and scores.
fn first_cost(session: &Session, run: &TrainingRun) -> Option<(u64, u64)> {
    let all = session.data.train.len() as u64;
    match run.baseline? {
        Baseline::Rho { .. } => Some((run.recipe.epochs as u64 * run.part.val.len() as u64, all)),
        baseline @ (Baseline::Jtt { .. } | Baseline::Bam { .. }) => {
            let epochs = baseline.first_epochs(run.recipe.epochs) as u64;
            Some((epochs * run.part.train.len() as u64, all))
        }
        _ => None,
    }
}

/// Adds what the run's baseline takes beyond a plain run.
fn add_baseline(session: &Session, run: &TrainingRun, cost: &mut Cost) {
    let samples = run.part.train.len() as u64;
    let parameters = 4 * session.network.parameter_count() as u64;
    match run.baseline {
        Some(baseline @ Baseline::Rho { .. }) => {
            cost.trained = run.until * baseline.chosen() as u64;
        }
        Some(Baseline::Rcap { keep, .. }) => {
            cost.trained = (cost.trained as f64 * keep).ceil() as u64;
        }
        Some(Baseline::Lff { .. }) => {
            // The other network, its velocities, and two averages a sample.
            cost.trained *= 2;
            cost.working += 2 * parameters + 8 * session.data.train.len() as u64;
        }
        // A sum of gradients in double precision, and the last one.
        Some(Baseline::MicroBatchClipping { .. }) => cost.host += 3 * parameters,
        Some(Baseline::Bam { .. }) => {
            let classes = session.network.classes as u64;
            let auxiliary = 4 * session.data.train.len() as u64 * classes;
            cost.host += auxiliary;
            cost.working += auxiliary;
        }
        _ => {}
    }
    if let Some((trained, scored)) = first_cost(session, run) {
        cost.trained += trained;
        cost.passed.push((Mode::Score, scored));
    }
    if let Some(baseline @ Baseline::Rho { .. }) = run.baseline {
        let epochs = run.until / baseline.epoch_steps(run.recipe.batch, samples as usize).max(1);
        cost.passed.push((Mode::Score, epochs * samples));
    }
}

/// What runs that follow each other will need.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    pub runs: usize,
    pub steps: u64,
    /// Images through training.
    pub trained: u64,
    pub host: u64,
    pub disk: u64,
}

impl Total {
    /// The largest run's memory; what all keep on disk and the largest needs beyond.
    pub fn of(costs: &[Cost]) -> Total {
        let largest = |of: fn(&Cost) -> u64| costs.iter().map(of).max().unwrap_or(0);
        let sum = |of: fn(&Cost) -> u64| costs.iter().map(of).sum::<u64>();
        Total {
            runs: costs.len(),
            steps: sum(|c| c.steps),
            trained: sum(|c| c.trained),
            host: largest(|c| c.host),
            disk: sum(|c| c.kept) + largest(|c| c.working),
        }
    }
}

/// Seconds that the runs will take on this device, from some batches that are timed here and forgotten.
pub fn seconds(session: &Session, recipe: &Recipe, costs: &[Cost]) -> Result<f64> {
    on_backend!(session, on => seconds_on(&on, recipe, costs))
}

fn seconds_on<B: Operators>(on: &OnBackend<B>, recipe: &Recipe, costs: &[Cost]) -> Result<f64> {
    let trained: u64 = costs.iter().map(|c| c.trained).sum();
    let mut seconds = 0.0;
    if trained > 0 {
        seconds += trained as f64 * seconds_an_image(on, recipe, Mode::Train)?;
    }
    let passed = || costs.iter().flat_map(|c| &c.passed).filter(|p| p.1 > 0);
    for mode in passed().map(|p| p.0).collect::<BTreeSet<Mode>>() {
        let images: u64 = passed().filter(|p| p.0 == mode).map(|p| p.1).sum();
        seconds += images as f64 * seconds_an_image(on, recipe, mode)?;
    }
    Ok(seconds)
}

/// Images of the first batch that is timed, and seconds above which a whole batch is not.
const FEW: usize = 8;
const LONG: f64 = 2.0;

fn seconds_an_image<B: Operators>(on: &OnBackend<B>, recipe: &Recipe, mode: Mode) -> Result<f64> {
    let whole = if mode == Mode::Train { recipe.batch } else { on.session.score_batch };
    let whole = whole.min(on.session.split.train.len()).max(2);
    let few = FEW.min(whole);
    let short = batch_seconds(on, recipe, mode, few)? / few as f64;
    if few == whole || short * whole as f64 > LONG {
        return Ok(short);
    }
    Ok(batch_seconds(on, recipe, mode, whole)? / whole as f64)
}

/// Batches that are timed at most, and seconds after which no further one is: one batch alone is off by as
/// much as the machine's other work.
const TIMED: u32 = 16;
const ENOUGH: f64 = 0.4;

/// Mean seconds of batches of `n` images, after one that warms up.
fn batch_seconds<B: Operators>(
    on: &OnBackend<B>,
    recipe: &Recipe,
    mode: Mode,
    n: usize,
) -> Result<f64> {
    let recipe = Recipe { batch: n, ..recipe.clone() };
    let mut executor = on.probe(&recipe, mode, n)?;
    let weights = initialise(executor.network(), 0);
    executor.set_weights(&weights)?;
    let order: Vec<u32> = on.session.split.train[..n].iter().map(|&i| i as u32).collect();
    let class_weights = vec![1.0; executor.network().classes];
    let (mut seconds, mut timed) = (0.0, 0);
    for run in 0..=TIMED {
        executor.begin(&Pass {
            labels: &on.session.data.train.labels,
            order: &order,
            epoch: 0,
            start: 0,
            steps_done: 0,
            lrs: &[0.0],
            class_weights: &class_weights,
        })?;
        executor.backend().synchronize()?;
        let clock = Instant::now();
        // Passes without updates may run in micro-batches.
        for size in batch_sizes(mode, executor.batch(mode), n) {
            executor.step(mode, size, on.train_images()?)?;
        }
        executor.backend().synchronize()?;
        if run > 0 {
            (seconds, timed) = (seconds + clock.elapsed().as_secs_f64(), run);
        }
        if seconds > ENOUGH {
            break;
        }
    }
    Ok(seconds / f64::from(timed.max(1)))
}
