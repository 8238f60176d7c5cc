//! A subset file and the data set it belongs to.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fairprune::artefact::{Provenance, npy};
use fairprune::data::DataSet;
use fairprune::error::Error;
use fairprune::experiment::strategy::Choice;
use fairprune::experiment::weights::{self, PickWeights};
use fairprune::experiment::{Strategy, provenance};
use fairprune::prune::{check_indices, check_within};

use super::args::Common;
use super::output;

/// Positions in the training set, and where they come from.
pub struct Subset {
    /// Ascending, each once.
    pub positions: Vec<usize>,
    /// The JSON of the same name, where there is one.
    pub stated: Option<Provenance>,
}

/// The weights that a subset is trained with, in the order of its positions.
pub struct Weights {
    /// Of whose picks.
    pub strategy: Strategy,
    pub file: PathBuf,
    pub values: Vec<f32>,
}

impl Subset {
    /// The weights beside the subset's file, where its method is one whose picks `asked` trains with;
    /// None: the default.
    pub fn weights(&self, path: &Path, asked: Option<PickWeights>) -> Result<Option<Weights>> {
        let choice = Choice { weights: asked.unwrap_or_default(), ..Choice::default() };
        let strategy = self.stated.as_ref().and_then(weights::strategy_of);
        match (strategy.filter(|s| s.trains_with_weights(&choice)), &self.stated) {
            (Some(strategy), Some(stated)) => {
                let values = weights::read(path, stated, self.positions.len())?;
                Ok(Some(Weights { strategy, file: weights::beside(path), values }))
            }
            _ if asked.is_none_or(|a| a == PickWeights::None) => Ok(None),
            _ => {
                let found = strategy.map_or("unknown".to_owned(), |s| s.to_string());
                let found = format!("{}, whose strategy is {found}", path.display());
                let expected = "a subset of craig, grad-match or, with all, facility-location, with the \
                                JSON and weights.npy that `prune` or `run` wrote beside it";
                Err(Error::invalid("--pick-weights", found, expected).into())
            }
        }
    }
}

/// The JSON that states where an array comes from.
pub fn sidecar(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// The JSON that there is: `prune` writes one for kept.npy and mask.npy together.
fn beside(path: &Path) -> PathBuf {
    let (own, shared) = (sidecar(path), path.with_file_name("kept.json"));
    let is_mask = path.file_name().is_some_and(|name| name == "mask.npy");
    if is_mask && !own.exists() && shared.exists() { shared } else { own }
}

/// Reads positions or a mask, checked against the data set; its fingerprint too where a JSON of the
/// same name states it.
pub fn read(common: &Common, path: &Path, data: &DataSet) -> Result<Subset> {
    let name = path.display().to_string();
    if path.is_dir() {
        let expected = format!("a file of positions or a mask, such as {name}/kept.npy");
        return Err(Error::invalid(format!("--subset {name}"), "a folder", expected).into());
    }
    std::fs::metadata(path).map_err(Error::io(path))?;
    let sidecar = beside(path);
    let mut stated = None;
    if sidecar.exists() {
        let found = Provenance::read(&sidecar)?;
        if let Some(text) = found.check_positions(&name, &provenance::identity(data))? {
            output::note(common, format!("note: {text}"));
        }
        stated = Some(found);
    } else {
        let text = format!(
            "note: {name} comes without {}: which data set it belongs to is unknown",
            sidecar.display()
        );
        output::note(common, text);
    }
    let array = npy::read(path)?;
    let positions: Vec<i64> =
        array.into_positions(data.train.len(), &name)?.into_iter().map(|i| i as i64).collect();
    let mut positions = check_indices(&name, &positions, data.train.len())?;
    // A set of positions: other programs write them in any order.
    positions.sort_unstable();
    if data.long_tail.is_some() {
        check_within(&name, &positions, &data.present())?;
    }
    if let Some(stated) = &stated {
        provenance::check_positions(&name, stated, &positions)?;
    }
    Ok(Subset { positions, stated })
}
