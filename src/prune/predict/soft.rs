//! The smooth stand-in for predicted recalls that an ascent can climb.
//!
//! The soft recall of class k is the mean over its rows of softmax((log p + g log d) / T) at the label.
//! With q_j = p_j^(1/T) and a_j = d_j^(g/T) that is q_k a_k / sum_j q_j a_j, so that each evaluation is
//! one product of the table of q with a, and its gradient another:
//!
//! dR/d log d_k = (g/T) (sum over the rows of k of c - a_k sum over all rows of c q_k / sum_j q_j a_j),
//! with c = w_label s / n_label for row weights w.

use rayon::prelude::*;

use super::CHUNK;
use super::rows::ValidationRows;

/// T: below 1 the soft recalls come nearer to counted ones.
const TEMPERATURE: f64 = 0.5;

/// Rows of an ascent, with everything that does not depend on the densities.
pub(super) struct SoftRows {
    classes: usize,
    /// g / T.
    power: f64,
    /// q of each row, its largest scaled to 1.
    q: Vec<f32>,
    labels: Vec<u32>,
    /// One over the rows of each class; 0 without any.
    pub weights: Vec<f64>,
}

impl SoftRows {
    /// Takes the rows of these numbers.
    pub fn new(rows: &ValidationRows, chosen: &[usize], gain: f64) -> SoftRows {
        let classes = rows.classes();
        let under = rows.shifts(&vec![1.0; classes], gain);
        let mut q = vec![0.0; chosen.len() * classes];
        q.par_chunks_mut(classes).zip(chosen).for_each(|(q, &i)| {
            let shift = &under[rows.runs[i] as usize];
            let logs = || rows.row(i).iter().zip(shift).map(|(&log, shift)| f64::from(log) + shift);
            let top = logs().fold(f64::NEG_INFINITY, f64::max);
            q.iter_mut().zip(logs()).for_each(|(q, log)| {
                *q = libm::exp((log - top) / TEMPERATURE) as f32;
            });
        });
        let labels: Vec<u32> = chosen.iter().map(|&i| rows.labels[i]).collect();
        let mut counts = vec![0u64; classes];
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        let weights = counts.iter().map(|&n| if n > 0 { 1.0 / n as f64 } else { 0.0 }).collect();
        SoftRows { classes, power: gain / TEMPERATURE, q, labels, weights }
    }

    fn scales(&self, log_densities: &[f64]) -> Vec<f64> {
        log_densities.iter().map(|&x| libm::exp(self.power * x)).collect()
    }

    /// Soft recalls, one a class, and sum_j q_j a_j of each row.
    pub fn recalls(&self, log_densities: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let a = self.scales(log_densities);
        let mut sums = vec![0.0; self.labels.len()];
        let tasks = sums.par_chunks_mut(CHUNK).zip(self.labels.par_chunks(CHUNK));
        let tasks = tasks.zip(self.q.par_chunks(CHUNK * self.classes));
        let parts: Vec<Vec<f64>> = tasks
            .map(|((sums, labels), q)| {
                let mut recalls = vec![0.0; self.classes];
                for ((sum, &label), q) in sums.iter_mut().zip(labels).zip(q.chunks(self.classes)) {
                    let k = label as usize;
                    *sum = q.iter().zip(&a).map(|(&q, a)| f64::from(q) * a).sum();
                    // Nothing is left of a row whose likely classes keep next to nothing.
                    if *sum > 0.0 {
                        recalls[k] += f64::from(q[k]) * a[k] / *sum;
                    }
                }
                recalls
            })
            .collect();
        let mut recalls = vec![0.0; self.classes];
        for part in parts {
            recalls.iter_mut().zip(part).for_each(|(sum, more)| *sum += more);
        }
        recalls.iter_mut().zip(&self.weights).for_each(|(recall, weight)| *recall *= weight);
        (recalls, sums)
    }

    /// The gradient of sum_k `pull[k]` R_k with respect to the logarithms of the densities; `sums` are
    /// those of [`SoftRows::recalls`].
    pub fn gradient(&self, log_densities: &[f64], pull: &[f64], sums: &[f64]) -> Vec<f64> {
        let a = self.scales(log_densities);
        let tasks = self.labels.par_chunks(CHUNK).zip(sums.par_chunks(CHUNK));
        let tasks = tasks.zip(self.q.par_chunks(CHUNK * self.classes));
        let parts: Vec<[Vec<f64>; 2]> = tasks
            .map(|((labels, sums), q)| {
                let mut of = [vec![0.0; self.classes], vec![0.0; self.classes]];
                let [own, all] = &mut of;
                for ((&label, &sum), q) in labels.iter().zip(sums).zip(q.chunks(self.classes)) {
                    let k = label as usize;
                    if sum <= 0.0 {
                        continue;
                    }
                    let c = pull[k] * self.weights[k] * f64::from(q[k]) * a[k] / sum;
                    own[k] += c;
                    let scaled = c / sum;
                    all.iter_mut().zip(q).for_each(|(all, &q)| *all += scaled * f64::from(q));
                }
                of
            })
            .collect();
        let mut gradient = vec![0.0; self.classes];
        for [own, all] in parts {
            for k in 0..self.classes {
                gradient[k] += self.power * (own[k] - a[k] * all[k]);
            }
        }
        gradient
    }
}
