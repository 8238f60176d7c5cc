//! Scores of samples that were not scored, from their neighbours that were.
//!
//! Source: Schmidt et al. 2025, "Effective Data Pruning through Score Extrapolation" (arXiv
//! 2506.09010), the form of their nearest neighbours with weights: s(x) = sum_j w_j s_j / sum_j w_j over
//! the k nearest scored samples, w_j = exp(-d_j), d Euclidean in features. The weight is that of the
//! authors' released code.

use rayon::prelude::*;

use super::cost::PickCost;
use super::space::{Features, Neighbour, Points, SquaredEuclidean, nearest_of};
use crate::error::{Error, Result};

/// Returns a value for each of `unknown`, in their order: the weighted mean of the `values` (one for
/// each sample of the original training set) of the nearest of `known`, of all if they are fewer
/// than `neighbours`. Of neighbours at one distance a draw for each pair decides.
///
/// Weights are relative to that of the nearest, which changes no mean and keeps features that are
/// far apart from making all of them 0.
///
/// # Errors
/// [`Error::Invalid`]: no neighbours, nothing known, what [`Features::check`] refuses, a known
/// sample without a finite value (with its position).
pub fn extrapolate(
    features: Features,
    values: &[f64],
    known: &[usize],
    unknown: &[usize],
    neighbours: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    if neighbours == 0 {
        return Err(Error::invalid("`extrapolate_neighbours`", "0", "at least 1"));
    }
    if known.is_empty() {
        return Err(Error::invalid("scored samples", "none", "at least one to extrapolate from"));
    }
    let value = |&position: &usize| match values.get(position) {
        Some(&value) if value.is_finite() => Ok(value),
        found => Err(Error::invalid(
            format!("score of training sample {position}"),
            found.map_or("none".to_owned(), |v| v.to_string()),
            "a finite number",
        )),
    };
    let values: Vec<f64> = known.iter().map(value).collect::<Result<_>>()?;
    let positions: Vec<usize> = known.iter().chain(unknown).copied().collect();
    let measure = SquaredEuclidean::new(Points::new(features, &positions)?);
    let others: Vec<usize> = (0..known.len()).collect();
    let queries: Vec<usize> = (known.len()..positions.len()).collect();
    let count = neighbours.min(known.len());
    let lists = nearest_of(&measure, &queries, &others, &positions, count, seed);
    Ok(lists.par_iter().map(|list| mean(list, &values)).collect())
}

/// Returns the weighted mean over neighbours, nearest first.
fn mean(list: &[Neighbour], values: &[f64]) -> f64 {
    let first = list.first().map_or(0.0, |n| n.distance.sqrt());
    let weight = |n: &Neighbour| libm::exp(first - n.distance.sqrt());
    let (sum, total) = list.iter().fold((0.0, 0.0), |(sum, total), n| {
        (sum + weight(n) * values[n.sample], total + weight(n))
    });
    sum / total
}

impl PickCost {
    /// Returns the cost of [`extrapolate`]: `known` x `unknown` distances in `dims` dimensions.
    pub fn extrapolation(known: usize, unknown: usize, dims: usize, neighbours: usize) -> PickCost {
        let (pairs, dims) = (known as f64 * unknown as f64, dims as f64);
        PickCost {
            flops: 3.0 * pairs * dims,
            seconds: 1e-9 * pairs * (0.045 * dims + 4.5),
            bytes: 16.0 * (known + unknown) as f64 + 16.0 * (neighbours * unknown) as f64,
            class: "n u D",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: [f32; 6] = [0.0, 1.0, 3.0, 6.0, 1000.0, 1001.0];
    const VALUES: [f64; 6] = [2.0, f64::NAN, 4.0, 8.0, -1.0, f64::NAN];

    fn of(unknown: &[usize], neighbours: usize) -> Vec<f64> {
        let features = Features::new(&LINE, 1).unwrap();
        extrapolate(features, &VALUES, &[0, 2, 3, 4], unknown, neighbours, 0).unwrap()
    }

    #[test]
    fn the_mean_is_weighted_by_the_distance() {
        assert_eq!(of(&[1], 1), [2.0]);
        // At distances 1 and 2, and far from everything: the nearest alone counts.
        let (a, b) = ((-1f64).exp(), (-2f64).exp());
        let two = (2.0 * a + 4.0 * b) / (a + b);
        assert!((of(&[1], 2)[0] - two).abs() < 1e-15);
        assert_eq!(of(&[5], 1), [-1.0]);
        assert_eq!(of(&[5], 4), [-1.0]);
        assert_eq!(of(&[], 3), [0.0; 0]);
        // More neighbours than there are, at the order of the list.
        assert_eq!(of(&[5, 1], 99), [of(&[5], 4)[0], of(&[1], 4)[0]]);
    }

    #[test]
    fn unusable_input_is_named() {
        let features = Features::new(&LINE, 1).unwrap();
        let refused = |values: &[f64], known: &[usize], neighbours, word: &str| {
            let found = extrapolate(features, values, known, &[5], neighbours, 0);
            let message = found.unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        };
        refused(&VALUES, &[0], 0, "`extrapolate_neighbours`");
        refused(&VALUES, &[], 3, "scored samples");
        refused(&VALUES, &[0, 1], 3, "training sample 1");
        refused(&VALUES[..2], &[0, 3], 3, "training sample 3");
        refused(&VALUES, &[0, 9], 3, "sample 9");
    }
}
