//! Launches of `kernels/loss_score.cu`.

use super::{BatchViews, FIELDS, LogitGradient, LossScore, LossScoreProblem};
use crate::backend::View;
use crate::cuda::args::{LossScoreArgs, StoreNormsArgs};
use crate::cuda::{Cuda, CudaMemory, tiles};
use crate::error::Result;
use crate::ops::device::{NULL, count, launch_items};
use crate::ops::enums::gradient;

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
        wanted: LogitGradient,
        dlogits: View,
    ) -> Result<()> {
        problem.check(logits, batch, wanted, dlogits)?;
        let (kind, weights, sample_weights, smoothing) = match wanted {
            LogitGradient::None => (gradient::GRADIENT_NONE, NULL, NULL, 0.0),
            LogitGradient::PerSample => (gradient::GRADIENT_SAMPLE, NULL, NULL, 0.0),
            LogitGradient::Mean { class_weights, sample_weights, smoothing } => {
                let weights = self.pointer(memory, class_weights)?;
                let sample_weights = self.pointer(memory, sample_weights)?;
                (gradient::GRADIENT_MEAN, weights, sample_weights, smoothing)
            }
        };
        let capacity = batch.table.len / FIELDS;
        let args = LossScoreArgs {
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
        // SAFETY: the views have the problem's lengths, and what lies outside order,
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
        // SAFETY: as above.
        unsafe { launch_items(self, &self.kernels().store_norms_f32, args.n, &args) }
    }
}
