//! Weights in the order the gather kernels read them: one panel a channel block, each
//! `taps x channels` rows of the block's width, lanes beyond the last channel 0.

use rayon::prelude::*;

use super::kernel::GatherKernel;
use super::task::Shared;

/// A block of output channels: first, count, kernel.
pub type Block = (usize, usize, GatherKernel);

/// Output channels padded to whole blocks.
pub fn padded_channels(blocks: &[Block]) -> usize {
    blocks.last().map_or(0, |&(first, _, kernel)| first + kernel.width)
}

/// Packing less than this is not worth waking other threads.
const PARALLEL: usize = 1 << 15;

/// Transposes `w` (`k` rows of `len`: K R S C) into panels of `len` rows.
pub fn pack_forward(w: &[f32], len: usize, blocks: &[Block], packed: &mut [f32]) {
    let out = Shared::new(packed);
    for_each_block(len * padded_channels(blocks), blocks, |&(first, channels, kernel)| {
        // SAFETY: blocks own disjoint panels inside `packed`.
        let panel = unsafe { out.slice(first * len, len * kernel.width) };
        if channels < kernel.width {
            panel.fill(0.0);
        }
        // Strips of 16 source values: whole cache lines in, rows of the panel out.
        for strip in (0..len).step_by(16) {
            let strip = strip..(strip + 16).min(len);
            for lane in 0..channels {
                let row = &w[(first + lane) * len..][..len];
                for j in strip.clone() {
                    panel[j * kernel.width + lane] = row[j];
                }
            }
        }
    });
}

/// The taps of one residue class of a transposed convolution: kernel rows and columns in the
/// order in which the padded dy is read, i.e. descending.
#[derive(Clone, Debug)]
pub struct Taps {
    pub rows: Vec<usize>,
    pub cols: Vec<usize>,
}

/// Panels for dgrad: for each tap and each of `k` channels of dy, a block of the channels of dx.
/// `w` is K R S C with `s` columns of `c` channels and `r` rows.
pub fn pack_transposed(
    w: &[f32],
    [k, r, s, c]: [usize; 4],
    taps: &Taps,
    blocks: &[Block],
    packed: &mut [f32],
) {
    let rows = taps.rows.len() * taps.cols.len() * k;
    let out = Shared::new(packed);
    for_each_block(rows * padded_channels(blocks), blocks, |&(first, channels, kernel)| {
        // SAFETY: blocks own disjoint panels inside `packed`.
        let panel = unsafe { out.slice(first * rows, rows * kernel.width) };
        let mut lines = panel.chunks_exact_mut(kernel.width);
        for &ri in &taps.rows {
            for &si in &taps.cols {
                for (ki, line) in (0..k).zip(&mut lines) {
                    let from = ((ki * r + ri) * s + si) * c + first;
                    line[..channels].copy_from_slice(&w[from..from + channels]);
                    line[channels..].fill(0.0);
                }
            }
        }
    });
}

fn for_each_block(len: usize, blocks: &[Block], pack: impl Fn(&Block) + Send + Sync) {
    if len < PARALLEL {
        blocks.iter().for_each(pack);
    } else {
        blocks.par_iter().for_each(pack);
    }
}
