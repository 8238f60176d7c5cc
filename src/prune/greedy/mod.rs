//! Methods that pick one sample after another, so that a smaller subset is the beginning of a
//! larger one.
//!
//! Among equally good samples the one with the lowest draw is picked; the draw is keyed on the
//! seed and the sample's position in the training set, and never on an index or an order.

mod beta;
mod ccs;
mod d2;
mod facility;
mod glister;
mod grad_match;
mod graph_cut;
mod herding;
mod k_center;
mod moderate;
mod nnls;
mod rows;
mod window;

use std::cmp::{Ordering, Reverse};

use rayon::prelude::*;

use super::space::CHUNK;
use crate::error::Result;
use crate::rng::{Philox, Stream};

pub(crate) use beta::{Shape, anchor, arrivals};
pub(crate) use ccs::Ccs;
pub(crate) use d2::D2;
pub(crate) use facility::Facility;
pub(crate) use glister::{Glister, Refresh};
pub(crate) use grad_match::{GradMatch, bytes as grad_match_bytes};
pub(crate) use graph_cut::GraphCut;
pub(crate) use herding::Herding;
pub(crate) use k_center::{KCenter, drawn, least};
pub(crate) use moderate::central_order;
pub(crate) use rows::bytes as row_bytes;
pub(crate) use window::window_order;

/// A method that picks one sample after another. Samples are numbered inside their group.
pub(crate) trait Greedy {
    /// Returns the next pick, or `None` when all samples are picked.
    fn next(&mut self) -> Result<Option<usize>>;

    /// Returns what each of `kept`, a part of the picks, stands for; `None` where the method gives
    /// no weights.
    fn weights(&mut self, kept: &[usize]) -> Result<Option<Vec<f64>>> {
        let _ = kept;
        Ok(None)
    }
}

/// An order that is known from the start.
pub(crate) struct Known(pub(crate) std::vec::IntoIter<usize>);

impl Greedy for Known {
    fn next(&mut self) -> Result<Option<usize>> {
        Ok(self.0.next())
    }
}

/// A sample's draw: 128 bits, distinct for distinct positions.
pub(crate) type Key = [u32; 4];

/// Returns the draws of the samples at `positions`, 16 bytes each.
pub(crate) fn keys(positions: &[usize], seed: u64) -> Vec<Key> {
    let draw = Philox::new(seed, Stream::Ties);
    positions.iter().map(|&position| draw.block(position as u64, 0)).collect()
}

/// A sample that may be picked. The greatest value comes first, then the lowest draw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pickable {
    pub(crate) value: f64,
    pub(crate) key: Key,
    pub(crate) sample: usize,
}

impl Ord for Pickable {
    fn cmp(&self, other: &Self) -> Ordering {
        // Adding 0.0 makes 0 and -0 equal.
        let by_value = (self.value + 0.0).total_cmp(&(other.value + 0.0));
        by_value.then_with(|| Reverse(self.key).cmp(&Reverse(other.key)))
    }
}

impl PartialOrd for Pickable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pickable {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pickable {}

/// Samples that are not picked yet, in no particular order.
pub(crate) struct Unpicked {
    samples: Vec<usize>,
    keys: Vec<Key>,
}

impl Unpicked {
    pub(crate) fn new(positions: &[usize], seed: u64) -> Self {
        Unpicked { samples: (0..positions.len()).collect(), keys: keys(positions, seed) }
    }

    /// Takes out the sample of the greatest value; `evaluate` writes the values of the samples it
    /// is given.
    pub(crate) fn take_best(
        &mut self,
        evaluate: impl Fn(&[usize], &mut [f64]) + Sync,
    ) -> Option<usize> {
        let bests: Vec<Option<(Pickable, usize)>> = self
            .samples
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(c, samples)| {
                let mut values = vec![0.0; samples.len()];
                evaluate(samples, &mut values);
                let candidates = samples.iter().zip(values).enumerate();
                candidates
                    .map(|(i, (&sample, value))| {
                        (Pickable { value, key: self.keys[sample], sample }, c * CHUNK + i)
                    })
                    .max_by_key(|&(candidate, _)| candidate)
            })
            .collect();
        let (best, place) = bests.into_iter().flatten().max_by_key(|&(candidate, _)| candidate)?;
        self.samples.swap_remove(place);
        Some(best.sample)
    }

    /// Returns the samples that are left.
    pub(crate) fn samples(&self) -> &[usize] {
        &self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_taken_and_ties_are_drawn() {
        let values = [1.0, 5.0, 5.0, -1.0, 5.0];
        let mut first = [0; 5];
        for seed in 0..600 {
            let mut open = Unpicked::new(&[10, 11, 12, 13, 14], seed);
            let evaluate = |samples: &[usize], out: &mut [f64]| {
                samples.iter().zip(out).for_each(|(&s, v)| *v = values[s]);
            };
            let order: Vec<usize> = std::iter::from_fn(|| open.take_best(evaluate)).collect();
            first[order[0]] += 1;
            assert_eq!(order[3..], [0, 3]);
            assert!(open.samples().is_empty());
        }
        // The standard deviation of these counts is 12.
        assert!([1, 2, 4].iter().all(|&i| (150..=250).contains(&first[i])), "{first:?}");
    }

    #[test]
    fn zero_and_negative_zero_tie() {
        let candidate = |value| Pickable { value, key: [1; 4], sample: 0 };
        assert_eq!(candidate(0.0), candidate(-0.0));
        assert!(candidate(1.0) > candidate(f64::NEG_INFINITY));
    }
}
