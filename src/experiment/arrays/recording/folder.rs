//! A recording as a folder of files.

use std::path::Path;

use serde_json::json;

use super::{LogitRecorder, UNKNOWN};
use crate::artefact::dynamics::{
    self, Description, Quantity, QuantityRecord, RecordedSamples, ValidationRecord,
};
use crate::artefact::tables::SamplePart;
use crate::artefact::{Existing, Provenance};
use crate::error::{Error, Result};
use crate::experiment::arrays::samples::ArraySamples;
use crate::experiment::identity::Identity;

impl LogitRecorder {
    /// Writes `folder`, which `score --dynamics` reads. A recording that was written there before is replaced.
    ///
    /// # Errors
    /// Samples that the recorder does not have, or other labels than those recorded; a folder that holds
    /// something else.
    pub fn write(&mut self, folder: &Path, samples: &ArraySamples, augmented: bool) -> Result<()> {
        let n = self.labels.len();
        if samples.labels.len() != n || samples.classes.len() != self.classes {
            let found =
                format!("{} samples of {} classes", samples.labels.len(), samples.classes.len());
            return Err(Error::invalid("samples", found, format!("{n} of {}", self.classes)));
        }
        let differs = |&i: &usize| self.labels[i] != UNKNOWN && self.labels[i] != samples.labels[i];
        if let Some(i) = (0..n).find(differs) {
            let what = format!("label of sample {i}");
            let expected = format!("{}, as recorded", self.labels[i]);
            return Err(Error::invalid(what, samples.labels[i].to_string(), expected));
        }
        let trained = self.trained().len();
        let identity = samples.identity();
        let stated = Provenance::new(identity.clone(), Vec::new(), Vec::new());
        let validation = self.best().map(|(epoch, tally)| ValidationRecord {
            epoch: epoch as u32 + 1,
            correct: tally.correct.clone(),
            total: tally.total.clone(),
            groups: None,
        });
        let quantities = self.recording.quantities();
        let record = |q: &Quantity| QuantityRecord {
            name: q.name().to_owned(),
            file: format!("{}.npy", q.name()),
            meaning: q.meaning().to_owned(),
            digest: None,
        };
        let description = Description {
            format_version: Description::FORMAT_VERSION,
            tool: stated.tool,
            version: stated.version,
            commit: stated.commit,
            data: identity,
            class_names: samples.classes.clone(),
            attribute: None,
            epochs: self.rows.epochs(),
            samples: n,
            trained,
            eligible: trained,
            augmented,
            presentation: Description::RULE.to_owned(),
            quantities: quantities.iter().map(record).collect(),
            samples_digest: None,
            network: json!({ "source": "logits of the caller's own network" }),
            recipe: json!({ "source": "the caller's own training loop" }),
            seeds: json!({}),
            steps: self.updates,
            schedule_steps: self.updates,
            split: "none".to_owned(),
            numerics: "the caller's".to_owned(),
            validation,
        };
        let part = |i: usize| match self.labels[i] {
            UNKNOWN => SamplePart::Out,
            _ => SamplePart::Train,
        };
        let recorded = RecordedSamples {
            ids: samples.ids.clone(),
            labels: samples.labels.clone(),
            attributes: Vec::new(),
            parts: (0..n).map(part).collect(),
        };
        let job = Identity::of("recording", &json!({ "samples": n, "classes": self.classes }))?;
        let dir = job.claim(folder, Existing::Restart)?;
        let rows = &mut self.rows;
        dynamics::write(&dir, "", &description, recorded, quantities, |quantity, epoch| {
            rows.row(quantity, epoch)
        })
    }
}
