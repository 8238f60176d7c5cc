//! A half-done scoring pass on disk: the number of batches done, and their columns, with the digest of both.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::method::{Method, Scores};
use crate::artefact::atomic;
use crate::artefact::input;
use crate::artefact::integrity::{self, CONTENT_DIGEST, ZEROS};
use crate::error::{Error, Result};
use crate::ops::loss_score::Field;

/// Version of the file's layout.
const FORMAT_VERSION: u32 = 2;

/// Where a pass stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassPosition {
    format_version: u32,
    /// Everything that determines the scores.
    job: String,
    /// Number of samples in a batch, which must not change in between.
    batch: usize,
    /// Number of batches done.
    pub done: usize,
}

impl PassPosition {
    /// Describes a pass of `job` after `done` batches of `batch` samples.
    pub fn new(job: &str, batch: usize, done: usize) -> Self {
        PassPosition { format_version: FORMAT_VERSION, job: job.to_owned(), batch, done }
    }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("scoring state: {error}"))
}

/// Writes the state. On any failure the previous state stays.
pub fn save(path: &Path, position: &PassPosition, columns: &[(Method, Vec<f32>)]) -> Result<()> {
    let mut views = Vec::new();
    for (method, values) in columns {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let view = TensorView::new(Dtype::F32, vec![values.len()], bytes).map_err(internal)?;
        views.push((method.name(), view));
    }
    let text = serde_json::to_string(position).map_err(internal)?;
    let metadata = [("position".to_owned(), text), (CONTENT_DIGEST.to_owned(), ZEROS.to_owned())];
    let metadata = HashMap::from(metadata);
    let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(internal)?;
    integrity::seal(&mut bytes)?;
    atomic::write_bytes(path, &bytes)
}

/// Returns the batches done and the columns of an earlier, unfinished pass of the same job; `None`
/// if there is none, or if it was made with another batch size (the pass then starts over).
/// `batches` is how many there are in all.
///
/// # Errors
/// [`Error::Damaged`]: it is not what was written, or has more batches done than there are.
/// [`Error::Invalid`]: it is of another pass.
pub fn load(
    path: &Path,
    job: &str,
    [batch, batches]: [usize; 2],
    fields: &[(Method, Field)],
) -> Result<Option<(usize, Scores)>> {
    let Some(bytes) = input::read_if_there(path, input::MOST)? else { return Ok(None) };
    integrity::check_own(path, &bytes)?;
    let bad = |found: String| {
        let expected = "the state of this scoring pass; `force` starts anew";
        Error::invalid(path.display().to_string(), found, expected)
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let text = header.metadata().as_ref().and_then(|m| m.get("position")).cloned();
    let position: PassPosition =
        serde_json::from_str(&text.unwrap_or_default()).map_err(|e| bad(e.to_string()))?;
    if position.format_version != FORMAT_VERSION || position.job != job {
        return Err(bad("the state of another pass".to_owned()));
    }
    if position.batch != batch {
        return Ok(None);
    }
    if position.done > batches {
        let found = format!("{} of {batches} batches done", position.done);
        return Err(Error::damaged(path, found));
    }
    let mut columns = Vec::new();
    for &(method, _) in fields {
        let view = file.tensor(method.name()).map_err(|e| bad(e.to_string()))?;
        columns.push((method, bytemuck::pod_collect_to_vec(view.data())));
    }
    Ok(Some((position.done, columns)))
}
