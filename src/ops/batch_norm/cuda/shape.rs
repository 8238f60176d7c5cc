//! What the kernels in `kernels/batch_norm.cu` and `kernels/batch_norm_bf16.cu` are told of a matrix of rows
//! and channels, and where backward finds its tensors.

use super::super::BackwardInput;
use crate::backend::View;
use crate::cuda::args::ChannelShape;
use crate::cuda::{Cuda, CudaMemory, DevicePointer, tiles};
use crate::error::Result;
use crate::ops::device::{NULL, count, vector};
use crate::tensor::Dtype;

/// Neighbouring channels of a tensor that a thread takes.
pub(super) fn width(dtype: Dtype, channels: usize) -> usize {
    if dtype == Dtype::Bf16 { 8 } else { vector(channels) }
}

impl ChannelShape {
    /// Rows of a tensor of `dtype` cut into about `parts`, none empty.
    pub(super) fn new(
        dtype: Dtype,
        rows: usize,
        channels: usize,
        parts: usize,
    ) -> Result<ChannelShape> {
        count("batch norm", "elements", rows * channels)?;
        let vectors = channels / width(dtype, channels);
        let channels = count("batch norm", "channels", channels)?;
        let rows = count("batch norm", "rows", rows)?;
        let part_rows = rows.div_ceil(parts.max(1) as u32).max(1);
        let lanes = vectors.next_power_of_two().min(32) as u32;
        Ok(ChannelShape { rows, channels, lanes, part_rows, parts: rows.div_ceil(part_rows) })
    }

    /// Parts of so many rows that a thread has a few.
    pub(super) fn of_threads(dtype: Dtype, rows: usize, channels: usize) -> Result<ChannelShape> {
        let one = ChannelShape::new(dtype, rows, channels, 1)?;
        let at_once = tiles::CHANNEL_THREADS / one.lanes;
        let part_rows = at_once * tiles::CHANNEL_ROWS_A_THREAD;
        Ok(ChannelShape { part_rows, parts: one.rows.div_ceil(part_rows), ..one })
    }

    /// Groups of channels.
    pub(super) fn groups(&self, dtype: Dtype) -> u32 {
        self.channels.div_ceil(self.lanes * width(dtype, self.channels as usize) as u32)
    }
}

/// The tensors that all of backward's kernels begin with.
pub(super) struct BackwardPointers {
    pub(super) dout: DevicePointer,
    pub(super) out: DevicePointer,
    pub(super) y: DevicePointer,
    pub(super) mean: DevicePointer,
    pub(super) rstd: DevicePointer,
}

impl BackwardPointers {
    pub(super) fn new(
        cuda: &Cuda,
        memory: &CudaMemory,
        input: &BackwardInput,
    ) -> Result<BackwardPointers> {
        let at = |view: View| cuda.pointer(memory, view);
        Ok(BackwardPointers {
            dout: at(input.dout)?,
            out: input.out.map_or(Ok(NULL), at)?,
            y: at(input.y)?,
            mean: at(input.mean)?,
            rstd: at(input.rstd)?,
        })
    }
}
