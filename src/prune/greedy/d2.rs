//! D2: difficulty spread over a graph of neighbours, then picked with distance.
//!
//! Source: Maharana, Yadav, Bansal 2023. Forward: s'_i = s_i + sum_j exp(-forward d_ij) s_j over
//! the nearest neighbours j of i. Reverse: the greatest s' is picked, and its neighbours j lose
//! exp(-reverse d) s'_picked.

use std::collections::BinaryHeap;

use super::{Greedy, Key, Pickable, keys};
use crate::error::Result;
use crate::prune::space::Neighbour;

/// Picks by message passing. It takes n x (60 + 16 neighbours) bytes, and 32 for each message.
pub(crate) struct D2 {
    neighbours: Vec<Vec<Neighbour>>,
    reverse: f64,
    /// The s' of each sample after the losses so far; `None` for picks.
    scores: Vec<Option<f64>>,
    keys: Vec<Key>,
    /// Current and outdated scores of the samples.
    queue: BinaryHeap<Pickable>,
}

impl D2 {
    /// Spreads `scores`, of which greater ones are kept first. The neighbours' distances are
    /// Euclidean.
    pub(crate) fn new(
        scores: &[f64],
        neighbours: Vec<Vec<Neighbour>>,
        forward: f64,
        reverse: f64,
        positions: &[usize],
        seed: u64,
    ) -> Self {
        let message = |n: &Neighbour| libm::exp(-forward * n.distance) * scores[n.sample];
        let pass = |(&own, near): (&f64, &Vec<Neighbour>)| {
            // The parts are added in the order of their values, so that duplicates, which send
            // messages to each other, tie.
            let mut parts: Vec<f64> = near.iter().map(message).chain([own]).collect();
            parts.sort_unstable_by(f64::total_cmp);
            parts.iter().sum()
        };
        let passed: Vec<f64> = scores.iter().zip(&neighbours).map(pass).collect();
        let keys = keys(positions, seed);
        let candidates = passed.iter().zip(&keys).enumerate();
        let queue =
            candidates.map(|(sample, (&value, &key))| Pickable { value, key, sample }).collect();
        D2 { neighbours, reverse, scores: passed.into_iter().map(Some).collect(), keys, queue }
    }
}

impl Greedy for D2 {
    fn next(&mut self) -> Result<Option<usize>> {
        while let Some(Pickable { value, sample, .. }) = self.queue.pop() {
            if self.scores[sample] != Some(value) {
                continue;
            }
            self.scores[sample] = None;
            for near in &self.neighbours[sample] {
                if let Some(score) = &mut self.scores[near.sample] {
                    *score -= libm::exp(-self.reverse * near.distance) * value;
                    let (value, key) = (*score, self.keys[near.sample]);
                    self.queue.push(Pickable { value, key, sample: near.sample });
                }
            }
            return Ok(Some(sample));
        }
        Ok(None)
    }
}
