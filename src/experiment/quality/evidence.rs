//! What findings are made from, beside pixels.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::artefact::{digest, npy};
use crate::data::DataSet;
use crate::error::{Error, Result};
use crate::experiment::folder::own_features::OwnFeatures;
use crate::prune::Probabilities;
use crate::score::features::FeatureMatrix;

/// Features and probabilities; what is not looked for needs none.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Features of the training part and, if they are of one network, of the parts after it in the order
    /// of [`AllSamples`](super::AllSamples).
    pub features: Option<Arc<FeatureMatrix>>,
    /// Probabilities of the training part, N x K, each row of a network that did not train on the sample.
    pub probabilities: Option<Vec<f32>>,
}

/// Features and probabilities that the user brings.
#[derive(Clone, Default)]
pub struct OwnEvidence {
    pub features: Option<OwnFeatures>,
    probabilities: Option<Vec<f32>>,
}

impl OwnEvidence {
    /// Reads what is given: features (N x D) and probabilities (N x K) of the training part of `data`.
    ///
    /// # Errors
    /// Files of other samples or of other classes; rows that are no probabilities.
    pub fn read(
        features: Option<&Path>,
        probabilities: Option<&Path>,
        data: &DataSet,
    ) -> Result<OwnEvidence> {
        let features = features.map(|path| OwnFeatures::read(path, data)).transpose()?;
        let read = |path: &Path| {
            let name = format!("`probabilities` {}", path.display());
            let (width, values) = npy::read(path)?.into_features(data.train.len(), &name)?;
            if width != data.classes.len() {
                let expected = format!("{}, one a class", data.classes.len());
                return Err(Error::invalid(name, format!("{width} columns"), expected));
            }
            Probabilities::new(&values, width)?.check(&data.present())?;
            Ok(values)
        };
        Ok(OwnEvidence { features, probabilities: probabilities.map(read).transpose()? })
    }

    /// Whether there are features.
    pub fn has_features(&self) -> bool {
        self.features.is_some()
    }

    /// Whether there are probabilities.
    pub fn has_probabilities(&self) -> bool {
        self.probabilities.is_some()
    }

    /// What of them decides a result.
    pub fn describe(&self) -> Value {
        let probabilities = self.probabilities.as_ref().map(|p| digest(bytemuck::cast_slice(p)));
        json!({
            "features": self.features.as_ref().map(OwnFeatures::describe),
            "probabilities": probabilities,
        })
    }

    /// The evidence, with that of networks where none was brought.
    pub fn over(&self, networks: Evidence) -> Evidence {
        let own = self.features.as_ref().map(|f| Arc::clone(&f.features));
        Evidence {
            features: own.or(networks.features),
            probabilities: self.probabilities.clone().or(networks.probabilities),
        }
    }
}
