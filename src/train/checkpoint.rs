//! The state of a run between two steps, which is enough to go on as if nothing had happened. It carries
//! the digest of its content, and what is not what was written is refused.
//!
//! Random numbers need no state of their own, because every draw is a function of (seed, epoch,
//! sample).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::outcome::{EpochRecord, TrainOutcome};
use crate::artefact::atomic;
use crate::artefact::input;
use crate::artefact::integrity::{self, CONTENT_DIGEST, ZEROS};
use crate::error::{Error, Result};
use crate::nn::Weights;
use crate::tensor::Tensor;

/// Version of the file's layout.
const FORMAT_VERSION: u32 = 2;

/// The place in a run from which it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPosition {
    /// Version of the file's layout.
    pub format_version: u32,
    /// Everything that determines the run's result; another run's checkpoint is refused.
    pub job: String,
    /// Number of the current epoch, from 0.
    pub epoch: u32,
    /// Number of batches done in this epoch.
    pub batch: u32,
    /// Number of steps done in the run.
    pub steps: u64,
    /// Number of samples that took part in updates.
    #[serde(default)]
    pub presented: u64,
    /// Number of samples that were looked at only to choose among them.
    #[serde(default)]
    pub selected: u64,
    /// Seconds of training so far, over all interruptions.
    pub seconds: f64,
    /// One record for each finished epoch.
    pub history: Vec<EpochRecord>,
    /// Digests of the finished epochs' rows in the file beside the checkpoint, where the run is recorded.
    #[serde(default)]
    pub rows: Vec<String>,
}

impl RunPosition {
    /// Returns the position at the start of a run.
    pub fn start(job: String) -> Self {
        RunPosition {
            format_version: FORMAT_VERSION,
            job,
            epoch: 0,
            batch: 0,
            steps: 0,
            presented: 0,
            selected: 0,
            seconds: 0.0,
            history: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Tells what of the position no run of `until` steps can have, whose epochs span `span` steps.
    pub(super) fn impossible(&self, until: u64, span: u64) -> Option<String> {
        let epochs = until.div_ceil(span.max(1));
        let RunPosition { epoch, batch, steps, history, .. } = self;
        if u64::from(*epoch) > epochs {
            Some(format!("epoch {epoch} of {epochs}"))
        } else if *steps > until || u64::from(*batch) > *steps {
            Some(format!("step {steps} of {until}, batch {batch}"))
        } else if history.len() != *epoch as usize {
            Some(format!("records of {} epochs after {epoch}", history.len()))
        } else {
            None
        }
    }
}

/// A run's whole state.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where the run stands.
    pub position: RunPosition,
    /// The current weights.
    pub weights: Weights,
    /// The optimiser's velocities, by the names of their weights.
    pub velocities: BTreeMap<String, Tensor>,
    /// Weights at the best validation accuracy so far, if they are kept.
    pub best: Option<Weights>,
    /// Values of this epoch's presentations so far, one for each sample.
    pub columns: BTreeMap<String, Vec<f32>>,
    /// ln p of every sample's last presentation, N x K, where divergences are recorded.
    pub previous: Vec<f32>,
    /// State of the baseline.
    pub policy: BTreeMap<String, Vec<f32>>,
}

impl Checkpoint {
    /// Returns the outcome of a run that this is the end of, without what it recorded.
    pub fn into_outcome(mut self) -> TrainOutcome {
        TrainOutcome {
            times_presented: self.policy.remove(TIMES_PRESENTED),
            weights: self.weights,
            best_weights: self.best,
            steps: self.position.steps,
            presented: self.position.presented,
            selected: self.position.selected,
            seconds: self.position.seconds,
            history: self.position.history,
            dynamics: None,
        }
    }
}

/// Name, in the state of a baseline, of how many epochs presented each sample.
pub(super) const TIMES_PRESENTED: &str = "times-presented";

/// Name prefix of the model's tensors; those of the other kinds follow.
const MODEL: &str = "model.";
const VELOCITY: &str = "velocity.";
const BEST: &str = "best.";
const COLUMN: &str = "column.";
const PREVIOUS: &str = "previous";
const POLICY: &str = "policy.";

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("checkpoint: {error}"))
}

/// Writes the checkpoint. On any failure the previous one stays.
pub fn save(path: &Path, checkpoint: &Checkpoint) -> Result<()> {
    let position = serde_json::to_string(&checkpoint.position).map_err(internal)?;
    let best = checkpoint.best.iter().flat_map(|w| &w.tensors);
    let vector = |v: &Vec<f32>| Cow::Owned(Tensor { shape: vec![v.len()], data: v.clone() });
    let columns = checkpoint.columns.iter().map(|(n, v)| (COLUMN, n.as_str(), vector(v)));
    let policy = checkpoint.policy.iter().map(|(n, v)| (POLICY, n.as_str(), vector(v)));
    let previous = Some(&checkpoint.previous).filter(|v| !v.is_empty());
    let previous = previous.into_iter().map(|v| (PREVIOUS, "", vector(v)));
    let tensors =
        (checkpoint.weights.tensors.iter().map(|(n, t)| (MODEL, n.as_str(), Cow::Borrowed(t))))
            .chain(
                checkpoint.velocities.iter().map(|(n, t)| (VELOCITY, n.as_str(), Cow::Borrowed(t))),
            )
            .chain(best.map(|(n, t)| (BEST, n.as_str(), Cow::Borrowed(t))))
            .chain(columns)
            .chain(policy)
            .chain(previous);
    let named: Vec<(String, Cow<Tensor>)> =
        tensors.map(|(prefix, name, t)| (format!("{prefix}{name}"), t)).collect();
    let mut views = Vec::new();
    for (name, t) in &named {
        let bytes: &[u8] = bytemuck::cast_slice(&t.data);
        views.push((name, TensorView::new(Dtype::F32, t.shape.clone(), bytes).map_err(internal)?));
    }
    let metadata =
        [("position".to_owned(), position), (CONTENT_DIGEST.to_owned(), ZEROS.to_owned())];
    let metadata = HashMap::from(metadata);
    let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(internal)?;
    integrity::seal(&mut bytes)?;
    atomic::write_bytes(path, &bytes)
}

/// Reads a checkpoint of `job`; `None` if there is no file.
///
/// # Errors
/// [`Error::Damaged`]: it is not what was written. [`Error::Invalid`]: it is of another run.
pub fn load(path: &Path, job: &str) -> Result<Option<Checkpoint>> {
    let Some(bytes) = input::read_if_there(path, input::MOST)? else { return Ok(None) };
    integrity::check_own(path, &bytes)?;
    let what = || format!("checkpoint {}", path.display());
    let bad =
        |e: &dyn std::fmt::Display| Error::invalid(what(), e.to_string(), "a readable checkpoint");
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(&e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(&e))?;
    let position = header.metadata().as_ref().and_then(|m| m.get("position"));
    let position: RunPosition =
        serde_json::from_str(position.map_or("", |p| p)).map_err(|e| bad(&e))?;
    if position.format_version != FORMAT_VERSION {
        let found = format!("format version {}", position.format_version);
        return Err(Error::invalid(what(), found, FORMAT_VERSION.to_string()));
    }
    if position.job != job {
        let found = format!("the state of another run ({})", position.job);
        return Err(Error::invalid(
            what(),
            found,
            format!("this run's ({job}); `force` starts anew"),
        ));
    }
    let mut checkpoint = Checkpoint {
        position,
        weights: Weights::default(),
        velocities: BTreeMap::new(),
        best: None,
        columns: BTreeMap::new(),
        previous: Vec::new(),
        policy: BTreeMap::new(),
    };
    for (name, view) in file.tensors() {
        let data: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
        let tensor = Tensor::new(view.shape().to_vec(), data)?;
        if let Some(name) = name.strip_prefix(MODEL) {
            checkpoint.weights.tensors.insert(name.to_owned(), tensor);
        } else if let Some(name) = name.strip_prefix(VELOCITY) {
            checkpoint.velocities.insert(name.to_owned(), tensor);
        } else if let Some(name) = name.strip_prefix(BEST) {
            let best = checkpoint.best.get_or_insert_default();
            best.tensors.insert(name.to_owned(), tensor);
        } else if let Some(name) = name.strip_prefix(COLUMN) {
            checkpoint.columns.insert(name.to_owned(), tensor.data);
        } else if let Some(name) = name.strip_prefix(POLICY) {
            checkpoint.policy.insert(name.to_owned(), tensor.data);
        } else if name == PREVIOUS {
            checkpoint.previous = tensor.data;
        }
    }
    Ok(Some(checkpoint))
}
