//! Launches of `kernels/batch_norm.cu`, and for tensors stored as bf16 of `kernels/batch_norm_bf16.cu`.

mod shape;

use bytemuck::Pod;

use super::{AffineMap, ApplyOperands, BackwardInput, BatchNorm, BatchNormProblem};
use crate::backend::View;
use crate::cuda::args::{
    BatchNormApplyArgs, BatchNormBackwardApplyArgs, BatchNormBackwardEvalArgs,
    BatchNormBackwardReduceArgs, BatchNormBackwardSumArgs, BatchNormEvalAffineArgs,
    BatchNormFinalizeArgs, BatchNormMergeArgs, BatchNormMergeTilesArgs, BatchNormStatisticsArgs,
    BatchNormSumTilesArgs, ChannelShape, Divisor,
};
use crate::cuda::{Cuda, CudaMemory, DevicePointer, Kernel, tiles};
use crate::error::Result;
use crate::ops::device::{NULL, count, launch_items, offset};
use crate::tensor::Dtype;
use shape::{BackwardPointers, width};

/// Parts of the rows whose results a workspace is to hold.
fn parts(rows: usize) -> usize {
    let most = tiles::CHANNEL_PARTS as usize;
    (rows / tiles::CHANNEL_PART_ROWS as usize).clamp(1, most)
}

/// f32 values of workspace for [`statistics`] of rows x channels.
pub(crate) fn statistics_workspace(rows: usize, channels: usize) -> usize {
    2 * parts(rows) * channels
}

/// Mean and sum of squared deviations of every channel of `y` (rows x channels).
pub(crate) fn statistics(
    cuda: &Cuda,
    memory: &CudaMemory,
    rows: usize,
    y: View,
    [mean, m2]: [View; 2],
    workspace: View,
) -> Result<()> {
    let most = workspace.len / (2 * mean.len).max(1);
    let dtype = y.dtype;
    let shape = ChannelShape::new(dtype, rows, mean.len, parts(rows).min(most))?;
    let [y, mean, m2, means] = [y, mean, m2, workspace].map(|v| cuda.pointer(memory, v));
    let (mean, m2, means) = (mean?, m2?, means?);
    let m2s = offset(means, (shape.parts * shape.channels) as usize);
    let args = BatchNormStatisticsArgs { y: y?, means, m2s, shape, filler: 0 };
    let kernels = cuda.kernels();
    let kernel = match dtype {
        Dtype::Bf16 => &kernels.batch_norm_statistics_bf16,
        _ => &kernels.batch_norm_statistics_f32,
    };
    // SAFETY: y has rows x channels, the workspace holds two values a
    // part and channel.
    unsafe { by_channels(cuda, kernel, dtype, &shape, &args)? };
    let args = BatchNormMergeArgs { means, m2s, mean, m2, shape, filler: 0 };
    // SAFETY: as above.
    unsafe { by_warps(cuda, &kernels.batch_norm_merge_f32, &shape, &args) }
}

/// Partial results of a convolution's tiles: two values a channel and tile, channel by channel, the
/// second values behind all the first.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    pub partials: [DevicePointer; 2],
    pub channels: usize,
    pub parts: usize,
}

/// Merges means and squared deviations of tiles of `part_rows` of `rows` rows.
pub(crate) fn merge_tiles(
    cuda: &Cuda,
    tiles: Tiles,
    [rows, part_rows]: [usize; 2],
    [mean, m2]: [DevicePointer; 2],
) -> Result<()> {
    let [means, m2s] = tiles.partials;
    let args = BatchNormMergeTilesArgs {
        means,
        m2s,
        mean,
        m2,
        rows: count("batch norm", "rows", rows)?,
        part_rows: part_rows as u32,
        parts: count("batch norm", "tiles", tiles.parts)?,
        filler: 0,
    };
    // SAFETY: the partial results are as many as the tiles say.
    unsafe { by_blocks(cuda, &cuda.kernels().batch_norm_merge_tiles_f32, tiles.channels, &args) }
}

/// Adds tiles' sums of dz and dz xhat.
pub(crate) fn sum_tiles(
    cuda: &Cuda,
    tiles: Tiles,
    [dgamma, dbeta]: [DevicePointer; 2],
) -> Result<()> {
    let parts = count("batch norm", "tiles", tiles.parts)?;
    let [sums, sums_xhat] = tiles.partials;
    let args = BatchNormSumTilesArgs { sums, sums_xhat, dbeta, dgamma, parts, filler: 0 };
    // SAFETY: as above.
    unsafe { by_blocks(cuda, &cuda.kernels().batch_norm_sum_tiles_f32, tiles.channels, &args) }
}

/// Launches a block a channel.
///
/// # Safety
/// What [`Cuda::launch`] asks of its callers.
unsafe fn by_blocks<A: Pod>(
    cuda: &Cuda,
    kernel: &Kernel<A>,
    channels: usize,
    args: &A,
) -> Result<()> {
    let grid = [count("batch norm", "channels", channels)?, 1, 1];
    let (threads, shared_bytes) = (tiles::MERGE16_THREADS, tiles::MERGE16_SHARED);
    // SAFETY: passed on to the caller.
    unsafe { cuda.launch(kernel, grid, threads, shared_bytes, args) }
}

/// Launches a block a part and group of channels of tensors of `dtype`.
///
/// # Safety
/// What [`Cuda::launch`] asks of its callers.
unsafe fn by_channels<A: Pod>(
    cuda: &Cuda,
    kernel: &Kernel<A>,
    dtype: Dtype,
    shape: &ChannelShape,
    args: &A,
) -> Result<()> {
    let grid = [shape.parts, shape.groups(dtype), 1];
    let (threads, shared_bytes) = (tiles::CHANNEL_THREADS, tiles::CHANNEL_SHARED);
    // SAFETY: passed on to the caller.
    unsafe { cuda.launch(kernel, grid, threads, shared_bytes, args) }
}

/// Launches a warp a channel.
///
/// # Safety
/// What [`Cuda::launch`] asks of its callers.
unsafe fn by_warps<A: Pod>(
    cuda: &Cuda,
    kernel: &Kernel<A>,
    shape: &ChannelShape,
    args: &A,
) -> Result<()> {
    let grid = [shape.channels.div_ceil(tiles::MERGE_THREADS / 32), 1, 1];
    // SAFETY: passed on to the caller.
    unsafe { cuda.launch(kernel, grid, tiles::MERGE_THREADS, 0, args) }
}

impl BatchNorm for Cuda {
    fn batch_norm_statistics(
        &self,
        memory: &mut CudaMemory,
        problem: &BatchNormProblem,
        y: View,
        mean: View,
        m2: View,
        workspace: View,
    ) -> Result<()> {
        problem.check_statistics(y, [mean, m2], workspace)?;
        statistics(self, memory, problem.count(), y, [mean, m2], workspace)
    }

    fn batch_norm_finalize(
        &self,
        memory: &mut CudaMemory,
        count: usize,
        [mean, m2]: [View; 2],
        map: &AffineMap,
    ) -> Result<()> {
        let AffineMap { affine, running, rstd, scale_shift } = *map;
        affine.check([mean, m2, running[0], running[1], rstd, scale_shift[0], scale_shift[1]])?;
        let at = |view: View| self.pointer(memory, view);
        let args = BatchNormFinalizeArgs {
            mean: at(mean)?,
            m2: at(m2)?,
            gamma: at(affine.gamma)?,
            beta: at(affine.beta)?,
            running_mean: at(running[0])?,
            running_variance: at(running[1])?,
            rstd: at(rstd)?,
            scale: at(scale_shift[0])?,
            shift: at(scale_shift[1])?,
            channels: crate::ops::device::count("batch norm", "channels", mean.len)?,
            count: count as f32,
            unbiased: count.saturating_sub(1).max(1) as f32,
            filler: 0,
        };
        let kernel = &self.kernels().batch_norm_finalize_f32;
        // SAFETY: all views hold one value a channel.
        unsafe { launch_items(self, kernel, args.channels, &args) }
    }

    fn batch_norm_eval_affine(&self, memory: &mut CudaMemory, map: &AffineMap) -> Result<()> {
        let AffineMap { affine, running, rstd, scale_shift } = *map;
        affine.check([running[0], running[1], rstd, scale_shift[0], scale_shift[1]])?;
        let at = |view: View| self.pointer(memory, view);
        let args = BatchNormEvalAffineArgs {
            gamma: at(affine.gamma)?,
            beta: at(affine.beta)?,
            running_mean: at(running[0])?,
            running_variance: at(running[1])?,
            rstd: at(rstd)?,
            scale: at(scale_shift[0])?,
            shift: at(scale_shift[1])?,
            channels: count("batch norm", "channels", affine.gamma.len)?,
            filler: 0,
        };
        let kernel = &self.kernels().batch_norm_eval_affine_f32;
        // SAFETY: all views hold one value a channel.
        unsafe { launch_items(self, kernel, args.channels, &args) }
    }

    fn batch_norm_apply(
        &self,
        memory: &mut CudaMemory,
        problem: &BatchNormProblem,
        operands: &ApplyOperands,
    ) -> Result<()> {
        let ApplyOperands { y, scale_shift, residual, relu, out } = *operands;
        problem.check([y, residual.unwrap_or(y), out], scale_shift)?;
        let at = |view: View| self.pointer(memory, view);
        let v = width(y.dtype, problem.c);
        let args = BatchNormApplyArgs {
            y: at(y)?,
            scale: at(scale_shift[0])?,
            shift: at(scale_shift[1])?,
            residual: residual.map_or(Ok(NULL), at)?,
            out: at(out)?,
            vectors: count("batch norm", "elements", problem.len())? / v as u32,
            by_row: Divisor::new(count("batch norm", "channels", problem.c)? / v as u32),
            relu: u32::from(relu),
            filler: 0,
        };
        let kernels = self.kernels();
        let kernel = match v {
            8 => &kernels.batch_norm_apply_bf16,
            4 => &kernels.batch_norm_apply_vector_f32,
            _ => &kernels.batch_norm_apply_scalar_f32,
        };
        // SAFETY: the views have the problem's lengths.
        unsafe { launch_items(self, kernel, args.vectors, &args) }
    }

    fn batch_norm_backward_reduce(
        &self,
        memory: &mut CudaMemory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        dgamma: View,
        dbeta: View,
        workspace: View,
    ) -> Result<()> {
        problem.check_reduce(input, [dgamma, dbeta], workspace)?;
        let rows = problem.count();
        let dtype = input.y.dtype;
        let shape = ChannelShape::new(dtype, rows, problem.c, parts(rows).min(problem.n))?;
        let sums = self.pointer(memory, workspace)?;
        let sums_xhat = offset(sums, (shape.parts * shape.channels) as usize);
        let BackwardPointers { dout, out, y, mean, rstd } =
            BackwardPointers::new(self, memory, input)?;
        let args = BatchNormBackwardReduceArgs {
            dout,
            out,
            y,
            mean,
            rstd,
            sums,
            sums_xhat,
            shape,
            mask_in_place: u32::from(input.mask_in_place),
        };
        let kernels = self.kernels();
        let kernel = match dtype {
            Dtype::Bf16 => &kernels.batch_norm_backward_reduce_bf16,
            _ => &kernels.batch_norm_backward_reduce_f32,
        };
        // SAFETY: the views have the problem's lengths, the workspace
        // two values a sample and channel, and there are at most as many parts as samples.
        unsafe { by_channels(self, kernel, dtype, &shape, &args)? };
        let args = BatchNormBackwardSumArgs {
            sums,
            sums_xhat,
            dbeta: self.pointer(memory, dbeta)?,
            dgamma: self.pointer(memory, dgamma)?,
            channels: shape.channels,
            parts: shape.parts,
        };
        // SAFETY: as above.
        unsafe { by_warps(self, &kernels.batch_norm_backward_sum_f32, &shape, &args) }
    }

    fn batch_norm_backward_apply(
        &self,
        memory: &mut CudaMemory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        gamma: View,
        [dgamma, dbeta]: [View; 2],
        dy: View,
    ) -> Result<()> {
        input.check(problem)?;
        problem.check([dy, input.y], [gamma, dgamma, dbeta])?;
        let dtype = dy.dtype;
        let shape = ChannelShape::of_threads(dtype, problem.count(), problem.c)?;
        let BackwardPointers { dout, out, y, mean, rstd } =
            BackwardPointers::new(self, memory, input)?;
        let args = BatchNormBackwardApplyArgs {
            dout,
            out,
            y,
            mean,
            rstd,
            gamma: self.pointer(memory, gamma)?,
            dgamma: self.pointer(memory, dgamma)?,
            dbeta: self.pointer(memory, dbeta)?,
            dy: self.pointer(memory, dy)?,
            shape,
            count: problem.count() as f32,
        };
        let kernel = match dtype {
            Dtype::Bf16 => &self.kernels().batch_norm_backward_apply_bf16,
            _ => &self.kernels().batch_norm_backward_apply_f32,
        };
        // SAFETY: the views have the problem's lengths.
        unsafe { by_channels(self, kernel, dtype, &shape, &args) }
    }

    fn batch_norm_backward_eval(
        &self,
        memory: &mut CudaMemory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        scale: View,
        dy: View,
        norms: View,
    ) -> Result<()> {
        problem.check_backward_eval(input, scale, dy, norms)?;
        // Parts are samples: a block goes through all channels of one.
        let shape = ChannelShape::new(dy.dtype, problem.count(), problem.c, problem.n)?;
        let BackwardPointers { dout, out, y, mean, rstd } =
            BackwardPointers::new(self, memory, input)?;
        let args = BatchNormBackwardEvalArgs {
            dout,
            out,
            y,
            mean,
            rstd,
            scale: self.pointer(memory, scale)?,
            dy: self.pointer(memory, dy)?,
            norms: self.pointer(memory, norms)?,
            shape,
            mask_in_place: u32::from(input.mask_in_place),
        };
        let kernel = match dy.dtype {
            Dtype::Bf16 => &self.kernels().batch_norm_backward_eval_bf16,
            _ => &self.kernels().batch_norm_backward_eval_f32,
        };
        let (threads, shared_bytes) = (tiles::CHANNEL_THREADS, tiles::CHANNEL_SHARED);
        // SAFETY: the views have the problem's lengths.
        unsafe { self.launch(kernel, [shape.parts, 1, 1], threads, shared_bytes, &args) }
    }
}
