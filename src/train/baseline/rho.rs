//! RHO-loss (Mindermann et al., "Prioritized Training on Points that are Learnable, Worth Learning, and
//! Not Yet Learnt", ICML 2022): every step looks at many candidates and trains on those whose loss is
//! furthest above what a model of held-out data has for them.
//!
//! Candidates are looked at in eval mode, without augmentation, as the irreducible losses were.
//! Every step waits for the device.

use super::presentation::{JobFacts, Policy, PolicyState, Presentation, StepAt, stored};
use super::rules;
use crate::error::{Error, Result};
use crate::exec::{EvaluationSet, Mode, Pass, run_pass};
use crate::ops::Operators;
use crate::ops::loss_score::Field;
use crate::train::outcome::EpochRecord;

/// Name in checkpoints of the marks of samples that this epoch has trained on.
const CHOSEN: &str = "chosen";

pub(super) struct Rho {
    facts: JobFacts,
    /// Irreducible losses, one for each sample of the part.
    irreducible: Vec<f32>,
    /// Number of candidates in a step.
    candidates: usize,
    /// Number of samples that each step of an epoch trains on.
    sizes: Vec<usize>,
    /// 1 for samples that this epoch has trained on, and 0 for others, one value for each sample of
    /// the part.
    chosen: Vec<f32>,
}

impl Rho {
    /// Trains on `chosen` of every `candidates`.
    pub(super) fn new(
        facts: JobFacts,
        irreducible: Vec<f32>,
        candidates: u32,
        chosen: usize,
    ) -> Result<Rho> {
        let all = facts.subset.len();
        let candidates = candidates as usize;
        let sizes = rules::rho_sizes(all, candidates, chosen);
        if sizes.is_empty() {
            let expected = format!("at least 2 to train on: {chosen} of {candidates} candidates");
            return Err(Error::invalid("rho: training samples", all.to_string(), expected));
        }
        let marks = vec![0.0; facts.labels.len()];
        Ok(Rho { facts, irreducible, candidates, sizes, chosen: marks })
    }
}

impl<B: Operators> Policy<B> for Rho {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        let order = self.facts.order(epoch);
        Ok(Presentation { sizes: self.sizes.clone(), ..self.facts.presentation(order) })
    }

    fn step(&mut self, at: &mut StepAt<B>) -> Result<usize> {
        let start = at.batch * self.candidates;
        let end = (start + self.candidates).min(at.shown.order.len());
        let candidates = &at.shown.order[start..end];
        let set = EvaluationSet {
            images: at.images,
            labels: at.labels,
            positions: candidates,
            groups: None,
        };
        run_pass(at.executor, Mode::Score, &set)?;
        let column = at.executor.column(Field::Loss, at.labels.len())?;
        let of =
            |values: &[f32]| candidates.iter().map(|&i| values[i as usize]).collect::<Vec<_>>();
        let n = at.shown.sizes[at.batch];
        let places = rules::most_reducible(&of(&column), &of(&self.irreducible), n);
        let chosen: Vec<u32> = places.into_iter().map(|place| candidates[place]).collect();
        chosen.iter().for_each(|&i| self.chosen[i as usize] = 1.0);
        at.executor.begin(&Pass {
            labels: at.labels,
            order: &chosen,
            epoch: at.epoch,
            start: 0,
            steps_done: at.step as u32,
            lrs: &at.lrs[at.batch..=at.batch],
            class_weights: &at.shown.class_weights,
        })?;
        at.executor.step(Mode::Train, n, at.images)?;
        Ok(candidates.len())
    }

    fn looks(&self) -> bool {
        true
    }

    fn span(&self) -> Option<u64> {
        Some(self.sizes.len() as u64)
    }

    fn presented(&self) -> Option<Vec<u32>> {
        let marks = self.chosen.iter().enumerate();
        Some(marks.filter(|(_, mark)| **mark > 0.0).map(|(i, _)| i as u32).collect())
    }

    fn learn(&mut self, _: &[u32], _: &[f32]) {
        self.chosen.fill(0.0);
    }

    fn state(&self) -> Result<PolicyState> {
        Ok(PolicyState::from([(CHOSEN.to_owned(), self.chosen.clone())]))
    }

    fn restore(&mut self, state: &PolicyState) -> Result<()> {
        self.chosen = stored(state, CHOSEN, self.facts.labels.len())?;
        Ok(())
    }
}
