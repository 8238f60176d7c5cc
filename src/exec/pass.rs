//! What an executor is asked to run, and how far it is.

use serde::{Deserialize, Serialize};

use super::arena::ArenaMode;
use super::compute::Compute;
use crate::ops::gather::Augmentation;
use crate::ops::sgd::SgdProblem;

/// What a plan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Forward, backward and update, batch statistics.
    Train,
    /// Forward with running statistics, scores of the logits.
    Score,
    /// What `Score` computes, and the norm of every sample's gradient with respect to all parameters.
    GradNorm,
    /// What `Score` computes, and the norm of every sample's gradient with respect to the last layer's
    /// weights and biases: ||p - onehot(y)|| sqrt(1 + ||h||^2).
    LastLayerNorm,
}

impl Mode {
    /// Whether the pass computes gradient norms.
    pub fn has_norms(self) -> bool {
        matches!(self, Mode::GradNorm | Mode::LastLayerNorm)
    }
}

/// Constants of the training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainOptions {
    pub sgd: SgdProblem,
    pub smoothing: f32,
    pub augmentation: Augmentation,
    /// Seed of the augmentation.
    pub seed: u64,
}

/// One pass over samples of a part.
pub struct Pass<'a> {
    /// A label for every sample of the part.
    pub labels: &'a [u32],
    /// Positions in the part, in the order of the pass.
    pub order: &'a [u32],
    pub epoch: u32,
    /// First batch to run: 0, or where a resumed epoch goes on.
    pub start: u32,
    /// Steps done before the pass, over the whole run.
    pub steps_done: u32,
    /// One learning rate a batch (training), else empty.
    pub lrs: &'a [f32],
    /// One weight a class (training), else empty.
    pub class_weights: &'a [f32],
}

/// Counters of the running pass, as the device keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    pub batch: u32,
    pub epoch: u32,
    /// First step whose loss was not finite, counted from 0 over the run.
    pub bad_step: Option<u32>,
    pub steps: u32,
}

/// What an executor must be able to run; memory is planned from it before the first step.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// Kind, batch size and number of samples of every pass.
    pub passes: Vec<(Mode, usize, usize)>,
    /// Samples of the largest part that a pass reads from.
    pub capacity: usize,
    pub options: TrainOptions,
    /// Training keeps every sample's last ln p and computes [`Field::Divergence`].
    ///
    /// [`Field::Divergence`]: crate::ops::loss_score::Field::Divergence
    pub divergences: bool,
    /// Height and width of the images, where they are not the network's input: it sees their centre, or
    /// random boxes of them while it is trained.
    pub stored: Option<[usize; 2]>,
    /// Passes may read images that are on the host: there is room for two batches of them.
    pub stream: bool,
    /// Per-channel mean and standard deviation of the input, of values in [0, 1].
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub arena: ArenaMode,
    pub compute: Compute,
    /// Bytes that may be used; None asks the backend what is free.
    pub memory_limit: Option<u64>,
}
