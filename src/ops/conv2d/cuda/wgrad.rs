//! Launches of `kernels/conv2d_wgrad.cu`.

use super::shape::{positions, window};
use super::tile::Tile;
use crate::cuda::args::{Conv2dBiasGradArgs, Conv2dShape, Conv2dWgradArgs, Conv2dWgradReduceArgs};
use crate::cuda::{Cuda, CudaMemory, DevicePointer, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dProblem, WgradOperands};
use crate::ops::device::{count, launch_items, offset};

/// Positions cut into pieces of `size`, the last may be shorter; at least one piece.
pub(super) struct Pieces {
    pub count: usize,
    pub size: usize,
}

/// How wgrad's positions are split: enough blocks, none of them too short.
fn splits(problem: &Conv2dProblem) -> Pieces {
    let [across, down] = Tile::of(problem.k).grid(window(problem), problem.k);
    let wanted = (tiles::WGRAD_BLOCKS as usize).div_ceil(across * down);
    let most = positions(problem) / tiles::WGRAD_SPLIT_POSITIONS as usize;
    let splits = wanted.min(tiles::WGRAD_SPLITS as usize).min(most);
    pieces(positions(problem), splits, tiles::CONV_DEPTH as usize)
}

/// How the bias gradient's positions are cut into parts.
pub(super) fn parts(problem: &Conv2dProblem) -> Pieces {
    let most = positions(problem) / tiles::CHANNEL_PART_ROWS as usize;
    pieces(positions(problem), most.min(tiles::CHANNEL_PARTS as usize), 1)
}

/// About `wanted` pieces, none empty, of a multiple of `unit`.
pub(super) fn pieces(positions: usize, wanted: usize, unit: usize) -> Pieces {
    let size = positions.div_ceil(wanted.max(1)).next_multiple_of(unit).max(1);
    Pieces { count: positions.div_ceil(size).max(1), size }
}

/// Values of the copies of dw, with which the copies of db follow.
fn copies(problem: &Conv2dProblem) -> usize {
    match splits(problem).count {
        1 => 0,
        count => count * problem.w_len(),
    }
}

/// Workspace: a copy of dw a split, a copy of db a part.
pub(super) fn workspace(problem: &Conv2dProblem) -> usize {
    copies(problem) + parts(problem).count * problem.k
}

pub(super) fn wgrad(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &WgradOperands,
) -> Result<()> {
    let WgradOperands { x, dy, dw, db, workspace } = *operands;
    let shape = Conv2dShape::new(problem)?;
    let [x, dy, dw, work] = [x, dy, dw, workspace].map(|view| cuda.pointer(memory, view));
    let (dy, dw, work) = (dy?, dw?, work?);
    let splits = splits(problem);
    let args = Conv2dWgradArgs {
        x: x?,
        dy,
        copies: if splits.count == 1 { dw } else { work },
        shape,
        split_positions: splits.size as u32,
    };
    let kernels = cuda.kernels();
    let pair = [&kernels.conv2d_wgrad_wide_f32, &kernels.conv2d_wgrad_narrow_f32];
    let tile = Tile::of(problem.k);
    let grid = tile.grid(window(problem), problem.k);
    // SAFETY: the views have the problem's lengths, the workspace holds a copy
    // of dw a split (check_wgrad).
    unsafe { tile.launch(cuda, pair, grid, splits.count, &args)? };
    if splits.count > 1 {
        reduce(cuda, work, dw, problem.w_len(), splits.count)?;
    }
    let Some(db) = db else { return Ok(()) };
    let parts = parts(problem);
    let own = offset(work, copies(problem));
    let args = Conv2dBiasGradArgs {
        dy,
        copies: own,
        rows: shape.n * shape.p * shape.q,
        k: shape.k,
        part_rows: parts.size as u32,
        filler: 0,
    };
    let grid = [shape.k.div_ceil(32), parts.count as u32, 1];
    let (threads, shared_bytes) = (tiles::CHANNEL_THREADS, tiles::CHANNEL_SHARED);
    // SAFETY: as above, and the workspace holds a copy of db a part.
    unsafe { cuda.launch(&kernels.conv2d_bias_grad_f32, grid, threads, shared_bytes, &args)? };
    reduce(cuda, own, cuda.pointer(memory, db)?, problem.k, parts.count)
}

/// out = the sum of `copies` of `len` values.
pub(super) fn reduce(
    cuda: &Cuda,
    copies: DevicePointer,
    out: DevicePointer,
    len: usize,
    copies_count: usize,
) -> Result<()> {
    let length = count("convolution", "weights", len)?;
    let args = Conv2dWgradReduceArgs { copies, out, length, count: copies_count as u32 };
    // SAFETY: the copies are in the workspace, `out` has `len` values.
    unsafe { launch_items(cuda, &cuda.kernels().conv2d_wgrad_reduce_f32, length, &args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_all_positions_and_none_is_empty() {
        for positions in [0, 1, 15, 16, 17, 100, 4097] {
            for wanted in [0, 1, 3, 64] {
                for unit in [1, 16] {
                    let Pieces { count, size } = pieces(positions, wanted, unit);
                    assert!(count * size >= positions && count <= wanted.max(1));
                    assert!(count == 1 || (count - 1) * size < positions);
                    assert!(size.is_multiple_of(unit) || positions == 0);
                }
            }
        }
    }
}
