//! Largest-remainder rounding (Hamilton's method) with seeded ties.

use crate::error::{Error, Result};
use crate::rng::{Philox, Stream};

/// Remainders closer than this are ties. Shares carry rounding errors of about 1e-9 samples at a
/// million samples in a class, and a tie must not be decided by them.
const TIE: f64 = 1e-7;

/// Rounds each share down, then gives the samples that are left to the largest remainders, one
/// each, so that the counts sum to `budget`.
///
/// Tied classes are put in an order drawn from `seed` and the class number; that draw does not
/// depend on the density. A count never exceeds its size, and a class with share 0 gets nothing.
///
/// # Errors
/// The shares do not sum to the budget within one half, which is a defect of the caller.
pub(super) fn largest_remainder(
    shares: &[f64],
    sizes: &[usize],
    budget: usize,
    seed: u64,
) -> Result<Vec<usize>> {
    let mut counts: Vec<usize> =
        shares.iter().zip(sizes).map(|(share, &size)| (share.floor() as usize).min(size)).collect();
    let rounded_down: usize = counts.iter().sum();
    let missing = budget.checked_sub(rounded_down);

    let remainder = |class: usize| shares[class] - counts[class] as f64;
    let mut open: Vec<(usize, f64)> = (0..counts.len())
        .filter(|&class| counts[class] < sizes[class] && shares[class] > 0.0)
        .map(|class| (class, remainder(class)))
        .collect();
    let missing = missing.filter(|&m| m <= open.len()).ok_or_else(|| {
        Error::Internal(format!(
            "shares rounded down to {rounded_down} with {} classes open cannot reach {budget}",
            open.len()
        ))
    })?;

    for class in by_remainder(&mut open, seed).take(missing) {
        counts[class] += 1;
    }
    Ok(counts)
}

/// Returns the classes from the largest remainder to the smallest, ties in seeded order.
fn by_remainder(open: &mut [(usize, f64)], seed: u64) -> impl Iterator<Item = usize> {
    open.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
    let draw = Philox::new(seed, Stream::Rounding);
    for tied in open.chunk_by_mut(|a, b| a.1 - b.1 <= TIE) {
        // Distinct counters have distinct blocks, so the keys of two classes never collide.
        tied.sort_unstable_by_key(|&(class, _)| draw.block(class as u64, 0));
    }
    open.iter().map(|&(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_remainders_get_the_missing_samples() {
        let counts = largest_remainder(&[2.3, 4.9, 1.8], &[9, 9, 9], 9, 0).unwrap();
        assert_eq!(counts, [2, 5, 2]);
    }

    #[test]
    fn nearly_equal_remainders_are_drawn_not_compared() {
        // The second share is larger by less than the arithmetic can tell.
        let mut wins = [0; 2];
        for seed in 0..400 {
            let counts = largest_remainder(&[10.5, 10.5 + 1e-9], &[99, 99], 21, seed).unwrap();
            wins[usize::from(counts[1] == 11)] += 1;
        }
        assert!(wins.iter().all(|w| (150..=250).contains(w)), "{wins:?}");
    }

    #[test]
    fn whole_shares_with_float_noise_come_back_whole() {
        let noisy = [249.999_999_999_99, 10.000_000_000_01, 40.0];
        assert_eq!(largest_remainder(&noisy, &[999; 3], 300, 5).unwrap(), [250, 10, 40]);
    }

    #[test]
    fn full_classes_and_zero_shares_never_grow() {
        let counts = largest_remainder(&[3.0, 0.0, 1.5], &[3, 9, 9], 5, 1).unwrap();
        assert_eq!(counts, [3, 0, 2]);
    }

    #[test]
    fn shares_that_cannot_meet_the_budget_are_an_internal_error() {
        let refused = |shares: &[f64], sizes: &[usize], budget| {
            matches!(largest_remainder(shares, sizes, budget, 0), Err(Error::Internal(_)))
        };
        assert!(refused(&[3.0], &[9], 2));
        assert!(refused(&[3.0], &[9], 5));
        // The first class is full and the second has no share: neither takes the fourth sample.
        assert!(refused(&[3.0, 0.0], &[3, 9], 4));
    }
}
