//! Micro-batch clipping (Wang, "Revisit Micro-batch Clipping: Adaptive Data Pruning via Gradient
//! Manipulation", ICLR 2025): the gradient of every micro-batch is scaled to the smallest norm among
//! those of the batch, so that no few samples decide a step.
//!
//! A micro-batch is a pass of its own, forward and backward, with its own batch statistics, as on the
//! devices of the paper. Every micro-batch waits for the device, and its gradient comes to the host.

use super::presentation::{JobFacts, Policy, Presentation, StepAt};
use crate::error::{Error, Result};
use crate::exec::{Mode, Pass, batch_sizes};
use crate::ops::Operators;
use crate::train::outcome::EpochRecord;

/// The sum of gradients at their own norm's length, and the smallest norm.
#[derive(Clone, Debug, Default)]
pub struct ClippedGradients {
    directions: Vec<f64>,
    least: Option<f64>,
    count: usize,
}

impl ClippedGradients {
    /// Adds the gradient of a micro-batch. The first decides how many values all have.
    pub fn add(&mut self, gradient: &[f32]) {
        self.directions.resize(gradient.len(), 0.0);
        let squares: f64 = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        let norm = libm::sqrt(squares);
        self.least = Some(self.least.map_or(norm, |least| least.min(norm)));
        self.count += 1;
        // A gradient of 0 has no direction, and makes the smallest norm 0.
        if norm > 0.0 {
            let sums = self.directions.iter_mut().zip(gradient);
            sums.for_each(|(sum, &g)| *sum += f64::from(g) / norm);
        }
    }

    /// Returns the mean of the gradients, each multiplied by the smallest norm over its own.
    pub fn mean(&self) -> Vec<f32> {
        let factor = self.least.unwrap_or(0.0) / self.count.max(1) as f64;
        self.directions.iter().map(|&sum| (sum * factor) as f32).collect()
    }
}

pub(super) struct MicroBatchClipping {
    pub facts: JobFacts,
    /// Samples of a micro-batch.
    pub size: usize,
}

impl<B: Operators> Policy<B> for MicroBatchClipping {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        let mut shown = self.facts.presentation(self.facts.order(epoch));
        // Only the last batch can end in a rest, and one sample alone has no variance.
        for size in &mut shown.sizes {
            *size = batch_sizes(Mode::Train, self.size, *size).iter().sum();
        }
        Ok(shown)
    }

    fn step(&mut self, at: &mut StepAt<B>) -> Result<usize> {
        let n = at.shown.sizes[at.batch];
        let batch = &at.shown.order[at.batch * self.facts.batch..][..n];
        let parts = batch_sizes(Mode::Train, self.size, n);
        at.executor.begin(&Pass {
            labels: at.labels,
            order: batch,
            epoch: at.epoch,
            start: 0,
            steps_done: at.step as u32,
            lrs: &vec![at.lrs[at.batch]; parts.len()],
            class_weights: &at.shown.class_weights,
        })?;
        let mut gradients = ClippedGradients::default();
        for (i, &part) in parts.iter().enumerate() {
            if i > 0 {
                at.executor.advance()?;
            }
            at.executor.step_gradient(part, at.images)?;
            if at.executor.state()?.bad_step.is_some() {
                let epoch = u64::from(at.epoch);
                return Err(Error::Diverged { what: "the loss".to_owned(), step: at.step, epoch });
            }
            gradients.add(&at.executor.flat_gradient()?);
        }
        at.executor.set_flat_gradient(&gradients.mean())?;
        at.executor.step_update(parts.last().copied().unwrap_or(0), at.images)?;
        Ok(0)
    }

    fn looks(&self) -> bool {
        true
    }
}
