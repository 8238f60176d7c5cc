//! Arguments of the kernels in `kernels/batch_norm.cu` and `kernels/batch_norm_bf16.cu`, field by field
//! as there.

use bytemuck::{Pod, Zeroable};

use super::super::BackwardInput;
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, DevicePointer, tiles};
use crate::error::Result;
use crate::ops::device::{Divisor, NULL, count, vector};
use crate::tensor::Dtype;

/// `ChannelShape` of kernels/channels.cuh, and channels a thread.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Shape {
    pub(super) rows: u32,
    pub(super) channels: u32,
    pub(super) lanes: u32,
    pub(super) part_rows: u32,
    pub(super) parts: u32,
}

/// Neighbouring channels of a tensor that a thread takes.
pub(super) fn width(dtype: Dtype, channels: usize) -> usize {
    if dtype == Dtype::Bf16 { 8 } else { vector(channels) }
}

impl Shape {
    /// Rows of a tensor of `dtype` cut into about `parts`, none empty.
    pub(super) fn new(dtype: Dtype, rows: usize, channels: usize, parts: usize) -> Result<Shape> {
        count("batch norm", "elements", rows * channels)?;
        let vectors = channels / width(dtype, channels);
        let channels = count("batch norm", "channels", channels)?;
        let rows = count("batch norm", "rows", rows)?;
        let part_rows = rows.div_ceil(parts.max(1) as u32).max(1);
        let lanes = vectors.next_power_of_two().min(32) as u32;
        Ok(Shape { rows, channels, lanes, part_rows, parts: rows.div_ceil(part_rows) })
    }

    /// Parts of so many rows that a thread has a few.
    pub(super) fn of_threads(dtype: Dtype, rows: usize, channels: usize) -> Result<Shape> {
        let one = Shape::new(dtype, rows, channels, 1)?;
        let at_once = tiles::CHANNEL_THREADS / one.lanes;
        let part_rows = at_once * tiles::CHANNEL_ROWS_A_THREAD;
        Ok(Shape { part_rows, parts: one.rows.div_ceil(part_rows), ..one })
    }

    /// Groups of channels.
    pub(super) fn groups(&self, dtype: Dtype) -> u32 {
        self.channels.div_ceil(self.lanes * width(dtype, self.channels as usize) as u32)
    }
}

/// `BatchNormStatisticsArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct StatisticsArgs {
    pub(super) y: DevicePointer,
    pub(super) means: DevicePointer,
    pub(super) m2s: DevicePointer,
    pub(super) shape: Shape,
    pub(super) filler: u32,
}

/// `BatchNormMergeArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct MergeArgs {
    pub(super) means: DevicePointer,
    pub(super) m2s: DevicePointer,
    pub(super) mean: DevicePointer,
    pub(super) m2: DevicePointer,
    pub(super) shape: Shape,
    pub(super) filler: u32,
}

/// `BatchNormFinalizeArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct FinalizeArgs {
    pub(super) mean: DevicePointer,
    pub(super) m2: DevicePointer,
    pub(super) gamma: DevicePointer,
    pub(super) beta: DevicePointer,
    pub(super) running: [DevicePointer; 2],
    pub(super) rstd: DevicePointer,
    pub(super) scale_shift: [DevicePointer; 2],
    pub(super) channels: u32,
    pub(super) count: f32,
    pub(super) unbiased: f32,
    pub(super) filler: u32,
}

/// `BatchNormEvalAffineArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct EvalAffineArgs {
    pub(super) gamma: DevicePointer,
    pub(super) beta: DevicePointer,
    pub(super) running: [DevicePointer; 2],
    pub(super) rstd: DevicePointer,
    pub(super) scale_shift: [DevicePointer; 2],
    pub(super) channels: u32,
    pub(super) filler: u32,
}

/// `BatchNormApplyArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct ApplyArgs {
    pub(super) y: DevicePointer,
    pub(super) scale_shift: [DevicePointer; 2],
    pub(super) residual: DevicePointer,
    pub(super) out: DevicePointer,
    pub(super) vectors: u32,
    pub(super) by_row: Divisor,
    pub(super) relu: u32,
    pub(super) filler: u32,
}

/// What `BatchNormBackward{Reduce,Apply,Eval}Args` begin with.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Input {
    pub(super) dout: DevicePointer,
    pub(super) out: DevicePointer,
    pub(super) y: DevicePointer,
    pub(super) mean: DevicePointer,
    pub(super) rstd: DevicePointer,
}

impl Input {
    pub(super) fn new(cuda: &Cuda, memory: &CudaMemory, input: &BackwardInput) -> Result<Input> {
        let at = |view: View| cuda.pointer(memory, view);
        Ok(Input {
            dout: at(input.dout)?,
            out: input.out.map_or(Ok(NULL), at)?,
            y: at(input.y)?,
            mean: at(input.mean)?,
            rstd: at(input.rstd)?,
        })
    }
}

/// `BatchNormBackwardReduceArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct BackwardReduceArgs {
    pub(super) input: Input,
    pub(super) sums: [DevicePointer; 2],
    pub(super) shape: Shape,
    pub(super) mask_in_place: u32,
}

/// `BatchNormBackwardSumArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct BackwardSumArgs {
    pub(super) sums: [DevicePointer; 2],
    pub(super) dbeta: DevicePointer,
    pub(super) dgamma: DevicePointer,
    pub(super) channels: u32,
    pub(super) parts: u32,
}

/// `BatchNormBackwardApplyArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct BackwardApplyArgs {
    pub(super) input: Input,
    pub(super) gamma: DevicePointer,
    pub(super) dgamma: DevicePointer,
    pub(super) dbeta: DevicePointer,
    pub(super) dy: DevicePointer,
    pub(super) shape: Shape,
    pub(super) count: f32,
}

/// `BatchNormBackwardEvalArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct BackwardEvalArgs {
    pub(super) input: Input,
    pub(super) scale: DevicePointer,
    pub(super) dy: DevicePointer,
    pub(super) norms: DevicePointer,
    pub(super) shape: Shape,
    pub(super) mask_in_place: u32,
}

/// `BatchNormMergeTilesArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct MergeTilesArgs {
    pub(super) means: DevicePointer,
    pub(super) m2s: DevicePointer,
    pub(super) mean: DevicePointer,
    pub(super) m2: DevicePointer,
    pub(super) rows: u32,
    pub(super) part_rows: u32,
    pub(super) parts: u32,
    pub(super) filler: u32,
}

/// `BatchNormSumTilesArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct SumTilesArgs {
    pub(super) sums: [DevicePointer; 2],
    pub(super) dbeta: DevicePointer,
    pub(super) dgamma: DevicePointer,
    pub(super) parts: u32,
    pub(super) filler: u32,
}
