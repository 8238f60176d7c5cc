//! Glister: picks that lower the validation loss most, to first order.
//!
//! Source: Killamsetty et al. 2021. The gain of a sample is g_i . grad L_val(theta - eta sum_S g):
//! how much a step along its gradient lowers the validation loss after the steps of the picks so
//! far. theta is the last layer; the validation gradient is computed anew after each pick, or
//! after every `refresh` picks, as in the authors' faster variant.

use super::{Greedy, Unpicked};
use crate::error::Result;
use crate::prune::space::{Gradients, PairSum, fill_chunks, narrow, pairs};

/// How the validation gradient follows the picks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refresh {
    /// eta, the length of a step.
    pub(crate) step: f64,
    /// The number of picks between two validation gradients.
    pub(crate) every: usize,
}

/// Glister's picks. They take n x 24 + V x K x 8 + K x (D + 1) x 12 bytes.
pub(crate) struct Glister<'a> {
    train: Gradients<'a>,
    validation: Gradients<'a>,
    /// Logarithms of the validation predictions after the steps so far, V x K; a row may be off by
    /// a constant, which softmax does not see.
    logits: Vec<f64>,
    /// Labels of the validation samples.
    labels: Vec<u32>,
    /// grad L_val: its rows for the features. `biases` is its part for the biases.
    gradient: Vec<Vec<f32>>,
    biases: Vec<f64>,
    refresh: Refresh,
    picks: usize,
    open: Unpicked,
}

impl<'a> Glister<'a> {
    /// Starts with no pick; `probabilities` and `labels` are those of the samples of `validation`.
    pub(crate) fn new(
        train: Gradients<'a>,
        validation: Gradients<'a>,
        probabilities: impl Iterator<Item = f32>,
        labels: Vec<u32>,
        refresh: Refresh,
        positions: &[usize],
        seed: u64,
    ) -> Self {
        Glister {
            train,
            validation,
            logits: probabilities.map(|p| libm::log(f64::from(p))).collect(),
            labels,
            gradient: Vec::new(),
            biases: Vec::new(),
            refresh,
            picks: 0,
            open: Unpicked::new(positions, seed),
        }
    }

    /// Computes grad L_val at the current predictions.
    fn compute_gradient(&mut self) {
        let k = self.validation.classes();
        let mut errors = vec![0.0; self.logits.len()];
        for ((row, errors), &label) in
            self.logits.chunks(k).zip(errors.chunks_mut(k)).zip(&self.labels)
        {
            softmax(row, errors);
            errors[label as usize] -= 1.0;
        }
        let samples = self.validation.len().max(1) as f64;
        let matrix = self.validation.outer_sum(|i, class| errors[i * k + class] / samples);
        let (gradient, biases) = matrix
            .values
            .chunks(matrix.width)
            .map(|row| (narrow(&row[..matrix.width - 1]), row[matrix.width - 1]))
            .unzip();
        (self.gradient, self.biases) = (gradient, biases);
    }

    /// Moves the validation predictions by a step along the gradient of `sample`.
    fn step(&mut self, sample: usize) {
        let k = self.validation.classes();
        let features = self.train.points().row(sample);
        let points = self.validation.points();
        let mut products = vec![0.0; points.len()];
        fill_chunks(&mut products, |first, places| {
            let samples: Vec<usize> = (first..first + places.len()).collect();
            points.against(PairSum::InnerProduct, features, &samples, places);
        });
        let residual = self.train.residual(sample);
        for (row, product) in self.logits.chunks_mut(k).zip(products) {
            let factor = self.refresh.step * (product + 1.0);
            row.iter_mut().zip(residual).for_each(|(z, &r)| *z -= factor * f64::from(r));
        }
    }
}

/// Writes the softmax of `logits`, some of which may be minus infinity.
fn softmax(logits: &[f64], out: &mut [f64]) {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    out.iter_mut().zip(logits).for_each(|(p, z)| *p = libm::exp(z - most));
    let sum: f64 = out.iter().sum();
    out.iter_mut().for_each(|p| *p /= sum);
}

impl Greedy for Glister<'_> {
    fn next(&mut self) -> Result<Option<usize>> {
        if self.picks.is_multiple_of(self.refresh.every) {
            self.compute_gradient();
        }
        let (train, biases) = (&self.train, &self.biases);
        let gradient: Vec<&[f32]> = self.gradient.iter().map(Vec::as_slice).collect();
        let next = self.open.take_best(|samples, values| {
            let mut products = vec![0.0; gradient.len() * samples.len()];
            let rows = train.points().rows(samples);
            pairs(train.points().isa, PairSum::InnerProduct, &gradient, &rows, &mut products);
            for (j, (&sample, value)) in samples.iter().zip(values).enumerate() {
                let of_class = |(class, &r): (usize, &f32)| {
                    f64::from(r) * (products[class * samples.len() + j] + biases[class])
                };
                *value = train.residual(sample).iter().enumerate().map(of_class).sum();
            }
        });
        if let Some(sample) = next {
            self.step(sample);
            self.picks += 1;
        }
        Ok(next)
    }
}
