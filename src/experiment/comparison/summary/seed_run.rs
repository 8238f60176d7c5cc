//! One training run, and how well its model does.

use serde::{Deserialize, Serialize};

use crate::experiment::forecast::ForecastSummary;
use crate::experiment::training::Presentations;
use crate::train::EpochRecord;

/// One training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedRun {
    /// Runs of the same seed are paired: same initialisation, order and augmentation.
    pub seed: u64,
    pub steps: u64,
    /// Samples trained on: all, and by class.
    pub kept: usize,
    pub class_counts: Vec<usize>,
    /// class_counts / train_size; 0 for an empty class.
    pub class_densities: Vec<f64>,
    /// Pearson correlation of class densities with the full-data recalls of the same seed; None
    /// where either is constant.
    pub density_recall_correlation: Option<f64>,
    /// On the reported images, after the last step.
    pub last: Evaluation,
    /// The metrics at the epoch of best validation accuracy: looked at, not reported as the result.
    pub best: Option<BestEpoch>,
    pub train_seconds: f64,
    /// What a baseline presented; None for plain training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentations: Option<Presentations>,
    /// What the quotas are predicted to do; None where nothing was predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastSummary>,
    /// Test samples by class and answer: [class, answer, samples], those that there are. Empty over groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<[u32; 3]>,
    /// How training went, one an epoch. Empty in files of versions that did not record it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
    /// What went before training; None in files of versions that did not record it.
    #[serde(default)]
    pub preparation: Option<Preparation>,
}

impl SeedRun {
    /// Everything that the result took, in seconds.
    pub fn total_seconds(&self) -> Option<f64> {
        let p = self.preparation.as_ref()?;
        Some(p.query_seconds + p.score_seconds + p.choose_seconds + self.train_seconds)
    }
}

/// How training stood after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps since the beginning.
    pub steps: u64,
    /// Mean loss and accuracy over the epoch's presentations, in train mode.
    pub train_loss: f64,
    pub train_accuracy: f64,
    /// On the validation images; None in epochs without an evaluation.
    pub val_accuracy: Option<f64>,
}

impl CurvePoint {
    /// The points of a run.
    pub fn of(history: &[EpochRecord]) -> Vec<CurvePoint> {
        let point = |r: &EpochRecord| CurvePoint {
            steps: r.steps,
            train_loss: r.train_loss,
            train_accuracy: r.train_accuracy,
            val_accuracy: r.val_accuracy,
        };
        history.iter().map(point).collect()
    }
}

/// What a strategy needs before its model is trained. Runs and passes that strategies share are
/// counted whole for each of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    pub query_runs: usize,
    /// Training and validation of the query runs.
    pub query_seconds: f64,
    /// Scoring passes, features, and what is made of them.
    pub score_seconds: f64,
    /// Quotas and the choice of samples.
    pub choose_seconds: f64,
}

/// How well one model does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Correct / all.
    pub average_accuracy: f64,
    /// Mean of the class recalls.
    pub balanced_accuracy: f64,
    /// Mean of the group recalls weighted by the groups' training samples before pruning, as
    /// group DRO reports it; None for classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted_accuracy: Option<f64>,
    /// None for a class without reported images.
    pub recalls: Vec<Option<f64>>,
    /// The class of lowest recall, and that recall.
    pub worst_class: usize,
    pub worst_recall: f64,
    /// Mean recall of the worst 5 % of classes, where there are at least 100.
    pub worst_5_percent: Option<f64>,
    /// Highest minus lowest recall.
    pub gap: f64,
    /// Standard deviation of the recalls over classes.
    pub std: f64,
}

/// The epoch of best validation accuracy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// Epochs completed.
    pub epoch: u64,
    pub evaluation: Evaluation,
}
