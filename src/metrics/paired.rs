//! Two methods over the same seeds: the paired difference and what it decides.

use super::class::mean;
use super::student::t_quantile;
use crate::error::{Error, Result};

/// Differences of a metric between two methods that share initialisation, order and augmentation
/// seed by seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedDifference {
    /// Mean of method - baseline.
    pub mean: f64,
    /// Standard deviation of the differences, dividing by n - 1; `None` for one seed.
    pub sd: Option<f64>,
    /// The 95 % interval of the mean, mean -+ t(.975, n - 1) sd / sqrt(n); `None` for one seed.
    pub interval: Option<(f64, f64)>,
    /// Number of seeds.
    pub n: usize,
}

/// Pairs from which a difference can be decided: two have an interval of thirteen standard errors.
pub const DECIDING_SEEDS: usize = 3;

/// Width below which an interval has none but rounding's.
const NO_WIDTH: f64 = 1e-12;

/// Share of the way from chance to perfection below which a network is near chance.
const NEAR_CHANCE: f64 = 0.1;

/// Tells whether networks of two strategies are too little trained to be compared: both sides are on
/// average near chance, or in every run of both sides a class is never recognised. A run is its
/// balanced accuracy and its lowest recall, in [0, 1].
pub fn undertrained(classes: usize, sides: [&[[f64; 2]]; 2]) -> bool {
    let chance = 1.0 / classes.max(1) as f64;
    let near = chance + NEAR_CHANCE * (1.0 - chance);
    let near_chance =
        |side: &[[f64; 2]]| mean(side.iter().map(|run| run[0])).is_some_and(|m| m < near);
    let blind = |side: &[[f64; 2]]| !side.is_empty() && side.iter().all(|run| run[1] == 0.0);
    sides.into_iter().all(near_chance) || sides.into_iter().all(blind)
}

/// What a run found about its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairedVerdict {
    /// The whole interval is above 0.
    Improved,
    /// The whole interval is below 0.
    Worsened,
    /// The interval contains 0, or one seed gives none.
    NotDecided,
}

/// The direction in which somebody says that a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimedDirection {
    /// Method above baseline.
    Higher,
    /// Method below baseline.
    Lower,
}

/// Whether a claim was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimVerdict {
    /// The interval excludes 0 in the claimed direction.
    Seen,
    /// The interval excludes 0 in the other direction.
    Reversed,
    /// The interval contains 0, or one seed gives none.
    Undecided,
}

impl PairedDifference {
    /// Takes the differences `method[i] - baseline[i]`, one pair for each seed.
    ///
    /// # Errors
    /// There is no pair, the lists differ in length, or a value is not finite.
    pub fn new(method: &[f64], baseline: &[f64]) -> Result<Self> {
        if method.len() != baseline.len() || method.is_empty() {
            return Err(Error::invalid(
                "paired values",
                format!("{} and {}", method.len(), baseline.len()),
                "as many of one as of the other, at least one",
            ));
        }
        let differences: Vec<f64> = method.iter().zip(baseline).map(|(m, b)| m - b).collect();
        if let Some(seed) = differences.iter().position(|d| !d.is_finite()) {
            return Err(Error::invalid(
                format!("values of pair {seed}"),
                format!("{} and {}", method[seed], baseline[seed]),
                "finite numbers",
            ));
        }
        let n = differences.len();
        let center = mean(differences.iter().copied())
            .ok_or_else(|| Error::Internal("mean of no differences".to_owned()))?;
        let freedom = (n - 1) as f64;
        let sd = (n > 1).then(|| {
            let squares: f64 = differences.iter().map(|d| (d - center).powi(2)).sum();
            (squares / freedom).sqrt()
        });
        let interval = sd.map(|sd| {
            let half = t_quantile(0.975, freedom) * sd / (n as f64).sqrt();
            (center - half, center + half)
        });
        Ok(PairedDifference { mean: center, sd, interval, n })
    }

    /// Tells whether the method improved a metric of which more is better. Fewer than
    /// [`DECIDING_SEEDS`] pairs decide nothing, and neither do differences that are all the same: an
    /// interval without width says that the seeds changed nothing, not that the mean is known.
    pub fn verdict(&self) -> PairedVerdict {
        let width = self.interval.map_or(0.0, |(low, high)| high - low);
        if self.n < DECIDING_SEEDS || width <= NO_WIDTH {
            return PairedVerdict::NotDecided;
        }
        match self.interval {
            Some((low, _)) if low > 0.0 => PairedVerdict::Improved,
            Some((_, high)) if high < 0.0 => PairedVerdict::Worsened,
            _ => PairedVerdict::NotDecided,
        }
    }

    /// Tells whether a claim about the direction is seen.
    pub fn claim(&self, claim: ClaimedDirection) -> ClaimVerdict {
        match (self.verdict(), claim) {
            (PairedVerdict::NotDecided, _) => ClaimVerdict::Undecided,
            (PairedVerdict::Improved, ClaimedDirection::Higher)
            | (PairedVerdict::Worsened, ClaimedDirection::Lower) => ClaimVerdict::Seen,
            _ => ClaimVerdict::Reversed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_interval() {
        // Differences 1, 2, 3, 6: mean 3, variance (4 + 1 + 0 + 9) / 3, t(.975, 3) = 3.182446.
        let d = PairedDifference::new(&[2.0, 4.0, 6.0, 10.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!((d.mean, d.n), (3.0, 4));
        let sd = (14.0f64 / 3.0).sqrt();
        assert!((d.sd.unwrap() - sd).abs() < 1e-12);
        let (low, high) = d.interval.unwrap();
        let half = 3.1824463052837095 * sd / 2.0;
        assert!((low - (3.0 - half)).abs() < 1e-12 && (high - (3.0 + half)).abs() < 1e-12);
        assert_eq!(d.verdict(), PairedVerdict::NotDecided);
    }

    #[test]
    fn verdicts_follow_the_interval() {
        let up = PairedDifference::new(&[0.5, 0.6, 0.55], &[0.4, 0.5, 0.44]).unwrap();
        assert_eq!(up.verdict(), PairedVerdict::Improved);
        assert_eq!(up.claim(ClaimedDirection::Higher), ClaimVerdict::Seen);
        assert_eq!(up.claim(ClaimedDirection::Lower), ClaimVerdict::Reversed);
        let down = PairedDifference::new(&[0.4, 0.5, 0.44], &[0.5, 0.6, 0.55]).unwrap();
        assert_eq!(down.verdict(), PairedVerdict::Worsened);
        assert_eq!(down.claim(ClaimedDirection::Higher), ClaimVerdict::Reversed);
        assert_eq!(down.claim(ClaimedDirection::Lower), ClaimVerdict::Seen);
    }

    #[test]
    fn one_seed_decides_nothing() {
        let d = PairedDifference::new(&[0.9], &[0.1]).unwrap();
        assert_eq!((d.sd, d.interval, d.verdict()), (None, None, PairedVerdict::NotDecided));
        assert_eq!(d.claim(ClaimedDirection::Higher), ClaimVerdict::Undecided);
    }

    #[test]
    fn two_seeds_and_equal_differences_decide_nothing() {
        let two = PairedDifference::new(&[0.9, 0.901], &[0.1, 0.1]).unwrap();
        assert!(two.interval.unwrap().0 > 0.0);
        assert_eq!(two.verdict(), PairedVerdict::NotDecided);
        assert_eq!(two.claim(ClaimedDirection::Higher), ClaimVerdict::Undecided);
        let same = PairedDifference::new(&[0.5, 0.6, 0.7], &[0.25, 0.35, 0.45]).unwrap();
        assert!(same.interval.unwrap().0 > 0.2);
        assert_eq!(same.verdict(), PairedVerdict::NotDecided);
    }

    #[test]
    fn networks_near_chance_are_not_compared() {
        let trained = [[0.8, 0.5], [0.7, 0.0]];
        let chance = [[0.12, 0.0], [0.18, 0.1]];
        assert!(undertrained(10, [&chance, &chance]));
        assert!(!undertrained(10, [&chance, &trained]) && !undertrained(10, [&trained, &trained]));
        // Of two classes half is chance.
        assert!(undertrained(2, [&[[0.54, 0.2]], &[[0.5, 0.1]]]));
        assert!(!undertrained(2, [&[[0.6, 0.2]], &[[0.5, 0.1]]]));
        // A class that no run of either side ever recognises.
        let blind = [[0.6, 0.0], [0.5, 0.0]];
        assert!(undertrained(10, [&blind, &blind]) && !undertrained(10, [&blind, &trained]));
    }

    #[test]
    fn an_interval_that_touches_zero_is_undecided() {
        let same = PairedDifference::new(&[0.5, 0.5], &[0.5, 0.5]).unwrap();
        assert_eq!((same.interval, same.verdict()), (Some((0.0, 0.0)), PairedVerdict::NotDecided));
    }

    #[test]
    fn unpaired_or_infinite_values_are_errors() {
        assert!(PairedDifference::new(&[], &[]).is_err());
        assert!(PairedDifference::new(&[0.1], &[0.1, 0.2]).is_err());
        let message = PairedDifference::new(&[0.1, f64::NAN], &[0.1, 0.2]).unwrap_err().to_string();
        assert!(message.contains("pair 1") && message.contains("NaN"), "{message}");
    }
}
