//! Weights as right factors: for every block of 32 outputs and every tap, the steps' tiles of pairs.

use super::super::task::{Shared, run_tasks};
use super::block::{BLOCK, TILE, depth_of};
use crate::backend::Cpu;
use crate::ops::conv2d::Conv2dProblem;

/// Which channels of the weights are the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// K: fprop sums over C.
    K,
    /// C: dgrad sums over K.
    C,
}

/// Tiles of 16 outputs in block `block` of `outputs`.
pub fn tiles(outputs: usize, block: usize) -> usize {
    (outputs - block * BLOCK).div_ceil(TILE).min(2)
}

/// Packed values of a whole block of outputs.
pub fn block_len(taps: usize, summed: usize) -> usize {
    taps * summed * BLOCK
}

/// Packed values of all weights.
pub fn packed_len(taps: usize, [outputs, summed]: [usize; 2]) -> usize {
    outputs.div_ceil(BLOCK) * block_len(taps, summed)
}

/// Packs `w` (K R S C); columns beyond the last output are 0.
pub fn pack(cpu: &Cpu, p: &Conv2dProblem, of: Outputs, w: &[u16], packed: &mut [u16]) {
    let taps = p.r * p.s;
    let [outputs, summed] = if of == Outputs::K { [p.k, p.c] } else { [p.c, p.k] };
    let depth = depth_of(summed);
    let blocks = outputs.div_ceil(BLOCK);
    let shared = Shared::new(packed);
    run_tasks(cpu, blocks * taps, &mut [], 0, |task, _| {
        let (block, tap) = (task / taps, task % taps);
        let tiles = tiles(outputs, block);
        let len = summed * tiles * TILE;
        // SAFETY: this task's own tap of its block.
        let out = unsafe { shared.slice(block * block_len(taps, summed) + tap * len, len) };
        for (pair, rows) in (0..summed).step_by(2).enumerate() {
            let (step, inner) = (2 * pair / depth, pair % (depth / 2));
            for tile in 0..tiles {
                let first = block * BLOCK + tile * TILE;
                let count = (outputs - first).min(TILE);
                let at = ((step * tiles + tile) * depth / 2 + inner) * 2 * TILE;
                let out = &mut out[at..][..2 * TILE];
                if count < TILE {
                    out.fill(0);
                }
                match of {
                    Outputs::K => {
                        let row = |n: usize| &w[((first + n) * taps + tap) * p.c + rows..][..2];
                        for (n, two) in out.chunks_exact_mut(2).take(count).enumerate() {
                            two.copy_from_slice(row(n));
                        }
                    }
                    Outputs::C => {
                        let row = |k: usize| &w[(k * taps + tap) * p.c + first..][..count];
                        let (even, odd) = (row(rows), row(rows + 1));
                        for (two, (&e, &o)) in out.chunks_exact_mut(2).zip(even.iter().zip(odd)) {
                            two[0] = e;
                            two[1] = o;
                        }
                    }
                }
            }
        }
    });
}
