//! What query networks say of validation samples.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::prune::space::check_labels;

/// What one network says of its validation samples.
#[derive(Clone, Copy, Debug)]
pub struct ValidationRun<'a> {
    /// Natural logarithms of the probabilities, V x K: a row a sample. Those that underflowed may be
    /// minus infinity.
    pub log_probabilities: &'a [f32],
    /// Class of each sample.
    pub labels: &'a [u32],
    /// Numbers that tell samples apart, the same in every run that has the sample; None: the sample's
    /// place in the list. Intervals need it: runs that share their samples tell less than others.
    pub samples: Option<&'a [usize]>,
    /// Class densities that the network was trained under; None: all of the training set.
    pub densities: Option<&'a [f64]>,
}

/// What stands for the logarithm of a probability that underflowed: that of the smallest float32.
const UNDERFLOW: f32 = -104.0;

/// How far the probabilities of a row may be from a sum of 1.
const SUM: f64 = 1e-3;

/// Rows of all runs, checked.
#[derive(Clone, Debug)]
pub struct ValidationRows {
    pub(super) classes: usize,
    /// M x K, natural logarithms of the probabilities.
    pub(super) logs: Vec<f32>,
    pub(super) labels: Vec<u32>,
    /// The sample of each row, numbered from 0 in the order in which they first come.
    pub(super) samples: Vec<u32>,
    /// The run of each row.
    pub(super) runs: Vec<u32>,
    /// Logarithms of the densities that each run was trained under; None: all 0.
    pub(super) trained_under: Vec<Option<Vec<f64>>>,
    /// The number and the class of each sample, by what the caller calls it; and the other way round.
    numbers: HashMap<usize, (u32, u32)>,
    names: Vec<usize>,
}

impl ValidationRows {
    /// Takes the rows of all runs, of `classes` classes.
    ///
    /// # Errors
    /// No rows; slices of different lengths; rows that are no distributions; labels not below the number
    /// of classes; densities outside (0, 1]; a sample of two classes.
    pub fn new(classes: usize, runs: &[ValidationRun<'_>]) -> Result<Self> {
        let mut rows = ValidationRows {
            classes,
            logs: Vec::new(),
            labels: Vec::new(),
            samples: Vec::new(),
            runs: Vec::new(),
            trained_under: Vec::new(),
            numbers: HashMap::new(),
            names: Vec::new(),
        };
        runs.iter().try_for_each(|run| rows.push(run))?;
        match rows.labels.is_empty() {
            true => Err(Error::invalid("validation rows", "none", "at least one")),
            false => Ok(rows),
        }
    }

    /// Adds the rows of another run.
    ///
    /// # Errors
    /// Fails as [`ValidationRows::new`] does; the rows are then not to be used.
    pub fn push(&mut self, run: &ValidationRun<'_>) -> Result<()> {
        let (n, r, classes) = (run.labels.len(), self.trained_under.len(), self.classes);
        let values = run.log_probabilities;
        if classes == 0 || values.len() != n * classes {
            let what = format!("log-probabilities of validation run {r}");
            let found = format!("{} values", values.len());
            return Err(Error::invalid(what, found, format!("{n} rows of {classes}")));
        }
        if let Some(samples) = run.samples.filter(|s| s.len() != n) {
            let what = format!("sample numbers of validation run {r}");
            let expected = format!("{n}, one for each label");
            return Err(Error::invalid(what, samples.len().to_string(), expected));
        }
        check_rows(values, classes, r)?;
        let all: Vec<usize> = (0..n).collect();
        check_labels(run.labels, &all, classes).map_err(|e| of_validation(e, r))?;
        let under = run.densities.map(|d| logs_of(d, classes, r)).transpose()?;
        for (i, &label) in run.labels.iter().enumerate() {
            let next = self.names.len() as u32;
            let sample = run.samples.map_or(i, |s| s[i]);
            let &mut (number, known) = self.numbers.entry(sample).or_insert((next, label));
            if number == next {
                self.names.push(sample);
            }
            if known != label {
                let what = format!("label of sample {sample} in validation run {r}");
                let expected = format!("{known}, as in the runs before");
                return Err(Error::invalid(what, label.to_string(), expected));
            }
            self.samples.push(number);
        }
        self.logs.extend(values.iter().map(|log| log.max(UNDERFLOW)));
        self.labels.extend_from_slice(run.labels);
        self.runs.extend(std::iter::repeat_n(r as u32, n));
        self.trained_under.push(under);
        Ok(())
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of runs.
    pub fn runs(&self) -> usize {
        self.trained_under.len()
    }

    /// The rows of each class, over all runs.
    pub fn class_rows(&self) -> Vec<u64> {
        let mut counts = vec![0; self.classes];
        self.labels.iter().for_each(|&label| counts[label as usize] += 1);
        counts
    }

    /// The logarithms of all rows' probabilities, M x K.
    pub fn log_probabilities(&self) -> &[f32] {
        &self.logs
    }

    /// The run, the sample as the caller called it, and the class of each row.
    pub fn samples(&self) -> impl Iterator<Item = (usize, usize, u32)> + '_ {
        let of = |i: usize| {
            (self.runs[i] as usize, self.names[self.samples[i] as usize], self.labels[i])
        };
        (0..self.labels.len()).map(of)
    }

    /// The logarithms of one row's probabilities.
    pub(super) fn row(&self, i: usize) -> &[f32] {
        &self.logs[i * self.classes..][..self.classes]
    }

    /// What densities add to the logarithms of each run's rows: g (log d_k - log d'_k), with d' the
    /// densities that the run was trained under. A class that keeps nothing is never answered.
    pub(super) fn shifts(&self, densities: &[f64], gain: f64) -> Vec<Vec<f64>> {
        let one = |under: &Option<Vec<f64>>| {
            let of = |(k, &d): (usize, &f64)| match d > 0.0 {
                true => gain * (libm::log(d) - under.as_ref().map_or(0.0, |u| u[k])),
                false => f64::NEG_INFINITY,
            };
            densities.iter().enumerate().map(of).collect()
        };
        self.trained_under.iter().map(one).collect()
    }

    /// Refuses densities that do not fit the classes, and gains that mean nothing.
    pub(super) fn check(&self, densities: &[f64], gain: f64) -> Result<()> {
        if densities.len() != self.classes {
            let expected = format!("{}, one for each class", self.classes);
            return Err(Error::invalid("densities", densities.len().to_string(), expected));
        }
        if let Some(k) = densities.iter().position(|d| !(0.0..=1.0).contains(d)) {
            let what = format!("density of class {k}");
            return Err(Error::invalid(what, densities[k].to_string(), "a number in [0, 1]"));
        }
        if densities.iter().all(|&d| d == 0.0) {
            return Err(Error::invalid(
                "densities",
                "0 for every class",
                "a class that keeps some",
            ));
        }
        check_gain(gain)
    }
}

/// Refuses gains that are no finite number from 0.
pub(super) fn check_gain(gain: f64) -> Result<()> {
    match gain.is_finite() && gain >= 0.0 {
        true => Ok(()),
        false => Err(Error::invalid("`gain`", gain.to_string(), "a finite number, at least 0")),
    }
}

fn logs_of(densities: &[f64], classes: usize, run: usize) -> Result<Vec<f64>> {
    let what = || format!("densities of validation run {run}");
    if densities.len() != classes {
        let expected = format!("{classes}, one for each class");
        return Err(Error::invalid(what(), densities.len().to_string(), expected));
    }
    match densities.iter().find(|&&d| !(d > 0.0 && d <= 1.0)) {
        Some(d) => Err(Error::invalid(what(), d.to_string(), "numbers above 0 and at most 1")),
        None => Ok(densities.iter().map(|&d| libm::log(d)).collect()),
    }
}

/// Refuses rows that are no logarithms of distributions.
fn check_rows(values: &[f32], classes: usize, run: usize) -> Result<()> {
    for (i, row) in values.chunks(classes).enumerate() {
        let what = || format!("log-probabilities of validation run {run}, sample {i}");
        if let Some(k) = row.iter().position(|v| v.is_nan()) {
            return Err(Error::invalid(what(), format!("NaN for class {k}"), "numbers"));
        }
        let sum: f64 = row.iter().map(|&v| libm::exp(f64::from(v))).sum();
        if !((sum - 1.0).abs() <= SUM) {
            let found = format!("probabilities of sum {sum}");
            return Err(Error::invalid(what(), found, "a sum of 1"));
        }
    }
    Ok(())
}

/// The checks of tables speak of training samples.
fn of_validation(error: Error, run: usize) -> Error {
    match error {
        Error::Invalid { what, found, expected } => {
            let what = what.replace("training sample", &format!("validation run {run}, sample"));
            Error::Invalid { what, found, expected }
        }
        other => other,
    }
}
