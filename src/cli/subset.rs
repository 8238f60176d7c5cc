//! A subset file and the data set it belongs to.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fairprune::artefact::{Provenance, npy};
use fairprune::data::DataSet;
use fairprune::experiment::provenance;
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
    let positions = check_indices(&name, &positions, data.train.len())?;
    if data.long_tail.is_some() {
        check_within(&name, &positions, &data.present())?;
    }
    if let Some(stated) = &stated {
        provenance::check_positions(&name, stated, &positions)?;
    }
    Ok(Subset { positions, stated })
}
