//! One training run with its evaluation, kept on disk so that a resumed experiment skips it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::baseline::{self, Presentations};
use super::compute::compute;
use super::export;
use super::prepared::{PassSize, Prepared};
use super::spent::ScorePart;
use super::stage::FIRST_STAGE;
use crate::artefact::{OutputDir, npy};
use crate::data::{Partition, QueryPart};
use crate::error::{Error, Result};
use crate::exec::{Mode, PlannedMemory};
use crate::metrics::ClassCounts;
use crate::ops::Operators;
use crate::score::features::Extracted;
use crate::score::{Kind, Method, Options, Scores, modes};
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::recorder::ROWS_FILE;
use crate::train::{Baseline, Control, EpochRecord, Evaluation, Outcome, Recipe, Recording, Seeds};

/// State of a half-done scoring pass, beside the checkpoint.
pub(super) const SCORING: &str = "scoring.safetensors";

/// What a run records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub what: Recording,
    /// Where it goes, below the output folder: `dynamics`.
    pub folder: String,
}

/// Where a run leaves the features of the training part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extract {
    /// Below the output folder; empty: there.
    pub folder: String,
    /// Those of the validation images as well.
    pub validation: bool,
}

/// What a network makes of the training part, and of the validation images where they are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    pub train: Extracted,
    pub validation: Option<Extracted>,
}

/// A run to be done.
pub struct Cell<'a> {
    /// Folder below `work/`: `random-d0.5-s0`.
    pub name: String,
    pub recipe: &'a Recipe,
    pub seeds: Seeds,
    /// Steps that the schedule is made for.
    pub steps: u64,
    /// Steps to do: fewer where only the beginning is wanted, 0 for a fresh network.
    pub until: u64,
    /// Positions to train on, ascending, and where validation images are.
    pub part: QueryPart,
    /// A factor of the loss of each of these positions, in their order; None: all are 1.
    pub weights: Option<Vec<f32>>,
    /// Scores of the training part: of the whole by the finished network, or of what was trained on
    /// by what the run recorded.
    pub methods: &'a [Method],
    pub options: &'a Options,
    pub record: Option<Record>,
    /// Write the network's features to the output folder.
    pub extract: Option<Extract>,
    /// Evaluate on the test part (final models), or not (query models).
    pub test: bool,
    pub evaluate_every: u32,
    /// Another way of training.
    pub baseline: Option<Baseline>,
}

impl Cell<'_> {
    pub(super) fn passes<B: Operators>(&self, prepared: &Prepared<B>) -> Vec<PassSize> {
        let test = if self.test { prepared.split.test.len() } else { 0 };
        let mut passes = vec![(Mode::Score, self.part.val.len()), (Mode::Score, test)];
        if self.until > 0 {
            passes.extend(baseline::training_passes(self));
        }
        let all = prepared.data.train.len();
        passes.extend(self.modes().into_iter().map(|mode| (mode, all)));
        passes
    }

    /// The passes over the whole training part when training is done.
    pub fn modes(&self) -> Vec<Mode> {
        let mut modes = modes(self.methods, self.options);
        if self.extract.is_some() && !modes.contains(&Mode::Score) {
            modes.push(Mode::Score);
        }
        modes
    }

    /// Whether the network's features are needed.
    pub fn needs_features(&self) -> bool {
        self.extract.is_some()
            || self.methods.iter().any(|m| m.kind(self.options) == Kind::Features)
    }

    /// Bytes that it will allocate on the device, images apart; an error where they do not fit.
    pub fn planned_memory<B: Operators>(&self, prepared: &Prepared<B>) -> Result<PlannedMemory> {
        let divergences = self.record.as_ref().is_some_and(|r| r.what.divergence);
        prepared.planned_memory(&baseline::recipe(self), &self.passes(prepared), divergences)
    }
}

/// Correct and total of every class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    pub epoch: u32,
    pub correct: Vec<u64>,
    pub total: Vec<u64>,
    /// The same of every group, where the samples have an attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupCounts>,
}

/// Correct and total of every group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCounts {
    pub correct: Vec<u64>,
    pub total: Vec<u64>,
}

impl TestResult {
    /// Of one evaluation.
    pub fn new(epoch: u32, evaluation: &Evaluation) -> Self {
        let split = |counts: &[ClassCounts]| GroupCounts {
            correct: counts.iter().map(|c| c.correct).collect(),
            total: counts.iter().map(|c| c.total).collect(),
        };
        let GroupCounts { correct, total } = split(&evaluation.counts);
        let groups = evaluation.groups.as_deref().map(split);
        TestResult { epoch, correct, total, groups }
    }

    /// The counts of `partition`: of its groups instead of the classes, where it is one of groups.
    pub fn by(&self, partition: &Partition) -> Result<TestResult> {
        let GroupCounts { correct, total } = match (&partition.attribute, &self.groups) {
            (None, _) => return Ok(TestResult { groups: None, ..self.clone() }),
            (Some(_), Some(groups)) => groups.clone(),
            (Some(name), None) => {
                return Err(Error::Internal(format!("nothing was counted by {name}")));
            }
        };
        Ok(TestResult { epoch: self.epoch, correct, total, groups: None })
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
    /// What the scoring went into; empty in files of versions that did not record it.
    #[serde(default)]
    pub score_parts: Vec<ScorePart>,
    pub planned_bytes: u64,
    /// What a baseline presented; None for plain training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentations: Option<Presentations>,
}

impl CellResult {
    /// The same with every evaluation counted by `partition`.
    pub fn by(&self, partition: &Partition) -> Result<CellResult> {
        let view = |r: &Option<TestResult>| r.as_ref().map(|r| r.by(partition)).transpose();
        let [last, best, validation] = [&self.last, &self.best, &self.validation].map(view);
        Ok(CellResult { last: last?, best: best?, validation: validation?, ..self.clone() })
    }
}

/// A finished run in memory.
pub struct Finished {
    pub result: CellResult,
    pub scores: Scores,
    /// None where it is not wanted, or on disk.
    pub extracted: Option<Extraction>,
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
        && keeping.is_none_or(|k| export::complete(k.dir, cell))
    {
        let mut scores = Vec::new();
        for &method in cell.methods {
            let path = file(&format!("{method}.npy"))?.unwrap_or_default();
            let array = npy::read(&path)?;
            let values =
                array.into_column(prepared.data.train.len(), &path.display().to_string())?;
            scores.push((method, values));
        }
        let outcome = match keeping {
            // The checkpoint has the layer that DFR replaces.
            Some(_) if matches!(cell.baseline, Some(Baseline::Dfr { .. })) => None,
            Some(k) if k.keep_checkpoint => {
                checkpoint::load(&checkpoint_path(k, cell)?, &identity)?
            }
            _ => None,
        };
        let outcome = outcome.map(Checkpoint::into_outcome);
        remove_leftovers(cell, keeping)?;
        return Ok(Finished { result, scores, extracted: None, outcome });
    }
    let checkpoint = keeping.map(|k| checkpoint_path(k, cell)).transpose()?;
    file(SCORING)?;
    if cell.baseline.is_some() {
        file(FIRST_STAGE)?;
    }
    if cell.record.is_some() {
        file(ROWS_FILE)?;
    }
    control.checkpoint = checkpoint.clone().zip(keeping.map(|k| k.interval));
    let finished = compute(prepared, cell, identity, control);
    control.checkpoint = None;
    let mut finished = finished?;
    if let Some(keeping) = keeping {
        export::write(prepared, cell, &mut finished, keeping.dir)?;
        finished.extracted = None;
    }
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
    remove_leftovers(cell, keeping)?;
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

/// What was recorded lies in the output folder when the result does; a first stage has done its work.
fn remove_leftovers(cell: &Cell, keeping: Option<&Keeping>) -> Result<()> {
    if let (Some(keeping), Some(_)) = (keeping, cell.baseline) {
        remove(&keeping.dir.file(&format!("work/{}/{FIRST_STAGE}", cell.name))?)?;
    }
    match keeping.filter(|_| cell.record.is_some()) {
        Some(k) => remove(&k.dir.file(&format!("work/{}/{ROWS_FILE}", cell.name))?),
        None => Ok(()),
    }
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

/// A hash of everything that determines the cell's numbers.
fn identity<B: Operators>(prepared: &Prepared<B>, cell: &Cell) -> Result<String> {
    let mut facts = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "numerics": crate::ops::numerics(prepared.backend.as_ref(), prepared.precision),
        "data": prepared.data.fingerprint,
        "network": format!("{:?}", prepared.spec),
        "normalisation": [prepared.mean, prepared.std],
        "recipe": cell.recipe,
        "seeds": cell.seeds,
        "steps": cell.steps,
        "until": cell.until,
        "subset": cell.part.train,
        "validation": [json!(cell.part.val_part.name()), json!(cell.part.val)],
        "test": if cell.test { prepared.split.test.as_slice() } else { &[] },
        "scores": cell.methods.iter().map(|m| m.name()).collect::<Vec<_>>(),
        "options": if cell.methods.is_empty() { None } else { Some(cell.options) },
        "record": cell.record.as_ref().map(|r| json!([r.what.divergence, r.folder])),
        "features": cell.extract.as_ref().map_or(json!(false), |e| json!([e.folder, e.validation])),
        "evaluate_every": cell.evaluate_every,
    });
    if let Some(baseline) = cell.baseline {
        facts["baseline"] = json!(baseline.to_string());
    }
    if let Some(weights) = &cell.weights {
        facts["sample_weights"] = json!(crate::artefact::digest(bytemuck::cast_slice(weights)));
    }
    // Results of sets with attributes have counts by group; others are as they always were.
    if prepared.data.attributes.is_some() {
        facts["groups"] = json!(true);
    }
    let text = serde_json::to_string(&facts)
        .map_err(|e| Error::Internal(format!("identity of {}: {e}", cell.name)))?;
    Ok(crate::artefact::digest(text.as_bytes()))
}
