//! One training run with its evaluation, kept on disk so that a resumed experiment skips it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::prepared::{PassSize, Prepared, positions};
use crate::artefact::{OutputDir, npy};
use crate::data::{PartName, QueryPart};
use crate::error::{Error, Result};
use crate::exec::Mode;
use crate::metrics::ClassCounts;
use crate::nn::Weights;
use crate::ops::Operators;
use crate::score::{Method, Scores, Watch, modes, score};
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::{Control, EpochRecord, Outcome, Recipe, Seeds, TrainJob, measure, train};

/// State of a half-done scoring pass, beside the checkpoint.
const SCORING: &str = "scoring.safetensors";

/// A run to be done.
pub struct Cell<'a> {
    /// Folder below `work/`: `random-d0.5-s0`.
    pub name: String,
    pub recipe: &'a Recipe,
    pub seeds: Seeds,
    pub steps: u64,
    /// Positions to train on, ascending, and where validation images are.
    pub part: QueryPart,
    /// Scores of the whole training part that the finished network gives.
    pub methods: &'a [Method],
    /// Evaluate on the test part (final models), or not (query models).
    pub test: bool,
    pub evaluate_every: u32,
}

impl Cell<'_> {
    fn passes<B: Operators>(&self, prepared: &Prepared<B>) -> Vec<PassSize> {
        let test = if self.test { prepared.split.test.len() } else { 0 };
        let mut passes = vec![
            (Mode::Train, self.part.train.len()),
            (Mode::Score, self.part.val.len()),
            (Mode::Score, test),
        ];
        let all = prepared.data.train.len();
        passes.extend(modes(self.methods).into_iter().map(|mode| (mode, all)));
        passes
    }

    /// Bytes that it will allocate on the device, images apart; an error where they do not fit.
    pub fn planned_memory<B: Operators>(&self, prepared: &Prepared<B>) -> Result<u64> {
        Ok(prepared.planned_memory(self.recipe, &self.passes(prepared), false)?.total())
    }
}

/// Correct and total of every class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    pub epoch: u32,
    pub correct: Vec<u64>,
    pub total: Vec<u64>,
}

impl TestResult {
    /// Of one evaluation.
    pub fn new(epoch: u32, counts: &[ClassCounts]) -> Self {
        TestResult {
            epoch,
            correct: counts.iter().map(|c| c.correct).collect(),
            total: counts.iter().map(|c| c.total).collect(),
        }
    }

    /// As counts.
    pub fn counts(&self) -> Vec<ClassCounts> {
        let pairs = self.correct.iter().zip(&self.total);
        pairs.map(|(&correct, &total)| ClassCounts { correct, total }).collect()
    }
}

/// What a finished run left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Everything that determined it.
    pub identity: String,
    pub steps: u64,
    pub history: Vec<EpochRecord>,
    /// On the test part after the last step.
    pub last: Option<TestResult>,
    /// On the test part at the best validation accuracy.
    pub best: Option<TestResult>,
    /// Validation counts of each class at the epoch of best validation accuracy.
    pub validation: Option<TestResult>,
    pub train_seconds: f64,
    pub score_seconds: f64,
    pub planned_bytes: u64,
}

/// A finished run in memory.
pub struct Finished {
    pub result: CellResult,
    pub scores: Scores,
    /// None where the result was on disk already.
    pub outcome: Option<Outcome>,
}

/// Where and how often cells keep their state.
pub struct Keeping<'a> {
    pub dir: &'a OutputDir,
    pub interval: Duration,
    /// Leave the last checkpoint to the caller, who has yet to write the weights: until
    /// [`discard_checkpoint`] they are there after a restart, too.
    pub keep_checkpoint: bool,
}

/// Runs the cell, or loads its result.
pub fn run_cell<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    keeping: Option<&Keeping>,
    control: &mut Control,
) -> Result<Finished> {
    let identity = identity(prepared, cell)?;
    let file = |name: &str| -> Result<Option<PathBuf>> {
        keeping.map(|k| k.dir.file(&format!("work/{}/{name}", cell.name))).transpose()
    };
    let result_path = file("result.json")?;
    if let Some(path) = &result_path
        && let Some(result) = stored(path, &identity)?
    {
        let mut scores = Vec::new();
        for &method in cell.methods {
            let path = file(&format!("{method}.npy"))?.unwrap_or_default();
            let array = npy::read(&path)?;
            let values =
                array.into_scores(prepared.data.train.len(), &path.display().to_string())?;
            scores.push((method, values));
        }
        let outcome = match keeping {
            Some(k) if k.keep_checkpoint => {
                checkpoint::load(&checkpoint_path(k, cell)?, &identity)?
            }
            _ => None,
        };
        let outcome = outcome.map(Checkpoint::into_outcome);
        return Ok(Finished { result, scores, outcome });
    }
    let checkpoint = keeping.map(|k| checkpoint_path(k, cell)).transpose()?;
    file(SCORING)?;
    control.checkpoint = checkpoint.clone().zip(keeping.map(|k| k.interval));
    let finished = compute(prepared, cell, identity, control);
    control.checkpoint = None;
    let finished = finished?;
    for (method, values) in &finished.scores {
        if let Some(path) = file(&format!("{method}.npy"))? {
            npy::write(&path, &[values.len()], values)?;
        }
    }
    if let Some(path) = &result_path {
        crate::artefact::atomic::write_json(path, &finished.result)?;
    }
    if let Some(keeping) = keeping.filter(|k| !k.keep_checkpoint) {
        discard_checkpoint(keeping, cell)?;
    }
    Ok(finished)
}

/// Removes the cell's checkpoint, if there is one.
pub fn discard_checkpoint(keeping: &Keeping, cell: &Cell) -> Result<()> {
    remove(&checkpoint_path(keeping, cell)?)
}

/// Forgets the cell's result, so that the run is done again.
pub fn discard_result(keeping: &Keeping, cell: &Cell) -> Result<()> {
    remove(&keeping.dir.file(&format!("work/{}/result.json", cell.name))?)
}

fn checkpoint_path(keeping: &Keeping, cell: &Cell) -> Result<PathBuf> {
    keeping.dir.file(&format!("work/{}/checkpoint.safetensors", cell.name))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

fn stored(path: &PathBuf, identity: &str) -> Result<Option<CellResult>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let result: CellResult = serde_json::from_slice(&bytes).map_err(|e| {
        Error::invalid(
            path.display().to_string(),
            e.to_string(),
            "a result of this program; --force starts anew",
        )
    })?;
    if result.identity != identity {
        let found = format!("the result of another run ({})", result.identity);
        let expected = format!("this run's ({identity}); --force starts anew");
        return Err(Error::invalid(path.display().to_string(), found, expected));
    }
    Ok(Some(result))
}

fn compute<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    identity: String,
    control: &mut Control,
) -> Result<Finished> {
    let subset = positions(&cell.part.train);
    let val = positions(&cell.part.val);
    let test = if cell.test { positions(&prepared.split.test) } else { Vec::new() };
    let all: Vec<u32> = (0..prepared.data.train.len() as u32).collect();
    let mut executor =
        prepared.executor(cell.recipe, cell.seeds.augment, &cell.passes(prepared), false)?;
    let validation =
        if val.is_empty() { None } else { Some(prepared.set(cell.part.val_part, &val)?) };
    let job = TrainJob {
        recipe: cell.recipe,
        seeds: cell.seeds,
        total_steps: cell.steps,
        images: prepared.train_images()?,
        labels: &prepared.data.train.labels,
        subset: &subset,
        keep_best: cell.test && validation.is_some(),
        validation,
        evaluate_every: cell.evaluate_every,
        identity: identity.clone(),
        initial: None,
    };
    let outcome = train(&mut executor, &job, control)?;
    let clock = std::time::Instant::now();
    let mut silent = |_: usize, _: usize| {};
    let mut watch = Watch {
        interrupt: control.interrupt,
        progress: &mut silent,
        keeping: control
            .checkpoint
            .as_ref()
            .map(|(path, interval)| (path.with_file_name(SCORING), *interval, identity.clone())),
    };
    let all_set = prepared.set(PartName::Train, &all)?;
    let scores = score(&mut executor, &all_set, cell.methods, &mut watch)?;
    let score_seconds = clock.elapsed().as_secs_f64();
    let last_epoch = outcome.history.last().map_or(0, |r| r.epoch);
    let best_epoch = outcome.best().map(|r| r.epoch);
    let mut on_test = |weights: &Weights, epoch: u32| -> Result<Option<TestResult>> {
        if test.is_empty() {
            return Ok(None);
        }
        executor.set_weights(weights)?;
        let evaluation = measure(&mut executor, &prepared.set(PartName::Test, &test)?)?;
        if !evaluation.loss.is_finite() {
            let step = outcome.steps.saturating_sub(1);
            let what = "the test loss".to_owned();
            return Err(Error::Diverged { what, step, epoch: u64::from(epoch) });
        }
        Ok(Some(TestResult::new(epoch, &evaluation.counts)))
    };
    let last = on_test(&outcome.weights, last_epoch)?;
    let best = match (&outcome.best_weights, best_epoch) {
        (Some(weights), Some(epoch)) if epoch != last_epoch => on_test(weights, epoch)?,
        (Some(_), Some(_)) => last.clone(),
        _ => None,
    };
    let result = CellResult {
        identity,
        steps: outcome.steps,
        history: outcome.history.clone(),
        last,
        best,
        validation: validation_counts(prepared, cell, &outcome),
        train_seconds: outcome.seconds,
        score_seconds,
        planned_bytes: executor.planned_memory().total(),
    };
    Ok(Finished { result, scores, outcome: Some(outcome) })
}

fn validation_counts<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    outcome: &Outcome,
) -> Option<TestResult> {
    let record = outcome.best()?;
    let part = prepared.data.part(cell.part.val_part)?;
    let mut total = vec![0; prepared.data.classes.len()];
    cell.part.val.iter().for_each(|&i| total[part.labels[i] as usize] += 1);
    let correct = record.val_correct.clone()?;
    Some(TestResult { epoch: record.epoch, correct, total })
}

/// A hash of everything that determines the cell's numbers.
fn identity<B: Operators>(prepared: &Prepared<B>, cell: &Cell) -> Result<String> {
    let text = serde_json::to_string(&serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "numerics": prepared.backend.name(),
        "data": prepared.data.fingerprint,
        "network": format!("{:?}", prepared.spec),
        "normalisation": [prepared.mean, prepared.std],
        "recipe": cell.recipe,
        "seeds": cell.seeds,
        "steps": cell.steps,
        "subset": cell.part.train,
        "validation": [serde_json::json!(cell.part.val_part.name()), serde_json::json!(cell.part.val)],
        "test": if cell.test { prepared.split.test.as_slice() } else { &[] },
        "scores": cell.methods.iter().map(|m| m.name()).collect::<Vec<_>>(),
        "evaluate_every": cell.evaluate_every,
    }))
    .map_err(|e| Error::Internal(format!("identity of {}: {e}", cell.name)))?;
    Ok(crate::artefact::digest(text.as_bytes()))
}
