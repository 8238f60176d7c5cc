//! Which runs train with the weights of their picks, and where those lie beside a subset.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::strategy::{Choice, Quota, Ranking, Strategy};
use crate::artefact::{Provenance, digest, npy};
use crate::error::{Error, Result};
use crate::prune::{Population, Scope, Subset, names, training_weights};

/// Hyper-parameter of a subset: the hash of its weights.
const DIGEST: &str = "weights_digest";

/// Whose picks are trained with their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PickWeights {
    /// Those of methods whose authors do so: CRAIG and GradMatch.
    #[default]
    Method,
    /// Those of every method that gives some: of facility location, too.
    All,
    /// Nobody's.
    None,
}

names!(
    PickWeights,
    "--pick-weights",
    "method" => PickWeights::Method,
    "all" => PickWeights::All,
    "none" => PickWeights::None,
);

impl Strategy {
    /// Whether its runs train with the weights of its picks.
    pub fn trains_with_weights(self, choice: &Choice) -> bool {
        let Strategy::Pruned { ranking: Ranking::Picks(picker), .. } = self else { return false };
        let selector = picker.selector(&choice.pickers);
        match choice.weights {
            PickWeights::Method => selector.trains_with_weights(),
            PickWeights::All => selector.gives_weights(),
            PickWeights::None => false,
        }
    }

    /// The weights of a subset that it kept, in the order of the subset, as training takes them: they
    /// average 1, inside each class where the method picked there or a quota says what a class counts.
    /// None where its method gives none.
    pub fn weights_of(
        self,
        subset: &Subset,
        population: Population,
        choice: &Choice,
    ) -> Result<Option<Vec<f32>>> {
        let (Strategy::Pruned { ranking: Ranking::Picks(picker), quota }, Some(picks)) =
            (self, &subset.picks)
        else {
            return Ok(None);
        };
        let quotas = quota != Quota::None;
        let scope = picker.selector(&choice.pickers).scope(quotas);
        let scope = choice.pickers.scope.unwrap_or(scope);
        training_weights(population, picks, quotas || scope == Scope::Class)
    }
}

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
        let expected = format!("{name}, which is written with it; or --pick-weights none");
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
    fn the_authors_decide_unless_told_otherwise() {
        let trains = |name: &str, weights| {
            let choice = Choice { weights, ..Choice::default() };
            name.parse::<Strategy>().unwrap().trains_with_weights(&choice)
        };
        for (name, method, all) in [
            ("craig", true, true),
            ("grad-match+metriq", true, true),
            ("facility-location", false, true),
            ("coreset", false, false),
            ("random+craigq", false, false),
            ("metriq", false, false),
            ("full", false, false),
        ] {
            assert_eq!(trains(name, PickWeights::Method), method, "{name}");
            assert_eq!(trains(name, PickWeights::All), all, "{name}");
            assert!(!trains(name, PickWeights::None), "{name}");
        }
        assert_eq!("all".parse::<PickWeights>().unwrap(), PickWeights::All);
        assert!("yes".parse::<PickWeights>().unwrap_err().to_string().contains("--pick-weights"));
    }

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
