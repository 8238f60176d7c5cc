//! One method over several seeds.

use serde::{Deserialize, Serialize};

use super::class::{mean, worst_class};
use crate::error::{Error, Result};

/// Mean and range of a metric over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Sample standard deviation; `None` of one value.
    pub sd: Option<f64>,
    /// Number of seeds.
    pub n: usize,
}

impl Spread {
    /// Returns the spread of `values`; `None` if there are none, or if one is not finite.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        if !values.iter().all(|x| x.is_finite()) {
            return None;
        }
        let (min, max) = (
            values.iter().copied().min_by(f64::total_cmp)?,
            values.iter().copied().max_by(f64::total_cmp)?,
        );
        // Rounding must not push the mean of equal values outside their range.
        let mean = mean(values.iter().copied())?.clamp(min, max);
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let sd = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        Some(Spread { mean, min, max, sd, n })
    }
}

/// Returns the mean recall of each class over the runs that have one. There is one inner list for
/// each seed.
///
/// # Errors
/// The runs differ in their number of classes.
pub fn mean_recalls(runs: &[Vec<Option<f64>>]) -> Result<Vec<Option<f64>>> {
    let classes = runs.first().map_or(0, Vec::len);
    if let Some(seed) = runs.iter().position(|run| run.len() != classes) {
        return Err(Error::invalid(
            format!("recalls of run {seed}"),
            format!("{} classes", runs[seed].len()),
            format!("{classes}, as in run 0"),
        ));
    }
    Ok((0..classes).map(|class| mean(runs.iter().filter_map(|run| run[class]))).collect())
}

/// The worst class over seeds, said in three ways that differ: which class is worst moves from seed
/// to seed, so the mean of minima is lower than the minimum of means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorstOverSeeds {
    /// Worst-class recall of each seed. Its mean over seeds is the mean of per-seed minima.
    pub per_seed: Spread,
    /// The class of smallest seed-mean recall, and that recall.
    pub of_means: (usize, f64),
    /// The class that was worst on full data and its recall here, over seeds.
    pub full_data_worst: Option<(usize, Spread)>,
}

impl WorstOverSeeds {
    /// Compares the recalls of each seed. `full_data_worst` is the class of smallest seed-mean
    /// recall of the full-data runs, where there are such runs.
    ///
    /// # Errors
    /// There is no run, the runs differ in their number of classes, a run has no recall at all, or
    /// the full-data worst class does not exist.
    pub fn new(runs: &[Vec<Option<f64>>], full_data_worst: Option<usize>) -> Result<Self> {
        let none = || Error::invalid("recalls over seeds", "none", "at least one in every run");
        let means = mean_recalls(runs)?;
        if let Some(class) = full_data_worst.filter(|&class| class >= means.len()) {
            let expected = format!("below {}, the number of classes", means.len());
            return Err(Error::invalid("worst class on full data", class.to_string(), expected));
        }
        let minima = runs.iter().map(|run| worst_class(run).map(|(_, recall)| recall));
        let minima: Vec<f64> = minima.collect::<Option<_>>().ok_or_else(none)?;
        let there = |class: usize| {
            let recalls: Vec<f64> = runs.iter().filter_map(|run| run[class]).collect();
            Spread::of(recalls).map(|spread| (class, spread))
        };
        Ok(WorstOverSeeds {
            per_seed: Spread::of(minima).ok_or_else(none)?,
            of_means: worst_class(&means).ok_or_else(none)?,
            full_data_worst: full_data_worst.and_then(there),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_of_values() {
        let spread = Spread::of([0.25, 0.75, 0.5]).unwrap();
        assert_eq!(spread, Spread { mean: 0.5, min: 0.25, max: 0.75, sd: Some(0.25), n: 3 });
        assert_eq!(Spread::of([]), None);
        let equal = Spread::of([0.1; 3]).unwrap();
        assert_eq!((equal.mean, equal.min, equal.max), (0.1, 0.1, 0.1));
    }

    #[test]
    fn the_worst_class_in_three_ways() {
        // Class 0 is worst in one seed, class 1 in the other; class 2 has no sample.
        let runs = [
            vec![Some(0.25), Some(0.75), None, Some(0.875)],
            vec![Some(0.625), Some(0.125), None, Some(0.875)],
        ];
        let worst = WorstOverSeeds::new(&runs, Some(3)).unwrap();
        assert_eq!(
            worst.per_seed,
            Spread { mean: 0.1875, min: 0.125, max: 0.25, sd: Some(0.0625 * 2f64.sqrt()), n: 2 }
        );
        assert_eq!(worst.of_means, (0, 0.4375));
        let there = Spread { mean: 0.875, min: 0.875, max: 0.875, sd: Some(0.0), n: 2 };
        assert_eq!(worst.full_data_worst, Some((3, there)));
        assert_eq!(WorstOverSeeds::new(&runs, Some(2)).unwrap().full_data_worst, None);
        assert_eq!(WorstOverSeeds::new(&runs, None).unwrap().full_data_worst, None);
    }

    #[test]
    fn unusable_runs_are_errors() {
        assert!(WorstOverSeeds::new(&[], None).is_err());
        assert!(WorstOverSeeds::new(&[vec![None]], None).is_err());
        assert!(WorstOverSeeds::new(&[vec![Some(0.5)]], Some(1)).is_err());
        let ragged = [vec![Some(0.5)], vec![Some(0.5), Some(0.6)]];
        let message = mean_recalls(&ragged).unwrap_err().to_string();
        assert!(message.contains("run 1") && message.contains("2 classes"), "{message}");
    }
}
