//! Rows of a distance matrix that never exists as a whole.
//!
//! Distances are whole multiples of 2^-31 of the greatest possible one. Their sums are exact and
//! therefore depend on no order, and gains that are equal by symmetry (two samples that would each
//! stand for the other) are equal in the computer too, so that the draw decides.

use std::sync::OnceLock;

use rayon::prelude::*;

use crate::prune::space::{CHUNK, Measure};

/// The number of rows that are computed together.
const TOGETHER: usize = 8;
/// The number of steps from 0 to the greatest distance.
const STEPS: f64 = (1u64 << 31) as f64;

/// Distances of a sample to all samples of its group, computed when they are asked for. Rows are
/// kept until `limit` bytes are full, which saves time and changes no value.
pub(crate) struct DistanceRows<M> {
    measure: M,
    all: Vec<usize>,
    kept: Vec<OnceLock<Box<[u32]>>>,
    /// The number of steps in a unit of distance.
    scale: f64,
    /// Whether all rows fit into the limit.
    all_fit: bool,
    /// The number of rows that may still be kept.
    room: usize,
}

/// Returns the most bytes that rows of a group of n samples take under a limit.
pub(crate) fn bytes(n: usize, limit: usize) -> f64 {
    let row = 4 * n;
    row as f64 * n.min(limit / row.max(1)) as f64
}

impl<M: Measure> DistanceRows<M> {
    pub(crate) fn new(measure: M, limit: usize) -> Self {
        let n = measure.len();
        let room = limit / (4 * n).max(1);
        let kept = (0..n).map(|_| OnceLock::new()).collect();
        let most = measure.most();
        let scale = if most > 0.0 { STEPS / most } else { 0.0 };
        DistanceRows { measure, all: (0..n).collect(), kept, scale, all_fit: room >= n, room }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns `of_row(sample, its row)` for every sample, in the order of `samples`. Rows are kept
    /// only if all fit, because after a pass over everything the first rows are no more likely to
    /// be needed than others.
    pub(crate) fn of_each<T: Send>(
        &self,
        samples: &[usize],
        of_row: impl Fn(usize, &[u32]) -> T + Sync,
    ) -> Vec<T> {
        let together = samples.par_chunks(TOGETHER).flat_map_iter(|some| {
            let missing: Vec<usize> =
                some.iter().copied().filter(|&i| self.kept[i].get().is_none()).collect();
            let rows = self.compute(&missing);
            let mut computed = missing.iter().zip(rows).collect::<Vec<_>>().into_iter();
            let mut results = Vec::with_capacity(some.len());
            for &i in some {
                if let Some(row) = self.kept[i].get() {
                    results.push(of_row(i, row));
                } else if let Some((_, row)) = computed.next() {
                    results.push(of_row(i, &row));
                    if self.all_fit {
                        self.kept[i].get_or_init(|| row);
                    }
                }
            }
            results
        });
        together.collect()
    }

    /// Returns `of_row(sample, its row)` for a few samples that are likely to be asked for again,
    /// whose rows are therefore kept.
    pub(crate) fn of_few<T: Send>(
        &mut self,
        samples: &[usize],
        of_row: impl Fn(usize, &[u32]) -> T + Sync,
    ) -> Vec<T> {
        let keep: Vec<bool> = samples
            .iter()
            .map(|&i| {
                let keep = self.kept[i].get().is_none() && self.room > 0;
                self.room -= usize::from(keep);
                keep
            })
            .collect();
        let tasks = samples.par_iter().zip(keep);
        let one = |(&i, keep): (&usize, bool)| match self.kept[i].get() {
            Some(row) => of_row(i, row),
            None => {
                let row = self.row(i);
                let result = of_row(i, &row);
                if keep {
                    self.kept[i].get_or_init(|| row);
                }
                result
            }
        };
        tasks.map(one).collect()
    }

    /// Takes a row out for good, with the place that it held.
    pub(crate) fn take(&mut self, sample: usize) -> Box<[u32]> {
        match self.kept[sample].take() {
            Some(row) => {
                self.room += usize::from(!self.all_fit);
                row
            }
            None => self.row(sample),
        }
    }

    /// Rounds to the nearest whole number of steps.
    fn steps(&self, distance: f64) -> u32 {
        (distance * self.scale).round_ties_even() as u32
    }

    /// Computes one row, its chunks in parallel.
    fn row(&self, sample: usize) -> Box<[u32]> {
        let mut row = vec![0u32; self.len()];
        row.par_chunks_mut(CHUNK).zip(self.all.par_chunks(CHUNK)).for_each(|(places, others)| {
            let mut distances = [0.0; CHUNK];
            let distances = &mut distances[..others.len()];
            self.measure.distances(&[sample], others, distances);
            places.iter_mut().zip(distances).for_each(|(p, d)| *p = self.steps(*d));
        });
        row.into()
    }

    /// Computes several rows on one thread, whose pairs share what they load.
    fn compute(&self, samples: &[usize]) -> Vec<Box<[u32]>> {
        let mut rows: Vec<Box<[u32]>> =
            samples.iter().map(|_| vec![0; self.len()].into()).collect();
        let mut block = vec![0.0; samples.len() * CHUNK];
        for (c, others) in self.all.chunks(CHUNK).enumerate() {
            let block = &mut block[..samples.len() * others.len()];
            self.measure.distances(samples, others, block);
            for (row, distances) in rows.iter_mut().zip(block.chunks(others.len())) {
                let places = &mut row[c * CHUNK..][..others.len()];
                places.iter_mut().zip(distances).for_each(|(p, &d)| *p = self.steps(d));
            }
        }
        rows
    }
}
