//! What a training run leaves: a record of each epoch, and its weights.

use serde::{Deserialize, Serialize};

use super::recorder::Recorder;
use crate::nn::Weights;

/// The record of a finished epoch (or of the part of one that the budget allowed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 0.
    pub epoch: u32,
    /// Number of steps done in the run at the epoch's end.
    pub steps: u64,
    /// Learning rate of the last step.
    pub lr: f32,
    /// Mean loss over the epoch's presentations, in train mode.
    pub train_loss: f64,
    /// Mean accuracy over the epoch's presentations, in train mode.
    pub train_accuracy: f64,
    /// Mean loss over the validation samples, where there was a validation.
    pub val_loss: Option<f64>,
    /// Accuracy over the validation samples, where there was a validation.
    pub val_accuracy: Option<f64>,
    /// Correct validation samples of each class.
    pub val_correct: Option<Vec<u64>>,
    /// Correct validation samples of each group, where the samples have an attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_groups: Option<Vec<u64>>,
    /// Mean difference between the validation recalls of two classes, where the best epoch is that
    /// of the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_class_difference: Option<f64>,
    /// Seconds that the epoch took.
    pub seconds: f64,
}

impl EpochRecord {
    /// Returns how good the epoch was on the validation samples: the larger the better. It is the
    /// accuracy, or minus the class difference where that is recorded.
    pub fn merit(&self) -> Option<f64> {
        self.val_class_difference.map(|difference| -difference).or(self.val_accuracy)
    }
}

/// A finished run.
#[derive(Debug)]
pub struct TrainOutcome {
    /// Weights at the end of the run.
    pub weights: Weights,
    /// Weights of the epoch of most [`EpochRecord::merit`] (the first of equals), if the job keeps
    /// them.
    pub best_weights: Option<Weights>,
    /// One record for each finished epoch.
    pub history: Vec<EpochRecord>,
    /// Number of steps done.
    pub steps: u64,
    /// Number of samples that took part in updates, counted each time that they did.
    pub presented: u64,
    /// Number of samples that a baseline looked at without an update to choose among them.
    pub selected: u64,
    /// Number of epochs that presented each sample of the part, where a baseline chose them.
    pub times_presented: Option<Vec<f32>>,
    /// Seconds of training and validation, over all interruptions.
    pub seconds: f64,
    /// The dynamics that the job wanted recorded.
    pub dynamics: Option<Recorder>,
}

impl TrainOutcome {
    /// Returns the record of most [`EpochRecord::merit`] (the first of equals), if there was
    /// validation.
    pub fn best(&self) -> Option<&EpochRecord> {
        let mut best: Option<&EpochRecord> = None;
        for record in self.history.iter().filter(|r| r.merit().is_some()) {
            if best.is_none_or(|b| record.merit() > b.merit()) {
                best = Some(record);
            }
        }
        best
    }
}
