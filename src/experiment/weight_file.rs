//! Weight files beside a data set: their sizes, classes and origin.

use std::path::{Path, PathBuf};

use super::settings::{DataSettings, DefaultNetwork, NetworkSettings};
use crate::artefact::{digest, input};
use crate::data::DataSet;
use crate::error::{Error, Result};
use crate::nn::{
    Likeness, Network, NetworkSpec, Weights, WeightsMetadata, nearest, recognise, weights,
};

/// How a network that this program does not know is scored.
const IN_PYTHON: &str = "; any other network is scored in PyTorch by

    from fairprune.torch import score
    model.load_state_dict(weights)
    score(model, loader, [\"el2n\", \"grand\"], folder=\"scores\")
";

/// A weight file that was read.
pub struct WeightFile {
    pub path: PathBuf,
    pub weights: Weights,
    pub metadata: WeightsMetadata,
    /// The network whose tensors they are, where it is a known one.
    pub recognised: Option<NetworkSpec>,
    /// Digest of the whole file.
    pub digest: String,
}

/// Whether a weight file is of a data set, and what a person should know of it.
pub struct WeightOrigin {
    /// `same`, `other`, or `unknown` where the file does not say.
    pub data: &'static str,
    pub notes: Vec<String>,
    pub warning: Option<String>,
}

impl WeightFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<WeightFile> {
        let bytes = input::read(path, input::MOST)?;
        let (weights, mut metadata) = weights::parse(path, &bytes)?;
        let recognised = recognise(&weights);
        if let (None, Some(spec)) = (metadata.arch, recognised) {
            metadata.notes.push(format!(
                "{} states no network: its tensors are those of {} (stem {}, width {}, {} classes)",
                path.display(),
                spec.arch,
                spec.stem,
                spec.width,
                spec.classes
            ));
        }
        let (path, digest) = (path.to_owned(), digest(&bytes));
        Ok(WeightFile { path, weights, metadata, recognised, digest })
    }

    /// Refuses tensors that are not those of `network`. Where they are those of no network that this program
    /// knows, the message says which one is nearest, and how any other is scored.
    pub fn check(&self, network: &Network) -> Result<()> {
        let checked = weights::check(&self.weights, network, &self.path.display().to_string());
        checked.map_err(|error| match error {
            Error::Invalid { what, found, expected } if self.recognised.is_none() => {
                let near = nearest(&self.weights).map_or(String::new(), |near| {
                    let Likeness { spec, shared, own, wanted } = near;
                    format!(
                        "; the nearest known network is {} (stem {}, width {}): {shared} of the file's {own} \
                         tensors are among its {wanted}",
                        spec.arch, spec.stem, spec.width
                    )
                });
                Error::Invalid { what, found, expected: format!("{expected}{near}{IN_PYTHON}") }
            }
            other => other,
        })
    }

    /// The network that the settings name, where they leave open what the tensors tell.
    pub fn network(&self, given: &NetworkSettings) -> (NetworkSettings, DefaultNetwork) {
        let Some(spec) = self.recognised else { return (given.clone(), DefaultNetwork::default()) };
        let stem = given.stem.or(self.metadata.stem).or(Some(spec.stem));
        let default = DefaultNetwork { arch: spec.arch, width: Some(spec.width) };
        (NetworkSettings { stem, ..given.clone() }, default)
    }

    /// The settings with the file's sizes where none was given.
    pub fn sized(&self, given: &DataSettings) -> DataSettings {
        let mut settings = given.clone();
        let side = |size: Option<[usize; 2]>| size.filter(|[h, w]| h == w).map(|[h, _]| h);
        if let (None, None) = (given.image_size, given.input_size) {
            let (seen, images) = (side(self.metadata.size), side(self.metadata.images));
            settings.image_size = images.or(seen);
            settings.input_size = images.and(seen);
        }
        settings
    }

    /// What of the images the file's network sees, where it is not all: as given, else as the file says
    /// unless an image size was given.
    pub fn input_size(&self, given: &DataSettings) -> Option<usize> {
        let stated = self.metadata.images.and(self.metadata.size);
        let stated = stated.filter(|[h, w]| h == w && given.image_size.is_none());
        given.input_size.or(stated.map(|[h, _]| h))
    }

    /// Refuses a file whose classes are not the data set's.
    pub fn check_classes(&self, data: &DataSet) -> Result<()> {
        let what = format!("weights {}", self.path.display());
        let (wanted, stated) = (data.classes.len(), &self.metadata.classes);
        let count = self.recognised.map(|spec| spec.classes).filter(|_| stated.is_none());
        if let Some(count) = count.filter(|&count| count != wanted) {
            let found = format!("a network of {count} classes");
            return Err(Error::invalid(what, found, format!("{wanted}, as in the data set")));
        }
        let Some(classes) = self.metadata.classes.as_ref().filter(|c| **c != data.classes) else {
            return Ok(());
        };
        let differs = classes.iter().zip(&data.classes).position(|(a, b)| a != b);
        let (found, expected) = match differs {
            Some(k) => (format!("class {k} is {}", classes[k]), data.classes[k].clone()),
            None => (format!("{} classes", classes.len()), data.classes.len().to_string()),
        };
        Err(Error::invalid(what, found, format!("{expected}, as in the data set")))
    }

    /// Whether the file is of this data set. Warns where it is of another, and notes where its normalisation
    /// is not known: images of a test set from elsewhere are worth an evaluation, but nobody should take
    /// them for the ones it learned.
    pub fn origin(&self, data: &DataSet, network: &NetworkSettings) -> WeightOrigin {
        let file = self.path.display();
        let stated = self.metadata.mean.or(self.metadata.std).is_some();
        let given = network.mean.is_some() || network.std.is_some();
        let unknown = (!stated && !given).then(|| {
            format!(
                "{file} states no normalisation: that of the training images of {} is used \
                 (`mean` and `std` give its own)",
                data.name
            )
        });
        let (relation, warning) = match &self.metadata.data {
            None => ("unknown", None),
            Some(stated) if *stated == data.fingerprint => ("same", None),
            Some(stated) => {
                let text = format!(
                    "{file} was trained on another data set (fingerprint {stated}) than {} \
                     ({}), or on the same one read otherwise; classes are the same, and the \
                     normalisation is the file's. None of these images need be among those it was \
                     trained on, and all of them may be",
                    data.name, data.fingerprint
                );
                ("other", Some(text))
            }
        };
        let notes: Vec<String> = self.metadata.notes.iter().cloned().chain(unknown).collect();
        WeightOrigin { data: relation, notes, warning }
    }
}
