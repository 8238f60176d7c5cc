//! Launches of `kernels/conv2d_fprop_bf16.cu`.

use bytemuck::{Pod, Zeroable};

use super::{Shape, Tile, positions};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, DevicePointer};
use crate::error::Result;
use crate::ops::batch_norm::cuda::{Tiles, merge_tiles};
use crate::ops::conv2d::{Conv2dProblem, Epilogue};
use crate::ops::device::{NULL, count, offset};

/// `Conv2dFprop16Args`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Args {
    x: DevicePointer,
    w: DevicePointer,
    bias: DevicePointer,
    scale: DevicePointer,
    shift: DevicePointer,
    residual: DevicePointer,
    y: DevicePointer,
    moments: [DevicePointer; 2],
    shape: Shape,
    relu: u32,
    last_share: f32,
    rows: u32,
}

/// Rows that a warp takes moments of.
const WARP_ROWS: usize = 64;

fn tile(problem: &Conv2dProblem) -> Tile {
    Tile::unsplit(positions(problem), problem.k)
}

/// Workspace: two values a channel and row tile, for the moments of the output.
pub fn workspace(problem: &Conv2dProblem) -> usize {
    2 * positions(problem).div_ceil(tile(problem).rows) * problem.k
}

pub fn fprop(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    [x, w, y]: [View; 3],
    bias: Option<View>,
    epilogue: Epilogue,
    workspace: View,
) -> Result<()> {
    let at = |view: View| cuda.pointer(memory, view);
    let optional = |view: Option<View>| view.map_or(Ok(NULL), at);
    let (rows, tile) = (positions(problem), tile(problem));
    let parts = rows.div_ceil(tile.rows);
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
    let args = Args {
        x: at(x)?,
        w: at(w)?,
        bias: optional(bias)?,
        scale,
        shift,
        residual,
        y: at(y)?,
        moments,
        shape: Shape::new(problem)?,
        relu,
        last_share: match rows % WARP_ROWS {
            0 => 0.0,
            rest => 1.0 / rest as f32,
        },
        rows: count("convolution", "output positions", rows)?,
    };
    let kernels = cuda.kernels();
    let three = [
        &kernels.conv2d_fprop_wide_bf16,
        &kernels.conv2d_fprop_medium_bf16,
        &kernels.conv2d_fprop_narrow_bf16,
    ];
    // SAFETY: Conv2dFprop16Args; the views have the problem's lengths and types, channels are
    // multiples of 8, the workspace holds two values a channel and row tile (check_fprop).
    unsafe { tile.launch(cuda, three, [rows, problem.k], 1, &args)? };
    match epilogue {
        Epilogue::Statistics { mean, m2 } => {
            let tiles = Tiles { partials: moments, channels: problem.k, parts };
            merge_tiles(cuda, tiles, [rows, tile.rows], [at(mean)?, at(m2)?])
        }
        Epilogue::None | Epilogue::Affine { .. } => Ok(()),
    }
}
