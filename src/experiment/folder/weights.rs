//! The weights of a subset's picks, beside the subset.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::artefact::{Provenance, digest, npy};
use crate::error::{Error, Result};
use crate::experiment::strategy::Strategy;

/// Hyper-parameter of a subset: the hash of its weights.
const DIGEST: &str = "weights_digest";

/// Where the weights of a subset file lie: `weights.npy` beside `kept.npy` and `mask.npy`,
/// `weights-craig-0.npy` beside `kept-craig-0.npy`.
pub fn beside(subset: &Path) -> PathBuf {
    let name = subset.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let rest = name.strip_prefix("kept").unwrap_or(".npy");
    subset.with_file_name(format!("weights{rest}"))
}

/// States which weights a subset has.
pub fn stated(mut provenance: Provenance, weights: Option<&[f32]>) -> Provenance {
    if let (Some(weights), Some(method)) = (weights, provenance.methods.first_mut()) {
        let digest = digest(bytemuck::cast_slice(weights));
        method.hyper_parameters.insert(DIGEST.to_owned(), json!(digest));
    }
    provenance
}

/// The strategy that a subset's JSON states, if it is one of this program's.
pub fn strategy_of(provenance: &Provenance) -> Option<Strategy> {
    provenance.methods.first()?.name.parse().ok()
}

/// Reads the weights beside `subset`, which has `count` samples.
///
/// # Errors
/// None there, or others than the subset's JSON states.
pub fn read(subset: &Path, provenance: &Provenance, count: usize) -> Result<Vec<f32>> {
    let path = beside(subset);
    let name = path.display().to_string();
    if !path.is_file() {
        let what = format!("weights of {}", subset.display());
        let expected = format!("{name}, which is written with it; or `pick_weights` none");
        return Err(Error::invalid(what, "none", expected));
    }
    let weights = npy::read(&path)?.into_scores(count, &name)?;
    let wanted = provenance.methods.first().and_then(|m| m.hyper_parameters.get(DIGEST));
    let found = digest(bytemuck::cast_slice(&weights));
    match wanted.and_then(Value::as_str) {
        Some(wanted) if wanted == found => Ok(weights),
        wanted => {
            let wanted = wanted.unwrap_or("none");
            let expected = format!("those that the subset's JSON states (digest {wanted})");
            Err(Error::invalid(name, format!("weights of another subset ({found})"), expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_lie_beside_their_subset() {
        for (subset, weights) in [
            ("a/kept.npy", "a/weights.npy"),
            ("a/mask.npy", "a/weights.npy"),
            ("kept-craig-d0.3-0.npy", "weights-craig-d0.3-0.npy"),
        ] {
            assert_eq!(beside(Path::new(subset)), Path::new(weights));
        }
    }
}
