//! Greedy k-center: each pick is the sample farthest from all picks so far.
//!
//! Source: Gonzalez 1985; as a core-set, Sener and Savarese 2018.
//!
//! A sample's distance to the nearest pick only falls, so an old one is an upper bound. A sample
//! is brought up to date only when its bound could make it the farthest; the others keep a note of
//! how many picks they have seen. The picks are those of the plain algorithm, bit for bit.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::{Greedy, Key, Pickable, keys};
use crate::error::Result;
use crate::prune::space::{Measure, fill_chunks};
use crate::rng::{Philox, Stream};

/// The number of samples whose farthest one is remembered together.
const BLOCK: usize = 64;
/// The number of picks that are compared at once with a sample that lags behind.
const STEP: usize = 16;
/// The number of blocks that are brought up to date in parallel. More would do work that may turn
/// out not to be needed.
const AHEAD: usize = 8;

/// Greedy k-center under a measure. It takes n x 36 bytes.
pub(crate) struct KCenter<M> {
    measure: M,
    blocks: Vec<SampleBlock>,
    /// The first pick.
    start: usize,
    picks: Vec<usize>,
}

/// Consecutive samples, brought up to date on their own.
struct SampleBlock {
    first: usize,
    /// Distance of each sample to the nearest of the first `seen` picks; below 0 for picks
    /// themselves.
    bound: Vec<f64>,
    seen: Vec<u32>,
    keys: Vec<Key>,
    farthest: Pickable,
}

impl<M: Measure> KCenter<M> {
    /// Starts with `start` as the first pick.
    pub(crate) fn new(measure: M, start: usize, positions: &[usize], seed: u64) -> Self {
        let keys = keys(positions, seed);
        let block = |(b, keys): (usize, &[Key])| SampleBlock {
            first: b * BLOCK,
            bound: vec![f64::INFINITY; keys.len()],
            seen: vec![0; keys.len()],
            keys: keys.to_vec(),
            farthest: Pickable { value: f64::INFINITY, key: keys[0], sample: b * BLOCK },
        };
        let blocks = keys.chunks(BLOCK).enumerate().map(block).collect();
        KCenter { measure, blocks, start, picks: Vec::new() }
    }

    /// Computes every sample's distance to the first pick.
    fn begin(&mut self) {
        let mut distances = vec![0.0; self.measure.len()];
        let (measure, start) = (&self.measure, self.start);
        fill_chunks(&mut distances, |first, places| {
            let samples: Vec<usize> = (first..first + places.len()).collect();
            measure.distances(&[start], &samples, places);
        });
        for block in &mut self.blocks {
            let len = block.bound.len();
            block.bound.copy_from_slice(&distances[block.first..][..len]);
            block.seen.fill(1);
            block.find_farthest();
        }
    }

    /// Returns the farthest sample, up to date.
    fn farthest(&mut self) -> Option<usize> {
        let (measure, picks) = (&self.measure, &self.picks[..]);
        loop {
            let best = self.blocks.iter().max_by_key(|block| block.farthest)?;
            if best.farthest.value < 0.0 {
                return None;
            }
            if best.up_to_date(picks.len()).is_some() {
                return Some(best.farthest.sample);
            }
            // Whatever is nearer than a sample that is up to date can wait.
            let known = self.blocks.iter().filter_map(|block| block.up_to_date(picks.len()));
            let bar = known.fold(0.0, f64::max);
            let ahead = self.blocks.iter_mut().filter(|block| {
                block.farthest.value >= bar && block.up_to_date(picks.len()).is_none()
            });
            let mut ahead: Vec<&mut SampleBlock> = ahead.collect();
            if ahead.len() > AHEAD {
                ahead.select_nth_unstable_by_key(AHEAD - 1, |block| Reverse(block.farthest));
                ahead.truncate(AHEAD);
            }
            ahead.into_par_iter().for_each(|block| block.advance(measure, picks, bar));
        }
    }
}

impl SampleBlock {
    /// Returns the farthest sample's distance if that sample has seen all `picks`.
    fn up_to_date(&self, picks: usize) -> Option<f64> {
        (self.seen[self.farthest.sample % BLOCK] as usize == picks).then_some(self.farthest.value)
    }

    fn find_farthest(&mut self) {
        let mut farthest = 0;
        for i in 1..self.bound.len() {
            if self.bound[i] > self.bound[farthest]
                || self.bound[i] == self.bound[farthest] && self.keys[i] < self.keys[farthest]
            {
                farthest = i;
            }
        }
        self.farthest = Pickable {
            value: self.bound[farthest],
            key: self.keys[farthest],
            sample: self.first + farthest,
        };
    }

    /// Brings samples up to date until the farthest one is, or is nearer than `bar`.
    fn advance<M: Measure>(&mut self, measure: &M, picks: &[usize], bar: f64) {
        let mut distances = [0.0; STEP];
        let mut near = Vec::with_capacity(STEP);
        loop {
            let i = self.farthest.sample - self.first;
            let (bound, seen) = (&mut self.bound[i], &mut self.seen[i]);
            if *bound < bar || *seen as usize == picks.len() {
                return;
            }
            for some in picks[*seen as usize..].chunks(STEP) {
                let sample = self.first + i;
                near.clear();
                near.extend(some.iter().filter(|&&pick| !measure.beyond(sample, pick, *bound)));
                let distances = &mut distances[..near.len()];
                measure.distances(&[sample], &near, distances);
                *bound = distances.iter().copied().fold(*bound, f64::min);
                *seen += some.len() as u32;
                if *bound < bar {
                    break;
                }
            }
            self.find_farthest();
        }
    }
}

impl<M: Measure> Greedy for KCenter<M> {
    fn next(&mut self) -> Result<Option<usize>> {
        let next = if self.picks.is_empty() {
            if self.measure.len() == 0 {
                return Ok(None);
            }
            self.begin();
            Some(self.start)
        } else {
            self.farthest()
        };
        if let Some(sample) = next {
            let block = &mut self.blocks[sample / BLOCK];
            block.bound[sample % BLOCK] = -1.0;
            block.seen[sample % BLOCK] = u32::MAX;
            block.find_farthest();
            self.picks.push(sample);
        }
        Ok(next)
    }
}

/// Returns the sample of the least value, ties drawn; 0 if there is no sample.
pub(crate) fn least(values: &[f64], positions: &[usize], seed: u64) -> usize {
    let keys = keys(positions, seed);
    let order = |&a: &usize, &b: &usize| {
        values[a].total_cmp(&values[b]).then_with(|| keys[a].cmp(&keys[b]))
    };
    (0..values.len()).min_by(order).unwrap_or(0)
}

/// Returns a sample drawn by the seed and its position; 0 if there is no sample.
pub(crate) fn drawn(positions: &[usize], seed: u64) -> usize {
    let draw = Philox::new(seed, Stream::Start);
    let lot = |&i: &usize| draw.block(positions[i] as u64, 0);
    (0..positions.len()).min_by_key(lot).unwrap_or(0)
}
