//! Predictions of a network for chosen samples, counted by class.

use crate::error::{Error, Result};
use crate::exec::{Executor, Mode};
use crate::metrics::{ClassCounts, tally, tally_groups};
use crate::ops::Operators;
use crate::ops::loss_score::Field;

pub use crate::exec::{EvaluationSet, run_pass};

/// The counts of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationTotals {
    /// Correct and total counts, one entry for each class.
    pub counts: Vec<ClassCounts>,
    /// Correct and total counts, one entry for each group, where the set has groups.
    pub groups: Option<Vec<ClassCounts>>,
    /// The predicted class of every position, in their order.
    pub predictions: Vec<u32>,
    /// Mean loss over the samples.
    pub loss: f64,
}

/// Runs the network in eval mode over the set. Losses that are not finite are an error.
pub fn evaluate<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
) -> Result<EvaluationTotals> {
    let evaluation = measure(executor, set)?;
    if !evaluation.loss.is_finite() {
        return Err(Error::invalid("network", "non-finite losses in evaluation", "finite outputs"));
    }
    Ok(evaluation)
}

/// Runs the network as [`evaluate`] does, but lets the loss be anything, for callers who know which
/// step made it so.
pub fn measure<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
) -> Result<EvaluationTotals> {
    run_pass(executor, Mode::Score, set)?;
    let classes = executor.network().classes;
    let predictions = executor.column(Field::Prediction, set.labels.len())?;
    let losses = executor.column(Field::Loss, set.labels.len())?;
    let at = |i: &u32| *i as usize;
    let labels: Vec<u32> = set.positions.iter().map(|i| set.labels[at(i)]).collect();
    let predicted: Vec<u32> = set.positions.iter().map(|i| predictions[at(i)] as u32).collect();
    let loss: f64 = set.positions.iter().map(|i| f64::from(losses[at(i)])).sum();
    let loss = loss / set.positions.len().max(1) as f64;
    let groups = match set.groups {
        Some((of, count)) => {
            let of: Vec<u32> = set.positions.iter().map(|i| of[at(i)]).collect();
            Some(tally_groups(&of, &labels, &predicted, count)?)
        }
        None => None,
    };
    let counts = tally(&labels, &predicted, classes)?;
    Ok(EvaluationTotals { counts, groups, predictions: predicted, loss })
}
