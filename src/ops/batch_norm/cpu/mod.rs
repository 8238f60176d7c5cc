//! Batch normalisation on the CPU: one task a sample, partial sums merged over samples in a
//! fixed tree. Channels are innermost, so sums run over positions lane by lane; narrow tensors
//! are read several positions at a time through lanes that repeat the channels.

mod bf16;
mod loops;

use rayon::prelude::*;

use super::{AffineMap, ApplyOperands, BackwardInput, BatchNorm, BatchNormProblem, EPS, MOMENTUM};
use crate::backend::cpu::CpuMemory;
use crate::backend::{Cpu, View};
use crate::error::Result;
use crate::ops::reduce::{fold_lanes, lanes, repeat, tree_sum};
use crate::tensor::Dtype;
use loops::{
    apply, backward_apply, backward_lanes, deviation_lanes, mask, scale_masked, sum_lanes,
};

/// Statistics and gradients of an empty batch.
fn zeros(memory: &mut CpuMemory, views: [View; 2]) -> Result<()> {
    views.into_iter().try_for_each(|view| {
        memory.slice_mut(view)?.fill(0.0);
        Ok(())
    })
}

impl BatchNorm for Cpu {
    fn batch_norm_statistics(
        &self,
        memory: &mut CpuMemory,
        problem: &BatchNormProblem,
        y: View,
        mean: View,
        m2: View,
        workspace: View,
    ) -> Result<()> {
        problem.check_statistics(y, [mean, m2], workspace)?;
        if problem.is_empty() {
            return zeros(memory, [mean, m2]);
        }
        if y.dtype == Dtype::Bf16 {
            return bf16::statistics(self, memory, problem, [y, mean, m2, workspace]);
        }
        let ([y], [mean, m2, work]) = memory.slices([y], [mean, m2, workspace])?;
        let (c, hw, n, isa) = (problem.c, problem.hw, problem.n, self.isa());
        let l = lanes(c);
        let (means, m2s) = work.split_at_mut(n * c);
        self.pool().install(|| {
            means.par_chunks_mut(c).zip(m2s.par_chunks_mut(c)).zip(y.par_chunks(hw * c)).for_each(
                |((mean, m2), y)| {
                    let mut acc = vec![0.0; l];
                    sum_lanes(isa, y, &mut acc);
                    fold_lanes(&acc, mean);
                    mean.iter_mut().for_each(|m| *m /= hw as f32);
                    let centre = repeat(mean, l);
                    deviation_lanes(isa, y, &centre, &mut acc);
                    fold_lanes(&acc, m2);
                },
            );
        });
        crate::ops::reduce::merge_moments(means, m2s, c, hw, n);
        mean.copy_from_slice(&means[..c]);
        m2.copy_from_slice(&m2s[..c]);
        Ok(())
    }

    fn batch_norm_finalize(
        &self,
        memory: &mut CpuMemory,
        count: usize,
        [mean, m2]: [View; 2],
        map: &AffineMap,
    ) -> Result<()> {
        let AffineMap { affine, running, rstd, scale_shift } = *map;
        affine.check([mean, m2, running[0], running[1], rstd, scale_shift[0], scale_shift[1]])?;
        let ([mean, m2, gamma, beta], [rm, rv, rstd, scale, shift]) = memory.slices(
            [mean, m2, affine.gamma, affine.beta],
            [running[0], running[1], rstd, scale_shift[0], scale_shift[1]],
        )?;
        let biased = count as f32;
        // A batch of one value has no unbiased variance; the trainer refuses it before.
        let unbiased = count.saturating_sub(1).max(1) as f32;
        for c in 0..mean.len() {
            rstd[c] = 1.0 / (m2[c] / biased + EPS).sqrt();
            scale[c] = gamma[c] * rstd[c];
            shift[c] = beta[c] - mean[c] * scale[c];
            rm[c] += MOMENTUM * (mean[c] - rm[c]);
            rv[c] += MOMENTUM * (m2[c] / unbiased - rv[c]);
        }
        Ok(())
    }

    fn batch_norm_eval_affine(&self, memory: &mut CpuMemory, map: &AffineMap) -> Result<()> {
        let AffineMap { affine, running, rstd, scale_shift } = *map;
        affine.check([running[0], running[1], rstd, scale_shift[0], scale_shift[1]])?;
        let ([gamma, beta, rm, rv], [rstd, scale, shift]) = memory.slices(
            [affine.gamma, affine.beta, running[0], running[1]],
            [rstd, scale_shift[0], scale_shift[1]],
        )?;
        for c in 0..gamma.len() {
            rstd[c] = 1.0 / (rv[c] + EPS).sqrt();
            scale[c] = gamma[c] * rstd[c];
            shift[c] = beta[c] - rm[c] * scale[c];
        }
        Ok(())
    }

    fn batch_norm_apply(
        &self,
        memory: &mut CpuMemory,
        problem: &BatchNormProblem,
        operands: &ApplyOperands,
    ) -> Result<()> {
        let ApplyOperands { y, scale_shift, residual, relu, out } = *operands;
        problem.check([y, residual.unwrap_or(y), out], scale_shift)?;
        if problem.is_empty() {
            return Ok(());
        }
        if y.dtype == Dtype::Bf16 {
            return bf16::apply_map(self, memory, problem, operands);
        }
        let residual = residual.unwrap_or(View::EMPTY);
        let ([y, scale, shift, residual], [out]) =
            memory.slices([y, scale_shift[0], scale_shift[1], residual], [out])?;
        let l = lanes(problem.c);
        let (scale, shift) = (repeat(scale, l), repeat(shift, l));
        let (sample, isa) = (problem.hw * problem.c, self.isa());
        self.pool().install(|| {
            out.par_chunks_mut(sample).zip(y.par_chunks(sample)).enumerate().for_each(
                |(i, (out, y))| {
                    let r = if residual.is_empty() {
                        residual
                    } else {
                        &residual[i * sample..][..sample]
                    };
                    apply(isa, y, &scale, &shift, r, relu, out);
                },
            );
        });
        Ok(())
    }

    fn batch_norm_backward_reduce(
        &self,
        memory: &mut CpuMemory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        dgamma: View,
        dbeta: View,
        workspace: View,
    ) -> Result<()> {
        problem.check_reduce(input, [dgamma, dbeta], workspace)?;
        if problem.is_empty() {
            return zeros(memory, [dgamma, dbeta]);
        }
        if input.y.dtype == Dtype::Bf16 {
            return bf16::backward_reduce(self, memory, problem, input, [dgamma, dbeta, workspace]);
        }
        let out = input.out.unwrap_or(View::EMPTY);
        let ([out, y, mean, rstd], [dout, dgamma, dbeta, work]) = memory.slices(
            [out, input.y, input.mean, input.rstd],
            [input.dout, dgamma, dbeta, workspace],
        )?;
        let (c, n, isa) = (problem.c, problem.n, self.isa());
        let sample = problem.hw * c;
        let l = lanes(c);
        let (mean, rstd) = (repeat(mean, l), repeat(rstd, l));
        let in_place = input.mask_in_place;
        let (sums, sums_xhat) = work.split_at_mut(n * c);
        self.pool().install(|| {
            sums.par_chunks_mut(c)
                .zip(sums_xhat.par_chunks_mut(c))
                .zip(dout.par_chunks_mut(sample))
                .zip(y.par_chunks(sample))
                .enumerate()
                .for_each(|(i, (((sum, sum_xhat), dout), y))| {
                    let mut out = if out.is_empty() { out } else { &out[i * sample..][..sample] };
                    if in_place && !out.is_empty() {
                        mask(isa, dout, out);
                        out = &[];
                    }
                    let (mut a, mut b) = (vec![0.0; l], vec![0.0; l]);
                    backward_lanes(isa, dout, out, y, &mean, &rstd, &mut a, &mut b);
                    fold_lanes(&a, sum);
                    fold_lanes(&b, sum_xhat);
                });
        });
        tree_sum(sums, c);
        tree_sum(sums_xhat, c);
        dbeta.copy_from_slice(&sums[..c]);
        dgamma.copy_from_slice(&sums_xhat[..c]);
        Ok(())
    }

    fn batch_norm_backward_apply(
        &self,
        memory: &mut CpuMemory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        gamma: View,
        [dgamma, dbeta]: [View; 2],
        dy: View,
    ) -> Result<()> {
        input.check(problem)?;
        problem.check([dy, input.y], [gamma, dgamma, dbeta])?;
        if problem.is_empty() {
            return Ok(());
        }
        if input.y.dtype == Dtype::Bf16 {
            return bf16::backward_apply(self, memory, problem, input, [gamma, dgamma, dbeta, dy]);
        }
        let out = input.out.unwrap_or(View::EMPTY);
        let ([dout, out, y, mean, rstd, gamma, dgamma, dbeta], [dy]) = memory.slices(
            [input.dout, out, input.y, input.mean, input.rstd, gamma, dgamma, dbeta],
            [dy],
        )?;
        let l = lanes(problem.c);
        let count = problem.count() as f32;
        let scale: Vec<f32> = gamma.iter().zip(rstd).map(|(g, r)| g * r).collect();
        let slope: Vec<f32> =
            (0..problem.c).map(|c| scale[c] * rstd[c] * dgamma[c] / count).collect();
        let offset: Vec<f32> = scale.iter().zip(dbeta).map(|(s, d)| s * d / count).collect();
        let [mean, scale, slope, offset] = [mean, &scale, &slope, &offset].map(|v| repeat(v, l));
        let (sample, isa) = (problem.hw * problem.c, self.isa());
        self.pool().install(|| {
            dy.par_chunks_mut(sample)
                .zip(dout.par_chunks(sample))
                .zip(y.par_chunks(sample))
                .enumerate()
                .for_each(|(i, ((dy, dout), y))| {
                    let out = if out.is_empty() { out } else { &out[i * sample..][..sample] };
                    backward_apply(isa, dout, out, y, &mean, &scale, &slope, &offset, dy);
                });
        });
        Ok(())
    }

    fn batch_norm_backward_eval(
        &self,
        memory: &mut CpuMemory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        scale: View,
        dy: View,
        norms: View,
    ) -> Result<()> {
        problem.check_backward_eval(input, scale, dy, norms)?;
        if problem.is_empty() {
            return Ok(());
        }
        if input.y.dtype == Dtype::Bf16 {
            return bf16::backward_eval(self, memory, problem, input, [scale, dy, norms]);
        }
        let out = input.out.unwrap_or(View::EMPTY);
        let ([out, y, mean, rstd, scale], [dout, dy, norms]) = memory
            .slices([out, input.y, input.mean, input.rstd, scale], [input.dout, dy, norms])?;
        let (c, isa) = (problem.c, self.isa());
        let sample = problem.hw * c;
        let l = lanes(c);
        let [mean, rstd, scale] = [mean, rstd, scale].map(|v| repeat(v, l));
        let in_place = input.mask_in_place;
        self.pool().install(|| {
            dy.par_chunks_mut(sample)
                .zip(dout.par_chunks_mut(sample))
                .zip(y.par_chunks(sample))
                .zip(norms.par_iter_mut())
                .enumerate()
                .for_each(|(i, (((dy, dout), y), norm))| {
                    let mut out = if out.is_empty() { out } else { &out[i * sample..][..sample] };
                    if in_place && !out.is_empty() {
                        mask(isa, dout, out);
                        out = &[];
                    }
                    let (mut a, mut b) = (vec![0.0; l], vec![0.0; l]);
                    backward_lanes(isa, dout, out, y, &mean, &rstd, &mut a, &mut b);
                    scale_masked(isa, dout, out, &scale, dy);
                    let (mut dbeta, mut dgamma) = (vec![0.0; c], vec![0.0; c]);
                    fold_lanes(&a, &mut dbeta);
                    fold_lanes(&b, &mut dgamma);
                    let squares: f32 = dbeta.iter().chain(&dgamma).map(|v| v * v).sum();
                    *norm += squares;
                });
        });
        Ok(())
    }
}
