//! Distance to the nearest prototype, which is SSP without labels.
//!
//! Source: Sorscher et al. 2022: k-means in feature space, then 1 - cos to the nearest centroid.
//!
//! Seeding is k-means++ (Arthur and Vassilvitskii 2007). Its draw in proportion to a weight w is a
//! race: the sample with the least -ln(u) / w comes first, with u keyed on the sample's position
//! and the round, so that it depends on no order.

use rayon::prelude::*;

use super::sample_score::{SampleScore, spread};
use crate::error::{Error, Result};
use crate::prune::greedy::keys;
use crate::prune::names::names;
use crate::prune::population::Population;
use crate::prune::rank::Direction;
use crate::prune::space::{CHUNK, Features, PairSum, Points, inverse_of, narrow, norm, pairs};
use crate::rng::{Philox, Stream};

/// What k-means minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterMetric {
    /// 1 - cos, with features and centroids scaled to length 1 (spherical k-means); this is what
    /// the score measures.
    #[default]
    Cosine,
    /// Squared Euclidean distance of the features as they are.
    Euclidean,
}

names!(ClusterMetric, "metric", "cosine" => ClusterMetric::Cosine, "euclidean" => ClusterMetric::Euclidean);

/// Options of k-means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KMeans {
    /// Number of clusters.
    pub clusters: usize,
    /// The distance that is minimised.
    pub metric: ClusterMetric,
    /// Most rounds of Lloyd's algorithm, which ends earlier if no sample changes its cluster.
    pub rounds: usize,
}

impl KMeans {
    /// Makes options with the default metric and at most 100 rounds.
    pub fn new(clusters: usize) -> Self {
        KMeans { clusters, metric: ClusterMetric::Cosine, rounds: 100 }
    }
}

/// Returns 1 - cos of every sample's features to the nearest centroid. Far samples are hard and
/// kept. A vector of zeros is at distance 1.
///
/// It takes O(N D K rounds) time, 64 bytes for each sample and 12 for each entry of a centroid.
///
/// # Errors
/// Fails as [`Population::sizes`] and [`Features::check`] do, and with no cluster or more clusters
/// than samples.
pub fn prototype_distances(
    population: Population,
    features: Features,
    options: KMeans,
    seed: u64,
) -> Result<SampleScore> {
    population.sizes()?;
    let positions = population.eligible;
    if options.clusters == 0 || options.clusters > positions.len() {
        return Err(Error::invalid(
            "clusters",
            options.clusters.to_string(),
            format!("from 1 to {}, the samples", positions.len()),
        ));
    }
    let points = Points::new(features, positions)?;
    let clusters = Clusters::find(points, positions, options, seed);
    let values = spread(population.labels.len(), positions, clusters.cosine_distances());
    let variant = format!(
        "1 - cos of the features to the nearest of {} centroids, {} k-means",
        options.clusters, options.metric
    );
    Ok(SampleScore { values, direction: Direction::KeepHighest, variant })
}

/// The centroids of a group.
struct Clusters<'a> {
    points: Points<'a>,
    metric: ClusterMetric,
    /// 1 / norm of every sample; 0 for zeros.
    inverse: Vec<f64>,
    /// K rows, scaled to length 1 (or 0) under the cosine metric.
    centroids: Vec<Vec<f32>>,
}

impl<'a> Clusters<'a> {
    fn find(points: Points<'a>, positions: &[usize], options: KMeans, seed: u64) -> Self {
        let samples = (0..points.len()).into_par_iter();
        let inverse = samples.map(|i| inverse_of(norm(points.row(i)))).collect();
        let mut clusters =
            Clusters { points, metric: options.metric, inverse, centroids: Vec::new() };
        clusters.seed(positions, options.clusters, seed);
        let mut before: Vec<usize> = Vec::new();
        for _ in 0..options.rounds {
            let nearest = clusters.assign();
            let owner: Vec<usize> = nearest.iter().map(|&(k, _)| k).collect();
            if owner == before {
                break;
            }
            clusters.update(&owner, &nearest, positions, seed);
            before = owner;
        }
        clusters
    }

    /// Chooses the first centroids by k-means++.
    fn seed(&mut self, positions: &[usize], clusters: usize, seed: u64) {
        let draw = Philox::new(seed, Stream::KMeans);
        let mut weights = vec![1.0; self.points.len()];
        for round in 0..clusters {
            let race = |i: usize| {
                let word = draw.block(positions[i] as u64, round as u32);
                let bits = (u64::from(word[0]) | u64::from(word[1]) << 32) >> 11;
                let uniform = (bits as f64 + 0.5) / (1u64 << 53) as f64;
                let time =
                    if weights[i] > 0.0 { -libm::log(uniform) / weights[i] } else { f64::INFINITY };
                (time, word, i)
            };
            let before = |a: &(f64, [u32; 4], usize), b: &(f64, [u32; 4], usize)| {
                a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1))
            };
            let Some((_, _, first)) = (0..weights.len()).into_par_iter().map(race).min_by(before)
            else {
                return;
            };
            self.centroids.push(self.scaled(first));
            let newest = self.centroids.len() - 1;
            let distances = self.distances(newest..newest + 1);
            for (weight, distance) in weights.iter_mut().zip(distances) {
                // The weights so far were made for a uniform draw, so the first distances replace
                // them.
                *weight = if round == 0 { distance } else { distance.min(*weight) };
            }
            weights[first] = 0.0;
        }
    }

    /// Returns a sample as a centroid.
    fn scaled(&self, sample: usize) -> Vec<f32> {
        let row = self.points.row(sample);
        match self.metric {
            ClusterMetric::Euclidean => row.to_vec(),
            ClusterMetric::Cosine => {
                row.iter().map(|&v| (f64::from(v) * self.inverse[sample]) as f32).collect()
            }
        }
    }

    /// Returns every sample's distance under the metric to the nearest of some centroids.
    fn distances(&self, which: std::ops::Range<usize>) -> Vec<f64> {
        self.nearest(which, self.metric).into_iter().map(|(_, d)| d).collect()
    }

    fn assign(&self) -> Vec<(usize, f64)> {
        self.nearest(0..self.centroids.len(), self.metric)
    }

    fn cosine_distances(&self) -> Vec<f64> {
        let all = 0..self.centroids.len();
        self.nearest(all, ClusterMetric::Cosine).into_iter().map(|(_, d)| d).collect()
    }

    /// Returns the nearest of some centroids for every sample, the first of equally near ones, and
    /// its distance.
    fn nearest(&self, which: std::ops::Range<usize>, metric: ClusterMetric) -> Vec<(usize, f64)> {
        let centroids: Vec<&[f32]> = self.centroids[which].iter().map(Vec::as_slice).collect();
        let inverse: Vec<f64> = centroids.iter().map(|c| inverse_of(norm(c))).collect();
        let samples: Vec<usize> = (0..self.points.len()).collect();
        let pair = match metric {
            ClusterMetric::Cosine => PairSum::InnerProduct,
            ClusterMetric::Euclidean => PairSum::SquaredDifference,
        };
        let of_chunk = |samples: &[usize]| {
            let mut sums = vec![0.0; centroids.len() * samples.len()];
            pairs(self.points.isa, pair, &centroids, &self.points.rows(samples), &mut sums);
            let distance = |k: usize, s: usize| {
                let sum = sums[k * samples.len() + s];
                match metric {
                    ClusterMetric::Euclidean => sum,
                    ClusterMetric::Cosine => {
                        1.0 - (sum * (self.inverse[samples[s]] * inverse[k])).clamp(-1.0, 1.0)
                    }
                }
            };
            let nearest_of = |s: usize| {
                let all = (0..centroids.len()).map(|k| (k, distance(k, s)));
                let first = (0, f64::INFINITY);
                all.fold(first, |best, next| if next.1 < best.1 { next } else { best })
            };
            (0..samples.len()).map(nearest_of).collect::<Vec<_>>()
        };
        samples.par_chunks(CHUNK).flat_map_iter(of_chunk).collect()
    }

    /// Moves each centroid to the samples that it owns, summed in the samples' order. One that owns
    /// none moves to the sample that is farthest from its own centroid.
    fn update(
        &mut self,
        owner: &[usize],
        nearest: &[(usize, f64)],
        positions: &[usize],
        seed: u64,
    ) {
        let mut owned = vec![Vec::new(); self.centroids.len()];
        owner.iter().enumerate().for_each(|(i, &k)| owned[k].push(i));
        let sums: Vec<Vec<f64>> = owned.par_iter().map(|samples| self.sum(samples)).collect();

        let keys = keys(positions, seed);
        let mut far: Vec<usize> = Vec::new();
        for (k, (sum, samples)) in sums.iter().zip(&owned).enumerate() {
            if samples.is_empty() {
                if far.is_empty() {
                    far = (0..owner.len()).collect();
                    far.sort_unstable_by(|&a, &b| {
                        nearest[a].1.total_cmp(&nearest[b].1).then_with(|| keys[b].cmp(&keys[a]))
                    });
                }
                if let Some(sample) = far.pop() {
                    self.centroids[k] = self.scaled(sample);
                }
                continue;
            }
            let length = match self.metric {
                ClusterMetric::Euclidean => samples.len() as f64,
                ClusterMetric::Cosine => sum.iter().map(|v| v * v).sum::<f64>().sqrt(),
            };
            let mean: Vec<f64> = sum.iter().map(|v| v * inverse_of(length)).collect();
            self.centroids[k] = narrow(&mean);
        }
    }

    /// Returns the sum of some samples, scaled to length 1 under the cosine metric.
    fn sum(&self, samples: &[usize]) -> Vec<f64> {
        let mut sum = vec![0.0; self.points.dims()];
        for &i in samples {
            let factor = match self.metric {
                ClusterMetric::Cosine => self.inverse[i],
                ClusterMetric::Euclidean => 1.0,
            };
            for (s, &x) in sum.iter_mut().zip(self.points.row(i)) {
                *s += f64::from(x) * factor;
            }
        }
        sum
    }
}
