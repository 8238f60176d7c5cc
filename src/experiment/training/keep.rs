//! Training runs that are kept on disk, so that a resumed job does not do them again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::compute::{SCORING, compute};
use super::export;
use super::result::{Finished, RunResult, ValidationPredictions};
use super::run::TrainingRun;
use super::stages::FIRST_STAGE;
use crate::artefact::{OutputDir, atomic, npy};
use crate::data::QueryPart;
use crate::error::{Error, Result};
use crate::experiment::session::Session;
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::recorder::ROWS_FILE;
use crate::train::{Baseline, Control};

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

/// Does the run, or loads its result.
pub fn complete(
    session: &Session,
    run: &TrainingRun,
    keeping: Option<&Keeping>,
    control: &mut Control,
) -> Result<Finished> {
    let identity = run.identity(session)?;
    let file = |name: &str| -> Result<Option<PathBuf>> {
        keeping.map(|k| k.dir.file(&format!("work/{}/{name}", run.name))).transpose()
    };
    let result_path = file("result.json")?;
    if let Some(path) = &result_path
        && let Some(result) = stored(path, &identity)?
        && keeping.is_none_or(|k| export::complete(k.dir, run))
        && (!run.predictions || file(PREDICTIONS)?.is_none_or(|p| p.is_file()))
    {
        let mut scores = Vec::new();
        for &method in run.methods {
            let path = file(&format!("{method}.npy"))?.unwrap_or_default();
            let array = npy::read(&path)?;
            let values =
                array.into_column(session.data.train.len(), &path.display().to_string())?;
            scores.push((method, values));
        }
        let predictions = match file(PREDICTIONS)? {
            Some(path) if run.predictions => Some(read_predictions(session, run, &path)?),
            _ => None,
        };
        let outcome = match keeping {
            // The checkpoint has the layer that DFR replaces.
            Some(_) if matches!(run.baseline, Some(Baseline::Dfr { .. })) => None,
            Some(k) if k.keep_checkpoint => checkpoint::load(&checkpoint_path(k, run)?, &identity)?,
            _ => None,
        };
        let outcome = outcome.map(Checkpoint::into_outcome);
        remove_leftovers(run, keeping)?;
        return Ok(Finished { result, scores, extracted: None, predictions, outcome });
    }
    let checkpoint = keeping.map(|k| checkpoint_path(k, run)).transpose()?;
    file(SCORING)?;
    if run.baseline.is_some() {
        file(FIRST_STAGE)?;
    }
    if run.record.is_some() {
        file(ROWS_FILE)?;
    }
    control.checkpoint = checkpoint.clone().zip(keeping.map(|k| k.interval));
    let finished = compute(session, run, identity, control);
    control.checkpoint = None;
    let mut finished = finished?;
    if let Some(keeping) = keeping {
        export::write(session, run, &mut finished, keeping.dir)?;
        finished.extracted = None;
    }
    for (method, values) in &finished.scores {
        if let Some(path) = file(&format!("{method}.npy"))? {
            npy::write(&path, &[values.len()], values)?;
        }
    }
    if let (Some(said), Some(path)) = (&finished.predictions, file(PREDICTIONS)?) {
        let shape = [said.labels.len(), session.network.classes];
        npy::write(&path, &shape, &said.log_probabilities)?;
    }
    if let Some(path) = &result_path {
        atomic::write_json(path, &finished.result)?;
    }
    if let Some(keeping) = keeping.filter(|k| !k.keep_checkpoint) {
        discard_checkpoint(keeping, run)?;
    }
    remove_leftovers(run, keeping)?;
    Ok(finished)
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
    remove(&keeping.dir.file(&format!("work/{}/result.json", run.name))?)
}

fn checkpoint_path(keeping: &Keeping, run: &TrainingRun) -> Result<PathBuf> {
    keeping.dir.file(&format!("work/{}/checkpoint.safetensors", run.name))
}

/// What was recorded lies in the output folder when the result does; a first stage has done its work.
fn remove_leftovers(run: &TrainingRun, keeping: Option<&Keeping>) -> Result<()> {
    if let (Some(keeping), Some(_)) = (keeping, run.baseline) {
        remove(&keeping.dir.file(&format!("work/{}/{FIRST_STAGE}", run.name))?)?;
    }
    match keeping.filter(|_| run.record.is_some()) {
        Some(k) => remove(&k.dir.file(&format!("work/{}/{ROWS_FILE}", run.name))?),
        None => Ok(()),
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

fn stored(path: &PathBuf, identity: &str) -> Result<Option<RunResult>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let result: RunResult = serde_json::from_slice(&bytes).map_err(|e| {
        Error::invalid(
            path.display().to_string(),
            e.to_string(),
            "a result of this program; `force` starts anew",
        )
    })?;
    if result.identity != identity {
        let found = format!("the result of another run ({})", result.identity);
        let expected = format!("this run's ({identity}); `force` starts anew");
        return Err(Error::invalid(path.display().to_string(), found, expected));
    }
    Ok(Some(result))
}
