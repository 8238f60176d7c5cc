//! Where samples lie, and how far apart two of them are.
//!
//! A [`Measure`] answers for blocks of pairs, from rows that stay where they are: a matrix of all
//! pairs is never stored. Samples are numbered inside their group (the whole population, or one
//! class) here and in `greedy`; positions in the training set come back where picks are handed out.

mod cosine;
mod divergence;
mod gradient;
mod lanes;
mod neighbours;
mod table;

use std::ops::Range;

use rayon::prelude::*;

use crate::error::Result;
use crate::isa::Isa;

pub(crate) use cosine::{Cosine, inverse_of};
pub(crate) use divergence::Divergence;
pub(crate) use gradient::{CosineDistance, Gradients};
pub(crate) use lanes::{PairSum, pairs};
pub(crate) use neighbours::{Neighbour, nearest, nearest_of};
pub(crate) use table::check_labels;
pub use table::{Features, Probabilities};

/// Number of samples in one parallel task, and in one step of an ordered sum. It is fixed, so that
/// results do not depend on the number of threads.
pub(crate) const CHUNK: usize = 128;

/// How far apart two samples of a group are.
pub(crate) trait Measure: Sync {
    /// Returns the number of samples of the group.
    fn len(&self) -> usize;

    /// Writes the distance of sample `queries[q]` to `others[o]`, not negative and symmetric bit
    /// for bit, to `out[q * others.len() + o]`.
    fn distances(&self, queries: &[usize], others: &[usize], out: &mut [f64]);

    /// Returns a bound that no distance exceeds.
    fn most(&self) -> f64;

    /// Tells without computing it whether the distance of two samples is certainly greater than
    /// `bound`.
    fn beyond(&self, a: usize, b: usize, bound: f64) -> bool {
        let _ = (a, b, bound);
        false
    }
}

/// How alike two samples of a group are.
pub(crate) trait Similarity: Sync {
    /// Writes the similarity of sample `query` to `others[o]`, symmetric bit for bit, to `out[o]`.
    fn similarities(&self, query: usize, others: &[usize], out: &mut [f64]);

    /// Returns for every sample the sum of its similarities to all samples, itself included.
    fn totals(&self) -> Vec<f64>;
}

/// The features of a group of samples, which are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points<'a> {
    features: Features<'a>,
    positions: &'a [usize],
    pub(crate) isa: Isa,
}

impl<'a> Points<'a> {
    /// Takes the features at `positions`.
    ///
    /// # Errors
    /// Fails as [`Features::check`] does.
    pub(crate) fn new(features: Features<'a>, positions: &'a [usize]) -> Result<Self> {
        features.check(positions)?;
        Ok(Points { features, positions, isa: Isa::detect() })
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    pub(crate) fn dims(&self) -> usize {
        self.features.dims()
    }

    pub(crate) fn row(&self, sample: usize) -> &'a [f32] {
        self.features.row(self.positions[sample])
    }

    pub(crate) fn rows(&self, samples: &[usize]) -> Vec<&'a [f32]> {
        samples.iter().map(|&i| self.row(i)).collect()
    }

    /// Writes the pair sums of one vector with the given samples.
    pub(crate) fn against(
        &self,
        pair: PairSum,
        vector: &[f32],
        samples: &[usize],
        out: &mut [f64],
    ) {
        pairs(self.isa, pair, &[vector], &self.rows(samples), out);
    }

    /// Returns the mean of the group in f64.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let mut mean = ordered_sum(self.len(), self.dims(), |samples, sum| {
            for i in samples {
                add(sum, self.row(i));
            }
        });
        let n = self.len().max(1) as f64;
        mean.iter_mut().for_each(|v| *v /= n);
        mean
    }
}

/// Squared Euclidean distance.
pub(crate) struct SquaredEuclidean<'a> {
    points: Points<'a>,
    /// The Euclidean norm of each sample, n x 8 bytes.
    norms: Vec<f64>,
}

impl<'a> SquaredEuclidean<'a> {
    pub(crate) fn new(points: Points<'a>) -> Self {
        let mut norms = vec![0.0; points.len()];
        fill_chunks(&mut norms, |start, places| {
            for (i, place) in places.iter_mut().enumerate() {
                *place = norm(points.row(start + i));
            }
        });
        SquaredEuclidean { points, norms }
    }
}

impl Measure for SquaredEuclidean<'_> {
    fn len(&self) -> usize {
        self.points.len()
    }

    fn distances(&self, queries: &[usize], others: &[usize], out: &mut [f64]) {
        let (queries, others) = (self.points.rows(queries), self.points.rows(others));
        pairs(self.points.isa, PairSum::SquaredDifference, &queries, &others, out);
    }

    fn most(&self) -> f64 {
        let most = self.norms.iter().copied().fold(0.0, f64::max);
        4.0 * most * most
    }

    /// Uses | |a| - |b| | <= |a - b|. The margins cover the roundings of norms and distances.
    fn beyond(&self, a: usize, b: usize, bound: f64) -> bool {
        let gap = (self.norms[a] - self.norms[b]).abs();
        gap > 1e-9 * (self.norms[a] + self.norms[b]) && gap * gap * (1.0 - 1e-4) > bound
    }
}

/// Computes `vector += row`.
pub(crate) fn add(vector: &mut [f64], row: &[f32]) {
    for (v, &x) in vector.iter_mut().zip(row) {
        *v += f64::from(x);
    }
}

/// Rounds a vector to f32, which the kernels take.
pub(crate) fn narrow(vector: &[f64]) -> Vec<f32> {
    vector.iter().map(|&v| v as f32).collect()
}

/// Returns a sum of `width` values over `len` samples: each chunk is summed in its own order, then
/// the chunks in theirs.
pub(crate) fn ordered_sum(
    len: usize,
    width: usize,
    add_samples: impl Fn(Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    let mut total = vec![0.0; width];
    // A round holds as many partial sums as tasks can use, so that memory stays small for any
    // length.
    const TASKS: usize = 64;
    for round in (0..len).step_by(CHUNK * TASKS) {
        let partial: Vec<Vec<f64>> = (round..len.min(round + CHUNK * TASKS))
            .into_par_iter()
            .step_by(CHUNK)
            .map(|start| {
                let mut sum = vec![0.0; width];
                add_samples(start..len.min(start + CHUNK), &mut sum);
                sum
            })
            .collect();
        for sum in partial {
            total.iter_mut().zip(sum).for_each(|(t, v)| *t += v);
        }
    }
    total
}

/// Computes `out` in parallel: `fill` gets the first sample of a chunk and the chunk's places.
pub(crate) fn fill_chunks<T: Send>(out: &mut [T], fill: impl Fn(usize, &mut [T]) + Sync) {
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(c, places)| fill(c * CHUNK, places));
}

/// Returns the Euclidean norm in f64.
pub(crate) fn norm(row: &[f32]) -> f64 {
    row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
}
