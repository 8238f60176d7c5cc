//! Training runs that are kept on disk, so that a resumed job does not do them again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::compute::{SCORING, compute};
use super::export;
use super::result::{Finished, RunResult, ValidationPredictions};
use super::run::TrainingRun;
use super::stages::FIRST_STAGE;
use crate::artefact::integrity::{self, FileDigests};
use crate::artefact::{OutputDir, input, npy};
use crate::data::QueryPart;
use crate::error::{Error, Result};
use crate::experiment::session::Session;
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::recorder::ROWS_FILE;
use crate::train::{Baseline, Control};

/// What a finished run left, with the digests of its files.
const RESULT: &str = "result.json";

/// What a run says of each validation image, beside its result.
const PREDICTIONS: &str = "validation-log-probabilities.npy";

/// Where and how often runs keep their state.
pub struct Keeping<'a> {
    pub dir: &'a OutputDir,
    pub interval: Duration,
    /// Leave the last checkpoint to the caller, who has yet to write the weights: until
    /// [`discard_checkpoint`] they are there after a restart, too.
    pub keep_checkpoint: bool,
}

/// Does the run, or loads its result. State that is damaged is set aside and computed anew; so is what a
/// finished run has lost.
pub fn complete(
    session: &Session,
    run: &TrainingRun,
    keeping: Option<&Keeping>,
    control: &mut Control,
) -> Result<Finished> {
    let identity = run.identity(session)?;
    let Some(keeping) = keeping else {
        return compute(session, run, identity, control);
    };
    let tell = |line: &str| tracing::warn!("{line}");
    keeping.dir.without_damaged(&tell, || {
        if let Some(finished) = load(session, run, keeping, &identity)? {
            return Ok(finished);
        }
        do_and_write(session, run, keeping, &identity, control)
    })
}

/// The path of one of the run's own files.
fn own(keeping: &Keeping, run: &TrainingRun, name: &str) -> Result<PathBuf> {
    keeping.dir.file(&format!("work/{}/{name}", run.name))
}

/// What a run that is done left; None where it is not done, or where a file of it is missing.
fn load(
    session: &Session,
    run: &TrainingRun,
    keeping: &Keeping,
    identity: &str,
) -> Result<Option<Finished>> {
    let Some((result, files)) = stored(&own(keeping, run, RESULT)?, identity)? else {
        return Ok(None);
    };
    if let Some(missing) = files.missing(keeping.dir.root())? {
        tracing::warn!("{missing} of a finished run is missing: {} is done again", run.name);
        return Ok(None);
    }
    let mut scores = Vec::new();
    for &method in run.methods {
        let path = own(keeping, run, &format!("{method}.npy"))?;
        let array = npy::read(&path)?;
        let values = array.into_column(session.data.train.len(), &path.display().to_string())?;
        scores.push((method, values));
    }
    let predictions = match run.predictions {
        true => Some(read_predictions(session, run, &own(keeping, run, PREDICTIONS)?)?),
        false => None,
    };
    let outcome = match run.baseline {
        // The checkpoint has the layer that DFR replaces.
        Some(Baseline::Dfr { .. }) => None,
        _ if keeping.keep_checkpoint => {
            checkpoint::load(&checkpoint_path(keeping, run)?, identity)?
        }
        _ => None,
    };
    let outcome = outcome.map(Checkpoint::into_outcome);
    remove_leftovers(run, keeping)?;
    Ok(Some(Finished { result, scores, extracted: None, predictions, outcome }))
}

/// Does the run, from its checkpoint if there is one, and writes what it leaves; last its result.
fn do_and_write(
    session: &Session,
    run: &TrainingRun,
    keeping: &Keeping,
    identity: &str,
    control: &mut Control,
) -> Result<Finished> {
    let checkpoint = checkpoint_path(keeping, run)?;
    own(keeping, run, SCORING)?;
    if run.baseline.is_some() {
        own(keeping, run, FIRST_STAGE)?;
    }
    if run.record.is_some() {
        own(keeping, run, ROWS_FILE)?;
    }
    control.checkpoint = Some((checkpoint, keeping.interval));
    let finished = compute(session, run, identity.to_owned(), control);
    control.checkpoint = None;
    let mut finished = finished?;
    export::write(session, run, &mut finished, keeping.dir)?;
    finished.extracted = None;
    let mut names = export::files(session, run);
    for (method, values) in &finished.scores {
        let name = format!("{method}.npy");
        npy::write(&own(keeping, run, &name)?, &[values.len()], values)?;
        names.push(format!("work/{}/{name}", run.name));
    }
    if let Some(said) = &finished.predictions {
        let shape = [said.labels.len(), session.network.classes];
        npy::write(&own(keeping, run, PREDICTIONS)?, &shape, &said.log_probabilities)?;
        names.push(format!("work/{}/{PREDICTIONS}", run.name));
    }
    let files = FileDigests::of(keeping.dir.root(), names.iter().map(String::as_str))?;
    write_result(keeping, run, &finished.result, &files)?;
    if !keeping.keep_checkpoint {
        discard_checkpoint(keeping, run)?;
    }
    remove_leftovers(run, keeping)?;
    Ok(finished)
}

/// States that the caller made the files `names` of what the run left, so that the run is done again where
/// they are lost.
pub fn record_files(keeping: &Keeping, run: &TrainingRun, names: &[&str]) -> Result<()> {
    let path = own(keeping, run, RESULT)?;
    let Some((result, mut files)) = read_result(&path)? else { return Ok(()) };
    files.extend(FileDigests::of(keeping.dir.root(), names.iter().copied())?);
    write_result(keeping, run, &result, &files)
}

/// Whether the result states the file `name`, and so was made with it.
pub fn records_file(keeping: &Keeping, run: &TrainingRun, name: &str) -> Result<bool> {
    let stored = read_result(&own(keeping, run, RESULT)?)?;
    Ok(stored.is_some_and(|(_, files)| files.get(name).is_some()))
}

/// What a run that is done said of its validation images.
fn read_predictions(
    session: &Session,
    run: &TrainingRun,
    path: &Path,
) -> Result<ValidationPredictions> {
    let name = path.display().to_string();
    let (classes, values) = npy::read(path)?.into_features(run.part.val.len(), &name)?;
    match classes == session.network.classes {
        true => {
            let QueryPart { val_part, val, .. } = &run.part;
            Ok(ValidationPredictions::of(session, *val_part, val, values))
        }
        false => {
            let expected = format!("{}, the classes of the network", session.network.classes);
            Err(Error::invalid(name, format!("{classes} columns"), expected))
        }
    }
}

/// Removes the run's checkpoint, if there is one.
pub fn discard_checkpoint(keeping: &Keeping, run: &TrainingRun) -> Result<()> {
    remove(&checkpoint_path(keeping, run)?)
}

/// Forgets the run's result, so that the run is done again.
pub fn discard_result(keeping: &Keeping, run: &TrainingRun) -> Result<()> {
    remove(&own(keeping, run, RESULT)?)
}

fn checkpoint_path(keeping: &Keeping, run: &TrainingRun) -> Result<PathBuf> {
    own(keeping, run, "checkpoint.safetensors")
}

/// What was recorded lies in the output folder when the result does; a first stage has done its work.
fn remove_leftovers(run: &TrainingRun, keeping: &Keeping) -> Result<()> {
    if run.baseline.is_some() {
        remove(&own(keeping, run, FIRST_STAGE)?)?;
    }
    match run.record {
        Some(_) => remove(&own(keeping, run, ROWS_FILE)?),
        None => Ok(()),
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

/// A result on disk, with the digests of what the run left beside it.
#[derive(Serialize)]
struct StoredResult<'a> {
    files: &'a FileDigests,
    #[serde(flatten)]
    result: &'a RunResult,
}

/// The part of a result on disk that is not [`RunResult`].
#[derive(Deserialize)]
struct StoredFiles {
    files: FileDigests,
}

fn write_result(
    keeping: &Keeping,
    run: &TrainingRun,
    result: &RunResult,
    files: &FileDigests,
) -> Result<()> {
    integrity::write_json(&own(keeping, run, RESULT)?, &StoredResult { files, result })
}

fn read_result(path: &Path) -> Result<Option<(RunResult, FileDigests)>> {
    let Some(bytes) = input::read_if_there(path, input::MOST_DOCUMENT)? else { return Ok(None) };
    integrity::check_own(path, &bytes)?;
    let bad = |e: serde_json::Error| Error::damaged(path, e.to_string());
    let result: RunResult = serde_json::from_slice(&bytes).map_err(bad)?;
    let StoredFiles { files } = serde_json::from_slice(&bytes).map_err(bad)?;
    Ok(Some((result, files)))
}

fn stored(path: &Path, identity: &str) -> Result<Option<(RunResult, FileDigests)>> {
    match read_result(path)? {
        Some((result, _)) if result.identity != identity => {
            let found = format!("the result of another run ({})", result.identity);
            let expected = format!("this run's ({identity}); `force` starts anew");
            Err(Error::invalid(path.display().to_string(), found, expected))
        }
        stored => Ok(stored),
    }
}
