//! Launches of `kernels/conv2d_dgrad_bf16.cu`.

use bytemuck::{Pod, Zeroable};

use super::{Shape, Tile};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, DevicePointer};
use crate::error::Result;
use crate::ops::batch_norm::cuda::{Tiles, sum_tiles};
use crate::ops::conv2d::{Conv2dProblem, NormGradient};
use crate::ops::device::{Divisor, NULL, offset};

/// `Conv2dDgrad16Args`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Args {
    dy: DevicePointer,
    w: DevicePointer,
    dx: DevicePointer,
    shape: Shape,
    by_k: Divisor,
    accumulate: u32,
    filler: u32,
    y: DevicePointer,
    out: DevicePointer,
    mean: DevicePointer,
    rstd: DevicePointer,
    sums: [DevicePointer; 2],
}

/// The product of every remainder of a row and a column by the stride: rows of the first, which is
/// largest; how many; the tile.
fn product(problem: &Conv2dProblem) -> (usize, usize, Tile) {
    let [vertical, horizontal] = problem.stride;
    let rows = problem.n * problem.h.div_ceil(vertical) * problem.w.div_ceil(horizontal);
    let problems = vertical * horizontal;
    (rows, problems, Tile::unsplit(rows * problems, problem.c))
}

/// Row tiles of all problems.
fn parts(problem: &Conv2dProblem) -> usize {
    let (rows, problems, tile) = product(problem);
    rows.div_ceil(tile.rows) * problems
}

/// Workspace of a [`NormGradient`]: two sums a channel and row tile.
pub fn workspace(problem: &Conv2dProblem) -> usize {
    2 * parts(problem) * problem.c
}

pub fn dgrad(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    [dy, w, dx]: [View; 3],
    accumulate: bool,
    (norm, workspace): (Option<&NormGradient>, View),
) -> Result<()> {
    let shape = Shape::new(problem)?;
    let at = |view: View| cuda.pointer(memory, view);
    let (mut y, mut out, mut mean, mut rstd, mut sums) = (NULL, NULL, NULL, NULL, [NULL; 2]);
    if let Some(norm) = norm {
        (y, mean, rstd) = (at(norm.y)?, at(norm.mean)?, at(norm.rstd)?);
        out = norm.out.map_or(Ok(NULL), at)?;
        let first = at(workspace)?;
        sums = [first, offset(first, parts(problem) * problem.c)];
    }
    let args = Args {
        dy: cuda.pointer(memory, dy)?,
        w: cuda.pointer(memory, w)?,
        dx: cuda.pointer(memory, dx)?,
        shape,
        by_k: Divisor::new(shape.k),
        accumulate: u32::from(accumulate),
        filler: 0,
        y,
        out,
        mean,
        rstd,
        sums,
    };
    let kernels = cuda.kernels();
    let three = [
        &kernels.conv2d_dgrad_wide_bf16,
        &kernels.conv2d_dgrad_medium_bf16,
        &kernels.conv2d_dgrad_narrow_bf16,
    ];
    let (rows, problems, tile) = product(problem);
    // SAFETY: Conv2dDgrad16Args; the views have the problem's lengths and types, channels are
    // multiples of 8 (check_dgrad), the workspace holds two sums a channel and row tile
    // (check_dgrad_norm).
    unsafe { tile.launch(cuda, three, [rows, problem.c], problems, &args)? };
    let Some(norm) = norm else { return Ok(()) };
    let tiles = Tiles { partials: sums, channels: problem.c, parts: parts(problem) };
    sum_tiles(cuda, tiles, [at(norm.dgamma)?, at(norm.dbeta)?])
}
