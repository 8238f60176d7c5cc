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

const SUBJECT: &str = "network";

/// Runs the network in eval mode over the set, in batches of `batch`.
pub fn evaluate<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
    batch: usize,
) -> Result<Evaluation> {
    run_pass(executor, Mode::Score, set, batch)?;
    let classes = executor.network().classes;
    let predictions = executor.column(Field::Prediction, set.labels.len())?;
    let losses = executor.column(Field::Loss, set.labels.len())?;
    let at = |i: &u32| *i as usize;
    let labels: Vec<u32> = set.positions.iter().map(|i| set.labels[at(i)]).collect();
    let predicted: Vec<u32> = set.positions.iter().map(|i| predictions[at(i)] as u32).collect();
    let loss: f64 = set.positions.iter().map(|i| f64::from(losses[at(i)])).sum();
    if !loss.is_finite() {
        return Err(Error::invalid(SUBJECT, "non-finite losses in evaluation", "finite outputs"));
    }
    let loss = loss / set.positions.len().max(1) as f64;
    Ok(Evaluation { counts: tally(&labels, &predicted, classes)?, loss })
}

impl Error {
    /// As divergence at `step`, if this is what [`evaluate`] says of a network without finite outputs.
    pub(crate) fn diverged_at(self, what: &str, step: u64, epoch: u32) -> Error {
        match self {
            Error::Invalid { what: subject, .. } if subject == SUBJECT => {
                Error::Diverged { what: what.to_owned(), step, epoch: u64::from(epoch) }
            }
            other => other,
        }
    }
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
