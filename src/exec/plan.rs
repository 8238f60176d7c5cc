//! A plan: the steps of one batch, with every tensor in its place.

use super::arena::{ArenaMode, Lifetime, place};
use super::layout::{FIRST_ARENA, Layout};
use super::lower::{Lowered, SYMBOLIC, Tensors, lower};
use super::pass::{Mode, Requirements};
use super::step::Step;
use crate::backend::View;
use crate::error::Result;
use crate::nn::Network;
use crate::ops::Operators;
use crate::ops::loss_score::LogitGradient;

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
    pub(super) fn new<B: Operators>(
        backend: &B,
        network: &Network,
        layout: &Layout,
        requirements: &Requirements,
        mode: Mode,
        [n, batch]: [usize; 2],
    ) -> Result<Plan> {
        let Lowered { mut steps, tensors, mut logits, mut features } =
            lower(backend, network, layout, requirements, mode, [n, batch])?;
        let (places, arena) = assign(&mut steps, &tensors, requirements.arena);
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

    /// Steps up to the update, which begins with the optimiser's.
    pub(super) fn gradient_steps(&self) -> usize {
        let is_update = |step: &Step| matches!(step, Step::Sgd { .. });
        self.steps.iter().position(is_update).unwrap_or(self.steps.len())
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
