//! Class weights by rule: from validation recalls, or from class sizes.

/// Returns the weights of CDB-W (Sinha, Ohashi and Nakamura 2022, "Class-difficulty based methods
/// for long-tailed visual recognition"): w_k = (1 - r_k)^tau of the validation recalls, normalised
/// to sum K. tau is 1, or with `dynamic` 2 sigmoid(max r / (min r + 0.01) - 1).
///
/// `counts` holds correct and total validation samples of each class. A class without any weighs 1,
/// and the others sum to their number. If all recalls are 1 the formula is 0 / 0, and all classes
/// weigh 1.
pub fn cdb_w(counts: &[(u64, u64)], dynamic: bool) -> Vec<f32> {
    let recall =
        |&(correct, total): &(u64, u64)| (total > 0).then(|| correct as f64 / total as f64);
    let recalls: Vec<Option<f64>> = counts.iter().map(recall).collect();
    let measured = || recalls.iter().flatten().copied();
    let tau = if dynamic {
        let max = measured().fold(f64::NEG_INFINITY, f64::max);
        let min = measured().fold(f64::INFINITY, f64::min);
        2.0 / (1.0 + libm::exp(1.0 - max / (min + 0.01)))
    } else {
        1.0
    };
    let weights = recalls.iter().map(|r| r.map(|r| libm::pow(1.0 - r, tau)));
    normalised(&weights.collect::<Vec<_>>(), 1.0)
}

/// Returns the class-balanced weights (Cui et al. 2019, "Class-balanced loss based on effective
/// number of samples"): w_k = (1 - beta) / (1 - beta^n_k), normalised to sum to the number of
/// classes that have samples; the others weigh 0. With a `beta` of 0 all weigh alike, and towards 1
/// the weights are as 1 / n_k.
pub fn class_balanced(sizes: &[u64], beta: f64) -> Vec<f32> {
    // Computed this way, 1 - beta^n loses no digits to cancellation, and beta = 0 makes it 1.
    let effective = |n: u64| -libm::expm1(n as f64 * libm::log(beta));
    let weight = |&n: &u64| (n > 0).then(|| (1.0 - beta) / effective(n));
    normalised(&sizes.iter().map(weight).collect::<Vec<_>>(), 0.0)
}

/// Returns weights that sum to their number, 1 each where all are 0, and `absent` where there is
/// none.
fn normalised(weights: &[Option<f64>], absent: f32) -> Vec<f32> {
    let sum: f64 = weights.iter().flatten().sum();
    let count = weights.iter().flatten().count() as f64;
    let one = |w: f64| if sum > 0.0 { (w * count / sum) as f32 } else { 1.0 };
    weights.iter().map(|w| w.map_or(absent, one)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recalls_of_one_and_classes_that_were_not_measured_weigh_one() {
        assert_eq!(cdb_w(&[(5, 5), (7, 7), (1, 1)], false), [1.0; 3]);
        assert_eq!(cdb_w(&[(5, 5), (7, 7)], true), [1.0; 2]);
        assert_eq!(cdb_w(&[(0, 0), (0, 0)], true), [1.0; 2]);
        // The errors (1 - r) are .5, 0 and .25, whose sum is .75 over three classes.
        assert_eq!(cdb_w(&[(2, 4), (4, 4), (0, 0), (3, 4)], false), [2.0, 0.0, 1.0, 1.0]);
        // A class that is never right is what there is to learn, and there is no division by 0.
        let weights = cdb_w(&[(0, 4), (4, 4)], true);
        assert_eq!(weights, [2.0, 0.0]);
    }

    #[test]
    fn effective_numbers_lie_between_none_and_inverse_frequency() {
        assert_eq!(class_balanced(&[10, 0, 1000], 0.0), [1.0, 0.0, 1.0]);
        let near_one = class_balanced(&[10, 30], 1.0 - 1e-12);
        assert!((near_one[0] - 1.5).abs() < 1e-6 && (near_one[1] - 0.5).abs() < 1e-6);
        assert_eq!(class_balanced(&[0, 0], 0.9), [0.0; 2]);
    }
}
