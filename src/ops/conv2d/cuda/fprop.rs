//! Launches of `kernels/conv2d_fprop.cu`; statistics are batch norm's kernels on the output.

use super::shape::positions;
use super::tile::Tile;
use crate::backend::View;
use crate::cuda::args::{Conv2dFpropArgs, Conv2dShape};
use crate::cuda::{Cuda, CudaMemory};
use crate::error::Result;
use crate::ops::batch_norm::cuda::{statistics, statistics_workspace};
use crate::ops::conv2d::{Conv2dProblem, Epilogue, FpropOperands};
use crate::ops::device::NULL;

/// Workspace: what statistics of the output need.
pub(super) fn workspace(problem: &Conv2dProblem) -> usize {
    statistics_workspace(positions(problem), problem.k)
}

pub(super) fn fprop(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &FpropOperands,
) -> Result<()> {
    let FpropOperands { x, w, bias, y, epilogue, workspace } = *operands;
    let at = |view: View| cuda.pointer(memory, view);
    let optional = |view: Option<View>| view.map_or(Ok(NULL), at);
    let (scale, shift, residual, relu) = match epilogue {
        Epilogue::Affine { scale, shift, residual, relu } => {
            (at(scale)?, at(shift)?, optional(residual)?, u32::from(relu))
        }
        Epilogue::None | Epilogue::Statistics { .. } => (NULL, NULL, NULL, 0),
    };
    let args = Conv2dFpropArgs {
        x: at(x)?,
        w: at(w)?,
        bias: optional(bias)?,
        scale,
        shift,
        residual,
        y: at(y)?,
        shape: Conv2dShape::new(problem)?,
        relu,
    };
    let kernels = cuda.kernels();
    let pair = [&kernels.conv2d_fprop_wide_f32, &kernels.conv2d_fprop_narrow_f32];
    let tile = Tile::of(problem.k);
    let grid = tile.grid(positions(problem), problem.k);
    // SAFETY: the views have the problem's lengths (check_fprop).
    unsafe { tile.launch(cuda, pair, grid, 1, &args)? };
    match epilogue {
        Epilogue::Statistics { mean, m2 } => {
            statistics(cuda, memory, positions(problem), y, [mean, m2], workspace)
        }
        Epilogue::None | Epilogue::Affine { .. } => Ok(()),
    }
}
