//! What identifies samples whose images this program does not see.

use std::path::Path;

use serde_json::{Map, json};

use crate::artefact::Existing;
use crate::artefact::provenance::DataIdentity;
use crate::artefact::tables::{RecallRow, SamplePart};
use crate::data::samples_fingerprint;
use crate::error::{Error, Result};
use crate::experiment::folder::recall_rows::RecallCounts;
use crate::experiment::folder::scores::{MethodScores, Scored, ScoredSamples};
use crate::experiment::identity::Identity;
use crate::score::Method;

/// The training samples of a caller, in the order of their positions.
#[derive(Clone, Debug, PartialEq)]
pub struct ArraySamples {
    /// What people call the data set.
    pub name: String,
    /// Name of each sample, no two the same: what a data set read by this program calls it, where files
    /// are to be used beside that data set.
    pub ids: Vec<String>,
    /// Class of each sample.
    pub labels: Vec<u32>,
    /// Names of the classes, by index.
    pub classes: Vec<String>,
}

impl ArraySamples {
    /// Samples with these labels. Without `ids` they are numbered from 0, without `classes` so are the
    /// classes up to the largest label.
    ///
    /// # Errors
    /// No samples, names that are not one a sample or not all different, a label without a class.
    pub fn new(
        name: &str,
        labels: Vec<u32>,
        ids: Option<Vec<String>>,
        classes: Option<Vec<String>>,
    ) -> Result<ArraySamples> {
        let Some(&largest) = labels.iter().max() else {
            return Err(Error::invalid("labels", "none", "at least one"));
        };
        let ids = ids.unwrap_or_else(|| (0..labels.len()).map(|i| i.to_string()).collect());
        if ids.len() != labels.len() {
            let expected = format!("{}, one a label", labels.len());
            return Err(Error::invalid("ids", format!("{} names", ids.len()), expected));
        }
        let mut sorted: Vec<&String> = ids.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let found = format!("{:?} twice", pair[0]);
            return Err(Error::invalid("ids", found, "a name of its own for each sample"));
        }
        let classes = classes.unwrap_or_else(|| (0..=largest).map(|k| k.to_string()).collect());
        if let Some(i) = labels.iter().position(|&l| l as usize >= classes.len()) {
            let what = format!("label of sample {i}");
            let expected = format!("below {}, the number of classes", classes.len());
            return Err(Error::invalid(what, labels[i].to_string(), expected));
        }
        Ok(ArraySamples { name: name.to_owned(), ids, labels, classes })
    }

    /// Samples of each class.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.classes.len()];
        self.labels.iter().for_each(|&l| sizes[l as usize] += 1);
        sizes
    }

    /// The identity that files state. It has no size of images, since none were read: positions mean the
    /// samples of every data set with these names, classes and order.
    pub fn identity(&self) -> DataIdentity {
        let samples = samples_fingerprint(&self.classes, &self.ids, &self.labels, None);
        DataIdentity {
            name: self.name.clone(),
            fingerprint: samples.clone(),
            samples_fingerprint: Some(samples),
            size: None,
            samples: self.labels.len(),
            classes: self.classes.len(),
            long_tail: None,
        }
    }

    /// The samples as a folder of scores lists them; `trained` says which of them the run trained on.
    pub fn scored(&self, trained: impl Fn(usize) -> bool) -> ScoredSamples {
        let part = |i| if trained(i) { SamplePart::Train } else { SamplePart::Out };
        ScoredSamples {
            identity: self.identity(),
            classes: self.classes.clone(),
            ids: self.ids.clone(),
            labels: self.labels.clone(),
            parts: (0..self.labels.len()).map(part).collect(),
            attributes: None,
        }
    }

    /// Writes a folder of scores, NaN for samples without one, that `prune --scores` reads. `variant` says how
    /// they were computed. Scores that were written there before are replaced.
    ///
    /// # Errors
    /// Scores that are not one a sample; a folder that holds something else.
    pub fn write_scores(
        &self,
        folder: &Path,
        scores: Vec<(Method, Vec<f32>)>,
        variant: &str,
        recalls: Option<&ClassAnswers>,
    ) -> Result<()> {
        let n = self.labels.len();
        if let Some((method, values)) = scores.iter().find(|(_, values)| values.len() != n) {
            let found = format!("{} values", values.len());
            return Err(Error::invalid(format!("scores {method}"), found, format!("{n}")));
        }
        let scored_everywhere = |i: usize| scores.iter().all(|(_, values)| !values[i].is_nan());
        let samples = self.scored(scored_everywhere);
        let recalls = recalls.map(|answers| self.recall_rows(answers)).transpose()?;
        let own = |(method, values): &(Method, Vec<f32>)| MethodScores {
            method: *method,
            values: values.iter().map(|&v| f64::from(v)).collect(),
            variant: variant.to_owned(),
            parameters: Map::new(),
        };
        let scored =
            Scored { scores: scores.iter().map(own).collect(), recalls, ..Scored::default() };
        let names: Vec<&str> = scores.iter().map(|(m, _)| m.name()).collect();
        let job = Identity::of("array-scores", &json!({ "samples": n, "methods": names }))?;
        let dir = job.claim(folder, Existing::Restart)?;
        scored.write(samples, &dir).map(|_| ())
    }

    fn recall_rows(&self, answers: &ClassAnswers) -> Result<Vec<RecallRow>> {
        let ClassAnswers { correct, total } = answers;
        let classes = self.classes.len();
        if correct.len() != classes || total.len() != classes {
            let found = format!("{} and {} counts", correct.len(), total.len());
            return Err(Error::invalid("recalls", found, format!("{classes}, one a class")));
        }
        let sizes = self.sizes();
        Ok(RecallCounts { names: &self.classes, sizes: &sizes, correct, total }.rows())
    }
}

/// Validation answers of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassAnswers {
    /// Samples that were answered right.
    pub correct: Vec<u64>,
    /// All samples.
    pub total: Vec<u64>,
}
