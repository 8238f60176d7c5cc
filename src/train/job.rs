//! What a run trains on, and the controls by which it is watched and stopped.

use std::path::PathBuf;
use std::time::Duration;

use super::evaluate::EvaluationSet;
use super::outcome::EpochRecord;
use super::recipe::{Recipe, Seeds};
use super::recorder::Recording;
use crate::nn::Weights;
use crate::ops::Operators;
use crate::requests::Requests;

/// The data, network and settings of one run.
pub struct TrainJob<'a, B: Operators> {
    /// How to train.
    pub recipe: &'a Recipe,
    /// Seeds of initialisation, order and augmentation.
    pub seeds: Seeds,
    /// Number of steps that the schedule is made for (see [`Recipe::steps`]).
    pub total_steps: u64,
    /// Number of steps after which the run ends: below `total_steps` where only its beginning is
    /// wanted.
    pub until: u64,
    /// Images of the whole training part, on the backend.
    pub images: &'a B::Images,
    /// Labels of the whole training part.
    pub labels: &'a [u32],
    /// Positions to train on, ascending.
    pub subset: &'a [u32],
    /// The set that is evaluated after every `evaluate_every` epochs and after the last.
    pub validation: Option<EvaluationSet<'a, B>>,
    /// Number of epochs between two evaluations.
    pub evaluate_every: u32,
    /// Whether the weights of the best validation accuracy are kept, too.
    pub keep_best: bool,
    /// Everything that determines the result, as text. A checkpoint of another job is refused.
    pub identity: String,
    /// Factors of the samples' losses, one for each sample of the part, 0 or more. A batch's loss
    /// is divided by their sum. `None` means that all are 1. They do not go with a baseline.
    pub sample_weights: Option<&'a [f32]>,
    /// Weights to start from instead of fresh ones.
    pub initial: Option<&'a Weights>,
    /// What is recorded of every presentation.
    pub record: Option<Recording>,
}

/// The means to watch and stop a run.
pub struct Control<'a> {
    /// Looked at between steps: to stop, the state being saved first, or to save it and go on.
    pub requests: &'a Requests,
    /// Called between steps.
    pub progress: &'a mut dyn FnMut(TrainProgress<'_>),
    /// The file that keeps the state, and how often it is written at least.
    pub checkpoint: Option<(PathBuf, Duration)>,
}

/// Where a run stands, for people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainProgress<'a> {
    /// Number of the current epoch, from 0.
    pub epoch: u32,
    /// Number of the schedule's steps done.
    pub step: u64,
    /// Number of steps of the whole run.
    pub total_steps: u64,
    /// What the epoch that has just ended was like; None between its steps.
    pub finished: Option<&'a EpochRecord>,
}
