//! Spreads, and how large a difference chance alone makes.
//!
//! A side of a comparison is the medians of its runs, on a log scale, so that a ratio is a
//! difference and slow and fast count alike.

use super::statistics::{Rates, median};
use crate::metrics::{normal_quantile, t_quantile};

/// Scale of the median absolute deviation as an estimate of a normal standard deviation.
const MAD_SCALE: f64 = 1.4826;

/// Makes the scaled deviation of n = 2, 3, ... normal values unbiased; n / (n - 0.8) from n = 10 on
/// (Croux and Rousseeuw 1992).
const SMALL_SAMPLE: [f64; 8] = [1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107];

/// Standard error of a median over that of a mean, normal values: sqrt(pi / 2).
const MEDIAN_COST: f64 = 1.2533;

/// Two-sided confidence of the noise band.
const CONFIDENCE: f64 = 0.95;

/// Robust standard deviation: scaled median absolute deviation from the median, unbiased for
/// normal values. 0 for fewer than two.
fn robust_sd(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return 0.0;
    }
    let center = median(values);
    let deviations: Vec<f64> = values.iter().map(|v| (v - center).abs()).collect();
    let factor = SMALL_SAMPLE.get(n - 2).copied().unwrap_or(n as f64 / (n as f64 - 0.8));
    MAD_SCALE * factor * median(&deviations)
}

/// Runs a side from which one odd run is ignored.
const ROBUST_FROM: usize = 5;

/// Standard deviation of a side's log medians: the robust one from [`ROBUST_FROM`] runs on, the
/// ordinary one below, since the median deviation of two to four runs is blind to one that is off.
fn spread(values: &[f64]) -> f64 {
    let n = values.len();
    if !(2..ROBUST_FROM).contains(&n) {
        return robust_sd(values);
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0)).sqrt()
}

/// One row of one run: its rates, and over how many repeats.
#[derive(Clone, Copy, Debug)]
pub struct RowOfRun {
    pub rates: Rates,
    pub repeats: usize,
}

impl RowOfRun {
    /// Relative standard deviation of one repeat, from the distance of p10 and p90.
    fn repeat_sd(&self) -> f64 {
        (self.rates.p90 / self.rates.p10).ln() / (2.0 * normal_quantile(0.9))
    }
}

/// Logarithm of the median over runs of their medians.
fn level(side: &[RowOfRun]) -> f64 {
    median(&logs(side))
}

fn logs(side: &[RowOfRun]) -> Vec<f64> {
    side.iter().map(|s| s.rates.median.ln()).collect()
}

/// A comparison of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeedChange {
    /// New rate over old rate.
    pub ratio: f64,
    /// Largest relative loss that chance explains, in [0, 1).
    pub noise: f64,
}

/// New against old.
///
/// With m and n runs a side, s is the pooled standard deviation of the runs' log medians, each side
/// around its own centre (robust from five runs on), and at least the error that the repeats inside
/// the runs imply. The band is
///
/// ```text
/// k s,  k = max(2, t(.975, m + n - 2) 1.2533 sqrt(1/m + 1/n))
/// ```
///
/// twice the spread of single runs, or the 95 % interval of a difference of two medians where few
/// runs make that wider. With one run a side, repeats inside a run are all there is: s is the
/// standard deviation of one repeat (they drift together, so it is not divided by their number) and
/// k is 2. noise = 1 - exp(-k s).
pub fn difference(old: &[RowOfRun], new: &[RowOfRun]) -> SpeedChange {
    let (m, n) = (old.len() as f64, new.len() as f64);
    let inside = |of: fn(&RowOfRun) -> f64| {
        let squares: Vec<f64> = old.iter().chain(new).map(|s| of(s).powi(2)).collect();
        (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
    };
    let freedom = m + n - 2.0;
    let band = if freedom < 1.0 {
        2.0 * inside(RowOfRun::repeat_sd)
    } else {
        let squares =
            (m - 1.0) * spread(&logs(old)).powi(2) + (n - 1.0) * spread(&logs(new)).powi(2);
        let implied = inside(|s| MEDIAN_COST * s.repeat_sd() / (s.repeats.max(1) as f64).sqrt());
        let sd = (squares / freedom).sqrt().max(implied);
        let t = t_quantile(0.5 + CONFIDENCE / 2.0, freedom);
        sd * (t * MEDIAN_COST * (1.0 / m + 1.0 / n).sqrt()).max(2.0)
    };
    SpeedChange { ratio: (level(new) - level(old)).exp(), noise: 1.0 - (-band).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Philox, Stream};

    fn runs(medians: &[f64]) -> Vec<RowOfRun> {
        let rates = |&m: &f64| Rates { median: m, p10: m, p90: m };
        medians.iter().map(|m| RowOfRun { rates: rates(m), repeats: 10 }).collect()
    }

    #[test]
    fn the_robust_deviation_is_unbiased_and_ignores_an_outlier() {
        let mut draws = Philox::new(5, Stream::Shapes).sequence(0);
        for n in [2, 3, 4, 5, 8, 12] {
            let mean = (0..20_000)
                .map(|_| {
                    let values: Vec<f64> = (0..n).map(|_| f64::from(draws.normal())).collect();
                    robust_sd(&values)
                })
                .sum::<f64>()
                / 20_000.0;
            assert!((mean - 1.0).abs() < 0.02, "{n} values: {mean}");
        }
        let values = [1.0, 1.1, 0.9, 1.05, 0.95];
        let with_outlier = [1.0, 1.1, 0.9, 1.05, 100.0];
        assert!(robust_sd(&with_outlier) < 2.0 * robust_sd(&values));
        assert_eq!(robust_sd(&[3.0]), 0.0);
    }

    #[test]
    fn equal_sides_differ_by_nothing() {
        let d = difference(&runs(&[100.0, 102.0, 98.0]), &runs(&[102.0, 98.0, 100.0]));
        assert!((d.ratio - 1.0).abs() < 1e-12);
        // s = .02; k = t(.975, 4) 1.2533 sqrt(2/3) = 2.841.
        assert!((d.noise - (1.0 - (-2.841f64 * 0.02).exp())).abs() < 2e-3, "{}", d.noise);
    }

    #[test]
    fn one_odd_run_counts_among_three_and_not_among_five() {
        let noise = |medians: &[f64]| difference(&runs(medians), &runs(medians)).noise;
        assert!(noise(&[100.0, 101.0, 50.0]) > 0.5);
        assert!(noise(&[100.0, 101.0, 99.0, 100.5, 50.0]) < 0.05);
    }

    /// Few of the runs that differ by chance alone exceed the band; most of those with a real loss beyond it
    /// do.
    #[test]
    fn false_alarms_are_rare_and_real_losses_are_found() {
        let mut draws = Philox::new(6, Stream::Shapes).sequence(0);
        let mut side = |level: f64, runs_a_side: usize| {
            let values: Vec<f64> = (0..runs_a_side)
                .map(|_| level * (0.03 * f64::from(draws.normal())).exp())
                .collect();
            runs(&values)
        };
        for n in [2, 3, 5, 9] {
            let (mut false_alarms, mut found) = (0, 0);
            for _ in 0..4000 {
                let old = side(100.0, n);
                let (same, slow) = (side(100.0, n), side(70.0, n));
                let lost = |new: &[RowOfRun]| {
                    let d = difference(&old, new);
                    1.0 - d.ratio > d.noise
                };
                false_alarms += usize::from(lost(&same));
                found += usize::from(lost(&slow));
            }
            assert!(false_alarms < 240, "{n} runs: {false_alarms} of 4000 false alarms");
            let least = if n == 2 { 3000 } else { 3600 };
            assert!(found > least, "{n} runs: {found} of 4000 losses found");
        }
    }

    #[test]
    fn a_single_run_a_side_takes_the_spread_of_its_repeats() {
        let one = |median: f64, spread: f64| {
            let rates = Rates { median, p10: median / spread, p90: median * spread };
            vec![RowOfRun { rates, repeats: 1000 }]
        };
        let d = difference(&one(100.0, 1.1), &one(90.0, 1.1));
        assert!((d.ratio - 0.9).abs() < 1e-12);
        let sd = 1.1f64.ln() / 1.2816;
        assert!((d.noise - (1.0 - (-2.0 * sd).exp())).abs() < 1e-3, "{}", d.noise);
        assert_eq!(difference(&one(100.0, 1.0), &one(90.0, 1.0)).noise, 0.0);
    }

    #[test]
    fn runs_that_happen_to_agree_are_no_surer_than_their_repeats() {
        let rates = Rates { median: 100.0, p10: 60.0, p90: 140.0 };
        let side = vec![RowOfRun { rates, repeats: 4 }; 3];
        assert!(difference(&side, &side).noise > 0.3);
    }
}
