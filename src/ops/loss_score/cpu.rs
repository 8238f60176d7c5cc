//! Losses and scores on the CPU: one task a few samples, f64 inside a sample.

use rayon::prelude::*;

use super::exponential::{divide, exponentials};
use super::{BatchViews, FIELDS, Field, LogitGradient, LossScore, LossScoreProblem};
use crate::backend::cpu::CpuMemory;
use crate::backend::{Cpu, View};
use crate::error::{Error, Result};
use crate::isa::Isa;

/// One sample's row of the table and, in `p`, its probabilities. `presented`: ln p of the previous
/// presentation, and where that of this one goes; empty where no divergence is wanted.
fn score_sample(
    isa: Isa,
    z: &[f32],
    y: usize,
    p: &mut [f64],
    presented: (&[f32], &mut [f32]),
) -> [f32; FIELDS] {
    let mut best = 0;
    for (k, &v) in z.iter().enumerate() {
        if v > z[best] {
            best = k;
        }
    }
    let top = f64::from(z[best]);
    exponentials(isa, z, top, p);
    let sum: f64 = p.iter().fold(0.0, |sum, &p| sum + p);
    divide(isa, p, sum);
    let log_sum = libm::log(sum);
    let (mut square, mut entropy) = (0.0, 0.0);
    let (mut first, mut second, mut rival) = (0.0f64, 0.0f64, f32::NEG_INFINITY);
    for (k, (&p, &v)) in p.iter().zip(z).enumerate() {
        let off = if k == y { p - 1.0 } else { p };
        square += off * off;
        if p > 0.0 {
            entropy -= p * (f64::from(v) - top - log_sum);
        }
        if p > first {
            (first, second) = (p, first);
        } else {
            second = second.max(p);
        }
        if k != y {
            rival = rival.max(v);
        }
    }
    let mut divergence = 0.0;
    let (before, now) = presented;
    for ((&p, &v), (&before, now)) in p.iter().zip(z).zip(before.iter().zip(now)) {
        let log_p = f64::from(v) - top - log_sum;
        divergence += (p * (log_p - f64::from(before))).abs();
        *now = log_p as f32;
    }
    let mut row = [0.0f32; FIELDS];
    let mut set = |field: Field, value: f64| row[field as usize] = value as f32;
    set(Field::Loss, log_sum + top - f64::from(z[y]));
    set(Field::El2n, square.sqrt());
    set(Field::Entropy, entropy);
    set(Field::Margin, first - second);
    set(Field::LabelProbability, p[y]);
    set(Field::Aum, f64::from(z[y]) - f64::from(rival));
    set(Field::Correct, f64::from(u8::from(best == y)));
    set(Field::Prediction, best as f64);
    set(Field::TopProbability, first);
    set(Field::Divergence, divergence);
    row
}

/// The row of the table of each sample, from logits (N x K) and labels (N, below K) at hand. `presented` is
/// ln p of each sample's previous presentation (N x K), replaced by that of this one; empty where no
/// divergence is wanted, which is then 0.
pub fn score_rows(
    cpu: &Cpu,
    k: usize,
    logits: &[f32],
    labels: &[u32],
    presented: &mut [f32],
) -> Vec<[f32; FIELDS]> {
    assert!(logits.len() == labels.len() * k && labels.iter().all(|&y| (y as usize) < k));
    let mut before: Vec<&mut [f32]> = presented.chunks_mut(k).collect();
    before.resize_with(labels.len(), Default::default);
    cpu.pool().install(|| {
        let samples = labels.par_iter().zip(logits.par_chunks(k)).zip(before.into_par_iter());
        let state = || (vec![0.0f64; k], vec![0.0f32; k]);
        let scored = samples.with_min_len(16).map_init(state, |(p, now), ((&y, z), before)| {
            let now = &mut now[..before.len()];
            let row = score_sample(cpu.isa(), z, y as usize, p, (before, now));
            before.copy_from_slice(now);
            row
        });
        scored.collect()
    })
}

/// Positions of this batch's samples in the part.
fn batch_rows<'a>(
    problem: &LossScoreProblem,
    order: &'a [u32],
    state: &[u32],
) -> Result<&'a [u32]> {
    let start = state[0] as usize * problem.batch;
    order.get(start..start + problem.n).ok_or_else(|| {
        Error::Internal(format!(
            "batch {} of {} lies outside {} samples",
            state[0],
            problem.batch,
            order.len()
        ))
    })
}

/// Writes the scores of a batch, but norms and divergences, to the rows of its samples; `state` remembers the
/// first step with a loss that is not finite.
fn write_scores(rows: &[u32], scored: &[[f32; FIELDS]], table: &mut [f32], state: &mut [u32]) {
    let capacity = table.len() / FIELDS;
    for (&i, row) in rows.iter().zip(scored) {
        for (column, &value) in table.chunks_mut(capacity).zip(&row[..Field::Grand as usize]) {
            column[i as usize] = value;
        }
        if !row[Field::Loss as usize].is_finite() && state[2] == 0 {
            state[2] = state[3] + 1;
        }
    }
}

impl LossScore for Cpu {
    fn loss_score(
        &self,
        memory: &mut CpuMemory,
        problem: &LossScoreProblem,
        logits: View,
        batch: &BatchViews,
        gradient: LogitGradient,
        dlogits: View,
    ) -> Result<()> {
        problem.check(logits, batch, gradient, dlogits)?;
        let (weights, of_samples, smoothing) = match gradient {
            LogitGradient::Mean { class_weights, sample_weights, smoothing } => {
                (class_weights, sample_weights, f64::from(smoothing))
            }
            LogitGradient::None | LogitGradient::PerSample => (View::EMPTY, View::EMPTY, 0.0),
        };
        let ([logits, order, labels, weights, of_samples], [state, table, dlogits, previous]) =
            memory.slices(
                [logits, batch.order, batch.labels, weights, of_samples],
                [batch.state, batch.table, dlogits, batch.previous],
            )?;
        let (order, labels): (&[u32], &[u32]) =
            (bytemuck::cast_slice(order), bytemuck::cast_slice(labels));
        let state: &mut [u32] = bytemuck::cast_slice_mut(state);
        let rows = batch_rows(problem, order, state)?;
        let k = problem.k;
        let weight = |class: usize| weights.get(class).map_or(1.0, |&w| f64::from(w));
        let weight_sum: f64 = (0..k).map(weight).sum();
        let total: f64 = match gradient {
            LogitGradient::Mean { .. } => {
                rows.iter().map(|&i| weight(labels[i as usize] as usize)).sum()
            }
            LogitGradient::None | LogitGradient::PerSample => 1.0,
        };
        let mut dlogits: Vec<&mut [f32]> = match gradient {
            LogitGradient::None => Vec::new(),
            _ => dlogits.chunks_mut(k).collect(),
        };
        dlogits.resize_with(problem.n, Default::default);
        // Rows of the part are written when the batch is done: they lie apart from each other.
        let mut log_p = vec![0.0; if previous.is_empty() { 0 } else { problem.n * k }];
        let before = |i: u32| previous.get(i as usize * k..(i as usize + 1) * k).unwrap_or(&[]);
        let mut now: Vec<&mut [f32]> = log_p.chunks_mut(k).collect();
        now.resize_with(problem.n, Default::default);
        let scored: Vec<[f32; FIELDS]> = self.pool().install(|| {
            rows.par_iter()
                .zip(logits.par_chunks(k))
                .zip(dlogits.into_par_iter())
                .zip(now.into_par_iter())
                .with_min_len(16)
                .map_init(
                    || vec![0.0f64; k],
                    |p, (((&i, z), dz), now)| {
                        let y = labels[i as usize] as usize;
                        let row = score_sample(self.isa(), z, y, p, (before(i), now));
                        let of_sample = of_samples.get(i as usize).map_or(1.0, |&s| f64::from(s));
                        let main = (1.0 - smoothing) * weight(y);
                        let share = smoothing / k as f64;
                        for (j, d) in dz.iter_mut().enumerate() {
                            let hot = f64::from(u8::from(j == y));
                            let value =
                                main * (p[j] - hot) + share * (p[j] * weight_sum - weight(j));
                            // Weights of 0 for the whole batch: nothing to learn, not 0 / 0.
                            let share = of_sample * value / total;
                            *d = if total > 0.0 { share as f32 } else { 0.0 };
                        }
                        row
                    },
                )
                .collect()
        });
        write_scores(rows, &scored, table, state);
        for ((&i, row), log_p) in rows.iter().zip(&scored).zip(log_p.chunks(k)) {
            previous[i as usize * k..][..k].copy_from_slice(log_p);
            let column = Field::Divergence as usize * (table.len() / FIELDS);
            table[column + i as usize] = row[Field::Divergence as usize];
        }
        Ok(())
    }

    fn store_norms(
        &self,
        memory: &mut CpuMemory,
        problem: &LossScoreProblem,
        norms: View,
        batch: &BatchViews,
    ) -> Result<()> {
        problem.check_norms(norms, batch)?;
        let ([norms, order, state], [table]) =
            memory.slices([norms, batch.order, batch.state], [batch.table])?;
        let rows = batch_rows(problem, bytemuck::cast_slice(order), bytemuck::cast_slice(state))?;
        let capacity = table.len() / FIELDS;
        for (&i, &square) in rows.iter().zip(norms) {
            // Not `max`, which would turn NaN into a score of 0.
            let square = if square < 0.0 { 0.0 } else { square };
            table[Field::Grand as usize * capacity + i as usize] = square.sqrt();
        }
        Ok(())
    }
}
