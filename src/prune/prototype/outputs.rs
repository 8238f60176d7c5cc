//! Scores of what the network says about a sample and about its neighbours.

use rayon::prelude::*;

use super::sample_score::{SampleScore, spread};
use crate::error::Result;
use crate::prune::population::Population;
use crate::prune::rank::Direction;
use crate::prune::space::{
    Divergence, Features, Gradients, Points, Probabilities, SquaredEuclidean, nearest,
};

/// Returns max p for every sample. Low is hard and kept: the least confident samples come first. It
/// takes O(N K) time.
///
/// # Errors
/// Fails as [`Population::sizes`] and [`Probabilities::check`] do.
pub fn least_confidence(
    population: Population,
    probabilities: Probabilities,
) -> Result<SampleScore> {
    population.sizes()?;
    probabilities.check(population.eligible)?;
    let confidence = |&position: &usize| {
        f64::from(probabilities.row(position).iter().copied().fold(0.0, f32::max))
    };
    let values = population.eligible.iter().map(confidence);
    let values = spread(population.labels.len(), population.eligible, values);
    let variant = "greatest predicted probability".to_owned();
    Ok(SampleScore { values, direction: Direction::KeepLowest, variant })
}

/// Returns norm2(p - y) sqrt(1 + norm2(h)^2) for every sample: the norm of the cross-entropy's
/// gradient with respect to the **last layer** alone. GraNd is the norm over all parameters; this
/// is not a substitute for it. It takes O(N (K + D)) time.
///
/// # Errors
/// Fails as [`Population::sizes`], [`Features::check`] and [`Probabilities::check`] do, and for a
/// label that is no class.
pub fn last_layer_grand(
    population: Population,
    features: Features,
    probabilities: Probabilities,
) -> Result<SampleScore> {
    population.sizes()?;
    let points = Points::new(features, population.eligible)?;
    let gradients = Gradients::new(points, probabilities, population.labels)?;
    let norms = (0..population.eligible.len()).map(|i| gradients.norm(i));
    let values = spread(population.labels.len(), population.eligible, norms);
    let variant = "gradient norm of the last layer only".to_owned();
    Ok(SampleScore { values, direction: Direction::KeepHighest, variant })
}

/// Scores by contrastive active learning (Margatina et al. 2021): the mean symmetric
/// Kullback-Leibler divergence of a sample's prediction from those of its `neighbours` nearest
/// samples in feature space; high means close in features and far in prediction, which is kept.
///
/// Neighbours are looked for among all eligible samples, exactly. A probability below 1e-12 counts
/// as 1e-12. It takes O(N^2 D) time, 16 bytes for each neighbour and 8 for each probability.
///
/// # Errors
/// Fails as [`Population::sizes`], [`Features::check`] and [`Probabilities::check`] do.
pub fn cal(
    population: Population,
    features: Features,
    probabilities: Probabilities,
    neighbours: usize,
    seed: u64,
) -> Result<SampleScore> {
    population.sizes()?;
    let positions = population.eligible;
    let measure = SquaredEuclidean::new(Points::new(features, positions)?);
    let divergence = Divergence::new(probabilities, positions)?;
    let lists = nearest(&measure, positions, neighbours, seed);
    let mean = |(i, near): (usize, &Vec<_>)| {
        let sum: f64 = near
            .iter()
            .map(|n: &crate::prune::space::Neighbour| divergence.between(i, n.sample))
            .sum();
        sum / near.len().max(1) as f64
    };
    let means: Vec<f64> = lists.par_iter().enumerate().map(mean).collect();
    let values = spread(population.labels.len(), positions, means);
    let variant = format!("mean symmetric divergence from {neighbours} nearest neighbours");
    Ok(SampleScore { values, direction: Direction::KeepHighest, variant })
}
