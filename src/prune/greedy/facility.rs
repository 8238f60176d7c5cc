//! Facility location: every sample is close to one of the picks.
//!
//! f(S) = sum_i max_{s in S} (const - d_is), so the gain of j is
//! sum_i max(0, m_i - d_ij), with m_i the distance of i to its nearest pick. The first pick is the
//! sample with the least sum of distances, whatever the constant.
//!
//! With cosine distance 1 - cos this is facility location; with distances of last-layer gradients
//! it is CRAIG (Mirzasoleiman, Bilmes, Leskovec 2020), whose weights are the cluster sizes: how
//! many samples have a pick as their nearest one.
//!
//! Gains only fall as picks are added, so an old gain is an upper bound. Lazy greedy (Minoux 1978) brings up to date
//! only what could be the best, and picks what the plain algorithm picks, bit for bit.

use std::collections::BinaryHeap;

use super::rows::DistanceRows;
use super::{Greedy, Pickable, keys};
use crate::error::Result;
use crate::isa::{Isa, multiversion};
use crate::prune::space::Measure;

/// The number of gains that are brought up to date together.
const TOGETHER: usize = 8;

/// Facility location under a measure. It takes n x 84 bytes and the rows that are kept.
pub(crate) struct Facility<M> {
    rows: DistanceRows<M>,
    /// Distance of each sample to its nearest pick. `nearest` is that pick, the earlier one of two
    /// at equal distances.
    least: Vec<u32>,
    nearest: Vec<usize>,
    candidates: BinaryHeap<Pickable>,
    /// The number of picks that each candidate's gain has seen.
    seen: Vec<usize>,
    picks: usize,
    isa: Isa,
}

impl<M: Measure> Facility<M> {
    /// Starts with no pick; rows of distances are kept up to `limit` bytes.
    pub(crate) fn new(measure: M, positions: &[usize], seed: u64, limit: usize) -> Self {
        let n = measure.len();
        let candidates = keys(positions, seed).into_iter().enumerate();
        Facility {
            rows: DistanceRows::new(measure, limit),
            least: vec![u32::MAX; n],
            nearest: vec![usize::MAX; n],
            candidates: candidates
                .map(|(sample, key)| Pickable { value: 0.0, key, sample })
                .collect(),
            seen: vec![0; n],
            picks: 0,
            isa: Isa::detect(),
        }
    }

    /// Computes the values of all candidates: the negated sums of distances before the first pick,
    /// and the gains after it.
    fn evaluate_all(&mut self) {
        let mut candidates = std::mem::take(&mut self.candidates).into_vec();
        let samples: Vec<usize> = candidates.iter().map(|c| c.sample).collect();
        let (isa, least, first) = (self.isa, &self.least, self.picks == 0);
        let values = self.rows.of_each(&samples, |_, row| match first {
            true => -(total(isa, row) as f64),
            false => gain(isa, least, row) as f64,
        });
        for (candidate, value) in candidates.iter_mut().zip(values) {
            candidate.value = value;
            self.seen[candidate.sample] = self.picks;
        }
        self.candidates = candidates.into();
    }

    /// Returns the best candidate, up to date.
    fn best(&mut self) -> Option<Pickable> {
        loop {
            let mut stale = Vec::with_capacity(TOGETHER);
            while stale.len() < TOGETHER
                && self.candidates.peek().is_some_and(|c| self.seen[c.sample] < self.picks)
            {
                stale.extend(self.candidates.pop());
            }
            if stale.is_empty() {
                return self.candidates.pop();
            }
            let samples: Vec<usize> = stale.iter().map(|c| c.sample).collect();
            let (isa, least) = (self.isa, &self.least);
            let values = self.rows.of_few(&samples, |_, row| gain(isa, least, row) as f64);
            for (candidate, value) in stale.into_iter().zip(values) {
                self.seen[candidate.sample] = self.picks;
                self.candidates.push(Pickable { value, ..candidate });
            }
        }
    }
}

multiversion! {
    /// Returns the sum of a row.
    fn total(row: &[u32]) -> u64 {
        row.iter().map(|&d| u64::from(d)).sum()
    }
}

multiversion! {
    /// Returns sum_i max(0, least_i - row_i).
    fn gain(least: &[u32], row: &[u32]) -> u64 {
        least.iter().zip(row).map(|(&m, &d)| u64::from(m.max(d) - d)).sum()
    }
}

impl<M: Measure> Greedy for Facility<M> {
    fn next(&mut self) -> Result<Option<usize>> {
        // The gains from before the first pick are bounds too loose to use.
        if self.picks <= 1 {
            self.evaluate_all();
        }
        let Some(Pickable { sample, .. }) = self.best() else { return Ok(None) };
        self.picks += 1;
        let row = self.rows.take(sample);
        for (i, &d) in row.iter().enumerate() {
            if d < self.least[i] {
                (self.least[i], self.nearest[i]) = (d, sample);
            }
        }
        Ok(Some(sample))
    }

    /// The weights are cluster sizes: how many samples of the group have the pick as their nearest
    /// one, the earlier of two at equal distances.
    fn weights(&mut self, kept: &[usize]) -> Result<Option<Vec<f64>>> {
        let n = self.rows.len();
        let mut place = vec![usize::MAX; n];
        kept.iter().enumerate().for_each(|(k, &sample)| place[sample] = k);
        let mut sizes = vec![0.0; kept.len()];
        if kept.len() == self.picks {
            self.nearest.iter().for_each(|&s| sizes[place[s]] += 1.0);
            return Ok(Some(sizes));
        }
        // Some picks were not kept, so their samples go to the nearest of the others.
        let mut least = vec![u32::MAX; n];
        let mut nearest = vec![0; n];
        for (k, &sample) in kept.iter().enumerate() {
            let row = self.rows.take(sample);
            for (i, &d) in row.iter().enumerate() {
                if d < least[i] {
                    (least[i], nearest[i]) = (d, k);
                }
            }
        }
        if !kept.is_empty() {
            nearest.iter().for_each(|&k| sizes[k] += 1.0);
        }
        Ok(Some(sizes))
    }
}
