//! Launches of `kernels/conv2d_dgrad_bf16.cu`.

use super::choice::{Product, TilePlan, pitch};
use crate::backend::View;
use crate::cuda::args::{Conv2dDgrad16Args, Conv2dShape, Divisor};
use crate::cuda::{Cuda, CudaMemory};
use crate::error::Result;
use crate::ops::batch_norm::cuda::{Tiles, sum_tiles};
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem, DgradOperands};
use crate::ops::device::{NULL, offset};

/// Row tiles of all problems.
fn parts(product: &Product, way: &TilePlan) -> usize {
    product.rows.div_ceil(way.tile.rows) * product.count
}

/// Workspace of a [`NormGradient`]: two sums a channel and row tile.
pub fn workspace(cuda: &Cuda, problem: &Conv2dProblem) -> usize {
    let Some(product) = Product::new(problem, Conv2dDirection::DgradNorm) else { return 0 };
    2 * parts(&product, &product.choose(cuda)) * problem.c
}

/// The input's gradient of operands that were checked, with the sums of a [`NormGradient`].
pub fn dgrad(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &DgradOperands,
) -> Result<()> {
    let DgradOperands { dy, w, dx, accumulate, norm, workspace } = *operands;
    let shape = Conv2dShape::new(problem)?;
    let direction =
        if norm.is_some() { Conv2dDirection::DgradNorm } else { Conv2dDirection::Dgrad };
    let Some(product) = Product::new(problem, direction) else { return Ok(()) };
    let way = product.choose(cuda);
    let parts = parts(&product, &way);
    let at = |view: View| cuda.pointer(memory, view);
    let (mut y, mut out, mut mean, mut rstd, mut sums) = (NULL, NULL, NULL, NULL, [NULL; 2]);
    if let Some(norm) = norm {
        (y, mean, rstd) = (at(norm.y)?, at(norm.mean)?, at(norm.rstd)?);
        out = norm.out.map_or(Ok(NULL), at)?;
        let first = at(workspace)?;
        sums = [first, offset(first, parts * problem.c)];
    }
    let args = Conv2dDgrad16Args {
        dy: cuda.pointer(memory, dy)?,
        w: cuda.pointer(memory, w)?,
        dx: cuda.pointer(memory, dx)?,
        shape,
        by_k: Divisor::new(shape.k),
        accumulate: u32::from(accumulate),
        by_pitch: Divisor::new(pitch(problem.k) as u32),
        y,
        out,
        mean,
        rstd,
        sums: sums[0],
        sums_xhat: sums[1],
    };
    let kernels = cuda.kernels();
    let gathered = [
        &kernels.conv2d_dgrad_wide_bf16,
        &kernels.conv2d_dgrad_medium_bf16,
        &kernels.conv2d_dgrad_narrow_bf16,
    ];
    let halo = [
        &kernels.conv2d_dgrad_halo_wide_bf16,
        &kernels.conv2d_dgrad_halo_medium_bf16,
        &kernels.conv2d_dgrad_halo_narrow_bf16,
    ];
    // SAFETY: the views have the problem's lengths and types, channels are
    // multiples of 8 (check_dgrad), the workspace holds two sums a channel and row tile
    // (check_dgrad_norm).
    unsafe { way.launch(cuda, &product, [gathered, halo], &args)? };
    let Some(norm) = norm else { return Ok(()) };
    let tiles = Tiles { partials: sums, channels: problem.c, parts };
    sum_tiles(cuda, tiles, [at(norm.dgamma)?, at(norm.dbeta)?])
}
