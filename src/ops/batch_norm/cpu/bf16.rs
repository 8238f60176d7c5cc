//! Batch normalisation of bf16 tensors: the same sums and maps in f32, each stored value rounded once.

use rayon::prelude::*;

use super::super::{ApplyOperands, BackwardInput, BatchNormProblem};
use crate::backend::cpu::{CpuMemory, Mixed};
use crate::backend::{Cpu, View};
use crate::error::Result;
use crate::isa::bf16::vectorised;
use crate::ops::reduce::{merge_moments, tree_sum};

/// Positions are dealt to this many sums in turn, to overlap the latency of additions.
const PHASES: usize = 4;

vectorised! {
    /// Mean and sum of squared deviations of a sample's channels.
    unsafe fn moments<S>(y: &[u16], mean: &mut [f32], m2: &mut [f32]) {
        let c = mean.len();
        for first in (0..c).step_by(S::LANES) {
            let n = (c - first).min(S::LANES);
            // SAFETY: inside the sample and the channels.
            unsafe {
                let rows = y.len() / c;
                let load = |row: usize| S::load_bf16(y.as_ptr().add(row * c + first), n);
                let fold = |s: [S::V; PHASES]| S::add(S::add(s[0], s[1]), S::add(s[2], s[3]));
                let mut sums = [S::splat(0.0); PHASES];
                for row in 0..rows {
                    sums[row % PHASES] = S::add(sums[row % PHASES], load(row));
                }
                let centre = S::mul(fold(sums), S::splat(1.0 / rows as f32));
                let mut squares = [S::splat(0.0); PHASES];
                for row in 0..rows {
                    let d = S::sub(load(row), centre);
                    squares[row % PHASES] = S::fma(d, d, squares[row % PHASES]);
                }
                S::store_first(mean.as_mut_ptr().add(first), centre, n);
                S::store_first(m2.as_mut_ptr().add(first), fold(squares), n);
            }
        }
    }
}

vectorised! {
    /// out = act(y * scale + shift (+ residual)) of a sample; no residual is an empty one.
    unsafe fn apply<S>(y: &[u16], scale: &[f32], shift: &[f32], residual: &[u16], relu: bool,
                       out: &mut [u16]) {
        let c = scale.len();
        for row in 0..y.len() / c {
            for first in (0..c).step_by(S::LANES) {
                let (n, at) = ((c - first).min(S::LANES), row * c + first);
                // SAFETY: inside the sample and the channels.
                unsafe {
                    let scale = S::load_first(scale.as_ptr().add(first), n);
                    let shift = S::load_first(shift.as_ptr().add(first), n);
                    let mut v = S::fma(S::load_bf16(y.as_ptr().add(at), n), scale, shift);
                    if !residual.is_empty() {
                        v = S::add(v, S::load_bf16(residual.as_ptr().add(at), n));
                    }
                    if relu {
                        v = S::relu(v);
                    }
                    S::store_bf16(out.as_mut_ptr().add(at), v, n);
                }
            }
        }
    }
}

vectorised! {
    /// Sums of dz and of dz xhat over a sample; dz = dout where out > 0 (everywhere where `out` is empty),
    /// stored over dout where `in_place`.
    unsafe fn gradient_sums<S>(dout: &mut [u16], out: &[u16], y: &[u16], mean: &[f32], rstd: &[f32],
                               in_place: bool, sum: &mut [f32], sum_xhat: &mut [f32]) {
        let c = mean.len();
        for first in (0..c).step_by(S::LANES) {
            let n = (c - first).min(S::LANES);
            // SAFETY: inside the sample and the channels.
            unsafe {
                let mean = S::load_first(mean.as_ptr().add(first), n);
                let rstd = S::load_first(rstd.as_ptr().add(first), n);
                let fold = |s: [S::V; PHASES]| S::add(S::add(s[0], s[1]), S::add(s[2], s[3]));
                let mut plain = [S::splat(0.0); PHASES];
                let mut with_xhat = [S::splat(0.0); PHASES];
                for row in 0..y.len() / c {
                    let (at, phase) = (row * c + first, row % PHASES);
                    let mut dz = S::load_bf16(dout.as_ptr().add(at), n);
                    if !out.is_empty() {
                        dz = S::where_positive(dz, S::load_bf16(out.as_ptr().add(at), n));
                        if in_place {
                            S::store_bf16(dout.as_mut_ptr().add(at), dz, n);
                        }
                    }
                    let y = S::load_bf16(y.as_ptr().add(at), n);
                    plain[phase] = S::add(plain[phase], dz);
                    with_xhat[phase] = S::fma(dz, S::mul(S::sub(y, mean), rstd), with_xhat[phase]);
                }
                S::store_first(sum.as_mut_ptr().add(first), fold(plain), n);
                S::store_first(sum_xhat.as_mut_ptr().add(first), fold(with_xhat), n);
            }
        }
    }
}

/// What batch norm's gradient is made of, a value a channel: dy = scale dz - (y - mean) slope - offset.
struct Slopes<'a> {
    scale: &'a [f32],
    mean: &'a [f32],
    slope: &'a [f32],
    offset: &'a [f32],
}

vectorised! {
    /// dy of a sample under batch statistics.
    unsafe fn input_gradient<S>(dout: &[u16], out: &[u16], y: &[u16], slopes: &Slopes<'_>,
                                dy: &mut [u16]) {
        let c = slopes.scale.len();
        for row in 0..y.len() / c {
            for first in (0..c).step_by(S::LANES) {
                let (n, at) = ((c - first).min(S::LANES), row * c + first);
                // SAFETY: inside the sample and the channels.
                unsafe {
                    let of = |values: &[f32]| S::load_first(values.as_ptr().add(first), n);
                    let mut dz = S::load_bf16(dout.as_ptr().add(at), n);
                    if !out.is_empty() {
                        dz = S::where_positive(dz, S::load_bf16(out.as_ptr().add(at), n));
                    }
                    let d = S::sub(S::load_bf16(y.as_ptr().add(at), n), of(slopes.mean));
                    let scaled = S::sub(S::mul(of(slopes.scale), dz), S::mul(d, of(slopes.slope)));
                    let v = S::sub(scaled, of(slopes.offset));
                    S::store_bf16(dy.as_mut_ptr().add(at), v, n);
                }
            }
        }
    }
}

vectorised! {
    /// dy = scale dz of a sample.
    unsafe fn scaled<S>(dout: &[u16], out: &[u16], scale: &[f32], dy: &mut [u16]) {
        let c = scale.len();
        for row in 0..dout.len() / c {
            for first in (0..c).step_by(S::LANES) {
                let (n, at) = ((c - first).min(S::LANES), row * c + first);
                // SAFETY: inside the sample and the channels.
                unsafe {
                    let mut dz = S::load_bf16(dout.as_ptr().add(at), n);
                    if !out.is_empty() {
                        dz = S::where_positive(dz, S::load_bf16(out.as_ptr().add(at), n));
                    }
                    let scale = S::load_first(scale.as_ptr().add(first), n);
                    S::store_bf16(dy.as_mut_ptr().add(at), S::mul(dz, scale), n);
                }
            }
        }
    }
}

/// The part of sample `i`, or nothing of nothing.
fn sample(values: &[u16], i: usize, len: usize) -> &[u16] {
    if values.is_empty() { values } else { &values[i * len..][..len] }
}

/// See `batch_norm_statistics`; checked, and not empty.
pub fn statistics(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    problem: &BatchNormProblem,
    [y, mean, m2, workspace]: [View; 4],
) -> Result<()> {
    let views = memory.mixed([], [mean, m2, workspace], [y], [])?;
    let ([mean, m2, work], [y]) = (views.writes, views.bf16_reads);
    let BatchNormProblem { n, hw, c } = *problem;
    let (means, m2s) = work[..2 * n * c].split_at_mut(n * c);
    let isa = cpu.isa();
    cpu.pool().install(|| {
        let each = means.par_chunks_mut(c).zip(m2s.par_chunks_mut(c)).zip(y.par_chunks(hw * c));
        // SAFETY: `Cpu` has its instruction set; slices are those of one sample and of all channels.
        each.for_each(|((mean, m2), y)| unsafe { moments(isa, y, mean, m2) });
    });
    merge_moments(means, m2s, c, hw, n);
    mean.copy_from_slice(&means[..c]);
    m2.copy_from_slice(&m2s[..c]);
    Ok(())
}

/// See `batch_norm_apply`; checked, and not empty.
pub fn apply_map(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    problem: &BatchNormProblem,
    operands: &ApplyOperands,
) -> Result<()> {
    let ApplyOperands { y, scale_shift, residual, relu, out } = *operands;
    let views = memory.mixed(scale_shift, [], [y, residual.unwrap_or(View::EMPTY)], [out])?;
    let Mixed { reads: [scale, shift], bf16_reads: [y, residual], bf16_writes: [out], .. } = views;
    let (len, isa) = (problem.hw * problem.c, cpu.isa());
    cpu.pool().install(|| {
        out.par_chunks_mut(len).zip(y.par_chunks(len)).enumerate().for_each(|(i, (out, y))| {
            // SAFETY: as in `statistics`.
            unsafe { apply(isa, y, scale, shift, sample(residual, i, len), relu, out) };
        });
    });
    Ok(())
}

/// See `batch_norm_backward_reduce`; checked, and not empty.
pub fn backward_reduce(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    problem: &BatchNormProblem,
    input: &BackwardInput,
    [dgamma, dbeta, workspace]: [View; 3],
) -> Result<()> {
    let out = input.out.unwrap_or(View::EMPTY);
    let views = memory.mixed(
        [input.mean, input.rstd],
        [dgamma, dbeta, workspace],
        [out, input.y],
        [input.dout],
    )?;
    let Mixed { reads: [mean, rstd], writes: [dgamma, dbeta, work], .. } = views;
    let ([out, y], [dout]) = (views.bf16_reads, views.bf16_writes);
    let BatchNormProblem { n, hw, c } = *problem;
    let (len, isa, in_place) = (hw * c, cpu.isa(), input.mask_in_place);
    let (sums, sums_xhat) = work[..2 * n * c].split_at_mut(n * c);
    cpu.pool().install(|| {
        sums.par_chunks_mut(c)
            .zip(sums_xhat.par_chunks_mut(c))
            .zip(dout.par_chunks_mut(len))
            .zip(y.par_chunks(len))
            .enumerate()
            .for_each(|(i, (((sum, sum_xhat), dout), y))| {
                let out = sample(out, i, len);
                // SAFETY: as in `statistics`.
                unsafe { gradient_sums(isa, dout, out, y, mean, rstd, in_place, sum, sum_xhat) };
            });
    });
    tree_sum(sums, c);
    tree_sum(sums_xhat, c);
    dbeta.copy_from_slice(&sums[..c]);
    dgamma.copy_from_slice(&sums_xhat[..c]);
    Ok(())
}

/// See `batch_norm_backward_apply`; checked, and not empty.
pub fn backward_apply(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    problem: &BatchNormProblem,
    input: &BackwardInput,
    [gamma, dgamma, dbeta, dy]: [View; 4],
) -> Result<()> {
    let out = input.out.unwrap_or(View::EMPTY);
    let views = memory.mixed(
        [input.mean, input.rstd, gamma, dgamma, dbeta],
        [],
        [input.dout, out, input.y],
        [dy],
    )?;
    let Mixed { reads: [mean, rstd, gamma, dgamma, dbeta], .. } = views;
    let ([dout, out, y], [dy]) = (views.bf16_reads, views.bf16_writes);
    let count = problem.count() as f32;
    let scale: Vec<f32> = gamma.iter().zip(rstd).map(|(g, r)| g * r).collect();
    let slope: Vec<f32> = (0..problem.c).map(|c| scale[c] * rstd[c] * dgamma[c] / count).collect();
    let offset: Vec<f32> = scale.iter().zip(dbeta).map(|(s, d)| s * d / count).collect();
    let slopes = Slopes { scale: &scale, mean, slope: &slope, offset: &offset };
    let (len, isa) = (problem.hw * problem.c, cpu.isa());
    cpu.pool().install(|| {
        dy.par_chunks_mut(len)
            .zip(dout.par_chunks(len))
            .zip(y.par_chunks(len))
            .enumerate()
            .for_each(|(i, ((dy, dout), y))| {
                // SAFETY: as in `statistics`.
                unsafe { input_gradient(isa, dout, sample(out, i, len), y, &slopes, dy) };
            });
    });
    Ok(())
}

/// See `batch_norm_backward_eval`; checked, and not empty.
pub fn backward_eval(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    problem: &BatchNormProblem,
    input: &BackwardInput,
    [scale, dy, norms]: [View; 3],
) -> Result<()> {
    let out = input.out.unwrap_or(View::EMPTY);
    let views =
        memory.mixed([input.mean, input.rstd, scale], [norms], [out, input.y], [input.dout, dy])?;
    let Mixed { reads: [mean, rstd, scale], writes: [norms], .. } = views;
    let ([out, y], [dout, dy]) = (views.bf16_reads, views.bf16_writes);
    let (c, isa, in_place) = (problem.c, cpu.isa(), input.mask_in_place);
    let len = problem.hw * c;
    cpu.pool().install(|| {
        dy.par_chunks_mut(len)
            .zip(dout.par_chunks_mut(len))
            .zip(y.par_chunks(len))
            .zip(norms.par_iter_mut())
            .enumerate()
            .for_each(|(i, (((dy, dout), y), norm))| {
                let out = sample(out, i, len);
                let (mut dbeta, mut dgamma) = (vec![0.0; c], vec![0.0; c]);
                // SAFETY: as in `statistics`.
                unsafe {
                    let sums = [&mut dbeta[..], &mut dgamma[..]];
                    let [sum, sum_xhat] = sums;
                    gradient_sums(isa, dout, out, y, mean, rstd, in_place, sum, sum_xhat);
                    scaled(isa, dout, out, scale, dy);
                }
                let squares: f32 = dbeta.iter().chain(&dgamma).map(|v| v * v).sum();
                *norm += squares;
            });
    });
    Ok(())
}
