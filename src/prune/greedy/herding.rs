//! Herding: the mean of the picks stays close to the mean of all samples.
//!
//! Source: Welling 2009. Pick i + 1 is argmin over x of || (i + 1) mu - sum_S phi - phi(x) ||.
//!
//! What is missing to the mean, (i + 1) mu - sum_S phi, is kept as one vector in f64, so that each
//! pick costs one pass over the samples and no error builds up in inner products.

use super::{Greedy, Unpicked};
use crate::error::Result;
use crate::prune::space::{PairSum, Points, add, narrow};

/// Herding in feature space. It takes n x 24 bytes.
pub(crate) struct Herding<'a> {
    points: Points<'a>,
    mean: Vec<f64>,
    /// Sum of the picks.
    sum: Vec<f64>,
    picks: usize,
    open: Unpicked,
}

impl<'a> Herding<'a> {
    pub(crate) fn new(points: Points<'a>, positions: &[usize], seed: u64) -> Self {
        let (mean, sum) = (points.mean(), vec![0.0; points.dims()]);
        Herding { points, mean, sum, picks: 0, open: Unpicked::new(positions, seed) }
    }
}

impl Greedy for Herding<'_> {
    fn next(&mut self) -> Result<Option<usize>> {
        let goal = (self.picks + 1) as f64;
        let missing: Vec<f64> =
            self.mean.iter().zip(&self.sum).map(|(mu, sum)| mu * goal - sum).collect();
        let (missing, points) = (narrow(&missing), &self.points);
        let next = self.open.take_best(|samples, values| {
            points.against(PairSum::SquaredDifference, &missing, samples, values);
            values.iter_mut().for_each(|v| *v = -*v);
        });
        if let Some(sample) = next {
            add(&mut self.sum, self.points.row(sample));
            self.picks += 1;
        }
        Ok(next)
    }
}
