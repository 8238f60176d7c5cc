//! Evaluation: predictions of a network for chosen samples, counted by class.

use crate::error::{Error, Result};
use crate::exec::{Executor, Mode, Pass, batch_sizes};
use crate::metrics::{ClassCounts, tally};
use crate::ops::Operators;
use crate::ops::loss_score::Field;

/// A part on the device with the positions that count.
pub struct EvaluationSet<'a, B: Operators> {
    pub images: &'a B::Images,
    /// Labels of the whole part.
    pub labels: &'a [u32],
    /// Positions in the part, ascending.
    pub positions: &'a [u32],
}

/// What an evaluation counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Correct and total, one entry a class.
    pub counts: Vec<ClassCounts>,
    /// Mean loss over the samples.
    pub loss: f64,
}

/// Runs the network in eval mode over the set, in batches of `batch`.
///
/// # Errors
/// [`Error::Invalid`] where a loss is not finite.
pub fn evaluate<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
    batch: usize,
) -> Result<Evaluation> {
    let expected = "finite outputs";
    evaluate_finite(executor, set, batch)?
        .ok_or_else(|| Error::invalid("network", "non-finite losses in evaluation", expected))
}

/// The same; None where a loss is not finite, for callers who know which step did that.
pub fn evaluate_finite<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
    batch: usize,
) -> Result<Option<Evaluation>> {
    run_pass(executor, Mode::Score, set, batch)?;
    let classes = executor.network().classes;
    let predictions = executor.column(Field::Prediction, set.labels.len())?;
    let losses = executor.column(Field::Loss, set.labels.len())?;
    let at = |i: &u32| *i as usize;
    let loss: f64 = set.positions.iter().map(|i| f64::from(losses[at(i)])).sum();
    if !loss.is_finite() {
        return Ok(None);
    }
    let loss = loss / set.positions.len().max(1) as f64;
    let labels: Vec<u32> = set.positions.iter().map(|i| set.labels[at(i)]).collect();
    let predicted: Vec<u32> = set.positions.iter().map(|i| predictions[at(i)] as u32).collect();
    Ok(Some(Evaluation { counts: tally(&labels, &predicted, classes)?, loss }))
}

/// One pass without updates over the set; results are in the executor's columns.
pub fn run_pass<B: Operators>(
    executor: &mut Executor<B>,
    mode: Mode,
    set: &EvaluationSet<B>,
    batch: usize,
) -> Result<()> {
    executor.begin(&Pass {
        labels: set.labels,
        order: set.positions,
        epoch: 0,
        start: 0,
        steps_done: 0,
        lrs: &[],
        class_weights: &[],
    })?;
    for n in batch_sizes(mode, batch, set.positions.len()) {
        executor.step(mode, n, set.images)?;
    }
    Ok(())
}
