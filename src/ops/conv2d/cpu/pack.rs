//! Weights in the order the direct kernels read them: one panel a channel block, each
//! `taps x channels` rows of the block's width, lanes beyond the last channel 0.

use std::ops::Range;

use rayon::prelude::*;

use super::kernel::{DirectKernel, MicroKernels};
use super::task::Shared;
use crate::backend::Cpu;

/// A block of output channels: first, count, kernel.
pub type ChannelBlock = (usize, usize, DirectKernel);

/// Channels of consecutive blocks.
pub fn channels_of(blocks: &[ChannelBlock]) -> Range<usize> {
    match blocks {
        [] => 0..0,
        [(first, ..), ..] => *first..blocks.last().map_or(0, |&(last, count, _)| last + count),
    }
}

/// Output channels padded to whole blocks.
pub fn padded_channels(blocks: &[ChannelBlock]) -> usize {
    blocks.last().map_or(0, |&(first, _, kernel)| first + kernel.width)
}

/// Packing less than this is not worth waking other threads.
const PARALLEL: usize = 1 << 15;

/// Transposes `w` (`k` rows of `len`: K R S C) into panels of `len` rows.
pub fn pack_forward(cpu: &Cpu, w: &[f32], len: usize, blocks: &[ChannelBlock], packed: &mut [f32]) {
    let out = Shared::new(packed);
    let transpose = MicroKernels::of(cpu.isa()).transpose;
    for_each_block(cpu, len * padded_channels(blocks), blocks, |&(first, channels, kernel)| {
        // SAFETY: blocks own disjoint panels inside `packed`.
        let panel = unsafe { out.slice(first * len, len * kernel.width) };
        if channels < kernel.width {
            panel.fill(0.0);
        }
        let whole = channels - channels % 8;
        for lane in (0..whole).step_by(8) {
            let rows = std::array::from_fn(|i| w[(first + lane + i) * len..][..len].as_ptr());
            // SAFETY: rows of `len` values; lanes `lane .. lane + 8` of every line of the panel.
            unsafe { transpose(rows, len, panel[lane..].as_mut_ptr(), kernel.width) };
        }
        for lane in whole..channels {
            let row = &w[(first + lane) * len..][..len];
            panel[lane..].iter_mut().step_by(kernel.width).zip(row).for_each(|(to, v)| *to = *v);
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
    cpu: &Cpu,
    w: &[f32],
    [k, r, s, c]: [usize; 4],
    taps: &Taps,
    blocks: &[ChannelBlock],
    packed: &mut [f32],
) {
    let rows = taps.rows.len() * taps.cols.len() * k;
    let out = Shared::new(packed);
    for_each_block(cpu, rows * padded_channels(blocks), blocks, |&(first, channels, kernel)| {
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

/// Packs every block; in the pool if there is enough to do for waking it.
fn for_each_block(
    cpu: &Cpu,
    len: usize,
    blocks: &[ChannelBlock],
    pack: impl Fn(&ChannelBlock) + Send + Sync,
) {
    if len < PARALLEL {
        blocks.iter().for_each(pack);
    } else {
        cpu.pool().install(|| blocks.par_iter().with_max_len(1).for_each(pack));
    }
}
