//! The selection and weighting rules of baselines, as functions of plain numbers.

use crate::rng::{Philox, Stream};

/// Counts the samples of each of `count` classes (or groups) among `positions`.
pub fn sizes(positions: &[u32], labels: &[u32], count: usize) -> Vec<u64> {
    let mut sizes = vec![0; count];
    positions.iter().for_each(|&i| sizes[labels[i as usize] as usize] += 1);
    sizes
}

/// Returns 1 / n_g for every position of `subset`, with n_g the size of its group there. These are
/// the sampling weights of RWG (Idrissi et al. 2022).
pub fn group_weights(groups: &[u32], subset: &[u32], count: usize) -> Vec<f64> {
    let sizes = sizes(subset, groups, count);
    subset.iter().map(|&i| 1.0 / sizes[groups[i as usize] as usize] as f64).collect()
}

/// Tells of each sample whether InfoBatch (Qin et al. 2024) may drop it, because its last loss is
/// below the mean.
pub fn below_mean(scores: &[f32]) -> Vec<bool> {
    let sum: f64 = scores.iter().map(|&s| f64::from(s)).sum();
    let mean = sum / scores.len().max(1) as f64;
    scores.iter().map(|&s| f64::from(s) < mean).collect()
}

/// Draws for InfoBatch whether this sample is dropped in this epoch, with probability `drop`. The
/// draw is a function of seed, epoch and sample, whatever else is trained on.
pub fn dropped(seed: u64, epoch: u32, sample: u32, drop: f64) -> bool {
    let word = Philox::new(seed, Stream::InfoBatch).block(u64::from(epoch), sample)[0];
    f64::from(word) / 4_294_967_296.0 < drop
}

/// Returns for RHO-loss (Mindermann et al. 2022) the places of the `chosen` largest reducible
/// losses (loss - irreducible loss) among the candidates, ascending. Of equal ones the first count,
/// whose order is random already. NaN counts as the lowest.
pub fn most_reducible(losses: &[f32], irreducible: &[f32], chosen: usize) -> Vec<usize> {
    let reducible: Vec<f32> = losses.iter().zip(irreducible).map(|(l, i)| l - i).collect();
    let key = |i: usize| if reducible[i].is_nan() { f32::NEG_INFINITY } else { reducible[i] };
    let mut places: Vec<usize> = (0..reducible.len()).collect();
    places.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
    places.truncate(chosen);
    places.sort_unstable();
    places
}

/// Returns the number of samples that each step of an epoch over `samples` trains on under
/// RHO-loss: `chosen` of every `candidates`, and as large a part of the rest if that is two or
/// more.
pub fn rho_sizes(samples: usize, candidates: usize, chosen: usize) -> Vec<usize> {
    let mut sizes = vec![chosen; samples / candidates];
    let rest = (samples % candidates * chosen + candidates / 2) / candidates;
    if rest >= 2 {
        sizes.push(rest);
    }
    sizes
}

/// Does GroupDRO's step (Sagawa et al. 2020) on one batch of `losses` in `groups`: multiplies the
/// weight in `q` of every group in the batch by exp(eta mean loss), and divides all weights by
/// their sum. Returns the samples' weights n q_g / n_g, with which the mean over the batch of n is
/// sum_g q_g loss_g.
pub fn group_dro(q: &mut [f32], losses: &[f32], groups: &[u32], eta: f64) -> Vec<f32> {
    let mut sums = vec![(0.0f64, 0u32); q.len()];
    for (&loss, &group) in losses.iter().zip(groups) {
        let (sum, count) = &mut sums[group as usize];
        *sum += f64::from(loss);
        *count += 1;
    }
    let factor = |&(sum, count): &(f64, u32)| match count {
        0 => 1.0,
        _ => libm::exp(eta * sum / f64::from(count)),
    };
    let raised: Vec<f64> = q.iter().zip(&sums).map(|(&q, s)| f64::from(q) * factor(s)).collect();
    let total: f64 = raised.iter().sum();
    q.iter_mut().zip(raised).for_each(|(q, raised)| *q = (raised / total) as f32);
    let n = losses.len() as f64;
    let weight = |&g: &u32| n * f64::from(q[g as usize]) / f64::from(sums[g as usize].1);
    groups.iter().map(|g| weight(g) as f32).collect()
}

/// Returns factors of the samples' losses. With them a step's objective, which is divided by the
/// sum of the class weights c of its batch, becomes sum c w loss / sum c w, so that the factors of
/// a batch are w sum c / sum c w. `order` holds the samples of the batches of `sizes`. Samples in
/// no batch have 1, and all samples of a batch whose weights are all 0 have 0, because there is
/// nothing to learn from it.
pub fn sample_factors(
    weights: &[f32],
    of_class: &dyn Fn(u32) -> f32,
    order: &[u32],
    sizes: &[usize],
) -> Vec<f32> {
    let mut factors = vec![1.0; weights.len()];
    let mut rest = order;
    for &size in sizes {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        let class = |i: u32| f64::from(of_class(i));
        let weight = |i: u32| f64::from(weights[i as usize]);
        let classes: f64 = batch.iter().map(|&i| class(i)).sum();
        let both: f64 = batch.iter().map(|&i| class(i) * weight(i)).sum();
        for &i in batch {
            let factor = if both > 0.0 { weight(i) * classes / both } else { 0.0 };
            factors[i as usize] = factor as f32;
        }
    }
    factors
}

/// Returns the running sums of weights, for [`draw`].
pub fn cumulative(weights: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let add = |w: &f64| {
        sum += w;
        sum
    };
    weights.iter().map(add).collect()
}

/// Draws `count` places with replacement, in proportion to the weights behind the running sums.
pub fn draw(seed: u64, epoch: u32, cumulative: &[f64], count: usize) -> Vec<usize> {
    let mut uniform = Philox::new(seed, Stream::Draws).sequence(u64::from(epoch));
    let total = cumulative.last().copied().unwrap_or(0.0);
    let last = cumulative.len().saturating_sub(1);
    let one = |_| {
        let at = uniform.uniform_f64() * total;
        cumulative.partition_point(|&sum| sum <= at).min(last)
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights_and_never_take_a_weight_of_zero() {
        let weights = [0.0, 3.0, 0.0, 1.0, 0.0];
        let places = draw(5, 2, &cumulative(&weights), 40_000);
        let count = |k: usize| places.iter().filter(|&&p| p == k).count();
        assert_eq!([0, 2, 4].map(count), [0; 3]);
        // The bound is four standard deviations of 40,000 draws.
        assert!(count(1).abs_diff(30_000) < 350, "{}", count(1));
        assert_ne!(places, draw(5, 3, &cumulative(&weights), 40_000));
        assert_ne!(places, draw(6, 2, &cumulative(&weights), 40_000));
    }

    #[test]
    fn drops_are_independent_of_each_other_and_as_frequent_as_asked() {
        for drop in [0.0, 0.25, 0.5, 1.0] {
            let count = (0..10_000).filter(|&i| dropped(3, 7, i, drop)).count() as f64;
            assert!((count - 10_000.0 * drop).abs() < 200.0, "{count} of {drop}");
        }
        let epoch = |e| (0..100).map(|i| dropped(3, e, i, 0.5)).collect::<Vec<_>>();
        assert_ne!(epoch(0), epoch(1));
    }

    #[test]
    fn factors_make_the_mean_one_over_weights() {
        let weights = [0.5, 3.0, 0.0, 1.0, 0.25, 9.0, 0.0];
        let classes = [1.0, 0.5, 2.0, 1.0, 4.0, 1.0, 3.0];
        let losses = [0.3, 1.7, 2.0, 0.1, 0.9, 4.0, 5.0];
        let order = [4, 0, 3, 1, 6, 2, 5];
        let factors = sample_factors(&weights, &|i| classes[i as usize], &order, &[4, 2]);
        // A step computes the mean over class weights.
        let batch = &order[..4];
        let sum =
            |f: &dyn Fn(usize) -> f32| batch.iter().map(|&i| f64::from(f(i as usize))).sum::<f64>();
        let step = sum(&|i| classes[i] * factors[i] * losses[i]) / sum(&|i| classes[i]);
        let wanted =
            sum(&|i| classes[i] * weights[i] * losses[i]) / sum(&|i| classes[i] * weights[i]);
        assert!((step - wanted).abs() < 1e-6, "{step} {wanted}");
        // One batch has no weight at all, and one sample is in no batch.
        assert_eq!([factors[6], factors[2], factors[5]], [0.0, 0.0, 1.0]);
        // Equal weights change nothing at all, bit for bit.
        assert_eq!(sample_factors(&[0.3; 7], &|_| 1.0, &order, &[4, 3]), [1.0; 7]);
        // A common factor of all weights changes nothing either.
        let doubled = weights.map(|w| 2.0 * w);
        let again = sample_factors(&doubled, &|i| classes[i as usize], &order, &[4, 2]);
        assert_eq!(again, factors);
    }

    #[test]
    fn equal_scores_are_not_below_their_mean() {
        assert_eq!(below_mean(&[3.0; 5]), [false; 5]);
        assert_eq!(below_mean(&[]), [false; 0]);
        assert_eq!(below_mean(&[0.5, 1.0, 3.0]), [true, true, false]);
    }

    #[test]
    fn nan_is_never_chosen_before_a_number() {
        let losses = [f32::NAN, 1.0, f32::INFINITY, -4.0, 1.0];
        assert_eq!(most_reducible(&losses, &[0.0; 5], 2), [1, 2]);
        assert_eq!(most_reducible(&losses, &[0.0; 5], 4), [1, 2, 3, 4]);
        assert_eq!(most_reducible(&losses, &[0.0; 5], 9), [0, 1, 2, 3, 4]);
        assert_eq!(most_reducible(&[2.0, 2.0, 2.0], &[1.0, 0.0, 1.0], 2), [0, 1]);
    }

    #[test]
    fn groups_that_a_batch_lacks_keep_their_share() {
        let mut q = [0.25, 0.25, 0.5];
        let weights = group_dro(&mut q, &[0.0, 0.0, 0.0], &[0, 0, 2], 0.01);
        assert_eq!(q, [0.25, 0.25, 0.5]);
        // The weights are n q_g / n_g, which are 3 / 4 / 2 and 3 / 2.
        assert_eq!(weights, [0.375, 0.375, 1.5]);
        let before = q;
        group_dro(&mut q, &[2.0], &[1], 1.0);
        assert!(q[1] > before[1] && q[0] < before[0]);
        assert!((q[2] / q[0] - 2.0).abs() < 1e-6, "what the batch lacks keeps its proportions");
    }
}
