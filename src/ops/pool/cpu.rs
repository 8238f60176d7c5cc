//! Pooling on the CPU: one task a sample, channels innermost.

use rayon::prelude::*;

use super::{GlobalPoolProblem, MaxPoolProblem, Pool};
use crate::backend::cpu::CpuMemory;
use crate::backend::{Cpu, View};
use crate::error::Result;
use crate::isa::bf16::{narrow, widen};
use crate::tensor::Dtype;

/// Rows (or columns) of the window that lie inside the input: first tap and number of taps.
fn taps_inside(
    out: usize,
    stride: usize,
    pad: usize,
    window: usize,
    size: usize,
) -> (usize, usize) {
    let first = pad.saturating_sub(out * stride);
    let last = (size + pad - out * stride).min(window);
    (first, last)
}

fn max_pool_sample(p: &MaxPoolProblem, x: &[f32], y: &mut [f32], taps: &mut [f32]) {
    let (rows, cols, c) = (p.p(), p.q(), p.c);
    for i in 0..rows {
        let (r0, r1) = taps_inside(i, p.stride, p.pad, p.window, p.h);
        for j in 0..cols {
            let (s0, s1) = taps_inside(j, p.stride, p.pad, p.window, p.w);
            let at = (i * cols + j) * c;
            let (y, taps) = (&mut y[at..][..c], &mut taps[at..][..c]);
            y.fill(f32::NEG_INFINITY);
            taps.fill(f32::from_bits((r0 * p.window + s0) as u32));
            for r in r0..r1 {
                for s in s0..s1 {
                    let (h, w) = (i * p.stride + r - p.pad, j * p.stride + s - p.pad);
                    let x = &x[(h * p.w + w) * c..][..c];
                    let tap = f32::from_bits((r * p.window + s) as u32);
                    for ((y, taps), &v) in y.iter_mut().zip(taps.iter_mut()).zip(x) {
                        // NaN wins, as in PyTorch, so that a diverged network is seen.
                        if v > *y || v.is_nan() {
                            *y = v;
                            *taps = tap;
                        }
                    }
                }
            }
        }
    }
}

fn max_pool_backward_sample(p: &MaxPoolProblem, dy: &[f32], taps: &[f32], dx: &mut [f32]) {
    let (rows, cols, c) = (p.p(), p.q(), p.c);
    dx.fill(0.0);
    for i in 0..rows {
        for j in 0..cols {
            let at = (i * cols + j) * c;
            for k in 0..c {
                let tap = taps[at + k].to_bits() as usize;
                let h = i * p.stride + tap / p.window - p.pad;
                let w = j * p.stride + tap % p.window - p.pad;
                dx[(h * p.w + w) * c + k] += dy[at + k];
            }
        }
    }
}

impl Pool for Cpu {
    fn max_pool(
        &self,
        memory: &mut CpuMemory,
        problem: &MaxPoolProblem,
        x: View,
        y: View,
        taps: View,
    ) -> Result<()> {
        problem.check_call(x, y, taps)?;
        if problem.n == 0 {
            return Ok(());
        }
        if x.dtype == Dtype::Bf16 {
            let views = memory.mixed([], [], [x], [y, taps])?;
            let ([x], [y, taps]) = (views.bf16_reads, views.bf16_writes);
            let (x_len, y_len) = (x.len() / problem.n, y.len() / problem.n);
            let init = || [x_len, y_len, y_len].map(|len| vec![0.0f32; len]);
            self.pool().install(|| {
                y.par_chunks_mut(y_len)
                    .zip(taps.par_chunks_mut(y_len))
                    .zip(x.par_chunks(x_len))
                    .for_each_init(init, |[wide, most, own], ((y, taps), x)| {
                        wide.iter_mut().zip(x).for_each(|(to, &v)| *to = widen(v));
                        max_pool_sample(problem, wide, most, own);
                        y.iter_mut().zip(&*most).for_each(|(to, &v)| *to = narrow(v));
                        let tap = |v: &f32| narrow(v.to_bits() as f32);
                        taps.iter_mut().zip(&*own).for_each(|(to, v)| *to = tap(v));
                    });
            });
            return Ok(());
        }
        let ([x], [y, taps]) = memory.slices([x], [y, taps])?;
        let (x_len, y_len) = (x.len() / problem.n, y.len() / problem.n);
        self.pool().install(|| {
            y.par_chunks_mut(y_len)
                .zip(taps.par_chunks_mut(y_len))
                .zip(x.par_chunks(x_len))
                .for_each(|((y, taps), x)| max_pool_sample(problem, x, y, taps));
        });
        Ok(())
    }

    fn max_pool_backward(
        &self,
        memory: &mut CpuMemory,
        problem: &MaxPoolProblem,
        dy: View,
        taps: View,
        dx: View,
    ) -> Result<()> {
        problem.check_call(dx, dy, taps)?;
        if problem.n == 0 {
            return Ok(());
        }
        if dx.dtype == Dtype::Bf16 {
            let views = memory.mixed([], [], [dy, taps], [dx])?;
            let ([dy, taps], [dx]) = (views.bf16_reads, views.bf16_writes);
            let (x_len, y_len) = (dx.len() / problem.n, dy.len() / problem.n);
            let init = || [x_len, y_len, y_len].map(|len| vec![0.0f32; len]);
            self.pool().install(|| {
                dx.par_chunks_mut(x_len)
                    .zip(dy.par_chunks(y_len))
                    .zip(taps.par_chunks(y_len))
                    .for_each_init(init, |[sums, wide, own], ((dx, dy), taps)| {
                        wide.iter_mut().zip(dy).for_each(|(to, &v)| *to = widen(v));
                        let tap = |v: u16| f32::from_bits(widen(v) as u32);
                        own.iter_mut().zip(taps).for_each(|(to, &v)| *to = tap(v));
                        max_pool_backward_sample(problem, wide, own, sums);
                        dx.iter_mut().zip(&*sums).for_each(|(to, &v)| *to = narrow(v));
                    });
            });
            return Ok(());
        }
        let ([dy, taps], [dx]) = memory.slices([dy, taps], [dx])?;
        let (x_len, y_len) = (dx.len() / problem.n, dy.len() / problem.n);
        self.pool().install(|| {
            dx.par_chunks_mut(x_len)
                .zip(dy.par_chunks(y_len))
                .zip(taps.par_chunks(y_len))
                .for_each(|((dx, dy), taps)| max_pool_backward_sample(problem, dy, taps, dx));
        });
        Ok(())
    }

    fn global_pool(
        &self,
        memory: &mut CpuMemory,
        problem: &GlobalPoolProblem,
        x: View,
        y: View,
    ) -> Result<()> {
        let (c, hw) = (problem.c, problem.hw);
        problem.check_call(x, y)?;
        if x.len == 0 {
            return Ok(());
        }
        if x.dtype == Dtype::Bf16 {
            let views = memory.mixed([], [y], [x], [])?;
            let ([y], [x]) = (views.writes, views.bf16_reads);
            self.pool().install(|| {
                y.par_chunks_mut(c).zip(x.par_chunks(hw * c)).for_each(|(y, x)| {
                    y.fill(0.0);
                    for row in x.chunks_exact(c) {
                        y.iter_mut().zip(row).for_each(|(y, &v)| *y += widen(v));
                    }
                    y.iter_mut().for_each(|v| *v /= hw as f32);
                });
            });
            return Ok(());
        }
        let ([x], [y]) = memory.slices([x], [y])?;
        self.pool().install(|| {
            y.par_chunks_mut(c).zip(x.par_chunks(hw * c)).for_each(|(y, x)| {
                y.fill(0.0);
                for row in x.chunks_exact(c) {
                    for (y, &v) in y.iter_mut().zip(row) {
                        *y += v;
                    }
                }
                y.iter_mut().for_each(|v| *v /= hw as f32);
            });
        });
        Ok(())
    }

    fn global_pool_backward(
        &self,
        memory: &mut CpuMemory,
        problem: &GlobalPoolProblem,
        dy: View,
        dx: View,
    ) -> Result<()> {
        let (c, hw) = (problem.c, problem.hw);
        problem.check_call(dx, dy)?;
        if dx.len == 0 {
            return Ok(());
        }
        if dx.dtype == Dtype::Bf16 {
            let views = memory.mixed([dy], [], [], [dx])?;
            let ([dy], [dx]) = (views.reads, views.bf16_writes);
            self.pool().install(|| {
                dx.par_chunks_mut(hw * c).zip(dy.par_chunks(c)).for_each(|(dx, dy)| {
                    let (first, rest) = dx.split_at_mut(c);
                    first.iter_mut().zip(dy).for_each(|(d, &g)| *d = narrow(g / hw as f32));
                    rest.chunks_exact_mut(c).for_each(|row| row.copy_from_slice(first));
                });
            });
            return Ok(());
        }
        let ([dy], [dx]) = memory.slices([dy], [dx])?;
        self.pool().install(|| {
            dx.par_chunks_mut(hw * c).zip(dy.par_chunks(c)).for_each(|(dx, dy)| {
                for row in dx.chunks_exact_mut(c) {
                    for (d, &g) in row.iter_mut().zip(dy) {
                        *d = g / hw as f32;
                    }
                }
            });
        });
        Ok(())
    }
}
