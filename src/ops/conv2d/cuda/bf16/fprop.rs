//! Launches of `kernels/conv2d_fprop_bf16.cu`.

use super::super::shape::positions;
use super::choice::{Product, pitch};
use crate::backend::View;
use crate::cuda::args::{Conv2dFprop16Args, Conv2dShape, Divisor};
use crate::cuda::{Cuda, CudaMemory, tiles};
use crate::error::Result;
use crate::ops::batch_norm::cuda::{Tiles, merge_tiles};
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem, Epilogue, FpropOperands};
use crate::ops::device::{NULL, count, offset};

/// Workspace: two values a channel and row tile, for the moments of the output.
pub fn workspace(cuda: &Cuda, problem: &Conv2dProblem) -> usize {
    let Some(product) = Product::new(problem, Conv2dDirection::Fprop) else { return 0 };
    2 * product.rows.div_ceil(product.choose(cuda).tile.rows) * problem.k
}

/// The output of operands that were checked, with their epilogue.
pub fn fprop(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &FpropOperands,
) -> Result<()> {
    let FpropOperands { x, w, bias, y, epilogue, workspace } = *operands;
    let at = |view: View| cuda.pointer(memory, view);
    let optional = |view: Option<View>| view.map_or(Ok(NULL), at);
    let rows = positions(problem);
    let Some(product) = Product::new(problem, Conv2dDirection::Fprop) else { return Ok(()) };
    let way = product.choose(cuda);
    let parts = rows.div_ceil(way.tile.rows);
    let mut moments = [NULL; 2];
    let (scale, shift, residual, relu) = match epilogue {
        Epilogue::None => (NULL, NULL, NULL, 0),
        Epilogue::Affine { scale, shift, residual, relu } => {
            (at(scale)?, at(shift)?, optional(residual)?, u32::from(relu))
        }
        Epilogue::Statistics { .. } => {
            let means = at(workspace)?;
            moments = [means, offset(means, parts * problem.k)];
            (NULL, NULL, NULL, 0)
        }
    };
    let args = Conv2dFprop16Args {
        x: at(x)?,
        w: at(w)?,
        bias: optional(bias)?,
        scale,
        shift,
        residual,
        y: at(y)?,
        means: moments[0],
        m2s: moments[1],
        shape: Conv2dShape::new(problem)?,
        relu,
        last_share: match rows % tiles::MMA_WARP_ROWS as usize {
            0 => 0.0,
            rest => 1.0 / rest as f32,
        },
        rows: count("convolution", "output positions", rows)?,
        by_pitch: Divisor::new(pitch(problem.c) as u32),
        filler: 0,
    };
    let kernels = cuda.kernels();
    let gathered = [
        &kernels.conv2d_fprop_wide_bf16,
        &kernels.conv2d_fprop_medium_bf16,
        &kernels.conv2d_fprop_narrow_bf16,
    ];
    let halo = [
        &kernels.conv2d_fprop_halo_wide_bf16,
        &kernels.conv2d_fprop_halo_medium_bf16,
        &kernels.conv2d_fprop_halo_narrow_bf16,
    ];
    // SAFETY: the views have the problem's lengths and types, channels are
    // multiples of 8, the workspace holds two values a channel and row tile (check_fprop).
    unsafe { way.launch(cuda, &product, [gathered, halo], &args)? };
    match epilogue {
        Epilogue::Statistics { mean, m2 } => {
            let tiles = Tiles { partials: moments, channels: problem.k, parts };
            merge_tiles(cuda, tiles, [rows, way.tile.rows], [at(mean)?, at(m2)?])
        }
        Epilogue::None | Epilogue::Affine { .. } => Ok(()),
    }
}
