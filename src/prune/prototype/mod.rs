//! Scores that compare a sample with the centre of a class or of a cluster, with its neighbours,
//! or with its label.
//!
//! Every score comes in data-set order with its direction: NaN stands for samples that are not
//! eligible.

mod centres;
mod k_means;
mod outputs;

use std::fmt;
use std::str::FromStr;

use super::rank::{Direction, Order};
use crate::error::{Error, Result};

pub(crate) use centres::centre_distances;
pub use centres::{Centre, class_distances};
pub use k_means::{KMeans, Metric, prototype_distances};
pub use outputs::{cal, last_layer_grand, least_confidence};

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
fn spread(len: usize, positions: &[usize], values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut all = vec![f64::NAN; len];
    positions.iter().zip(values).for_each(|(&position, value)| all[position] = value);
    all
}

/// Names the values of an option, for [`FromStr`] and [`fmt::Display`].
macro_rules! names {
    ($type:ty, $what:literal, $($name:literal => $value:path),+ $(,)?) => {
        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                match name {
                    $($name => Ok($value),)+
                    _ => Err(Error::invalid($what, name, ["one of", $($name),+].join(" "))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(match self {
                    $($value => $name,)+
                })
            }
        }
    };
}
pub(crate) use names;

names!(Centre, "centre", "mean" => Centre::Mean, "median" => Centre::Median);
names!(Metric, "metric", "cosine" => Metric::Cosine, "euclidean" => Metric::Euclidean);
