//! Squared norms of samples' gradients, one layer at a time, of networks that another program runs.
//!
//! The caller has a layer's input x and the gradient dy of a sum of per-sample losses with respect to its
//! output, in memory of its own. Each function adds to `norms[n]` the squared norm of sample n's gradient
//! with respect to the layer's parameters, and never stores that gradient. With g_n = d loss_n / d parameter:
//!
//! ```text
//! convolution  g[k,r,s,c] = sum_{p,q} dy[p,q,k] x[p sh + r - ph, q sw + s - pw, c], groups of channels apart
//! linear       g[k,c]     = sum_t dy[t,k] x[t,c], a convolution over one row of T positions
//! scale        g[c]       = sum_t dy[t,c] (x[t,c] - mean) rstd          (the shift's: sum_t dy[t,c])
//! embedding    g[i,c]     = sum over positions t with index i of dy[t,c]
//! ```
//!
//! mean and rstd are given for each channel (batch norm in eval mode), or those of x: over a position's
//! channels (layer norm, root-mean-square norm) or over the positions of a group of channels (group norm).
//!
//! Every norm is a sum in an order that depends on the sizes alone: results do not change with the number
//! of threads, and a sample's norm does not depend on the other samples of its batch.

mod affine;
mod conv;
mod depthwise;
mod embedding;
mod strided;

pub use affine::{AffineParameters, ChannelStatistics, batch_norm, group_norm, layer_norm};
pub use conv::{ConvLayer, conv};
pub use embedding::{EmbeddingLayer, embedding};
pub use strided::{StridedBatch, ValueType};

use crate::backend::cpu::CpuMemory;
use crate::backend::{Backend, Cpu, View};
use crate::error::{Error, Result};
use crate::ops::conv2d::cpu::{Shared, lines, run_tasks};
use crate::tensor::Dtype;

/// Scratch memory that calls share; it grows to what the largest layer needs: the values of one sample,
/// and what its norm takes, for each worker.
#[derive(Default)]
pub struct SampleScratch {
    memory: Option<CpuMemory>,
    values: usize,
}

impl SampleScratch {
    /// At least `values` f32 values, on a 64-byte line.
    fn take(&mut self, cpu: &Cpu, values: usize) -> Result<&mut [f32]> {
        if self.memory.is_none() || self.values < values {
            // The old buffer goes first, so that both are never held at once.
            self.memory = None;
            self.memory = Some(cpu.allocate(&[values * 4], false)?);
            self.values = values;
        }
        let view = View { buffer: 0, offset: 0, len: values, dtype: Dtype::F32 };
        match &mut self.memory {
            Some(memory) => memory.slice_mut(view),
            None => Err(Error::Internal("scratch memory was not made".to_owned())),
        }
    }
}

/// `norms[n] += norm(n, scratch)` for every sample, with `per_worker` scratch values of any content.
fn each_sample(
    cpu: &Cpu,
    scratch: &mut SampleScratch,
    per_worker: usize,
    norms: &mut [f64],
    norm: impl Fn(usize, &mut [f32]) -> f64 + Sync,
) -> Result<()> {
    let per_worker = lines(per_worker);
    let scratch = scratch.take(cpu, cpu.workers() * per_worker)?;
    let samples = norms.len();
    let shared = Shared::new(norms);
    run_tasks(cpu, samples, scratch, per_worker, |n, scratch| {
        let value = norm(n, scratch);
        // SAFETY: this task's own sample.
        unsafe { shared.slice(n, 1)[0] += value };
    });
    Ok(())
}

/// Refuses a tensor of another shape (samples, height, width, channels) than the layer's.
fn check_shape(what: &str, found: [usize; 4], expected: [usize; 4]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let [n, h, w, c] = expected;
    let expected = format!("{n} samples, {h} x {w} positions, {c} channels");
    let [n, h, w, c] = found;
    let found = format!("{n} samples, {h} x {w} positions, {c} channels");
    Err(Error::invalid(what, found, expected))
}
