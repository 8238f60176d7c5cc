//! InfoBatch (Qin et al., "InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning",
//! ICLR 2024): every epoch drops, at random, part of the samples whose last loss is below the mean,
//! and gives the others of these samples the weight that makes up for it.

use super::presentation::{JobFacts, Policy, PolicyState, Presentation, stored};
use super::rules;
use crate::error::Result;
use crate::ops::Operators;
use crate::train::checkpoint::TIMES_PRESENTED;
use crate::train::outcome::EpochRecord;

/// Name of the scores in checkpoints.
const SCORES: &str = "scores";

pub(super) struct InfoBatch {
    facts: JobFacts,
    /// Probability of a drop.
    drop: f64,
    /// Fraction of the epochs after which nothing is dropped.
    until: f64,
    /// Loss of the last presentation, one value for each sample of the subset.
    scores: Vec<f32>,
    /// Epochs that presented each sample of the part.
    times: Vec<f32>,
}

impl InfoBatch {
    pub(super) fn new(facts: JobFacts, [drop, until]: [f64; 2], start: f64) -> InfoBatch {
        let scores = vec![start as f32; facts.subset.len()];
        let times = vec![0.0; facts.labels.len()];
        InfoBatch { facts, drop, until, scores, times }
    }
}

impl<B: Operators> Policy<B> for InfoBatch {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        let order = self.facts.order(epoch);
        if f64::from(epoch) >= self.until * self.facts.epochs as f64 {
            return Ok(self.facts.presentation(order));
        }
        let seed = self.facts.order_seed;
        // This list is over the part, whereas the scores are over the subset.
        let mut kept = vec![false; self.facts.labels.len()];
        let mut weights = vec![1.0f32; self.facts.labels.len()];
        let raised = (1.0 / (1.0 - self.drop)) as f32;
        for (&i, easy) in self.facts.subset.iter().zip(rules::below_mean(&self.scores)) {
            kept[i as usize] = !(easy && rules::dropped(seed, epoch, i, self.drop));
            if easy {
                weights[i as usize] = raised;
            }
        }
        let order: Vec<u32> = order.into_iter().filter(|&i| kept[i as usize]).collect();
        Ok(Presentation { sample_weights: Some(weights), ..self.facts.presentation(order) })
    }

    fn learn(&mut self, presented: &[u32], losses: &[f32]) {
        for &i in presented {
            if let Ok(place) = self.facts.subset.binary_search(&i) {
                self.scores[place] = losses[i as usize];
            }
            self.times[i as usize] += 1.0;
        }
    }

    fn times_presented(&self) -> Option<Vec<f32>> {
        Some(self.times.clone())
    }

    fn state(&self) -> Result<PolicyState> {
        let state = [(SCORES, &self.scores), (TIMES_PRESENTED, &self.times)];
        Ok(state.map(|(name, values)| (name.to_owned(), values.clone())).into())
    }

    fn restore(&mut self, state: &PolicyState) -> Result<()> {
        self.scores = stored(state, SCORES, self.facts.subset.len())?;
        self.times = stored(state, TIMES_PRESENTED, self.times.len())?;
        Ok(())
    }
}
