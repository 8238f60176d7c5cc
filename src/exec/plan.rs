//! A plan: the steps of one batch, with every tensor in its place.

use serde::{Deserialize, Serialize};

use super::arena::{ArenaMode, Lifetime, place};
use super::compute::Compute;
use super::layout::{FIRST_ARENA, Layout};
use super::lower::lower;
use super::step::Step;
use crate::backend::View;
use crate::error::Result;
use crate::nn::Network;
use crate::ops::Operators;
use crate::ops::gather::Augmentation;
use crate::ops::loss_score::LogitGradient;
use crate::ops::sgd::SgdProblem;
use crate::tensor::Dtype;

/// What a plan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Forward, backward and update, batch statistics.
    Train,
    /// Forward with running statistics, scores of the logits.
    Score,
    /// As `Score`, and the norm of every sample's gradient with respect to all parameters.
    GradNorm,
    /// As `Score`, and the norm of every sample's gradient with respect to the last layer's
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

/// Buffer number of a tensor that has no place yet; its offset is the tensor's number.
const SYMBOLIC: u32 = u32::MAX;

/// The tensors of a plan while it is being written down.
#[derive(Default)]
pub(super) struct Tensors {
    specs: Vec<(usize, Dtype)>,
    /// Kept until the plan's end, for whoever reads results.
    kept: Vec<usize>,
}

impl Tensors {
    /// A new tensor; its place is decided when the plan is complete.
    pub(super) fn new_tensor(&mut self, len: usize, dtype: Dtype) -> View {
        self.specs.push((len, dtype));
        View { buffer: SYMBOLIC, offset: self.specs.len() - 1, len, dtype }
    }

    /// A new f32 tensor.
    pub(super) fn f32(&mut self, len: usize) -> View {
        self.new_tensor(len, Dtype::F32)
    }

    /// Keeps a tensor's content until the end.
    pub(super) fn keep(&mut self, view: View) {
        self.kept.push(view.offset);
    }
}

/// Steps of one batch of `n` samples.
pub struct Plan {
    pub mode: Mode,
    pub n: usize,
    pub(super) steps: Vec<Step>,
    /// Bytes of each arena buffer: one (shared), or one a tensor (debug).
    pub(super) arena: Vec<usize>,
    /// N x classes, valid after a run.
    pub(super) logits: View,
    /// N x features, the last layer's input; valid after a run of a scoring pass.
    pub(super) features: View,
}

impl Plan {
    /// Plans batches of `n` (the last one of a pass may be smaller than `batch`).
    #[expect(clippy::too_many_arguments)]
    pub(super) fn new<B: Operators>(
        backend: &B,
        network: &Network,
        layout: &Layout,
        mode: Mode,
        [n, batch]: [usize; 2],
        options: &TrainOptions,
        stored: Option<[usize; 2]>,
        normalisation: [[f32; 3]; 2],
        compute: Compute,
        arena_mode: ArenaMode,
    ) -> Result<Plan> {
        let mut tensors = Tensors::default();
        let (mut steps, [mut logits, mut features]) = lower(
            backend,
            network,
            layout,
            &mut tensors,
            mode,
            [n, batch],
            options,
            stored,
            normalisation,
            compute,
        )?;
        let (places, arena) = assign(&mut steps, &tensors, arena_mode);
        logits = places[logits.offset];
        features = places[features.offset];
        for step in &mut steps {
            step.visit(&mut |view| {
                if view.buffer == SYMBOLIC {
                    *view = View { len: view.len, ..places[view.offset] };
                }
            });
        }
        Ok(Plan { mode, n, steps, arena, logits, features })
    }

    /// Where the objective finds its sample weights; empty: all are 1. Whether that was elsewhere before.
    pub(super) fn set_sample_weights(&mut self, view: View) -> bool {
        let mut moved = false;
        for step in &mut self.steps {
            if let Step::LossScore {
                gradient: LogitGradient::Mean { sample_weights, .. }, ..
            } = step
            {
                moved |= std::mem::replace(sample_weights, view) != view;
            }
        }
        moved
    }

    /// Where the input finds the images of its positions; empty: a position is its image's. Whether that
    /// was elsewhere before.
    pub(super) fn set_sources(&mut self, view: View) -> bool {
        let mut moved = false;
        for step in &mut self.steps {
            if let Step::Gather { sources, .. } = step {
                moved |= std::mem::replace(sources, view) != view;
            }
        }
        moved
    }

    /// Steps up to the one that computes the losses.
    pub(super) fn forward_steps(&self) -> usize {
        let is_loss = |step: &Step| matches!(step, Step::LossScore { .. });
        self.steps.iter().position(is_loss).map_or(0, |place| place + 1)
    }

    /// Bytes of activations, gradients and workspace.
    pub fn arena_bytes(&self) -> usize {
        self.arena.iter().sum()
    }
}

/// Lifetimes from the steps, then a place for every tensor.
fn assign(steps: &mut [Step], tensors: &Tensors, mode: ArenaMode) -> (Vec<View>, Vec<usize>) {
    let mut lives: Vec<Lifetime> = tensors
        .specs
        .iter()
        .map(|&(len, dtype)| Lifetime { bytes: len * dtype.size(), first: usize::MAX, last: 0 })
        .collect();
    let end = steps.len();
    for (i, step) in steps.iter_mut().enumerate() {
        step.visit(&mut |view| {
            if view.buffer == SYMBOLIC {
                let life = &mut lives[view.offset];
                life.first = life.first.min(i);
                life.last = i;
            }
        });
    }
    tensors.kept.iter().for_each(|&t| lives[t].last = end);
    let view = |i: usize, buffer: u32, offset: usize| {
        let (len, dtype) = tensors.specs[i];
        View { buffer, offset, len, dtype }
    };
    match mode {
        ArenaMode::Shared => {
            let (offsets, size) = place(&lives);
            let views = offsets.iter().enumerate().map(|(i, &o)| view(i, FIRST_ARENA, o));
            (views.collect(), vec![size])
        }
        ArenaMode::Debug => {
            let views = (0..lives.len()).map(|i| view(i, FIRST_ARENA + i as u32, 0));
            (views.collect(), lives.iter().map(|l| l.bytes).collect())
        }
    }
}
