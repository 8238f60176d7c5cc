//! Features and predictions of a network, on disk: the arrays, and a JSON that says whose they are.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::artefact::integrity::FileDigests;
use crate::artefact::provenance::{DataIdentity, MethodRecord, read_json};
use crate::artefact::{OutputDir, Provenance, npy};
use crate::data::PartName;
use crate::error::Result;
use crate::experiment::strategy::{Material, ValidationMaterial};
use crate::score::features::{Extracted, FeatureMatrix};

/// Files of the features: the arrays, and last the JSON that says whose they are.
pub const FEATURES: [&str; 3] = ["features.npy", "probabilities.npy", "features.json"];
/// The file of the features of a whole part that is not trained on.
pub fn features_of(part: PartName) -> String {
    format!("features-{}.npy", part.name())
}

/// Files of the validation images, whose rows are described with those of the training part.
pub const VALIDATION: [&str; 3] =
    ["validation-features.npy", "validation-probabilities.npy", "validation-labels.npy"];

/// Where a run leaves the features of the training part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extract {
    /// Below the output folder; empty: there.
    pub folder: String,
    /// Leave those of the validation images as well.
    pub validation: bool,
    /// Leave those of the shipped validation part and of the test part as well.
    pub parts: bool,
}

impl Extract {
    /// The path of one of the files below the output folder.
    pub fn path(&self, file: &str) -> String {
        if self.folder.is_empty() { file.to_owned() } else { format!("{}/{file}", self.folder) }
    }
}

/// What `features.json` says.
#[derive(Serialize)]
struct Described<'a> {
    #[serde(flatten)]
    provenance: &'a Provenance,
    digests: &'a FileDigests,
}

/// The part of `features.json` that is not provenance; nothing in files of earlier versions.
#[derive(Default, Deserialize)]
struct StatedDigests {
    #[serde(default)]
    digests: FileDigests,
}

/// The digests of the arrays in `folder` that `features.json` states, if it is there.
fn digests(folder: &Path) -> Result<FileDigests> {
    let path = folder.join(FEATURES[2]);
    match path.is_file() {
        true => Ok(read_json::<StatedDigests>(&path, Provenance::FORMAT_VERSION)?.digests),
        false => Ok(FileDigests::default()),
    }
}

/// The digest that the document `json` beside an array states of it, if it does.
pub(super) fn stated_digest(json: &Path, array: &Path) -> Result<Option<String>> {
    let stated: StatedDigests = read_json(json, Provenance::FORMAT_VERSION)?;
    let name = array.file_name().unwrap_or_default().to_string_lossy();
    Ok(stated.digests.get(&name).map(str::to_owned))
}

/// `features.npy` (N x D), `probabilities.npy` (N x K) and `features.json`, which states their digests and
/// those of the files `more` beside them.
pub fn write_features(
    dir: &OutputDir,
    extract: &Extract,
    data: DataIdentity,
    extracted: &Extracted,
    parameters: Map<String, Value>,
    seeds: Vec<u64>,
    more: &[String],
) -> Result<()> {
    let [features, probabilities, description] = FEATURES.map(|f| extract.path(f));
    write_arrays(dir, [features, probabilities], extracted)?;
    let method = MethodRecord {
        name: "features".to_owned(),
        variant:
            "input of the last layer (global average pooling), eval mode, no augmentation; a row \
                  a training sample in data-set order"
                .to_owned(),
        direction: None,
        hyper_parameters: parameters,
    };
    let names = FEATURES[..2].iter().copied().chain(more.iter().map(String::as_str));
    let digests = FileDigests::of(&dir.root().join(&extract.folder), names)?;
    let provenance = Provenance::new(data, vec![method], seeds);
    let described = Described { provenance: &provenance, digests: &digests };
    dir.write_sealed(&description, &described)?;
    Ok(())
}

/// Writes features (N x D) and probabilities (N x K) to the two named files.
pub fn write_arrays(dir: &OutputDir, names: [String; 2], extracted: &Extracted) -> Result<()> {
    let (samples, width) = (extracted.features.samples(), extracted.features.width);
    npy::write(&dir.file(&names[0])?, &[samples, width], &extracted.features.values)?;
    let p = &extracted.probabilities;
    npy::write(&dir.file(&names[1])?, &[samples, p.len() / samples.max(1)], p)
}

/// Reads the features (rows x D) of a whole part that is not trained on.
pub fn read_part(
    root: &Path,
    extract: &Extract,
    part: PartName,
    rows: usize,
) -> Result<FeatureMatrix> {
    let (folder, name) = (root.join(&extract.folder), features_of(part));
    let (path, digests) = (folder.join(&name), digests(&folder)?);
    let array = npy::read_stated(&path, digests.get(&name))?;
    let (width, values) = array.into_features(rows, &path.display().to_string())?;
    Ok(FeatureMatrix { width, values })
}

/// Reads what lies in `root`, of a training part of `samples` samples in `classes` classes.
pub fn read_features(
    root: &Path,
    extract: &Extract,
    samples: usize,
    classes: usize,
) -> Result<Material> {
    let path = |file: &str| root.join(extract.path(file));
    let digests = digests(&root.join(&extract.folder))?;
    let read = |file: &str, rows: usize| {
        let path = path(file);
        npy::read_stated(&path, digests.get(file))?.into_features(rows, &path.display().to_string())
    };
    let features = |file: &str, rows: usize| {
        read(file, rows).map(|(width, values)| FeatureMatrix { width, values })
    };
    let [of_train, p_train, _] = FEATURES;
    let [of_val, p_val, y_val] = VALIDATION;
    let validation = match extract.validation && path(y_val).is_file() {
        false => None,
        true => {
            let place = path(y_val);
            let labels = npy::read_stated(&place, digests.get(y_val))?
                .into_positions(classes, &place.display().to_string())?;
            let labels: Vec<u32> = labels.into_iter().map(|k| k as u32).collect();
            Some(ValidationMaterial {
                features: features(of_val, labels.len())?,
                probabilities: read(p_val, labels.len())?.1,
                labels,
            })
        }
    };
    Ok(Material {
        features: Some(Arc::new(features(of_train, samples)?)),
        probabilities: Some(read(p_train, samples)?.1),
        validation,
    })
}
