//! What a run trains on, and how it is watched and stopped.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::evaluate::EvaluationSet;
use super::recipe::{Recipe, Seeds};
use super::recorder::Recording;
use crate::nn::Weights;
use crate::ops::Operators;

/// What one run trains on and how.
pub struct TrainJob<'a, B: Operators> {
    pub recipe: &'a Recipe,
    pub seeds: Seeds,
    /// Steps that the schedule is made for (see [`Recipe::steps`]).
    pub total_steps: u64,
    /// Steps after which the run ends: below `total_steps` where only its beginning is wanted.
    pub until: u64,
    pub images: &'a B::Images,
    /// Labels of the whole training part.
    pub labels: &'a [u32],
    /// Positions to train on, ascending.
    pub subset: &'a [u32],
    /// Evaluated after every `evaluate_every` epochs and after the last.
    pub validation: Option<EvaluationSet<'a, B>>,
    pub evaluate_every: u32,
    /// Keep the weights of the best validation accuracy, too.
    pub keep_best: bool,
    /// Everything that determines the result, as text: a checkpoint of another job is refused.
    pub identity: String,
    /// A factor of each sample's loss, one a sample of the part, 0 or more; a batch's loss is divided
    /// by their sum. None: all are 1. Not with a baseline.
    pub sample_weights: Option<&'a [f32]>,
    /// Start from these weights instead of fresh ones.
    pub initial: Option<&'a Weights>,
    /// Record every presentation.
    pub record: Option<Recording>,
}

/// How a run is watched and stopped.
pub struct Control<'a> {
    /// Set from outside to stop at the next step; the state is saved first.
    pub interrupt: &'a AtomicBool,
    pub progress: &'a mut dyn FnMut(Progress),
    /// Where the state is kept, and how often at least.
    pub checkpoint: Option<(PathBuf, Duration)>,
}

/// Where a run stands, for people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    pub epoch: u32,
    pub step: u64,
    pub total_steps: u64,
}
