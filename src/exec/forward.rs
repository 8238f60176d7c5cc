//! Passes without updates: evaluation and scoring.

use super::executor::Executor;
use super::fit::batch_sizes;
use super::pass::{Mode, Pass};
use crate::error::Result;
use crate::ops::Operators;

/// A part on the device with the positions that count.
pub struct EvaluationSet<'a, B: Operators> {
    pub images: &'a B::Images,
    /// Labels of the whole part.
    pub labels: &'a [u32],
    /// Positions in the part, ascending.
    pub positions: &'a [u32],
    /// Group of each sample of the whole part and the number of groups, where correct predictions
    /// are counted by group as well.
    pub groups: Option<(&'a [u32], usize)>,
}

/// One pass without updates over the set; results are in the executor's columns.
pub fn run_pass<B: Operators>(
    executor: &mut Executor<B>,
    mode: Mode,
    set: &EvaluationSet<B>,
) -> Result<()> {
    run_pass_from(executor, mode, set, 0, &mut |_, _| Ok(()))
}

/// One pass without updates from batch `start` on, which calls `after` with the number of batches done
/// after each. Results of earlier batches must be in the columns.
pub fn run_pass_from<B: Operators>(
    executor: &mut Executor<B>,
    mode: Mode,
    set: &EvaluationSet<B>,
    start: usize,
    after: &mut dyn FnMut(&mut Executor<B>, usize) -> Result<()>,
) -> Result<()> {
    executor.begin(&Pass {
        labels: set.labels,
        order: set.positions,
        epoch: 0,
        start: start as u32,
        steps_done: 0,
        lrs: &[],
        class_weights: &[],
    })?;
    let sizes = batch_sizes(mode, executor.batch(mode), set.positions.len());
    for (i, &n) in sizes.iter().enumerate().skip(start) {
        executor.step(mode, n, set.images)?;
        after(executor, i + 1)?;
    }
    Ok(())
}
