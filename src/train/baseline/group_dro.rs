//! GroupDRO (Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020):
//! the loss of a batch is the sum over its groups under weights q, which grow where the loss is
//! large.
//!
//! Because q depends on the losses of the batch itself, every step waits for the device between the
//! forward pass and the backward pass.

use super::draws::Drawing;
use super::presentation::{JobFacts, Policy, PolicyState, Presentation, StepAt, stored};
use super::rules;
use crate::error::Result;
use crate::ops::Operators;
use crate::ops::loss_score::Field;
use crate::train::outcome::EpochRecord;

/// Name of the group weights in checkpoints.
const GROUP_WEIGHTS: &str = "group-weights";

pub(super) struct GroupDro {
    facts: JobFacts,
    /// Balanced draws, where they are asked for.
    drawing: Option<Drawing>,
    /// Group of every sample of the part.
    groups: Vec<u32>,
    /// One weight for each group, with sum 1; 0 for groups without samples.
    q: Vec<f32>,
    eta: f64,
}

impl GroupDro {
    pub(super) fn new(
        facts: JobFacts,
        drawing: Option<Drawing>,
        groups: Vec<u32>,
        group_count: usize,
        eta: f64,
    ) -> GroupDro {
        let sizes = rules::sizes(&facts.subset, &groups, group_count);
        let there = sizes.iter().filter(|&&n| n > 0).count() as f32;
        let q = sizes.iter().map(|&n| if n > 0 { 1.0 / there } else { 0.0 }).collect();
        GroupDro { facts, drawing, groups, q, eta }
    }
}

impl<B: Operators> Policy<B> for GroupDro {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        Ok(match &self.drawing {
            Some(drawing) => drawing.presentation(epoch),
            None => self.facts.presentation(self.facts.order(epoch)),
        })
    }

    fn step(&mut self, at: &mut StepAt<B>) -> Result<usize> {
        let n = at.shown.sizes[at.batch];
        at.executor.step_forward(n, at.images)?;
        let losses = at.executor.column(Field::Loss, at.labels.len())?;
        let batch = &at.shown.order[at.batch * self.facts.batch..][..n];
        let group = |i: u32| match &at.shown.draws {
            Some(draws) => self.groups[draws.sources[i as usize] as usize],
            None => self.groups[i as usize],
        };
        let groups: Vec<u32> = batch.iter().map(|&i| group(i)).collect();
        let losses: Vec<f32> = batch.iter().map(|&i| losses[i as usize]).collect();
        let of_batch = rules::group_dro(&mut self.q, &losses, &groups, self.eta);
        let mut weights = vec![1.0; at.labels.len()];
        batch.iter().zip(of_batch).for_each(|(&i, w)| weights[i as usize] = w);
        at.executor.set_sample_weights(Some(&weights))?;
        at.executor.step_backward(n, at.images)?;
        Ok(0)
    }

    fn looks(&self) -> bool {
        true
    }

    fn state(&self) -> Result<PolicyState> {
        Ok(PolicyState::from([(GROUP_WEIGHTS.to_owned(), self.q.clone())]))
    }

    fn restore(&mut self, state: &PolicyState) -> Result<()> {
        self.q = stored(state, GROUP_WEIGHTS, self.q.len())?;
        Ok(())
    }
}
