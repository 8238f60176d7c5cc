//! How differently a network sees two samples.

use super::{Measure, Probabilities};
use crate::error::Result;

/// A probability below this counts as this, so that divergences stay finite.
pub(crate) const LEAST_PROBABILITY: f32 = 1e-12;

/// Symmetric Kullback-Leibler divergence of predictions,
/// KL(p || q) + KL(q || p) = sum_c (p_c - q_c) (ln p_c - ln q_c).
pub(crate) struct Divergence {
    /// Probabilities, not below [`LEAST_PROBABILITY`], n x K.
    values: Vec<f32>,
    logs: Vec<f32>,
    classes: usize,
}

impl Divergence {
    /// Takes the predictions at `positions`.
    ///
    /// # Errors
    /// Fails as [`Probabilities::check`] does.
    pub(crate) fn new(probabilities: Probabilities, positions: &[usize]) -> Result<Self> {
        probabilities.check(positions)?;
        let classes = probabilities.classes();
        let rows = positions.iter().flat_map(|&position| probabilities.row(position));
        let values: Vec<f32> = rows.map(|p| p.max(LEAST_PROBABILITY)).collect();
        let logs = values.iter().map(|&p| log(p)).collect();
        Ok(Divergence { values, logs, classes })
    }

    /// Returns the divergence of two samples.
    pub(crate) fn between(&self, a: usize, b: usize) -> f64 {
        let row = |i: usize| i * self.classes..(i + 1) * self.classes;
        let values = (&self.values[row(a)], &self.values[row(b)]);
        divergence(values.0, &self.logs[row(a)], values.1, &self.logs[row(b)])
    }

    /// Returns the divergence of every sample from the mean prediction.
    pub(crate) fn to_mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.classes];
        for row in self.values.chunks(self.classes) {
            super::add(&mut mean, row);
        }
        let n = self.len().max(1) as f64;
        let mean: Vec<f32> = mean.iter().map(|v| (v / n) as f32).collect();
        let logs: Vec<f32> = mean.iter().map(|&p| log(p)).collect();
        let rows = self.values.chunks(self.classes).zip(self.logs.chunks(self.classes));
        rows.map(|(p, log_p)| divergence(p, log_p, &mean, &logs)).collect()
    }
}

fn log(p: f32) -> f32 {
    libm::log(f64::from(p)) as f32
}

/// Sums the terms (p - q) (ln p - ln q), none of which is negative, so that nothing cancels.
fn divergence(p: &[f32], log_p: &[f32], q: &[f32], log_q: &[f32]) -> f64 {
    let terms = p.iter().zip(q).zip(log_p.iter().zip(log_q));
    terms.map(|((&p, &q), (&a, &b))| f64::from(p - q) * f64::from(a - b)).sum()
}

impl Measure for Divergence {
    fn len(&self) -> usize {
        self.values.len() / self.classes
    }

    fn distances(&self, queries: &[usize], others: &[usize], out: &mut [f64]) {
        for (&q, out) in queries.iter().zip(out.chunks_mut(others.len().max(1))) {
            for (&o, v) in others.iter().zip(out) {
                *v = self.between(q, o);
            }
        }
    }

    /// (p - q) (ln p - ln q) is at most -ln of the least probability for p + q <= 1, and the sum at
    /// most twice that.
    fn most(&self) -> f64 {
        -2.0 * libm::log(f64::from(LEAST_PROBABILITY)) + 1e-3
    }
}
