//! The fixed order in which samples are kept.
//!
//! Every random draw is a function of the seed and of the sample's position in the original
//! training set. The order of two samples therefore never depends on which others are present.

use super::indices::check_within;
use crate::error::{Error, Result};
use crate::rng::{Philox, Stream};

/// Which end of a score is kept. A score keeps its natural sign and carries its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Higher scores are kept first (EL2N, GraNd, forgetting: higher is harder).
    KeepHighest,
    /// Lower scores are kept first (margin, area under the margin: lower is harder).
    KeepLowest,
}

/// How samples are put in order.
#[derive(Clone, Copy, Debug)]
pub enum Order<'a> {
    /// Uniformly random.
    Random,
    /// By score, with ties in random order (ordered by position they would follow the class in
    /// folder data sets).
    Score {
        /// One score for each sample of the original training set. Only those of eligible samples
        /// are read; infinite scores are allowed.
        values: &'a [f64],
        /// Which end is kept.
        direction: Direction,
    },
    /// As a greedy method has picked them: every eligible position once, first pick first.
    Given(&'a [usize]),
    /// As a greedy method has picked them, as far as it was asked to go: eligible positions, none
    /// of them twice.
    Picked(&'a [usize]),
}

/// Returns the `eligible` positions in the order in which they are kept, first kept first: all of
/// them, except for [`Order::Picked`].
///
/// # Errors
/// [`Error::Invalid`]: a position beyond the scores, a NaN score (with its position), a given order
/// that lacks or repeats a position or holds one that is not eligible.
pub fn ranking(eligible: &[usize], order: Order<'_>, seed: u64) -> Result<Vec<usize>> {
    let mut ranked = eligible.to_vec();
    match order {
        Order::Random => shuffle_by_position(&mut ranked, Philox::new(seed, Stream::Subset)),
        Order::Score { values, direction } => {
            check_scores(eligible, values)?;
            ranked.sort_unstable_by(|&a, &b| match direction {
                Direction::KeepHighest => values[b].total_cmp(&values[a]),
                Direction::KeepLowest => values[a].total_cmp(&values[b]),
            });
            // Comparing by `==` also ties 0 and -0, which the sort has put side by side.
            let draw = Philox::new(seed, Stream::Ties);
            for tied in ranked.chunk_by_mut(|&a, &b| values[a] == values[b]) {
                shuffle_by_position(tied, draw);
            }
        }
        Order::Given(given) => {
            check_given_order(eligible, given)?;
            ranked.copy_from_slice(given);
        }
        Order::Picked(picked) => {
            check_picks(eligible, picked)?;
            ranked = picked.to_vec();
        }
    }
    Ok(ranked)
}

/// Puts positions in random order by one key each. Distinct positions have distinct 128-bit keys,
/// since a Philox block is a bijection of its counter: no collision is ever settled by position.
fn shuffle_by_position(positions: &mut [usize], draw: Philox) {
    if positions.len() > 1 {
        positions.sort_by_cached_key(|&position| draw.block(position as u64, 0));
    }
}

fn check_scores(eligible: &[usize], values: &[f64]) -> Result<()> {
    for &position in eligible {
        match values.get(position) {
            None => {
                return Err(Error::invalid(
                    "scores",
                    format!("{} values", values.len()),
                    format!("one for each training sample, position {position} included"),
                ));
            }
            Some(value) if value.is_nan() => {
                return Err(Error::invalid(
                    format!("score of training sample {position}"),
                    "NaN",
                    "a number",
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_given_order(eligible: &[usize], given: &[usize]) -> Result<()> {
    let mut expected = eligible.to_vec();
    let mut found = given.to_vec();
    expected.sort_unstable();
    found.sort_unstable();
    if expected == found {
        return Ok(());
    }
    let odd = found.iter().zip(&expected).find(|(f, e)| f != e);
    let found = match odd {
        Some((f, e)) if f < e => format!("position {f}, which is repeated or not eligible"),
        Some((_, e)) => format!("no position {e}"),
        None => format!("{} positions", found.len()),
    };
    Err(Error::invalid("given order", found, format!("the {} eligible ones once", expected.len())))
}

fn check_picks(eligible: &[usize], picked: &[usize]) -> Result<()> {
    let mut sorted = picked.to_vec();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let found = match (twice, check_within("picks", &sorted, eligible)) {
        (None, Ok(())) => return Ok(()),
        (Some(position), _) => format!("position {position} twice"),
        (None, Err(error)) => return Err(error),
    };
    Err(Error::invalid("picks", found, "each position once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_and_infinities() {
        let values = [0.5, f64::INFINITY, -2.0, f64::NEG_INFINITY];
        let order = |direction| Order::Score { values: &values, direction };
        let all = [0, 1, 2, 3];
        assert_eq!(ranking(&all, order(Direction::KeepHighest), 0).unwrap(), [1, 0, 2, 3]);
        assert_eq!(ranking(&all, order(Direction::KeepLowest), 0).unwrap(), [3, 2, 0, 1]);
    }

    #[test]
    fn zero_and_negative_zero_tie() {
        let values = [0.0, -0.0];
        let first = |seed| {
            let order = Order::Score { values: &values, direction: Direction::KeepHighest };
            ranking(&[0, 1], order, seed).unwrap()[0]
        };
        let wins: usize = (0..200).map(first).sum();
        assert!((60..=140).contains(&wins), "{wins}");
    }

    #[test]
    fn only_eligible_scores_are_read() {
        let values = [1.0, f64::NAN, 3.0];
        let order = Order::Score { values: &values, direction: Direction::KeepHighest };
        assert_eq!(ranking(&[0, 2], order, 0).unwrap(), [2, 0]);
        let message = ranking(&[0, 1, 2], order, 0).unwrap_err().to_string();
        assert!(message.contains("training sample 1") && message.contains("NaN"), "{message}");
        let message = ranking(&[0, 7], order, 0).unwrap_err().to_string();
        assert!(message.contains("3 values") && message.contains("position 7"), "{message}");
    }

    #[test]
    fn a_given_order_is_kept_and_checked() {
        assert_eq!(ranking(&[2, 4, 6], Order::Given(&[6, 2, 4]), 9).unwrap(), [6, 2, 4]);
        for (bad, says) in [
            (&[6usize, 2, 2][..], "position 2,"),
            (&[6, 2, 5], "no position 4"),
            (&[6, 2], "no position 4"),
            (&[6, 2, 4, 8], "4 positions"),
            (&[2, 4], "2 positions"),
        ] {
            let message = ranking(&[2, 4, 6], Order::Given(bad), 9).unwrap_err().to_string();
            assert!(message.contains(says), "{bad:?}: {message}");
        }
    }

    #[test]
    fn picks_may_stop_early_but_not_stray() {
        assert_eq!(ranking(&[2, 4, 6], Order::Picked(&[6, 2]), 9).unwrap(), [6, 2]);
        assert!(ranking(&[2, 4, 6], Order::Picked(&[]), 9).unwrap().is_empty());
        for (bad, says) in [(&[6usize, 2, 6][..], "position 6 twice"), (&[6, 5], "sample 5")] {
            let message = ranking(&[2, 4, 6], Order::Picked(bad), 9).unwrap_err().to_string();
            assert!(message.contains(says), "{bad:?}: {message}");
        }
    }
}
