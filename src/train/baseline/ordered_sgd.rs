//! Ordered SGD (Kawaguchi, Lu, "Ordered SGD: A New Stochastic Optimization Framework for Empirical Risk
//! Minimization", AISTATS 2020): a step takes the mean gradient of the q largest losses of its batch.
//!
//! Which those are depends on the losses of the batch itself, so that every step waits for the device
//! between the forward pass and the backward pass.

use super::presentation::{JobFacts, Policy, Presentation, StepAt, batch_losses};
use super::rules;
use crate::error::Result;
use crate::ops::Operators;
use crate::train::outcome::EpochRecord;

/// Training accuracies from which on q is the batch size divided by the number beside them, the
/// largest first.
const SCHEDULE: [(f64, usize); 4] = [(0.995, 16), (0.95, 8), (0.9, 4), (0.8, 2)];

/// Returns q, how many samples of a batch of `batch` are trained on once the training accuracy of an
/// epoch has been `best`. It never grows again, and is at least 1.
pub fn largest_losses(batch: usize, best: f64) -> usize {
    let divisor = SCHEDULE.iter().find(|(from, _)| best >= *from).map_or(1, |(_, by)| *by);
    (batch / divisor).max(1)
}

/// Returns 1 for the `q` largest losses, the first of equals, and 0 for the others.
pub fn ordered_weights(losses: &[f32], q: usize) -> Vec<f32> {
    let mut places: Vec<usize> = (0..losses.len()).collect();
    places.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
    let mut weights = vec![0.0; losses.len()];
    places.into_iter().take(q).for_each(|place| weights[place] = 1.0);
    weights
}

pub(super) struct OrderedSgd {
    pub facts: JobFacts,
    /// Samples of a batch that the running epoch trains on.
    pub q: usize,
}

impl<B: Operators> Policy<B> for OrderedSgd {
    fn epoch(&mut self, epoch: u32, history: &[EpochRecord]) -> Result<Presentation> {
        let best = history.iter().map(|record| record.train_accuracy).fold(0.0, f64::max);
        self.q = largest_losses(self.facts.batch, best);
        Ok(self.facts.presentation(self.facts.order(epoch)))
    }

    fn step(&mut self, at: &mut StepAt<B>) -> Result<usize> {
        let n = at.shown.sizes[at.batch];
        at.executor.step_forward(n, at.images)?;
        let batch = &at.shown.order[at.batch * self.facts.batch..][..n];
        let losses = batch_losses(at.executor, batch, at.labels.len())?;
        let mut weights = vec![0.0; at.labels.len()];
        let chosen = ordered_weights(&losses, self.q);
        batch.iter().zip(chosen).for_each(|(&i, weight)| weights[i as usize] = weight);
        let of_class = |i: u32| at.shown.class_weights[at.labels[i as usize] as usize];
        let factors = rules::sample_factors(&weights, &of_class, batch, &[n]);
        at.executor.set_sample_weights(Some(&factors))?;
        at.executor.step_backward(n, at.images)?;
        Ok(0)
    }

    fn looks(&self) -> bool {
        true
    }
}
