//! Passes without updates: evaluation and scoring.

use super::executor::{Executor, Pass, batch_sizes};
use super::plan::Mode;
use crate::error::Result;
use crate::ops::Operators;

/// A part on the device with the positions that count.
pub struct EvaluationSet<'a, B: Operators> {
    pub images: &'a B::Images,
    /// Labels of the whole part.
    pub labels: &'a [u32],
    /// Positions in the part, ascending.
    pub positions: &'a [u32],
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
