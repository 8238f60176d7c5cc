//! Rows of single operators: every distinct layer of the network in each direction on tensors that no cache
//! holds, with the fraction of its floor and the tile that it takes.

use std::collections::BTreeSet;

use super::floor::Load;
use super::rows::TimedRow;
use super::sets::Sets;
use super::settings::Measurement;
use super::timing::Timer;
use super::work::{OperatorWork, backward, convolutions, eval, fprop, passes};
use crate::error::Result;
use crate::ops::Operators;
use crate::ops::batch_norm::BatchNormProblem;

/// The rows of the suite `kernels`.
pub fn rows<B: Operators>(timer: &Timer<B>) -> Result<Vec<TimedRow>> {
    let mut rows = Vec::new();
    for work in layers(&**timer.backend, timer.settings)? {
        if timer.watch.is_stopped() {
            break;
        }
        rows.push(time(timer, work)?);
    }
    Ok(rows)
}

/// Every direction of every convolution, and the passes of the batch norm behind it.
fn layers<B: Operators>(backend: &B, settings: &Measurement) -> Result<Vec<OperatorWork<B>>> {
    let stored = settings.compute.precision.dtype();
    let mut works: Vec<OperatorWork<B>> = Vec::new();
    let mut norms = BTreeSet::new();
    for (p, first) in convolutions(settings)? {
        works.push(fprop(backend, p, stored));
        works.push(eval(backend, p, stored));
        works.extend(backward(backend, p, first, stored).into_iter().map(|(_, work)| work));
        let bn = BatchNormProblem { n: p.n, hw: p.p() * p.q(), c: p.k };
        if norms.insert((bn.hw, bn.c)) {
            passes(&mut works, bn, stored);
        }
    }
    Ok(works)
}

/// Times one operator on sets of its own.
pub fn time<B: Operators>(timer: &Timer<B>, work: OperatorWork<B>) -> Result<TimedRow> {
    let mut sets = Sets::new(&**timer.backend, &work.views)?;
    time_on(&mut sets, timer, work)
}

/// Times one operator on sets of views that are at least as long as its own.
pub fn time_on<B: Operators>(
    sets: &mut Sets<B>,
    timer: &Timer<B>,
    work: OperatorWork<B>,
) -> Result<TimedRow> {
    let calls = sets.call(&work)?;
    let clock = timer.clock(&work.name);
    let run = |sets: &mut &mut Sets<B>| sets.call(&work).map(|_| ());
    let times = clock.repeat(&mut &mut *sets, |_| Ok(()), run)?;
    let moved = work.views.iter().take(work.tensors).map(|(len, dtype)| len * dtype.size());
    let (operations, bytes) = (work.operations, moved.sum::<usize>() as f64);
    let load = Load { operations, bytes, copied: work.copied };
    let precision = timer.settings.compute.precision;
    let seconds = timer.card.ceilings().map(|c| c.seconds(&[load], precision));
    let row = TimedRow::new(&clock, work.images * calls, &times).with_floor(seconds, work.images);
    let row = TimedRow {
        planned: work.planned,
        clocks: timer.card.state(),
        tile: work.tile.map(|tile| tile.to_string()),
        ..row
    };
    // What was measured survives whoever is killed before the end.
    tracing::info!("row {}", serde_json::to_string(&row).unwrap_or_default());
    Ok(row)
}
