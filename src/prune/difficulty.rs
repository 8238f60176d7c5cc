//! How hard classes are: winsorised means of a score.
//!
//! Source: Zhang et al. 2025 (NUCS, arXiv 2504.13234), where the difficulty S_k of a class is the
//! winsorised average of the difficulties of its samples, so that a few mislabelled or trivial ones
//! do not decide it. [`QuotaRule::Nucs`](super::QuotaRule::Nucs) makes quotas of it.

use super::budget::Budget;
use super::fill::sum;
use super::population::Population;
use super::rank::Direction;
use super::selector::Score;
use crate::error::{Error, Result};

/// The usual fraction of each end of a class that is winsorised. It is this program's: the text of
/// the paper that states the authors' was not at hand.
pub const WINSOR: f64 = 0.05;

/// Returns the mean of `values` after winsorising both ends: with n values and g = floor(f n) the g
/// lowest are replaced by the lowest of the others, and the g highest by the highest of the others.
/// It is 0 without values. The order of the values does not matter, to the bit.
///
/// # Errors
/// [`Error::Invalid`]: the fraction is not in [0, .5), where nothing would be left; a value that is
/// not finite.
pub fn winsorised_mean(values: &[f64], fraction: f64) -> Result<f64> {
    check_fraction(fraction)?;
    if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
        return Err(Error::invalid("value of a mean", bad.to_string(), "a finite number"));
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    // The product is exact in decimal: .29 of 100 values are 29 and not 28.
    let cut = Budget::new(fraction, sorted.len())?.exact.floor() as usize;
    let (Some(&low), Some(&high)) = (sorted.get(cut), sorted.iter().rev().nth(cut)) else {
        return Ok(0.0);
    };
    Ok(sum(sorted.iter().map(|v| v.clamp(low, high))) / sorted.len() as f64)
}

/// Checks the `winsor` fraction of [`winsorised_mean`].
///
/// # Errors
/// [`Error::Invalid`]: it is NaN or not in [0, .5).
pub fn check_fraction(fraction: f64) -> Result<()> {
    match (0.0..0.5).contains(&fraction) {
        true => Ok(()),
        false => Err(Error::invalid("`winsor`", fraction.to_string(), "at least 0 and below .5")),
    }
}

/// Returns the difficulty of each class: the winsorised mean of the score over its eligible samples,
/// 0 for a class without any. A score whose low end is hard is turned first: the greatest eligible
/// value of the population minus the sample's own.
///
/// # Errors
/// [`Error::Invalid`]: what [`Population::sizes`] and [`check_fraction`] refuse; an eligible sample
/// without a finite value (with its position).
pub fn class_difficulties(population: Population, score: Score, fraction: f64) -> Result<Vec<f64>> {
    check_fraction(fraction)?;
    let members = population.members()?;
    let value = |&position: &usize| match score.values.get(position) {
        Some(&value) if value.is_finite() => Ok(value),
        found => Err(Error::invalid(
            format!("score of training sample {position}"),
            found.map_or("none".to_owned(), |v| v.to_string()),
            "a finite number",
        )),
    };
    let values: Vec<Vec<f64>> =
        members.iter().map(|class| class.iter().map(value).collect()).collect::<Result<_>>()?;
    let most = values.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let turned = |v: f64| match score.direction {
        Direction::KeepHighest => v,
        Direction::KeepLowest => most - v,
    };
    values
        .into_iter()
        .map(|class| {
            winsorised_mean(&class.into_iter().map(turned).collect::<Vec<f64>>(), fraction)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_replaced_by_their_neighbours() {
        // Of ten values a tenth is one at each end: 1 becomes 2, and 1000 becomes 9.
        let values = [5.0, 1000.0, 3.0, 2.0, 1.0, 8.0, 4.0, 9.0, 7.0, 6.0];
        assert_eq!(winsorised_mean(&values, 0.1).unwrap(), 55.0 / 10.0);
        // The plain mean, and the greatest fraction: the two in the middle are left.
        assert_eq!(winsorised_mean(&values, 0.0).unwrap(), 1045.0 / 10.0);
        assert_eq!(winsorised_mean(&values, 0.49).unwrap(), 5.5);
        // .09 of ten values is no whole one.
        assert_eq!(winsorised_mean(&values, 0.09).unwrap(), 1045.0 / 10.0);
        assert_eq!(winsorised_mean(&[], 0.1).unwrap(), 0.0);
        assert_eq!(winsorised_mean(&[3.0], 0.49).unwrap(), 3.0);
    }

    #[test]
    fn the_number_of_replaced_values_is_exact_in_decimal() {
        // In floating point .29 x 100 is 28.999999999999996.
        let values: Vec<f64> = (0..100).map(|i| if i < 29 { -1000.0 } else { 1.0 }).collect();
        assert_eq!(winsorised_mean(&values, 0.29).unwrap(), 1.0);
    }

    #[test]
    fn a_low_score_is_turned_and_held_out_samples_are_not_read() {
        let labels = [0, 0, 1, 1, 1, 0];
        let values = [0.9, 0.7, 0.1, 0.2, 0.3, f64::NAN];
        let population = Population { labels: &labels, eligible: &[4, 0, 1, 2, 3], classes: 3 };
        let of = |direction| {
            class_difficulties(population, Score { values: &values, direction }, 0.0).unwrap()
        };
        let high = of(Direction::KeepHighest);
        assert!((high[0] - 0.8).abs() < 1e-15 && (high[1] - 0.2).abs() < 1e-15, "{high:?}");
        let low = of(Direction::KeepLowest);
        assert!((low[0] - 0.1).abs() < 1e-15 && (low[1] - 0.7).abs() < 1e-15, "{low:?}");
        assert_eq!([high[2], low[2]], [0.0; 2]);
        let all = Population { eligible: &[0, 1, 2, 3, 4, 5], ..population };
        let score = Score { values: &values, direction: Direction::KeepHighest };
        let message = class_difficulties(all, score, 0.0).unwrap_err().to_string();
        assert!(message.contains("training sample 5") && message.contains("NaN"), "{message}");
    }

    #[test]
    fn fractions_that_leave_nothing_are_refused() {
        for bad in [0.5, -0.1, f64::NAN, 1.0] {
            let message = winsorised_mean(&[1.0], bad).unwrap_err().to_string();
            assert!(message.contains("`winsor`") && message.contains(&bad.to_string()));
        }
        assert!(winsorised_mean(&[1.0, f64::INFINITY], 0.1).is_err());
    }
}
