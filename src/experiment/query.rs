//! What query runs tell: class recalls on validation data, and scores of the training samples.

use std::collections::BTreeMap;

use super::cell::{Finished, TestResult};
use crate::error::{Error, Result};
use crate::score::Method;

/// Recalls and scores over query runs.
#[derive(Clone, Debug, Default)]
pub struct QueryData {
    /// Recalls of each run, one a class; None for a class without validation samples there.
    pub runs: Vec<Vec<Option<f64>>>,
    /// Correct and total validation samples of each class, summed over the runs.
    pub correct: Option<Vec<u64>>,
    pub total: Option<Vec<u64>>,
    /// Validation samples behind one recall: of one run, or of all folds together.
    pub validation_sizes: Option<Vec<u64>>,
    /// Recalls are sums over runs (folds), not means of recalls.
    pub pooled: bool,
    /// Mean over the runs, one value a sample of the whole training part.
    pub scores: BTreeMap<Method, Vec<f64>>,
    /// Recalls that were given from outside, instead of runs.
    pub given: Option<Vec<Option<f64>>>,
}

impl QueryData {
    /// Collects finished runs. `pooled`: the runs are folds whose counts are added.
    pub fn collect(runs: &[&Finished], pooled: bool) -> Result<Self> {
        let mut query = QueryData { pooled, ..QueryData::default() };
        let validations: Vec<&TestResult> =
            runs.iter().filter_map(|r| r.result.validation.as_ref()).collect();
        let sum = |pick: fn(&TestResult) -> &Vec<u64>| -> Option<Vec<u64>> {
            let first = pick(validations.first()?).clone();
            Some(validations[1..].iter().fold(first, |mut sums, v| {
                sums.iter_mut().zip(pick(v)).for_each(|(s, n)| *s += n);
                sums
            }))
        };
        query.correct = sum(|v| &v.correct);
        query.total = sum(|v| &v.total);
        query.validation_sizes =
            if pooled { query.total.clone() } else { validations.first().map(|v| v.total.clone()) };
        query.runs = validations.iter().map(|v| crate::metrics::recalls(&v.counts())).collect();
        query.scores = mean_scores(runs)?;
        Ok(query)
    }

    /// The recall of each class that quotas use.
    pub fn mean_recalls(&self) -> Vec<Option<f64>> {
        if let Some(given) = &self.given {
            return given.clone();
        }
        match (&self.correct, &self.total) {
            (Some(correct), Some(total)) if self.pooled => {
                let pairs = correct.iter().zip(total);
                pairs.map(|(&c, &n)| (n > 0).then(|| c as f64 / n as f64)).collect()
            }
            _ => crate::metrics::mean_recalls(&self.runs).unwrap_or_default(),
        }
    }

    /// Standard deviation of each class's recall between runs; None with one run.
    pub fn recall_sd(&self) -> Vec<Option<f64>> {
        let classes = self.runs.first().map_or(0, Vec::len);
        (0..classes)
            .map(|k| {
                let values: Option<Vec<f64>> = self.runs.iter().map(|r| r[k]).collect();
                let values = values.filter(|v| v.len() > 1)?;
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
                Some((squares / (values.len() - 1) as f64).sqrt())
            })
            .collect()
    }
}

fn mean_scores(runs: &[&Finished]) -> Result<BTreeMap<Method, Vec<f64>>> {
    let mut sums: BTreeMap<Method, Vec<f64>> = BTreeMap::new();
    for run in runs {
        for (method, values) in &run.scores {
            let sum = sums.entry(*method).or_insert_with(|| vec![0.0; values.len()]);
            if sum.len() != values.len() {
                return Err(Error::Internal(format!("{method} scores of different lengths")));
            }
            sum.iter_mut().zip(values).for_each(|(s, &v)| *s += f64::from(v));
        }
    }
    let count = runs.len().max(1) as f64;
    sums.values_mut().flatten().for_each(|s| *s /= count);
    Ok(sums)
}
