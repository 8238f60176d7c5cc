//! Exact nearest neighbours, a block of pairs at a time.

use rayon::prelude::*;

use super::{CHUNK, Measure};
use crate::rng::{Philox, Stream};

/// A neighbour of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Neighbour {
    /// The neighbour's number in the group.
    pub(crate) sample: usize,
    /// The distance under the measure.
    pub(crate) distance: f64,
}

/// Number of samples whose neighbours one task looks for.
const QUERIES: usize = 32;

/// Returns the `count` nearest other samples of every sample (all others, if they are fewer),
/// nearest first. It computes O(n^2) distances and takes n x count x 16 bytes, and a block of
/// distances for each thread.
///
/// Of samples at equal distances those with the lowest draw come first. There is one draw for each
/// pair of `positions`, so that which of many duplicates are neighbours depends on no order.
pub(crate) fn nearest<M: Measure>(
    measure: &M,
    positions: &[usize],
    count: usize,
    seed: u64,
) -> Vec<Vec<Neighbour>> {
    let all: Vec<usize> = (0..measure.len()).collect();
    let count = count.min(all.len().saturating_sub(1));
    nearest_of(measure, &all, &all, positions, count, seed)
}

/// Returns the same for each of `queries` alone, among `others` alone.
pub(crate) fn nearest_of<M: Measure>(
    measure: &M,
    queries: &[usize],
    others: &[usize],
    positions: &[usize],
    count: usize,
    seed: u64,
) -> Vec<Vec<Neighbour>> {
    let draw = Philox::new(seed, Stream::Neighbours);
    let key =
        |query: usize, other: usize| draw.block(positions[query] as u64, positions[other] as u32);
    queries
        .par_chunks(QUERIES)
        .flat_map_iter(|queries| {
            let mut lists = vec![Vec::with_capacity(count + 1); queries.len()];
            let mut block = vec![0.0; queries.len() * CHUNK];
            for others in others.chunks(CHUNK) {
                let block = &mut block[..queries.len() * others.len()];
                measure.distances(queries, others, block);
                for (q, list) in lists.iter_mut().enumerate() {
                    let distances = &block[q * others.len()..][..others.len()];
                    for (&sample, &distance) in others.iter().zip(distances) {
                        let last: Option<&Neighbour> = list.last();
                        let full = list.len() == count;
                        if sample == queries[q]
                            || full && last.is_none_or(|l| distance > l.distance)
                        {
                            continue;
                        }
                        let before = |n: &Neighbour| {
                            n.distance < distance
                                || n.distance == distance
                                    && key(queries[q], n.sample) < key(queries[q], sample)
                        };
                        list.insert(list.partition_point(before), Neighbour { sample, distance });
                        list.truncate(count);
                    }
                }
            }
            lists
        })
        .collect()
}
