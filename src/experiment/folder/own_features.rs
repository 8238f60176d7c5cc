//! Features that the user brings, and the scores that are made from them.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::features::stated_digest;
use super::provenance;
use super::scores::MethodScores;
use crate::artefact::provenance::DataIdentity;
use crate::artefact::{Provenance, digest, npy};
use crate::data::DataSet;
use crate::error::{Error, Result};
use crate::experiment::strategy::{Picker, PickerOptions};
use crate::score::features::{self, Evidence, FeatureMatrix};
use crate::score::options::SspForm;
use crate::score::{Kind, Method, Options};
use crate::train::Seeds;

/// Variants of SSP on features that were given.
const OWN_LABELS: &str = "the user's features; Euclidean distance to the mean of the own class";
const OWN_PROTOTYPES: &str =
    "the user's features; 1 - cos to the nearest centroid of spherical k-means";

/// A file of features, checked against the data set.
#[derive(Clone)]
pub struct OwnFeatures {
    /// One row a training sample.
    pub features: Arc<FeatureMatrix>,
    /// Digest of their values.
    pub digest: String,
}

impl OwnFeatures {
    /// Reads a file of features of `data`.
    pub fn read(path: &Path, data: &DataSet) -> Result<Self> {
        Self::read_for(path, &provenance::identity(data))
    }

    /// Reads a file of features of the data set that `data` identifies.
    pub fn read_for(path: &Path, data: &DataIdentity) -> Result<Self> {
        let sidecar = path.with_extension("json");
        let mut digest_stated = None;
        match sidecar.is_file().then(|| Provenance::read(&sidecar)) {
            Some(Ok(stated)) => {
                stated.check_data(&path.display().to_string(), data)?;
                digest_stated = stated_digest(&sidecar, path)?;
            }
            Some(Err(error @ Error::Damaged { .. })) => return Err(error),
            // A JSON of another program says nothing to this one.
            Some(Err(_)) | None => {}
        }
        let array = npy::read_stated(path, digest_stated.as_deref())?;
        let name = format!("`features` {}", path.display());
        let (width, values) = array.into_features(data.samples, &name)?;
        let digest = digest(bytemuck::cast_slice(&values));
        Ok(OwnFeatures { features: Arc::new(FeatureMatrix { width, values }), digest })
    }

    /// Refuses methods that look at predictions and features of one network at once.
    pub fn check(pickers: &[Picker], options: &PickerOptions) -> Result<()> {
        let both = |p: &&Picker| p.needs_features(options) && p.needs_probabilities(options);
        match pickers.iter().find(both) {
            None => Ok(()),
            Some(picker) => {
                let expected =
                    "features of the network whose predictions it looks at: leave it out";
                Err(Error::invalid("`features`", format!("a file, for {picker}"), expected))
            }
        }
    }

    /// What decides a result that is made of them.
    pub fn describe(&self) -> Value {
        json!({ "source": "file", "digest": self.digest, "width": self.features.width })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> u64 {
        4 * self.features.values.len() as u64
    }

    /// The scores of `methods` that are made from features.
    pub fn scores(
        &self,
        methods: &[Method],
        options: &Options,
        data: &DataSet,
        eligible: &[usize],
        seed: u64,
    ) -> Result<Vec<MethodScores>> {
        let seed = Seeds::derive(seed, 0).subset;
        let evidence = Evidence::of(data, eligible, &self.features, None, seed);
        let wanted = methods.iter().filter(|m| m.kind(options) == Kind::Features);
        let one = |&method: &Method| {
            let values = features::score(method, options, evidence)?;
            let mut parameters = method.parameters(options);
            parameters.insert("features".to_owned(), self.describe());
            Ok(MethodScores {
                method,
                values: values.into_iter().map(f64::from).collect(),
                variant: match options.ssp {
                    SspForm::Labels => OWN_LABELS.to_owned(),
                    SspForm::Prototypes => OWN_PROTOTYPES.to_owned(),
                },
                parameters,
            })
        };
        wanted.map(one).collect()
    }
}
