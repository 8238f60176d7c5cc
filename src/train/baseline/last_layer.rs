//! Deep feature reweighting (DFR) trains the last layer anew on group-balanced samples that the
//! network was not trained on (Kirichenko, Izmailov and Wilson, "Last Layer Re-Training is
//! Sufficient for Robustness to Spurious Correlations", ICLR 2023).
//!
//! Features are standardised over all held-out samples. Each of several balanced selections (as
//! many of every group as the smallest has, drawn without replacement) gives a softmax regression
//! with an L1 penalty on the weights, and their mean is the layer:
//!
//! ```text
//! minimise  c sum_i -ln softmax(W h_i + b)_{y_i}  +  sum |W|
//! ```
//!
//! All arithmetic is in f64, with sums in a fixed order.

use crate::error::{Error, Result};
use crate::rng::{Philox, Stream};

/// A linear layer with K x D weights and K biases.
#[derive(Clone, Debug, PartialEq)]
pub struct LastLayer {
    /// The weights, K rows of D.
    pub weight: Vec<f64>,
    /// The biases, K of them.
    pub bias: Vec<f64>,
}

/// Held-out samples, one row of `width` features each.
#[derive(Clone, Copy, Debug)]
pub struct HeldOut<'a> {
    /// Features of the samples, row after row.
    pub features: &'a [f32],
    /// D, the number of features of a sample.
    pub width: usize,
    /// Class of each sample.
    pub labels: &'a [u32],
    /// K, the number of classes.
    pub classes: usize,
    /// Group of each sample.
    pub groups: &'a [u32],
}

/// Most steps of a regression.
const MOST_STEPS: usize = 3000;
const TOLERANCE: f64 = 1e-7;

/// Returns the mean of the layers of `resamples` balanced selections.
///
/// # Errors
/// A class has no held-out samples.
pub fn refit(held_out: HeldOut, resamples: u32, c: f64, seed: u64) -> Result<LastLayer> {
    let HeldOut { features, width, labels, classes, groups } = held_out;
    if let Some(k) = (0..classes).find(|&k| !labels.contains(&(k as u32))) {
        let found = format!("no validation sample of class {k}");
        return Err(Error::invalid("dfr", found, "some of every class to fit the last layer on"));
    }
    let (mean, std) = moments(features, width);
    let standard = |i: usize| {
        let row = features[i * width..][..width].iter().zip(&mean).zip(&std);
        row.map(|((&h, m), s)| (f64::from(h) - m) / s)
    };
    let mut sum = LastLayer { weight: vec![0.0; classes * width], bias: vec![0.0; classes] };
    for resample in 0..resamples {
        let chosen = balanced(groups, seed, resample);
        let rows: Vec<f64> = chosen.iter().flat_map(|&i| standard(i)).collect();
        let labels: Vec<u32> = chosen.iter().map(|&i| labels[i]).collect();
        let fit = regression(&rows, width, &labels, classes, c);
        sum.weight.iter_mut().zip(fit.weight).for_each(|(sum, w)| *sum += w);
        sum.bias.iter_mut().zip(fit.bias).for_each(|(sum, b)| *sum += b);
    }
    // For features as they are, the layer is W (h - m) / s + b.
    let count = f64::from(resamples.max(1));
    for (row, bias) in sum.weight.chunks_mut(width).zip(&mut sum.bias) {
        *bias /= count;
        for ((w, m), s) in row.iter_mut().zip(&mean).zip(&std) {
            *w /= count * s;
            *bias -= *w * m;
        }
    }
    Ok(sum)
}

/// Draws as many places of every group as the smallest group that has any, ascending.
pub fn balanced(groups: &[u32], seed: u64, resample: u32) -> Vec<usize> {
    let count = groups.iter().max().map_or(0, |&g| g as usize + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    groups.iter().enumerate().for_each(|(i, &g)| members[g as usize].push(i));
    members.retain(|m| !m.is_empty());
    let least = members.iter().map(Vec::len).min().unwrap_or(0);
    let mut draws = Philox::new(seed, Stream::Dfr).sequence(u64::from(resample));
    let mut chosen = Vec::with_capacity(least * members.len());
    for mut group in members {
        draws.shuffle(&mut group);
        chosen.extend_from_slice(&group[..least]);
    }
    chosen.sort_unstable();
    chosen
}

/// Returns the mean and standard deviation of every feature; the latter is 1 where it is constant.
fn moments(features: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let n = (features.len() / width.max(1)).max(1) as f64;
    let mut mean = vec![0.0; width];
    for row in features.chunks(width) {
        mean.iter_mut().zip(row).for_each(|(m, &h)| *m += f64::from(h) / n);
    }
    let mut variance = vec![0.0; width];
    for row in features.chunks(width) {
        for ((v, &h), m) in variance.iter_mut().zip(row).zip(&mean) {
            *v += (f64::from(h) - m).powi(2) / n;
        }
    }
    let std = |v: f64| if v > 0.0 { v.sqrt() } else { 1.0 };
    (mean, variance.into_iter().map(std).collect())
}

/// Fits a softmax regression of `labels` on N x `width` rows: it minimises mean loss + sum |W| / (c
/// N) by proximal gradient steps with momentum (FISTA, Beck and Teboulle 2009) that starts anew
/// where the objective rises (O'Donoghue and Candes 2015).
pub fn regression(rows: &[f64], width: usize, labels: &[u32], classes: usize, c: f64) -> LastLayer {
    let n = labels.len();
    let penalty = 1.0 / (c * n.max(1) as f64);
    let problem = Problem { rows, width, labels, classes };
    let size = classes * width + classes;
    let (mut at, mut ahead) = (vec![0.0; size], vec![0.0; size]);
    let (mut momentum, mut bound) = (1.0f64, problem.curvature());
    let mut gradient = vec![0.0; size];
    let mut last = f64::INFINITY;
    for _ in 0..MOST_STEPS {
        let loss = problem.loss(&ahead, Some(&mut gradient));
        let next = loop {
            let next: Vec<f64> = (0..size)
                .map(|j| {
                    let moved = ahead[j] - gradient[j] / bound;
                    match j < classes * width {
                        true => moved.signum() * (moved.abs() - penalty / bound).max(0.0),
                        false => moved,
                    }
                })
                .collect();
            let (mut linear, mut square) = (0.0, 0.0);
            for ((n, a), g) in next.iter().zip(&ahead).zip(&gradient) {
                linear += g * (n - a);
                square += (n - a) * (n - a);
            }
            // The comparison allows for rounding.
            let upper = loss + linear + 0.5 * bound * square + 1e-12 * loss.abs();
            if problem.loss(&next, None) <= upper {
                break next;
            }
            bound *= 2.0;
        };
        let weights = next[..classes * width].iter();
        let objective = problem.loss(&next, None) + penalty * weights.map(|w| w.abs()).sum::<f64>();
        if objective > last && momentum > 1.0 {
            // The momentum was too fast, so that the search goes on from where it was without
            // momentum.
            momentum = 1.0;
            ahead.copy_from_slice(&at);
            continue;
        }
        last = objective;
        let change = next.iter().zip(&at).map(|(n, a)| (n - a).abs()).fold(0.0, f64::max);
        let following = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
        let share = (momentum - 1.0) / following;
        for ((ahead, &next), &at) in ahead.iter_mut().zip(&next).zip(&at) {
            *ahead = next + share * (next - at);
        }
        momentum = following;
        at = next;
        if change <= TOLERANCE {
            break;
        }
    }
    let bias = at.split_off(classes * width);
    LastLayer { weight: at, bias }
}

/// The data of a regression. Its coefficients are K x D weights, then K biases.
struct Problem<'a> {
    rows: &'a [f64],
    width: usize,
    labels: &'a [u32],
    classes: usize,
}

impl Problem<'_> {
    /// Makes a first guess of the gradient's Lipschitz constant: half the largest eigenvalue of the
    /// rows' second moments, with the bias's 1, by power iteration.
    fn curvature(&self) -> f64 {
        let n = self.labels.len().max(1) as f64;
        let mut v = vec![1.0; self.width + 1];
        let mut value = 1.0;
        for _ in 0..20 {
            let mut next = vec![0.0; self.width + 1];
            for row in self.rows.chunks(self.width.max(1)) {
                let share = (dot(row, &v[..self.width]) + v[self.width]) / n;
                next.iter_mut().zip(row).for_each(|(n, x)| *n += share * x);
                next[self.width] += share;
            }
            value = dot(&next, &next).sqrt();
            if value == 0.0 {
                return 1.0;
            }
            v = next.into_iter().map(|x| x / value).collect();
        }
        0.5 * value
    }

    /// Returns the mean loss, and writes its gradient.
    fn loss(&self, at: &[f64], mut gradient: Option<&mut Vec<f64>>) -> f64 {
        let (weights, bias) = at.split_at(self.classes * self.width);
        let n = self.labels.len().max(1) as f64;
        if let Some(gradient) = &mut gradient {
            gradient.fill(0.0);
        }
        let mut total = 0.0;
        let mut z = vec![0.0; self.classes];
        for (row, &y) in self.rows.chunks(self.width.max(1)).zip(self.labels) {
            for ((z, w), b) in z.iter_mut().zip(weights.chunks(self.width)).zip(bias) {
                *z = dot(w, row) + b;
            }
            let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = z.iter().map(|z| libm::exp(z - top)).sum();
            total += libm::log(sum) + top - z[y as usize];
            let Some(gradient) = &mut gradient else { continue };
            let (of_weights, of_bias) = gradient.split_at_mut(self.classes * self.width);
            for (k, z) in z.iter().enumerate() {
                let hot = f64::from(u8::from(k == y as usize));
                let share = (libm::exp(z - top) / sum - hot) / n;
                of_bias[k] += share;
                let row = of_weights[k * self.width..][..self.width].iter_mut().zip(row);
                row.for_each(|(g, x)| *g += share * x);
            }
        }
        total / n
    }
}

/// Returns a sum of products, computed in four partial sums.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (whole, rest) = (a.chunks_exact(4).zip(b.chunks_exact(4)), a.len() / 4 * 4);
    for (a, b) in whole {
        (0..4).for_each(|i| sums[i] += a[i] * b[i]);
    }
    let tail: f64 = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + tail
}
