//! RCAP (Hassan, Khare, Paik, "RCAP: Robust, Class-Aware, Probabilistic Dynamic Dataset Pruning", UAI
//! 2025), as the authors' code defines it: in every epoch each class gets a share of the budget that
//! grows with what its last picks still have to give, and fills it with a draw in favour of large
//! losses.

use super::presentation::{JobFacts, Policy, PolicyState, Presentation, stored};
use crate::error::Result;
use crate::ops::Operators;
use crate::rng::{Philox, Stream};
use crate::train::checkpoint::TIMES_PRESENTED;
use crate::train::outcome::EpochRecord;

/// Names in checkpoints: last losses, and marks of the last epoch's picks.
const LOSSES: &str = "losses";
const PICKED: &str = "picked";

/// Clips losses to 0 and ln K, what a guess among K `classes` costs. NaN counts as ln K.
pub fn clipped(losses: &[f32], classes: usize) -> Vec<f64> {
    let most = libm::log(classes as f64);
    losses
        .iter()
        .map(|&loss| if loss.is_nan() { most } else { f64::from(loss).clamp(0.0, most) })
        .collect()
}

/// Returns the weight of each sample within its class, exp(loss / beta) over the sum of the class. Losses
/// are clipped, and `labels` are those of the same samples.
pub fn importances(losses: &[f64], labels: &[u32], classes: usize, beta: f64) -> Vec<f64> {
    let mut largest = vec![f64::NEG_INFINITY; classes];
    for (&loss, &label) in losses.iter().zip(labels) {
        let most = &mut largest[label as usize];
        *most = most.max(loss);
    }
    let raised = losses.iter().zip(labels);
    let raised: Vec<f64> =
        raised.map(|(&loss, &label)| libm::exp((loss - largest[label as usize]) / beta)).collect();
    let mut sums = vec![0.0; classes];
    raised.iter().zip(labels).for_each(|(value, &label)| sums[label as usize] += value);
    raised.iter().zip(labels).map(|(value, &label)| value / sums[label as usize]).collect()
}

/// Returns how many samples of each class an epoch keeps: `budget` in proportion to
/// sqrt(aggregate_c n_c / n), rounded up, and at least one of each class that has any. A class that
/// would keep more than it has keeps all, and the others share what is left.
pub fn class_counts(aggregates: &[f64], sizes: &[u64], budget: usize) -> Vec<usize> {
    let all: u64 = sizes.iter().sum();
    let root = |(&aggregate, &size): (&f64, &u64)| {
        let share = size as f64 / all.max(1) as f64;
        libm::sqrt(aggregate.max(0.0) * share)
    };
    let roots: Vec<f64> = aggregates.iter().zip(sizes).map(root).collect();
    let mut whole = vec![false; sizes.len()];
    loop {
        let open = || (0..sizes.len()).filter(|&c| !whole[c]);
        let taken: u64 = (0..sizes.len()).filter(|&c| whole[c]).map(|c| sizes[c]).sum();
        let left = (budget as f64 - taken as f64).max(0.0);
        let sum: f64 = open().map(|c| roots[c]).sum();
        let wanted = |c: usize| if sum > 0.0 { roots[c] / sum * left } else { 0.0 };
        let over: Vec<usize> = open().filter(|&c| wanted(c) > sizes[c] as f64).collect();
        if over.is_empty() {
            // Rounding of the quotient must not keep a sample more.
            let count = |c: usize| match whole[c] {
                true => sizes[c] as usize,
                false => ((wanted(c) - 1e-9).ceil().max(1.0) as usize).min(sizes[c] as usize),
            };
            return (0..sizes.len()).map(count).collect();
        }
        over.into_iter().for_each(|c| whole[c] = true);
    }
}

/// Draws `count` of `samples` without replacement, one after the other in proportion to exp(loss / beta):
/// those with the largest loss / beta + g, where g is a Gumbel variable of seed, epoch and sample. Returns
/// places in `samples`.
pub fn drawn(
    [seed, epoch]: [u64; 2],
    samples: &[u32],
    losses: &[f64],
    beta: f64,
    count: usize,
) -> Vec<usize> {
    let philox = Philox::new(seed, Stream::Rcap);
    let key = |(&sample, &loss): (&u32, &f64)| {
        let words = philox.block(epoch, sample);
        let bits = (u64::from(words[0]) << 21) | (u64::from(words[1]) >> 11);
        let uniform = (bits as f64 + 0.5) / 9_007_199_254_740_992.0;
        loss / beta - libm::log(-libm::log(uniform))
    };
    let keys: Vec<f64> = samples.iter().zip(losses).map(key).collect();
    let mut places: Vec<usize> = (0..samples.len()).collect();
    places.sort_by(|&a, &b| keys[b].total_cmp(&keys[a]));
    places.truncate(count);
    places
}

pub(super) struct Rcap {
    facts: JobFacts,
    /// Labels of the subset, and the places in it of the samples of each class.
    labels: Vec<u32>,
    places: Vec<Vec<usize>>,
    /// Samples that an epoch keeps.
    budget: usize,
    beta: f64,
    /// Whether classes are compared by the mean loss of their last picks, instead of their weights.
    mean_loss: bool,
    /// Loss of the last presentation, one value for each sample of the subset.
    losses: Vec<f32>,
    /// 1 for samples that the last epoch presented, and 0 for others, one for each of the subset.
    picked: Vec<f32>,
    /// Epochs that presented each sample of the part.
    times: Vec<f32>,
}

impl Rcap {
    /// Keeps the part `keep` of the subset.
    pub(super) fn new(facts: JobFacts, [keep, beta]: [f64; 2], mean_loss: bool) -> Rcap {
        let n = facts.subset.len();
        let labels: Vec<u32> = facts.subset.iter().map(|&i| facts.labels[i as usize]).collect();
        let mut places = vec![Vec::new(); facts.classes];
        labels.iter().enumerate().for_each(|(p, &label)| places[label as usize].push(p));
        Rcap {
            labels,
            places,
            budget: (keep * n as f64 - 1e-9).ceil() as usize,
            beta,
            mean_loss,
            // Nobody knows anything: the loss of a guess, and all of the samples as picks.
            losses: vec![libm::log(facts.classes as f64) as f32; n],
            picked: vec![1.0; n],
            times: vec![0.0; facts.labels.len()],
            facts,
        }
    }

    /// Returns what each class is compared by: the sum of its picks' weights, or their mean loss.
    fn aggregates(&self, losses: &[f64]) -> Vec<f64> {
        let classes = self.facts.classes;
        let mut sums = vec![0.0; classes];
        let mut counts = vec![0u64; classes];
        let values = match self.mean_loss {
            true => losses.to_vec(),
            false => importances(losses, &self.labels, classes, self.beta),
        };
        for ((value, &label), &picked) in values.iter().zip(&self.labels).zip(&self.picked) {
            if picked > 0.0 {
                sums[label as usize] += value;
                counts[label as usize] += 1;
            }
        }
        match self.mean_loss {
            true => sums.iter().zip(&counts).map(|(s, &n)| s / n.max(1) as f64).collect(),
            false => sums,
        }
    }
}

impl<B: Operators> Policy<B> for Rcap {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        let losses = clipped(&self.losses, self.facts.classes);
        let sizes: Vec<u64> = self.places.iter().map(|places| places.len() as u64).collect();
        let counts = class_counts(&self.aggregates(&losses), &sizes, self.budget);
        let mut kept = vec![false; self.facts.labels.len()];
        for (places, &count) in self.places.iter().zip(&counts) {
            let samples: Vec<u32> = places.iter().map(|&p| self.facts.subset[p]).collect();
            let of_class: Vec<f64> = places.iter().map(|&p| losses[p]).collect();
            let draw = [self.facts.order_seed, u64::from(epoch)];
            for place in drawn(draw, &samples, &of_class, self.beta, count) {
                kept[samples[place] as usize] = true;
            }
        }
        let mut order = self.facts.order(epoch);
        order.retain(|&i| kept[i as usize]);
        Ok(self.facts.presentation(order))
    }

    fn learn(&mut self, presented: &[u32], losses: &[f32]) {
        self.picked.fill(0.0);
        for &i in presented {
            if let Ok(place) = self.facts.subset.binary_search(&i) {
                self.losses[place] = losses[i as usize];
                self.picked[place] = 1.0;
            }
            self.times[i as usize] += 1.0;
        }
    }

    fn times_presented(&self) -> Option<Vec<f32>> {
        Some(self.times.clone())
    }

    fn state(&self) -> Result<PolicyState> {
        let state =
            [(LOSSES, &self.losses), (PICKED, &self.picked), (TIMES_PRESENTED, &self.times)];
        Ok(state.map(|(name, values)| (name.to_owned(), values.clone())).into())
    }

    fn restore(&mut self, state: &PolicyState) -> Result<()> {
        let n = self.facts.subset.len();
        self.losses = stored(state, LOSSES, n)?;
        self.picked = stored(state, PICKED, n)?;
        self.times = stored(state, TIMES_PRESENTED, self.times.len())?;
        Ok(())
    }
}
