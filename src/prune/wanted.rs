//! How many samples a method is asked for.

use super::budget::Budget;
use super::population::Population;
use super::quota::{QuotaOptions, quotas};
use super::rounding::largest_remainder;
use crate::error::{Error, Result};

/// How many samples are to be picked, in all or of each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub(super) total: usize,
    pub(super) counts: Option<Vec<usize>>,
}

impl Wanted {
    /// Wants what [`select`](super::select()) keeps at this density with these quotas.
    ///
    /// # Errors
    /// Fails as [`Population::sizes`] and [`quotas`] do.
    pub fn new(
        population: Population,
        density: f64,
        quota: Option<&QuotaOptions>,
        seed: u64,
    ) -> Result<Self> {
        let sizes = population.sizes()?;
        Ok(match quota {
            Some(options) => Wanted::of_classes(quotas(&sizes, density, options, seed)?.counts),
            None => Wanted::of_any(Budget::new(density, population.eligible.len())?.count),
        })
    }

    /// Wants `total` samples of any class.
    pub fn of_any(total: usize) -> Self {
        Wanted { total, counts: None }
    }

    /// Wants so many samples of each class.
    pub fn of_classes(counts: Vec<usize>) -> Self {
        Wanted {
            total: counts.iter().fold(0, |sum, &n| sum.saturating_add(n)),
            counts: Some(counts),
        }
    }

    /// Returns the number of wanted samples in all.
    pub fn total(&self) -> usize {
        self.total
    }

    pub(super) fn check(&self, sizes: &[usize]) -> Result<()> {
        let samples: usize = sizes.iter().sum();
        if self.total > samples {
            let expected = format!("at most {samples}, the eligible ones");
            return Err(Error::invalid("wanted samples", self.total.to_string(), expected));
        }
        let Some(counts) = &self.counts else { return Ok(()) };
        if counts.len() != sizes.len() {
            return Err(Error::invalid(
                "wanted samples of classes",
                format!("{} values", counts.len()),
                format!("{}, one for each class", sizes.len()),
            ));
        }
        match (0..sizes.len()).find(|&class| counts[class] > sizes[class]) {
            None => Ok(()),
            Some(class) => Err(Error::invalid(
                format!("wanted samples of class {class}"),
                counts[class].to_string(),
                format!("at most its {}", sizes[class]),
            )),
        }
    }

    /// Returns the most picks among `samples` that may pass until all wanted ones are there: with
    /// class counts, perhaps all of them.
    pub(super) fn most(&self, samples: usize) -> usize {
        if self.counts.is_some() { samples } else { self.total }
    }

    /// Returns the number of wanted samples of each class: the given counts, or shares in the
    /// classes' ratios.
    pub(super) fn of_each_class(&self, sizes: &[usize], seed: u64) -> Result<Vec<usize>> {
        if let Some(counts) = &self.counts {
            return Ok(counts.clone());
        }
        let samples: usize = sizes.iter().sum();
        let share = |&n: &usize| self.total as f64 * n as f64 / samples.max(1) as f64;
        let shares: Vec<f64> = sizes.iter().map(share).collect();
        largest_remainder(&shares, sizes, self.total, seed)
    }
}
