//! Gradients of the cross-entropy with respect to the last layer, never written out.
//!
//! With residual r = p - onehot(y) and features h, the gradient of a sample is the outer product
//! g = r (x) [h, 1], of K (D + 1) numbers. From r and h alone follow, with rho = |r|^2 and
//! eta = |h|^2 + 1,
//!
//! < g_i, g_j > = < r_i, r_j > (< h_i, h_j > + 1),
//! |g_i - g_j|^2 = A Hbar + B Rbar + (rho_i - rho_j) (eta_i - eta_j) / 2, where
//! A = |r_i - r_j|^2, B = |h_i - h_j|^2, Rbar = (rho_i + rho_j) / 2 - A / 4, Hbar alike with B.
//!
//! The second form (g_i - g_j = dr (x) hbar + rbar (x) dh, with means and differences) is used
//! instead of |g_i|^2 + |g_j|^2 - 2 < g_i, g_j >, which loses the distances of close samples to
//! cancellation: here equal samples are at exactly 0.

use rayon::prelude::*;

use super::cosine::inverse_of;
use super::{
    Measure, PairSum, Points, Probabilities, Similarity, check_labels, fill_chunks, pairs,
};
use crate::error::Result;
use crate::isa::multiversion;

/// Last-layer gradients of a group. Distances are Euclidean, similarities cosines.
pub(crate) struct Gradients<'a> {
    points: Points<'a>,
    /// The residuals r, n x K.
    residuals: Vec<f32>,
    classes: usize,
    /// |r|^2 of each sample; `eta` is |h|^2 + 1.
    rho: Vec<f64>,
    eta: Vec<f64>,
    /// 1 / |g| for cosines, computed by the kernel of the products; 0 where g is 0.
    inverse: Vec<f64>,
}

impl<'a> Gradients<'a> {
    /// Makes the gradients of the samples of `points`, which stand at `positions` in the other two.
    ///
    /// # Errors
    /// Fails as [`Probabilities::check`] does, and for a label that is no class.
    pub(crate) fn new(
        points: Points<'a>,
        probabilities: Probabilities,
        labels: &[u32],
    ) -> Result<Self> {
        let (positions, classes) = (points.positions, probabilities.classes());
        probabilities.check(positions)?;
        check_labels(labels, positions, classes)?;
        let mut residuals = Vec::with_capacity(positions.len() * classes);
        for &position in positions {
            let start = residuals.len();
            residuals.extend_from_slice(probabilities.row(position));
            residuals[start + labels[position] as usize] -= 1.0;
        }
        let square = |row: &[f32]| row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let rho = residuals.chunks(classes).map(square).collect();
        let mut eta = vec![0.0; positions.len()];
        fill_chunks(&mut eta, |start, places| {
            for (i, place) in places.iter_mut().enumerate() {
                *place = square(points.row(start + i)) + 1.0;
            }
        });
        let inverse = Vec::new();
        let mut gradients = Gradients { points, residuals, classes, rho, eta, inverse };
        let mut inverse = vec![0.0; positions.len()];
        fill_chunks(&mut inverse, |start, places| {
            for (i, place) in places.iter_mut().enumerate() {
                let (sample, mut square) = ([start + i], [0.0]);
                gradients.products(&sample, &sample, &mut square);
                *place = inverse_of(square[0].sqrt());
            }
        });
        gradients.inverse = inverse;
        Ok(gradients)
    }

    pub(crate) fn len(&self) -> usize {
        self.rho.len()
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    pub(crate) fn points(&self) -> Points<'a> {
        self.points
    }

    /// Returns the residual r of one sample.
    pub(crate) fn residual(&self, sample: usize) -> &[f32] {
        &self.residuals[sample * self.classes..][..self.classes]
    }

    /// Returns |g| of one sample.
    pub(crate) fn norm(&self, sample: usize) -> f64 {
        (self.rho[sample] * self.eta[sample]).sqrt()
    }

    fn residuals(&self, samples: &[usize]) -> Vec<&[f32]> {
        samples.iter().map(|&i| self.residual(i)).collect()
    }

    /// Writes < g, g > of each query q and other o to `out[q * others.len() + o]`.
    pub(crate) fn products(&self, queries: &[usize], others: &[usize], out: &mut [f64]) {
        let mut residual = vec![0.0; out.len()];
        self.both(PairSum::InnerProduct, queries, others, &mut residual, out);
        for (h, r) in out.iter_mut().zip(residual) {
            *h = r * (*h + 1.0);
        }
    }

    /// Computes a pair sum of the residuals and the same of the features.
    fn both(&self, pair: PairSum, q: &[usize], o: &[usize], of_r: &mut [f64], of_h: &mut [f64]) {
        let isa = self.points.isa;
        pairs(isa, pair, &self.residuals(q), &self.residuals(o), of_r);
        pairs(isa, pair, &self.points.rows(q), &self.points.rows(o), of_h);
    }

    /// Returns sum_i weight_i g_i, a K x (D + 1) matrix.
    pub(crate) fn weighted_sum(&self, weight: impl Fn(usize) -> f64 + Sync) -> GradientMatrix {
        self.outer_sum(|i, class| weight(i) * f64::from(self.residual(i)[class]))
    }

    /// Returns sum_i error_i (x) [h_i, 1], where `error(i, class)` stands in the place of the
    /// residual. Rows are computed in parallel, each in the samples' order.
    pub(crate) fn outer_sum(&self, error: impl Fn(usize, usize) -> f64 + Sync) -> GradientMatrix {
        let width = self.points.dims() + 1;
        let mut values = vec![0.0; self.classes * width];
        values.par_chunks_mut(width).enumerate().for_each(|(class, row)| {
            for i in 0..self.len() {
                let factor = error(i, class);
                axpy(self.points.isa, factor, self.points.row(i), &mut row[..width - 1]);
                row[width - 1] += factor;
            }
        });
        GradientMatrix { values, width }
    }

    /// Returns < matrix, g_i > for every sample i.
    pub(crate) fn project(&self, matrix: &GradientMatrix) -> Vec<f64> {
        let mut out = vec![0.0; self.len()];
        fill_chunks(&mut out, |start, places| {
            for (i, place) in places.iter_mut().enumerate() {
                let (r, h) = (self.residual(start + i), self.points.row(start + i));
                let rows = matrix.values.chunks(matrix.width);
                *place = r
                    .iter()
                    .zip(rows)
                    .map(|(&r, row)| {
                        let (bias, weights) = (row[h.len()], &row[..h.len()]);
                        f64::from(r) * (dot(self.points.isa, weights, h) + bias)
                    })
                    .sum();
            }
        });
        out
    }
}

/// A matrix of the last layer's shape, K x (D + 1), the bias last.
pub(crate) struct GradientMatrix {
    pub(crate) values: Vec<f64>,
    pub(crate) width: usize,
}

multiversion! {
    /// Computes `sum += factor * row`.
    fn axpy(factor: f64, row: &[f32], sum: &mut [f64]) {
        for (s, &x) in sum.iter_mut().zip(row) {
            *s += factor * f64::from(x);
        }
    }
}

multiversion! {
    /// Returns < a, b > in f64: eight partial sums, which are then added in their order.
    fn dot(a: &[f64], b: &[f32]) -> f64 {
        let mut lanes = [0.0f64; 8];
        let whole = a.len() / 8 * 8;
        for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
            for l in 0..8 {
                lanes[l] += a[l] * f64::from(b[l]);
            }
        }
        let rest: f64 = a[whole..].iter().zip(&b[whole..]).map(|(a, &b)| a * f64::from(b)).sum();
        lanes.iter().sum::<f64>() + rest
    }
}

impl Measure for Gradients<'_> {
    fn len(&self) -> usize {
        self.rho.len()
    }

    fn distances(&self, queries: &[usize], others: &[usize], out: &mut [f64]) {
        let mut residual = vec![0.0; out.len()];
        self.both(PairSum::SquaredDifference, queries, others, &mut residual, out);
        for (q, &i) in queries.iter().enumerate() {
            for (o, &j) in others.iter().enumerate() {
                let at = q * others.len() + o;
                let (a, b) = (residual[at], out[at]);
                let r_mean = (self.rho[i] + self.rho[j]) / 2.0 - a / 4.0;
                let h_mean = (self.eta[i] + self.eta[j]) / 2.0 - b / 4.0;
                let cross = (self.rho[i] - self.rho[j]) * (self.eta[i] - self.eta[j]) / 2.0;
                // Rounding may leave slightly less than 0.
                out[at] = (a * h_mean + b * r_mean + cross).max(0.0).sqrt();
            }
        }
    }

    fn most(&self) -> f64 {
        2.0 * (0..self.len()).map(|i| self.norm(i)).fold(0.0, f64::max)
    }
}

/// The distance 1 - cos of gradients.
pub(crate) struct CosineDistance<'a>(pub(crate) Gradients<'a>);

impl Measure for CosineDistance<'_> {
    fn len(&self) -> usize {
        self.0.rho.len()
    }

    fn distances(&self, queries: &[usize], others: &[usize], out: &mut [f64]) {
        for (&q, out) in queries.iter().zip(out.chunks_mut(others.len().max(1))) {
            self.0.similarities(q, others, out);
            out.iter_mut().for_each(|v| *v = 1.0 - *v);
        }
    }

    fn most(&self) -> f64 {
        2.0
    }
}

impl Similarity for Gradients<'_> {
    fn similarities(&self, query: usize, others: &[usize], out: &mut [f64]) {
        self.products(&[query], others, out);
        for (&o, v) in others.iter().zip(out) {
            *v = (*v * (self.inverse[query] * self.inverse[o])).clamp(-1.0, 1.0);
        }
    }

    fn totals(&self) -> Vec<f64> {
        let sum = self.weighted_sum(|i| self.inverse[i]);
        let mut totals = self.project(&sum);
        for (i, total) in totals.iter_mut().enumerate() {
            *total *= self.inverse[i];
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::space::Features;
    use crate::rng::{Philox, Stream};

    /// Makes pairs of samples, the second of each slightly apart from the first.
    fn data(apart: f32) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
        let mut draw = Philox::new(4, Stream::Init).sequence(0);
        let (mut features, mut probabilities) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let h: Vec<f32> = (0..33).map(|_| 3.0 + draw.normal()).collect();
            let moved: Vec<f32> = h.iter().map(|h| h + apart * draw.normal()).collect();
            features.extend([h, moved].concat());
            let p = 0.2 + 0.6 * draw.uniform();
            let beside = p + apart * 0.1;
            probabilities.extend([p, 1.0 - p, beside, 1.0 - beside]);
        }
        (features, probabilities, (0..40).map(|i| i / 2 % 2).collect())
    }

    /// The error is small relative to the distance itself, and not only to the much larger
    /// gradients.
    #[test]
    fn distances_of_close_samples_survive() {
        for apart in [1.0, 1e-2, 1e-4] {
            let (features, probabilities, labels) = data(apart);
            let all: Vec<usize> = (0..40).collect();
            let points = Points::new(Features::new(&features, 33).unwrap(), &all).unwrap();
            let predicted = Probabilities::new(&probabilities, 2).unwrap();
            let gradients = Gradients::new(points, predicted, &labels).unwrap();
            let mut distances = vec![0.0; 1600];
            gradients.distances(&all, &all, &mut distances);
            let written_out = |i: usize| -> Vec<f64> {
                let h = points.row(i).iter().copied().chain([1.0]);
                let r = gradients.residual(i);
                h.flat_map(|h| r.iter().map(move |&r| f64::from(r) * f64::from(h))).collect()
            };
            for i in 0..40 {
                for j in 0..40 {
                    let (a, b) = (written_out(i), written_out(j));
                    let square: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
                    let found = distances[i * 40 + j];
                    let error = (found - square.sqrt()).abs();
                    assert!(error <= 2e-5 * square.sqrt(), "{i} {j}: {found} {}", square.sqrt());
                    assert_eq!(found, distances[j * 40 + i]);
                }
            }
        }
    }
}
