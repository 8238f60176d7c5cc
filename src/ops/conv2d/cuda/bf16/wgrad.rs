//! Launches of `kernels/conv2d_wgrad_bf16.cu`.

use bytemuck::{Pod, Zeroable};

use super::super::wgrad::{Pieces, parts, pieces, reduce};
use super::{Shape, Tile, positions, window};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, DevicePointer, tiles};
use crate::error::Result;
use crate::ops::conv2d::Conv2dProblem;
use crate::ops::device::offset;

/// `Conv2dWgrad16Args`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Args {
    x: DevicePointer,
    dy: DevicePointer,
    copies: DevicePointer,
    shape: Shape,
    split_positions: u32,
}

/// `Conv2dBiasGrad16Args`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct BiasArgs {
    dy: DevicePointer,
    copies: DevicePointer,
    rows: u32,
    k: u32,
    part_rows: u32,
    filler: u32,
}

/// The fewest splits whose rounds of tiles leave a card idle for a fifth of the time at most; all
/// that are allowed where none do.
fn wanted(tiles: usize, at_once: usize, most: usize) -> usize {
    // `splits` pieces of work in rounds of `at_once` tiles, each of 1 / splits.
    let good = |splits: &usize| {
        let rounds = (tiles * splits).div_ceil(at_once);
        4 * rounds * at_once <= 5 * tiles * splits
    };
    (1..=most).find(good).unwrap_or(most)
}

/// How the positions are split.
fn splits(problem: &Conv2dProblem) -> Pieces {
    let tile = Tile::of(problem.k);
    let tiles = tile.count(window(problem), problem.k);
    let most = positions(problem) / tiles::MMA_SPLIT_POSITIONS as usize;
    let most = most.clamp(1, tiles::MMA_SPLITS as usize);
    let splits = wanted(tiles, tile.at_once, most);
    pieces(positions(problem), splits, tiles::MMA_DEPTH as usize)
}

/// Values of the copies of dw, with which the copies of db follow.
fn copies(problem: &Conv2dProblem) -> usize {
    match splits(problem).count {
        1 => 0,
        count => count * problem.w_len(),
    }
}

/// Workspace: a copy of dw a split, a copy of db a part.
pub fn workspace(problem: &Conv2dProblem) -> usize {
    copies(problem) + parts(problem).count * problem.k
}

pub fn wgrad(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    [x, dy, dw]: [View; 3],
    db: Option<View>,
    workspace: View,
) -> Result<()> {
    let shape = Shape::new(problem)?;
    let [x, dy, dw, work] = [x, dy, dw, workspace].map(|view| cuda.pointer(memory, view));
    let (dy, dw, work) = (dy?, dw?, work?);
    let splits = splits(problem);
    let args = Args {
        x: x?,
        dy,
        copies: if splits.count == 1 { dw } else { work },
        shape,
        split_positions: splits.size as u32,
    };
    let kernels = cuda.kernels();
    let three = [
        &kernels.conv2d_wgrad_wide_bf16,
        &kernels.conv2d_wgrad_medium_bf16,
        &kernels.conv2d_wgrad_narrow_bf16,
    ];
    let product = [window(problem), problem.k];
    // SAFETY: Conv2dWgrad16Args; the views have the problem's lengths and types, channels are
    // multiples of 8, the workspace holds a copy of dw a split (check_wgrad).
    unsafe { Tile::of(problem.k).launch(cuda, three, product, splits.count, &args)? };
    if splits.count > 1 {
        reduce(cuda, work, dw, problem.w_len(), splits.count)?;
    }
    let Some(db) = db else { return Ok(()) };
    let parts = parts(problem);
    let own = offset(work, copies(problem));
    let args = BiasArgs {
        dy,
        copies: own,
        rows: shape.n * shape.p * shape.q,
        k: shape.k,
        part_rows: parts.size as u32,
        filler: 0,
    };
    let grid = [shape.k.div_ceil(256), parts.count as u32, 1];
    let (threads, shared_bytes) = (tiles::CHANNEL_THREADS, tiles::BIAS16_SHARED);
    // SAFETY: Conv2dBiasGrad16Args; as above, and the workspace holds a copy of db a part.
    unsafe { cuda.launch(&kernels.conv2d_bias_grad_bf16, grid, threads, shared_bytes, &args)? };
    reduce(cuda, own, cuda.pointer(memory, db)?, problem.k, parts.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_fill_the_card_where_there_are_positions() {
        // Few tiles: one round. More than half a round: three splits in two rounds.
        assert_eq!(wanted(5, 528, 128), 85);
        assert_eq!(wanted(144, 264, 64), 3);
        assert_eq!(wanted(264, 264, 64), 1);
        assert_eq!(wanted(5, 528, 7), 7);
        for tiles in 1..600 {
            let splits = wanted(tiles, 264, 128);
            let rounds = (tiles * splits).div_ceil(264);
            assert!((1..=128).contains(&splits));
            assert!(splits == 128 || tiles * splits * 5 >= rounds * 264 * 4, "{tiles}");
        }
    }
}
