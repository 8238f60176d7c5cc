//! Sampling by a score and a Beta density that turns to easy samples as less is kept.
//!
//! Source: Cho et al. 2025 (DUAL, arXiv 2502.06905). With x_i the mean probability of sample i's
//! label over the first epochs, s_i its score, r the pruned fraction, and mu the mean of x over the
//! ten samples of the highest score,
//!
//! b = 15 (1 - mu) (1 - r^c), a = 16 - b, P(i) ~ s_i Beta(x_i; a, b),
//!
//! and samples are drawn without replacement. That a and b sum to 16, that mu is over ten samples
//! and x over DUAL's epochs is the authors' released code (`beta_sampling` of its `exp_cifar`).
//!
//! The draw is a race: sample i arrives at E_i / P(i) with E_i exponential, and the first arrive
//! kept, which is drawing one after another without replacement (Efraimidis and Spirakis 2006). E_i
//! depends on the seed and the sample's position alone, so that a small change of r changes few
//! picks; but P depends on r, and subsets of two densities need not nest.

use super::Key;

/// The samples of the highest score over whose probabilities mu is the mean.
const ANCHORS: usize = 10;
/// a + b.
const CONCENTRATION: f64 = 16.0;
/// b of hard samples (mu = 0) where nothing is pruned.
const STEEPEST: f64 = 15.0;
/// The mean probabilities 0 and 1 count as this far from them: the spacing of f32 below 1. Beta
/// densities are 0 or infinite at the ends.
const EDGE: f64 = 1.0 / 16_777_216.0;

/// a and b of the Beta density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) a: f64,
    pub(crate) b: f64,
}

impl Shape {
    /// Returns the shape for a pruned fraction `rate`.
    pub(crate) fn new(mu: f64, rate: f64, exponent: f64) -> Self {
        let b = STEEPEST * (1.0 - mu) * (1.0 - libm::pow(rate, exponent));
        Shape { a: CONCENTRATION - b, b }
    }

    /// Returns the logarithm of the density at `x`, without the constant that all samples share.
    fn log_density(self, x: f64) -> f64 {
        let x = x.clamp(EDGE, 1.0 - EDGE);
        (self.a - 1.0) * libm::log(x) + (self.b - 1.0) * libm::log(1.0 - x)
    }
}

/// Returns the mean probability over the samples of the highest scores, ties by draws.
pub(crate) fn anchor(scores: &[f64], means: &[f64], keys: &[Key]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| {
        (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)).then_with(|| keys[a].cmp(&keys[b]))
    });
    order.truncate(ANCHORS);
    order.iter().map(|&i| means[i]).sum::<f64>() / order.len().max(1) as f64
}

/// Returns the samples in the order in which they arrive. `scores` are not negative; samples of
/// score 0 have no chance and come last. `draws` decide the race, `keys` the ties.
pub(crate) fn arrivals(
    scores: &[f64],
    means: &[f64],
    shape: Shape,
    keys: &[Key],
    draws: &[Key],
) -> Vec<usize> {
    let time = |i: usize| {
        let bits = (u64::from(draws[i][0]) | u64::from(draws[i][1]) << 32) >> 11;
        let uniform = (bits as f64 + 0.5) / (1u64 << 53) as f64;
        // In logarithms no weight is too small to tell from 0.
        libm::log(-libm::log(uniform)) - libm::log(scores[i]) - shape.log_density(means[i])
    };
    let mut order: Vec<(f64, usize)> = (0..scores.len()).map(|i| (time(i), i)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| keys[a.1].cmp(&keys[b.1])));
    order.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::greedy::keys;

    #[test]
    fn the_density_turns_to_easy_samples_as_less_is_kept() {
        // Nothing pruned: b is 15 (1 - mu). All but everything: b goes to 0, and a to 16.
        assert_eq!(Shape::new(0.4, 0.0, 4.0), Shape { a: 16.0 - 9.0, b: 9.0 });
        assert_eq!(Shape::new(0.4, 1.0, 4.0), Shape { a: 16.0, b: 0.0 });
        let mean = |rate| {
            let Shape { a, b } = Shape::new(0.4, rate, 4.0);
            a / (a + b)
        };
        let rates = [0.0, 0.3, 0.5, 0.7, 0.9, 0.99];
        assert!(rates.windows(2).all(|pair| mean(pair[0]) < mean(pair[1])));
        // A larger exponent turns later.
        assert!(Shape::new(0.4, 0.7, 8.0).b > Shape::new(0.4, 0.7, 2.0).b);
        // a is at least 1: certain errors never have the greatest density.
        assert!(Shape::new(0.0, 0.0, 4.0).a >= 1.0);
    }

    #[test]
    fn the_anchor_is_over_the_ten_highest_scores() {
        let scores: Vec<f64> = (0..30).map(f64::from).collect();
        let means: Vec<f64> = (0..30).map(|i| if i < 20 { 0.9 } else { 0.2 }).collect();
        let positions: Vec<usize> = (0..30).collect();
        let keys = keys(&positions, 0);
        assert!((anchor(&scores, &means, &keys) - 0.2).abs() < 1e-15);
        assert!((anchor(&scores[..4], &means[..4], &keys[..4]) - 0.9).abs() < 1e-15);
        assert_eq!(anchor(&[], &[], &[]), 0.0);
    }

    /// The first of the race is sample i with probability P(i).
    #[test]
    fn the_first_to_arrive_is_drawn_in_proportion() {
        let (scores, means) = ([1.0, 2.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.9]);
        let shape = Shape { a: 3.0, b: 2.0 };
        let weight = |i: usize| scores[i] * means[i] * means[i] * (1.0 - means[i]);
        let total: f64 = (0..4).map(weight).sum();
        let mut first = [0u32; 4];
        let seeds = 20_000;
        for seed in 0..seeds {
            let draw = crate::rng::Philox::new(seed, crate::rng::Stream::Subset);
            let draws: Vec<Key> = (0..4).map(|p| draw.block(p, 0)).collect();
            let order = arrivals(&scores, &means, shape, &keys(&[0, 1, 2, 3], seed), &draws);
            first[order[0]] += 1;
            assert_eq!(order[3], 2, "a score of 0 comes last");
        }
        for (i, &count) in first.iter().enumerate() {
            let expected = seeds as f64 * weight(i) / total;
            // Four standard deviations.
            let spread = 4.0 * (expected * (1.0 - weight(i) / total)).sqrt();
            assert!((f64::from(count) - expected).abs() <= spread, "{first:?}");
        }
    }

    #[test]
    fn certain_predictions_have_finite_times() {
        let shape = Shape { a: 16.0, b: 0.0 };
        for x in [0.0, 1.0] {
            assert!(shape.log_density(x).is_finite());
        }
        // At the very end of pruning the surest come first.
        assert!(shape.log_density(1.0) > shape.log_density(0.99));
        assert!(Shape { a: 8.0, b: 8.0 }.log_density(1.0) < shape.log_density(0.99));
    }
}
