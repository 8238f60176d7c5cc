//! What a finished training run leaves: counts of its evaluations, its history, what it took.

use serde::{Deserialize, Serialize};

use crate::data::{PartName, Partition};
use crate::error::Result;
use crate::experiment::counts::EvaluationCounts;
use crate::experiment::session::Session;
use crate::prune::ValidationRun;
use crate::score::features::Extracted;
use crate::score::{Method, Scores};
use crate::train::{EpochRecord, TrainOutcome};

/// What a network makes of the training part, and of the validation images where they are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    pub train: Extracted,
    pub validation: Option<Extracted>,
    /// Of whole parts that are not trained on, where they are wanted.
    pub others: Vec<(PartName, Extracted)>,
}

/// What a network says of its validation images.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationPredictions {
    /// Natural logarithms of the probabilities, V x K.
    pub log_probabilities: Vec<f32>,
    /// Class of each image.
    pub labels: Vec<u32>,
    /// Position of each image in the part that it is of.
    pub positions: Vec<usize>,
}

impl ValidationPredictions {
    /// Logarithms of probabilities (V x K) of the images at `positions` of a part.
    pub fn of(
        session: &Session,
        part: PartName,
        positions: &[usize],
        log_probabilities: Vec<f32>,
    ) -> Self {
        let part = session.data.part(part);
        let label = |&i: &usize| part.map_or(0, |p| p.labels[i]);
        let (labels, positions) = (positions.iter().map(label).collect(), positions.to_vec());
        ValidationPredictions { log_probabilities, labels, positions }
    }

    /// One run of a prediction; `densities` are those that the network was trained under, if not all data.
    pub fn run<'a>(&'a self, densities: Option<&'a [f64]>) -> ValidationRun<'a> {
        let ValidationPredictions { log_probabilities, labels, positions } = self;
        ValidationRun { log_probabilities, labels, samples: Some(positions), densities }
    }
}

/// Samples of one run through the network, each time that they went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presentations {
    /// Forward, backward and update.
    pub trained: u64,
    /// Forward only, to choose what is trained on.
    pub selection: u64,
    /// Trained by another network: in a run before this one, or in step with it.
    pub before: u64,
    /// Trained in as many epochs without the method.
    pub plain: u64,
}

impl Presentations {
    /// Part of the plain run's that were saved; negative where more were needed.
    pub fn saved(&self) -> f64 {
        1.0 - (self.trained + self.before) as f64 / self.plain.max(1) as f64
    }
}

/// The part of a scoring that gives features and predictions to methods of selection.
pub const FEATURES: &str = "features";

/// One piece of scoring: a pass, or what is made of features or of a recorded run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScorePart {
    /// Names of the scores that it gives; [`FEATURES`] among them where it gives those.
    pub of: Vec<String>,
    pub seconds: f64,
}

impl ScorePart {
    /// A piece that gives these scores, and features if wanted.
    pub fn new(methods: &[Method], features: bool, seconds: f64) -> Self {
        let names = methods.iter().map(|m| m.name().to_owned());
        let of = names.chain(features.then(|| FEATURES.to_owned())).collect();
        ScorePart { of, seconds }
    }
}

/// What a finished run left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Everything that determined it.
    pub identity: String,
    pub steps: u64,
    pub history: Vec<EpochRecord>,
    /// On the test part after the last step.
    pub last: Option<EvaluationCounts>,
    /// On the test part at the best epoch on validation images.
    pub best: Option<EvaluationCounts>,
    /// Test samples by class and answer after the last step: [class, answer, samples], those that there
    /// are. Empty in files of versions that did not count them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<[u32; 3]>,
    /// Validation counts of each class at the best epoch.
    pub validation: Option<EvaluationCounts>,
    pub train_seconds: f64,
    pub score_seconds: f64,
    /// What the scoring went into; empty in files of versions that did not record it.
    #[serde(default)]
    pub score_parts: Vec<ScorePart>,
    pub planned_bytes: u64,
    /// What a baseline presented; None for plain training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentations: Option<Presentations>,
    /// Mean number of samples of each class that an epoch presented; None where no baseline chose them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_class_counts: Option<Vec<f64>>,
}

impl RunResult {
    /// The result with every evaluation counted by `partition`.
    pub fn by(&self, partition: &Partition) -> Result<RunResult> {
        let view = |r: &Option<EvaluationCounts>| r.as_ref().map(|r| r.by(partition)).transpose();
        let [last, best, validation] = [&self.last, &self.best, &self.validation].map(view);
        // Networks answer classes, not groups.
        let confusion = match partition.attribute {
            None => self.confusion.clone(),
            Some(_) => Vec::new(),
        };
        let (last, best, validation) = (last?, best?, validation?);
        Ok(RunResult { last, best, validation, confusion, ..self.clone() })
    }
}

/// A finished run in memory.
pub struct Finished {
    pub result: RunResult,
    pub scores: Scores,
    /// None where it is not wanted, or on disk.
    pub extracted: Option<Extraction>,
    /// What the last weights say of the validation images, where it is wanted.
    pub predictions: Option<ValidationPredictions>,
    /// None where the result was on disk already.
    pub outcome: Option<TrainOutcome>,
}
