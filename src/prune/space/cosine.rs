//! The angle between features.

use super::{Measure, PairSum, Points, Similarity, fill_chunks, ordered_sum, pairs};

/// Cosine similarity of features, and the distance 1 - cos.
///
/// The absolute error is at most 4.6e-6. Norms come from the same kernel as the products, so that
/// a vector's cosine with itself and its duplicates is 1 to the last bit but one. A vector of zeros has cosine 0 with everything.
pub(crate) struct Cosine<'a> {
    points: Points<'a>,
    /// 1 / norm of each sample; 0 for a vector of zeros. This takes n x 8 bytes.
    inverse: Vec<f64>,
}

impl<'a> Cosine<'a> {
    pub(crate) fn new(points: Points<'a>) -> Self {
        let mut inverse = vec![0.0; points.len()];
        fill_chunks(&mut inverse, |start, places| {
            for (i, place) in places.iter_mut().enumerate() {
                let sample = start + i;
                let mut square = [0.0];
                points.against(PairSum::InnerProduct, points.row(sample), &[sample], &mut square);
                *place = inverse_of(square[0].sqrt());
            }
        });
        Cosine { points, inverse }
    }
}

/// Returns 1 / norm, or 0 for a norm of 0.
pub(crate) fn inverse_of(norm: f64) -> f64 {
    if norm > 0.0 { 1.0 / norm } else { 0.0 }
}

impl Measure for Cosine<'_> {
    fn len(&self) -> usize {
        self.points.len()
    }

    fn distances(&self, queries: &[usize], others: &[usize], out: &mut [f64]) {
        let rows = self.points.rows(others);
        pairs(self.points.isa, PairSum::InnerProduct, &self.points.rows(queries), &rows, out);
        for (&q, out) in queries.iter().zip(out.chunks_mut(others.len().max(1))) {
            for (&o, v) in others.iter().zip(out) {
                // The inverses are multiplied first, which makes the result symmetric.
                *v = 1.0 - (*v * (self.inverse[q] * self.inverse[o])).clamp(-1.0, 1.0);
            }
        }
    }

    fn most(&self) -> f64 {
        2.0
    }
}

impl Similarity for Cosine<'_> {
    fn similarities(&self, query: usize, others: &[usize], out: &mut [f64]) {
        self.distances(&[query], others, out);
        out.iter_mut().for_each(|v| *v = 1.0 - *v);
    }

    fn totals(&self) -> Vec<f64> {
        let n = self.points.len();
        let sum = ordered_sum(n, self.points.dims(), |samples, sum| {
            for i in samples {
                for (s, &x) in sum.iter_mut().zip(self.points.row(i)) {
                    *s += f64::from(x) * self.inverse[i];
                }
            }
        });
        let mut totals = vec![0.0; n];
        fill_chunks(&mut totals, |start, places| {
            for (i, place) in places.iter_mut().enumerate() {
                let row = self.points.row(start + i);
                let product: f64 = row.iter().zip(&sum).map(|(&x, s)| f64::from(x) * s).sum();
                *place = product * self.inverse[start + i];
            }
        });
        totals
    }
}
