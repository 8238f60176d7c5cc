//! GradMatch: weighted picks whose gradients sum to the mean gradient of all samples.
//!
//! Source: Killamsetty et al. 2021. min over w >= 0 of || sum_S w g - mean g ||^2 + lam ||w||^2 by
//! orthogonal matching pursuit: the next pick is the sample whose gradient has the greatest inner
//! product with what is missing, then all weights are solved for again. Gradients are those of the
//! last layer.

use rayon::prelude::*;

use super::nnls::Nnls;
use super::{Greedy, Unpicked};
use crate::error::{Error, Result};
use crate::isa::multiversion;
use crate::prune::space::{CHUNK, Gradients, fill_chunks};

/// GradMatch's picks; [`bytes`] tells the memory.
pub(crate) struct GradMatch<'a> {
    gradients: Gradients<'a>,
    lambda: f64,
    /// < g_j, mean g > for every sample j.
    target: Vec<f64>,
    /// < g_s, g_j > for every pick s and every sample j.
    rows: Vec<Vec<f32>>,
    /// Inner product of every sample with mean g - sum_S w g.
    missing: Vec<f64>,
    picks: Vec<usize>,
    /// The numbers 0, 1, ...: variable i of the solver is pick i.
    places: Vec<usize>,
    solver: Nnls,
    open: Unpicked,
}

/// Returns the bytes for `picks` of `n` samples: the products of every pick with every sample, and
/// a triangular factor.
pub(crate) fn bytes(n: usize, picks: usize) -> f64 {
    let (n, picks) = (n as f64, picks as f64);
    4.0 * n * picks + 4.0 * picks * (picks + 1.0) + 40.0 * n
}

impl<'a> GradMatch<'a> {
    /// Starts with no pick.
    ///
    /// # Errors
    /// `most` picks would take more than `limit` bytes.
    pub(crate) fn new(
        gradients: Gradients<'a>,
        lambda: f64,
        positions: &[usize],
        seed: u64,
        most: usize,
        limit: usize,
    ) -> Result<Self> {
        let n = gradients.len();
        let needed = bytes(n, most);
        if needed > limit as f64 {
            return Err(Error::invalid(
                "grad-match",
                format!("{needed:.0} bytes for {most} picks of {n} samples"),
                format!("at most {limit}: pick inside classes, or allow more memory"),
            ));
        }
        let mean = gradients.weighted_sum(|_| 1.0 / n as f64);
        let target = gradients.project(&mean);
        Ok(GradMatch {
            gradients,
            lambda,
            missing: target.clone(),
            target,
            rows: Vec::new(),
            picks: Vec::new(),
            places: Vec::new(),
            solver: Nnls::new(lambda),
            open: Unpicked::new(positions, seed),
        })
    }

    /// Returns the inner product of every sample with what `solver` leaves missing; variable i is
    /// pick `places[i]`.
    fn missing(&self, solver: &Nnls, places: &[usize]) -> Vec<f64> {
        let isa = self.gradients.points().isa;
        let mut missing = self.target.clone();
        let weights = solver.weights();
        missing.par_chunks_mut(CHUNK).enumerate().for_each(|(c, sums)| {
            for &p in solver.positive() {
                let row = &self.rows[places[p]][c * CHUNK..][..sums.len()];
                subtract(isa, weights[p], row, sums);
            }
        });
        missing
    }

    /// Solves for the weights of the picks `places`, starting from the solution in `solver`, whose
    /// `missing` is known. Returns what is missing afterwards.
    fn solve(&self, solver: &mut Nnls, places: &[usize], missing: Vec<f64>) -> Vec<f64> {
        let sample = |i: usize| self.picks[places[i]];
        let gram = |i: usize, j: usize| f64::from(self.rows[places[i]][sample(j)]);
        let (mut missing, mut known) = (missing, true);
        solver.solve(gram, |solver| {
            if !std::mem::take(&mut known) {
                missing = self.missing(solver, places);
            }
            (0..places.len()).map(|i| missing[sample(i)]).collect()
        });
        missing
    }
}

multiversion! {
    /// Computes `sum -= factor * row`.
    fn subtract(factor: f64, row: &[f32], sum: &mut [f64]) {
        for (s, &x) in sum.iter_mut().zip(row) {
            *s -= factor * f64::from(x);
        }
    }
}

impl Greedy for GradMatch<'_> {
    fn next(&mut self) -> Result<Option<usize>> {
        let missing = &self.missing;
        let next = self.open.take_best(|samples, values| {
            samples.iter().zip(values).for_each(|(&sample, v)| *v = missing[sample]);
        });
        let Some(sample) = next else { return Ok(None) };
        let mut row = vec![0.0f32; self.gradients.len()];
        fill_chunks(&mut row, |first, places| {
            let samples: Vec<usize> = (first..first + places.len()).collect();
            let mut products = vec![0.0; places.len()];
            self.gradients.products(&[sample], &samples, &mut products);
            places.iter_mut().zip(products).for_each(|(p, v)| *p = v as f32);
        });
        self.rows.push(row);
        self.places.push(self.picks.len());
        self.picks.push(sample);
        let mut solver = std::mem::replace(&mut self.solver, Nnls::new(self.lambda));
        solver.push(self.target[sample]);
        let missing = std::mem::take(&mut self.missing);
        self.missing = self.solve(&mut solver, &self.places, missing);
        self.solver = solver;
        Ok(Some(sample))
    }

    /// The weights are the w of the formula.
    fn weights(&mut self, kept: &[usize]) -> Result<Option<Vec<f64>>> {
        let mut place_of = vec![None; self.gradients.len()];
        self.picks.iter().enumerate().for_each(|(p, &sample)| place_of[sample] = Some(p));
        let places: Option<Vec<usize>> = kept.iter().map(|&sample| place_of[sample]).collect();
        let places =
            places.ok_or_else(|| Error::Internal("a weight of what was not picked".to_owned()))?;
        if places.len() == self.picks.len() {
            return Ok(Some(places.iter().map(|&p| self.solver.weights()[p]).collect()));
        }
        let mut solver = Nnls::new(self.lambda);
        kept.iter().for_each(|&sample| solver.push(self.target[sample]));
        self.solve(&mut solver, &places, self.target.clone());
        Ok(Some(solver.weights().to_vec()))
    }
}
