//! Launches of `kernels/conv2d_dgrad.cu`.

use super::tile::Tile;
use crate::cuda::args::{Conv2dDgradArgs, Conv2dShape, Divisor};
use crate::cuda::{Cuda, CudaMemory};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dProblem, DgradOperands};

pub(super) fn dgrad(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &DgradOperands,
) -> Result<()> {
    let DgradOperands { dy, w, dx, accumulate, .. } = *operands;
    let shape = Conv2dShape::new(problem)?;
    let args = Conv2dDgradArgs {
        dy: cuda.pointer(memory, dy)?,
        w: cuda.pointer(memory, w)?,
        dx: cuda.pointer(memory, dx)?,
        shape,
        by_k: Divisor::new(shape.k),
        accumulate: u32::from(accumulate),
        filler: 0,
    };
    let kernels = cuda.kernels();
    let pair = [&kernels.conv2d_dgrad_wide_f32, &kernels.conv2d_dgrad_narrow_f32];
    let [vertical, horizontal] = problem.stride;
    // One problem for every remainder of a row and a column by the stride; the first is largest.
    let rows = problem.n * problem.h.div_ceil(vertical) * problem.w.div_ceil(horizontal);
    let tile = Tile::of(problem.c);
    let grid = tile.grid(rows, problem.c);
    // SAFETY: the views have the problem's lengths (check_dgrad).
    unsafe { tile.launch(cuda, pair, grid, vertical * horizontal, &args) }
}
