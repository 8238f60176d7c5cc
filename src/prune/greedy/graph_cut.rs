//! Graph cut: samples that are like all others, and unlike those already picked.
//!
//! Source: Iyer et al. 2021. The gain of j is lam sum_{i in V} s_ij - 2 sum_{i in S} s_ij, with
//! cosine similarity. Its first sum needs no pairs: it is the product with the sum of all unit
//! vectors. The second grows by one similarity a pick.

use super::{Greedy, Unpicked};
use crate::error::Result;
use crate::prune::space::{Similarity, fill_chunks};

/// Graph cut's picks. They take n x 40 bytes.
pub(crate) struct GraphCut<S> {
    similarity: S,
    /// The gain of each sample: lam times its sum over all samples, less twice its sum over the
    /// picks.
    gains: Vec<f64>,
    open: Unpicked,
}

impl<S: Similarity> GraphCut<S> {
    pub(crate) fn new(similarity: S, lambda: f64, positions: &[usize], seed: u64) -> Self {
        let mut gains = similarity.totals();
        gains.iter_mut().for_each(|g| *g *= lambda);
        GraphCut { similarity, gains, open: Unpicked::new(positions, seed) }
    }
}

impl<S: Similarity> Greedy for GraphCut<S> {
    fn next(&mut self) -> Result<Option<usize>> {
        let gains = &self.gains;
        let next = self.open.take_best(|samples, values| {
            samples.iter().zip(values).for_each(|(&sample, v)| *v = gains[sample]);
        });
        if let Some(sample) = next {
            let open = self.open.samples();
            let mut similar = vec![0.0; open.len()];
            fill_chunks(&mut similar, |first, places| {
                self.similarity.similarities(sample, &open[first..][..places.len()], places);
            });
            for (&other, s) in open.iter().zip(similar) {
                self.gains[other] -= 2.0 * s;
            }
        }
        Ok(next)
    }
}
