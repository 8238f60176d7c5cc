//! Batch normalisation by its definition, in float64 (see `ops::batch_norm` for the formulas).
//! Per-channel inputs are the f32 values that the operator was given, so that each call is judged
//! by its own errors alone.

use super::Sums;
pub use super::conv2d::moments;
use crate::ops::batch_norm::{BatchNormProblem, EPS, MOMENTUM};

/// Per-channel results of `batch_norm_finalize` and `batch_norm_eval_affine`.
#[derive(Clone, Debug)]
pub struct Map {
    /// 1 / sqrt(variance + eps).
    pub rstd: Sums,
    /// gamma * rstd.
    pub scale: Sums,
    /// beta - mean * scale.
    pub shift: Sums,
}

/// Returns the affine map of a mean and a variance.
pub fn map(mean: &[f64], variance: &[f64], gamma: &[f32], beta: &[f32]) -> Map {
    let channels = mean.len();
    let [mut rstd, mut scale, mut shift] = [(); 3].map(|()| Sums::zeros(channels));
    for c in 0..channels {
        let r = 1.0 / (variance[c] + f64::from(EPS)).sqrt();
        let s = f64::from(gamma[c]) * r;
        rstd.add(c, r, 1.0);
        scale.add(c, s, 1.0);
        shift.add(c, beta[c].into(), 1.0);
        shift.add(c, mean[c], -s);
    }
    Map { rstd, scale, shift }
}

/// Returns the running mean and variance after a batch of `count` values for each channel.
pub fn running(mean: &[f32], m2: &[f32], count: usize, before: [&[f32]; 2]) -> [Sums; 2] {
    let momentum = f64::from(MOMENTUM);
    let blend = |old: &[f32], new: &dyn Fn(usize) -> f64| {
        let mut sums = Sums::zeros(old.len());
        for (c, &o) in old.iter().enumerate() {
            sums.add(c, 1.0 - momentum, o.into());
            sums.add(c, momentum, new(c));
        }
        sums
    };
    let unbiased = count as f64 - 1.0;
    [blend(before[0], &|c| mean[c].into()), blend(before[1], &|c| f64::from(m2[c]) / unbiased)]
}

/// Computes out = act(y * scale + shift (+ residual)).
pub fn apply(
    p: &BatchNormProblem,
    y: &[f32],
    scale: &[f32],
    shift: &[f32],
    residual: Option<&[f32]>,
    relu: bool,
) -> Sums {
    let mut out = Sums::zeros(p.len());
    for i in 0..p.len() {
        let c = i % p.c;
        out.add(i, y[i].into(), scale[c].into());
        out.add(i, shift[c].into(), 1.0);
        if let Some(r) = residual {
            out.add(i, r[i].into(), 1.0);
        }
        if relu {
            out.value[i] = out.value[i].max(0.0);
        }
    }
    out
}

/// What the backward calls read, as slices.
#[derive(Clone, Copy)]
pub struct BackwardValues<'a> {
    /// Gradient of the output.
    pub dout: &'a [f32],
    /// The output of a ReLU, whose sign is the mask.
    pub out: Option<&'a [f32]>,
    /// Input of the batch norm.
    pub y: &'a [f32],
    /// Mean of each channel.
    pub mean: &'a [f32],
    /// 1 / sqrt(variance + eps) of each channel.
    pub rstd: &'a [f32],
}

impl BackwardValues<'_> {
    /// Returns the gradient behind the ReLU.
    pub fn dz(&self, i: usize) -> f64 {
        match self.out {
            Some(out) if out[i] <= 0.0 => 0.0,
            _ => self.dout[i].into(),
        }
    }

    fn xhat(&self, i: usize) -> f64 {
        let c = i % self.mean.len();
        (f64::from(self.y[i]) - f64::from(self.mean[c])) * f64::from(self.rstd[c])
    }
}

/// Returns (dgamma, dbeta) over samples `from..to` of the batch.
pub fn parameter_gradients(
    p: &BatchNormProblem,
    input: &BackwardValues,
    samples: std::ops::Range<usize>,
) -> [Sums; 2] {
    let [mut dgamma, mut dbeta] = [(); 2].map(|()| Sums::zeros(p.c));
    for i in samples.start * p.hw * p.c..samples.end * p.hw * p.c {
        dgamma.add(i % p.c, input.dz(i), input.xhat(i));
        dbeta.add(i % p.c, input.dz(i), 1.0);
    }
    [dgamma, dbeta]
}

/// Returns dy under batch statistics, from the gradients that the operator was given.
pub fn backward(
    p: &BatchNormProblem,
    input: &BackwardValues,
    gamma: &[f32],
    dgamma: &[f32],
    dbeta: &[f32],
) -> Sums {
    let mut dy = Sums::zeros(p.len());
    let count = p.count() as f64;
    for i in 0..p.len() {
        let c = i % p.c;
        let scale = f64::from(gamma[c]) * f64::from(input.rstd[c]);
        dy.add(i, scale, input.dz(i));
        dy.add(i, scale, -f64::from(dbeta[c]) / count);
        dy.add(i, -scale * input.xhat(i), f64::from(dgamma[c]) / count);
    }
    dy
}

/// Returns dy under running statistics.
pub fn backward_eval(p: &BatchNormProblem, input: &BackwardValues, scale: &[f32]) -> Sums {
    let mut dy = Sums::zeros(p.len());
    (0..p.len()).for_each(|i| dy.add(i, scale[i % p.c].into(), input.dz(i)));
    dy
}

/// Returns the squared norm of every sample's gradient with respect to gamma and beta, and what an
/// error of one unit in the channel sums' magnitudes does to it: sum_c 2 |s_c| magnitude_c.
pub fn norms(p: &BatchNormProblem, input: &BackwardValues) -> Sums {
    let mut norms = Sums::zeros(p.n);
    for n in 0..p.n {
        for sums in parameter_gradients(p, input, n..n + 1) {
            for (s, m) in sums.value.iter().zip(&sums.magnitude) {
                norms.value[n] += s * s;
                norms.magnitude[n] += 2.0 * s.abs() * m;
            }
        }
    }
    norms
}
