//! What every score here returns.

use crate::prune::rank::{Direction, Order};

/// A score of every sample, which end of it is kept, and how it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleScore {
    /// One value for each sample of the original training set, NaN where it is not eligible.
    pub values: Vec<f64>,
    /// Which end is kept first.
    pub direction: Direction,
    /// The name of the score with its options.
    pub variant: String,
}

impl SampleScore {
    /// Returns the order that the score implies.
    pub fn order(&self) -> Order<'_> {
        Order::Score { values: &self.values, direction: self.direction }
    }
}

/// Puts values at `positions` and NaN elsewhere.
pub(super) fn spread(
    len: usize,
    positions: &[usize],
    values: impl IntoIterator<Item = f64>,
) -> Vec<f64> {
    let mut all = vec![f64::NAN; len];
    positions.iter().zip(values).for_each(|(&position, value)| all[position] = value);
    all
}
