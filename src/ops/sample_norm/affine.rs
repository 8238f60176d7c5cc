//! Scales and shifts of normalised values.

use super::strided::StridedBatch;
use super::{SampleScratch, check_shape, each_sample};
use crate::backend::Cpu;
use crate::error::{Error, Result};
use crate::isa::{Isa, multiversion};
use crate::ops::conv2d::cpu::lines;

/// Which of the layer's parameters count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffineParameters {
    /// The scale (gamma).
    pub weight: bool,
    /// The shift (beta).
    pub bias: bool,
}

/// Statistics of each channel: batch norm's running ones.
#[derive(Clone, Copy, Debug)]
pub struct ChannelStatistics<'a> {
    pub mean: &'a [f32],
    /// 1 / sqrt(variance + eps).
    pub rstd: &'a [f32],
}

/// Positions whose products are summed in f32 before they are added to the f64 sums.
const CHUNK: usize = 32;

/// The gradient's sums of one sample: of the scale, then of the shift.
struct Sums {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Sums {
    fn new(channels: usize) -> Sums {
        Sums { scale: vec![0.0; channels], shift: vec![0.0; channels] }
    }

    fn norm(&self, which: AffineParameters) -> f64 {
        let squares = |sums: &[f64]| sums.iter().map(|&s| s * s).sum::<f64>();
        let scale = if which.weight { squares(&self.scale) } else { 0.0 };
        scale + if which.bias { squares(&self.shift) } else { 0.0 }
    }
}

/// Batch norm that uses running statistics: adds its part to the squared norms. x and dy are N H W C,
/// the statistics have C values, `norms` N.
///
/// # Errors
/// [`Error::Invalid`]: tensors, statistics or norms of other sizes. [`Error::OutOfMemory`].
pub fn batch_norm(
    cpu: &Cpu,
    statistics: ChannelStatistics<'_>,
    which: AffineParameters,
    [x, dy]: [StridedBatch<'_>; 2],
    scratch: &mut SampleScratch,
    norms: &mut [f64],
) -> Result<()> {
    let [.., c] = x.shape();
    check_pair([&x, &dy], norms.len())?;
    let ChannelStatistics { mean, rstd } = statistics;
    if mean.len() != c || rstd.len() != c {
        let found = format!("{} means and {} deviations", mean.len(), rstd.len());
        return Err(Error::invalid("batch norm", found, format!("{c}, one a channel")));
    }
    let add = |isa, x: &[f32], dy: &[f32], _: &(), sums: &mut Sums32| {
        channel_sums(isa, x, dy, mean, rstd, sums);
    };
    add_blocks(cpu, (c, which), [x, dy], scratch, norms, (|_| (), add))
}

/// Layer norm over the channels of each position (or root-mean-square norm, where not `centred`): adds its
/// part to the squared norms. x and dy are N H W C.
///
/// # Errors
/// As [`batch_norm`].
pub fn layer_norm(
    cpu: &Cpu,
    (eps, centred): (f64, bool),
    which: AffineParameters,
    [x, dy]: [StridedBatch<'_>; 2],
    scratch: &mut SampleScratch,
    norms: &mut [f64],
) -> Result<()> {
    let [.., c] = x.shape();
    check_pair([&x, &dy], norms.len())?;
    let add = |isa, x: &[f32], dy: &[f32], _: &(), sums: &mut Sums32| {
        for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
            let (mean, rstd) = moments(x, eps, centred);
            row_sums(isa, x, dy, mean, rstd, sums);
        }
    };
    add_blocks(cpu, (c, which), [x, dy], scratch, norms, (|_| (), add))
}

/// Group norm (instance norm with a group a channel): adds its part to the squared norms. Statistics are
/// those of a sample's positions and C / `groups` channels. x and dy are N H W C.
///
/// # Errors
/// As [`batch_norm`], and `groups` that do not divide C.
pub fn group_norm(
    cpu: &Cpu,
    (groups, eps): (usize, f64),
    which: AffineParameters,
    [x, dy]: [StridedBatch<'_>; 2],
    scratch: &mut SampleScratch,
    norms: &mut [f64],
) -> Result<()> {
    let [.., c] = x.shape();
    check_pair([&x, &dy], norms.len())?;
    if groups == 0 || !c.is_multiple_of(groups) {
        let found = format!("{groups} groups of {c} channels");
        return Err(Error::invalid("group norm", found, "groups that divide the channels"));
    }
    let width = c / groups;
    let add = |isa, x: &[f32], dy: &[f32], &(mean, rstd): &(f32, f32), sums: &mut Sums32| {
        for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
            row_sums(isa, x, dy, mean, rstd, sums);
        }
    };
    let of_block = |x: &[f32]| moments(x, eps, true);
    add_blocks(cpu, (width, which), [x, dy], scratch, norms, (of_block, add))
}

/// Adds the squared sums of every block of `width` channels. Of a block's values of x `prepare` makes what
/// `add` is given with a few positions of x and dy at a time.
fn add_blocks<S>(
    cpu: &Cpu,
    (width, which): (usize, AffineParameters),
    [x, dy]: [StridedBatch<'_>; 2],
    scratch: &mut SampleScratch,
    norms: &mut [f64],
    (prepare, add): (
        impl Fn(&[f32]) -> S + Sync,
        impl Fn(Isa, &[f32], &[f32], &S, &mut Sums32) + Sync,
    ),
) -> Result<()> {
    let (isa, [.., c]) = (cpu.isa(), x.shape());
    if c == 0 {
        return Ok(());
    }
    let [for_x, for_dy] = [lines(x.scratch(width)), lines(dy.scratch(width))];
    each_sample(cpu, scratch, for_x + for_dy, norms, |n, scratch| {
        let (x_scratch, dy_scratch) = scratch.split_at_mut(for_x);
        let mut norm = 0.0;
        for first in (0..c).step_by(width) {
            let x = x.load(isa, n, first..first + width, x_scratch);
            let dy = dy.load(isa, n, first..first + width, dy_scratch);
            let prepared = prepare(x);
            let (mut sums, mut chunk) = (Sums::new(width), Sums32::new(width));
            for (x, dy) in x.chunks(CHUNK * width).zip(dy.chunks(CHUNK * width)) {
                add(isa, x, dy, &prepared, &mut chunk);
                chunk.drain(&mut sums);
            }
            norm += sums.norm(which);
        }
        norm
    })
}

fn check_pair([x, dy]: [&StridedBatch<'_>; 2], samples: usize) -> Result<()> {
    let [_, h, w, c] = x.shape();
    check_shape("input of a normalisation", x.shape(), [samples, h, w, c])?;
    check_shape("output gradient", dy.shape(), x.shape())
}

/// Mean (0 where not `centred`) and 1 / sqrt(mean square of deviations + eps).
fn moments(x: &[f32], eps: f64, centred: bool) -> (f32, f32) {
    let count = x.len().max(1) as f64;
    let mean = if centred { sum_of(x, |v| v) / count } else { 0.0 };
    let square = sum_of(x, |v| (v - mean) * (v - mean)) / count;
    (mean as f32, (1.0 / (square + eps).sqrt()) as f32)
}

/// Sum of f(x) in eight lanes.
fn sum_of(x: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = x.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|&v| f(f64::from(v))).sum();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += f(f64::from(v));
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// The sums of a few positions.
struct Sums32 {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Sums32 {
    fn new(channels: usize) -> Sums32 {
        Sums32 { scale: vec![0.0; channels], shift: vec![0.0; channels] }
    }

    /// Moves what was summed to the sample's sums.
    fn drain(&mut self, sums: &mut Sums) {
        let pairs = [(&mut self.scale, &mut sums.scale), (&mut self.shift, &mut sums.shift)];
        for (from, to) in pairs {
            to.iter_mut().zip(from.iter_mut()).for_each(|(to, from)| {
                *to += f64::from(*from);
                *from = 0.0;
            });
        }
    }
}

multiversion! {
    /// Adds positions of as many channels as there are statistics.
    fn channel_sums(x: &[f32], dy: &[f32], mean: &[f32], rstd: &[f32], sums: &mut Sums32) {
        let c = mean.len();
        let (scale, shift) = (&mut sums.scale[..c], &mut sums.shift[..c]);
        let rstd = &rstd[..c];
        for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
            for i in 0..c {
                scale[i] += dy[i] * ((x[i] - mean[i]) * rstd[i]);
                shift[i] += dy[i];
            }
        }
    }
}

multiversion! {
    /// Adds one position, whose values all have the same mean and deviation.
    fn row_sums(x: &[f32], dy: &[f32], mean: f32, rstd: f32, sums: &mut Sums32) {
        let c = x.len();
        let (scale, shift, dy) = (&mut sums.scale[..c], &mut sums.shift[..c], &dy[..c]);
        for i in 0..c {
            scale[i] += dy[i] * ((x[i] - mean) * rstd);
            shift[i] += dy[i];
        }
    }
}
