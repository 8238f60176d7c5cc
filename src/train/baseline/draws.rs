//! Epochs that draw samples with replacement, in proportion to a weight: RWG (Idrissi et al. 2022,
//! weight 1 / n_g) and the second stage of JTT (Liu et al. 2021, lambda for the error set).
//!
//! An epoch has as many draws as there are samples. Two draws of one sample are augmented apart.

use super::presentation::{Draws, JobFacts, Policy, Presentation};
use super::rules;
use crate::error::Result;
use crate::ops::Operators;
use crate::train::outcome::EpochRecord;

pub(super) struct Drawing {
    facts: JobFacts,
    /// Running sums of the weights of the subset.
    cumulative: Vec<f64>,
}

impl Drawing {
    /// Takes one weight for each sample of the subset.
    pub(super) fn new(facts: JobFacts, weights: &[f64]) -> Drawing {
        Drawing { facts, cumulative: rules::cumulative(weights) }
    }

    /// Draws the samples of an epoch.
    pub(super) fn presentation(&self, epoch: u32) -> Presentation {
        let count = self.facts.subset.len();
        let places = rules::draw(self.facts.order_seed, epoch, &self.cumulative, count);
        let sources: Vec<u32> = places.into_iter().map(|place| self.facts.subset[place]).collect();
        let labels = sources.iter().map(|&i| self.facts.labels[i as usize]).collect();
        let order = (0..count as u32).collect();
        let draws = Some(Draws { sources, labels });
        Presentation { draws, ..self.facts.presentation(order) }
    }
}

impl<B: Operators> Policy<B> for Drawing {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        Ok(self.presentation(epoch))
    }
}
