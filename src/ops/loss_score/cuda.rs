//! Launches of `kernels/loss_score.cu`.

use bytemuck::{Pod, Zeroable};

use super::{BatchViews, FIELDS, LogitGradient, LossScore, LossScoreProblem};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, DevicePointer, tiles};
use crate::error::Result;
use crate::ops::device::{NULL, count, launch_items};

/// `LossScoreArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Args {
    logits: DevicePointer,
    order: DevicePointer,
    labels: DevicePointer,
    weights: DevicePointer,
    sample_weights: DevicePointer,
    state: DevicePointer,
    table: DevicePointer,
    dlogits: DevicePointer,
    previous: DevicePointer,
    n: u32,
    k: u32,
    batch: u32,
    order_length: u32,
    samples: u32,
    capacity: u32,
    gradient: u32,
    smoothing: f32,
}

/// `StoreNormsArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct StoreNormsArgs {
    norms: DevicePointer,
    order: DevicePointer,
    state: DevicePointer,
    table: DevicePointer,
    n: u32,
    batch: u32,
    order_length: u32,
    capacity: u32,
}

fn size(what: &str, size: usize) -> Result<u32> {
    count("loss", what, size)
}

impl LossScore for Cuda {
    fn loss_score(
        &self,
        memory: &mut CudaMemory,
        problem: &LossScoreProblem,
        logits: View,
        batch: &BatchViews,
        gradient: LogitGradient,
        dlogits: View,
    ) -> Result<()> {
        problem.check(logits, batch, gradient, dlogits)?;
        // The order of the kernel's enumeration.
        let (kind, weights, sample_weights, smoothing) = match gradient {
            LogitGradient::None => (0, NULL, NULL, 0.0),
            LogitGradient::PerSample => (1, NULL, NULL, 0.0),
            LogitGradient::Mean { class_weights, sample_weights, smoothing } => {
                let weights = self.pointer(memory, class_weights)?;
                (2, weights, self.pointer(memory, sample_weights)?, smoothing)
            }
        };
        let capacity = batch.table.len / FIELDS;
        let args = Args {
            logits: self.pointer(memory, logits)?,
            order: self.pointer(memory, batch.order)?,
            labels: self.pointer(memory, batch.labels)?,
            weights,
            sample_weights,
            state: self.pointer(memory, batch.state)?,
            table: self.pointer(memory, batch.table)?,
            dlogits: self.pointer(memory, dlogits)?,
            previous: self.pointer(memory, batch.previous)?,
            n: size("samples", problem.n)?,
            k: size("classes", problem.k)?,
            batch: size("samples of a batch", problem.batch)?,
            order_length: size("samples", batch.order.len)?,
            samples: size("samples", batch.labels.len.min(capacity))?,
            capacity: size("rows of the table", capacity)?,
            gradient: kind,
            smoothing,
        };
        let grid = [args.n.div_ceil(tiles::LOSS_SAMPLES), 1, 1];
        let (threads, shared_bytes) = (tiles::LOSS_THREADS, tiles::LOSS_SHARED);
        // SAFETY: LossScoreArgs; the views have the problem's lengths, and what lies outside order,
        // labels, table, sample weights or previous presentations is neither read nor written.
        unsafe { self.launch(&self.kernels().loss_score_f32, grid, threads, shared_bytes, &args) }
    }

    fn store_norms(
        &self,
        memory: &mut CudaMemory,
        problem: &LossScoreProblem,
        norms: View,
        batch: &BatchViews,
    ) -> Result<()> {
        problem.check_norms(norms, batch)?;
        let args = StoreNormsArgs {
            norms: self.pointer(memory, norms)?,
            order: self.pointer(memory, batch.order)?,
            state: self.pointer(memory, batch.state)?,
            table: self.pointer(memory, batch.table)?,
            n: size("samples", problem.n)?,
            batch: size("samples of a batch", problem.batch)?,
            order_length: size("samples", batch.order.len)?,
            capacity: size("rows of the table", batch.table.len / FIELDS)?,
        };
        // SAFETY: StoreNormsArgs; as above.
        unsafe { launch_items(self, &self.kernels().store_norms_f32, args.n, &args) }
    }
}
