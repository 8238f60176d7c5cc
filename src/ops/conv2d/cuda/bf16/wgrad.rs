//! Launches of `kernels/conv2d_wgrad_bf16.cu`.

use super::super::wgrad::{parts, reduce};
use super::choice::Product;
use crate::cuda::args::{Conv2dBiasGrad16Args, Conv2dShape, Conv2dWgrad16Args};
use crate::cuda::{Cuda, CudaMemory, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem, WgradOperands};
use crate::ops::device::offset;

/// Values of the copies of dw, with which the copies of db follow.
fn copies(problem: &Conv2dProblem, splits: usize) -> usize {
    match splits {
        1 => 0,
        count => count * problem.w_len(),
    }
}

/// Workspace: a copy of dw a split, a copy of db a part.
pub fn workspace(cuda: &Cuda, problem: &Conv2dProblem) -> usize {
    let Some(product) = Product::new(problem, Conv2dDirection::Wgrad) else { return 0 };
    let splits = product.pieces(product.choose(cuda).splits).count;
    copies(problem, splits) + parts(problem).count * problem.k
}

/// Weight and bias gradients of operands that were checked.
pub fn wgrad(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &WgradOperands,
) -> Result<()> {
    let WgradOperands { x, dy, dw, db, workspace } = *operands;
    let shape = Conv2dShape::new(problem)?;
    let [x, dy, dw, work] = [x, dy, dw, workspace].map(|view| cuda.pointer(memory, view));
    let (dy, dw, work) = (dy?, dw?, work?);
    let Some(product) = Product::new(problem, Conv2dDirection::Wgrad) else { return Ok(()) };
    let mut way = product.choose(cuda);
    let splits = product.pieces(way.splits);
    way.splits = splits.count;
    let args = Conv2dWgrad16Args {
        x: x?,
        dy,
        copies: if splits.count == 1 { dw } else { work },
        shape,
        split_positions: splits.size as u32,
    };
    let kernels = cuda.kernels();
    let gathered = [
        &kernels.conv2d_wgrad_wide_bf16,
        &kernels.conv2d_wgrad_medium_bf16,
        &kernels.conv2d_wgrad_narrow_bf16,
    ];
    let halo = [&kernels.conv2d_wgrad_halo_bf16; 3];
    // SAFETY: the views have the problem's lengths and types, channels are
    // multiples of 8, the workspace holds a copy of dw a split (check_wgrad).
    unsafe { way.launch(cuda, &product, [gathered, halo], &args)? };
    if splits.count > 1 {
        reduce(cuda, work, dw, problem.w_len(), splits.count)?;
    }
    let Some(db) = db else { return Ok(()) };
    let parts = parts(problem);
    let own = offset(work, copies(problem, splits.count));
    let args = Conv2dBiasGrad16Args {
        dy,
        copies: own,
        rows: shape.n * shape.p * shape.q,
        k: shape.k,
        part_rows: parts.size as u32,
        filler: 0,
    };
    let grid = [shape.k.div_ceil(256), parts.count as u32, 1];
    let (threads, shared_bytes) = (tiles::CHANNEL_THREADS, tiles::BIAS16_SHARED);
    // SAFETY: as above, and the workspace holds a copy of db a part.
    unsafe { cuda.launch(&kernels.conv2d_bias_grad_bf16, grid, threads, shared_bytes, &args)? };
    reduce(cuda, own, cuda.pointer(memory, db)?, problem.k, parts.count)
}
