//! What a strategy chooses by: class recalls on validation data, and scores of the training samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::picker::Material;
use crate::prune::{Direction, ValidationRows};
use crate::score::Method;

/// Class recalls over the query runs of one kind.
#[derive(Clone, Debug, Default)]
pub struct Recalls {
    /// Recalls of each run, one a class; None for a class without validation samples there.
    pub runs: Vec<Vec<Option<f64>>>,
    /// Correct and total validation samples of each class, summed over the runs.
    pub correct: Option<Vec<u64>>,
    pub total: Option<Vec<u64>>,
    /// Validation samples behind one recall: of one run, or of all folds together.
    pub validation_sizes: Option<Vec<u64>>,
    /// Recalls are sums over runs (folds), not means of recalls.
    pub pooled: bool,
    /// Recalls that were given from outside, instead of runs.
    pub given: Option<Vec<Option<f64>>>,
    /// What the runs say of each validation sample, where the recalls are of classes and it was kept:
    /// what predictions are made from.
    pub rows: Option<Arc<ValidationRows>>,
    /// The gain of predictions that pilots showed.
    pub gain: Option<f64>,
}

impl Recalls {
    /// The recall of each class that quotas use.
    pub fn mean(&self) -> Vec<Option<f64>> {
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
    pub fn sd(&self) -> Vec<Option<f64>> {
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

/// Recalls and scores.
#[derive(Clone, Debug, Default)]
pub struct QueryData {
    /// Recalls of the short query runs, or of the full-data runs that stand in for them.
    pub recalls: Recalls,
    /// Recalls of the run whose dynamics were recorded: what quotas use beside its scores.
    pub of_dynamics: Option<Recalls>,
    /// Scores that come from that run.
    pub from_dynamics: BTreeSet<Method>,
    /// Mean over the runs, one value a sample of the whole training part; NaN where no run has one.
    pub scores: BTreeMap<Method, Vec<f64>>,
    /// What methods of selection look at beside scores: of the first run.
    pub material: Material,
    /// A score that another program computed, one value a sample, and which end of it is kept.
    pub given: Option<(Vec<f64>, Direction)>,
}

impl QueryData {
    /// The recalls that belong to a ranking by `method` (None: random).
    pub fn recalls_of(&self, method: Option<Method>) -> &Recalls {
        match &self.of_dynamics {
            Some(recalls) if self.takes_dynamics(method) => recalls,
            _ => &self.recalls,
        }
    }

    /// The same, to be changed.
    pub fn recalls_of_mut(&mut self, method: Option<Method>) -> &mut Recalls {
        let dynamics = self.takes_dynamics(method);
        match &mut self.of_dynamics {
            Some(recalls) if dynamics => recalls,
            _ => &mut self.recalls,
        }
    }

    /// Whether a ranking by `method` goes with the recalls of the recorded run, where there is one.
    pub fn takes_dynamics(&self, method: Option<Method>) -> bool {
        let alone = self.recalls.runs.is_empty() && self.recalls.given.is_none();
        alone || method.is_some_and(|m| self.from_dynamics.contains(&m))
    }
}
