//! Batches of images on the host, on their way to the device.
//!
//! A step gathers from what was staged, outside of recorded work, and while the device computes the
//! rest the batch that comes next is copied. Which that is follows from the pass; what was copied in
//! vain costs time and nothing else.
//!
//! The first batch of a pass is not fetched while the pass before ends: between passes columns are read
//! and tables are sent, and each of these waits for the device, so that there is nothing left to copy beside.
//! It costs a pass one batch's copy.

use super::pass::Pass;
use super::plan::Plan;
use super::step::Step;
use crate::error::{Error, Result};
use crate::ops::Operators;
use crate::ops::gather::{GatherProblem, Staging};

/// The host's copy of what the device knows of the running pass, and the buffers on the way.
pub(super) struct Streaming<B: Operators> {
    staging: B::Staging,
    order: Vec<u32>,
    /// Images of the positions of training passes, where they are not their own.
    sources: Vec<u32>,
    /// The device's counter.
    batch: usize,
}

impl<B: Operators> Streaming<B> {
    /// Streams through `staging`; a pass begins with [`Streaming::begin`].
    pub fn new(staging: B::Staging) -> Self {
        Streaming { staging, order: Vec::new(), sources: Vec::new(), batch: 0 }
    }

    /// A pass begins.
    pub fn begin(&mut self, pass: &Pass) {
        self.order.clear();
        self.order.extend_from_slice(pass.order);
        self.batch = pass.start as usize;
    }

    /// Images of the positions of training passes from now on.
    pub fn set_sources(&mut self, sources: Option<&[u32]>) {
        self.sources.clear();
        self.sources.extend_from_slice(sources.unwrap_or_default());
    }

    /// Numbers of the images of the running batch, as the device finds them itself.
    fn numbers(&self, problem: &GatherProblem, n: usize, sourced: bool) -> Result<Vec<u32>> {
        let start = self.batch * problem.batch;
        let positions = self.order.get(start..start + n).ok_or_else(|| {
            Error::Internal(format!("samples {start}..{} of {}", start + n, self.order.len()))
        })?;
        if !sourced {
            return Ok(positions.to_vec());
        }
        let source = |&i: &u32| {
            let found = self.sources.get(i as usize).copied();
            found.ok_or_else(|| Error::Internal(format!("draw {i} of {}", self.sources.len())))
        };
        positions.iter().map(source).collect()
    }

    /// The first step of `plan`, of the images of the running batch.
    pub fn gather(
        &mut self,
        backend: &B,
        memory: &mut B::Memory,
        plan: &Plan,
        images: &B::Images,
    ) -> Result<()> {
        let Some(Step::Gather { problem, order, sources, state, out }) = plan.steps.first() else {
            return Err(Error::Internal("a plan that does not begin with its images".to_owned()));
        };
        let numbers = self.numbers(problem, problem.n, sources.len > 0)?;
        self.staging.stage(backend, images, &numbers)?;
        self.staging.gather(backend, memory, problem, [*order, *sources], *state, *out)
    }

    /// The device counted a batch without an update.
    pub fn advanced(&mut self) {
        self.batch += 1;
    }

    /// Some steps were issued: counts as the device does, and fetches what comes next.
    pub fn issued(
        &mut self,
        backend: &B,
        plan: &Plan,
        steps: &[Step],
        images: &B::Images,
    ) -> Result<()> {
        let counts = |step: &&Step| matches!(step, Step::Sgd { .. } | Step::Advance { .. });
        self.batch += steps.iter().filter(counts).count();
        let Some(Step::Gather { problem, sources, .. }) = plan.steps.first() else { return Ok(()) };
        let left = self.order.len().saturating_sub(self.batch * problem.batch);
        match left.min(problem.batch) {
            0 => Ok(()),
            n => {
                let numbers = self.numbers(problem, n, sources.len > 0)?;
                self.staging.prefetch(backend, images, &numbers)
            }
        }
    }
}
