//! Convolution by its definition, in float64 (see `ops::conv2d` for formulas and layouts).

use super::Sums;
use crate::ops::conv2d::Conv2dProblem;

/// Calls `f(x index, w index, y index)` for every term of the convolution.
fn for_each_term(p: &Conv2dProblem, mut f: impl FnMut(usize, usize, usize)) {
    if p.n == 0 {
        return;
    }
    let (out_h, out_w) = (p.p(), p.q());
    for n in 0..p.n {
        for (oh, ow) in (0..out_h).flat_map(|oh| (0..out_w).map(move |ow| (oh, ow))) {
            for (r, s) in (0..p.r).flat_map(|r| (0..p.s).map(move |s| (r, s))) {
                let h = (oh * p.stride[0] + r).wrapping_sub(p.pad[0]);
                let w = (ow * p.stride[1] + s).wrapping_sub(p.pad[1]);
                if h >= p.h || w >= p.w {
                    continue;
                }
                for k in 0..p.k {
                    let y = ((n * out_h + oh) * out_w + ow) * p.k + k;
                    for c in 0..p.c {
                        let x = ((n * p.h + h) * p.w + w) * p.c + c;
                        f(x, ((k * p.r + r) * p.s + s) * p.c + c, y);
                    }
                }
            }
        }
    }
}

/// Computes y = x * w + bias.
pub fn fprop(p: &Conv2dProblem, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Sums {
    let mut y = Sums::zeros(p.y_len());
    for_each_term(p, |xi, wi, yi| y.add(yi, x[xi].into(), w[wi].into()));
    if let Some(bias) = bias {
        for i in 0..p.y_len() {
            y.add(i, bias[i % p.k].into(), 1.0);
        }
    }
    y
}

/// Computes dx = dy * w^T, plus `before` if given.
pub fn dgrad(p: &Conv2dProblem, dy: &[f32], w: &[f32], before: Option<&[f32]>) -> Sums {
    let mut dx = Sums::zeros(p.x_len());
    for_each_term(p, |xi, wi, yi| dx.add(xi, dy[yi].into(), w[wi].into()));
    for (i, &b) in before.unwrap_or(&[]).iter().enumerate() {
        dx.add(i, b.into(), 1.0);
    }
    dx
}

/// Computes dw over the batch.
pub fn wgrad(p: &Conv2dProblem, x: &[f32], dy: &[f32]) -> Sums {
    let mut dw = Sums::zeros(p.w_len());
    for_each_term(p, |xi, wi, yi| dw.add(wi, x[xi].into(), dy[yi].into()));
    dw
}

/// Computes db over the batch.
pub fn bias_grad(p: &Conv2dProblem, dy: &[f32]) -> Sums {
    let mut db = Sums::zeros(p.k);
    for (i, &v) in dy.iter().enumerate() {
        db.add(i % p.k, v.into(), 1.0);
    }
    db
}

/// Squared norms of the per-sample gradients.
#[derive(Clone, Debug, Default)]
pub struct Norms {
    /// The squared norm of each sample's gradient.
    pub value: Vec<f64>,
    /// The sum over gradient entries of |g| times the sum of |a||b| behind g, which is the measure
    /// for errors of an instantiated gradient.
    pub instantiated: Vec<f64>,
    /// The sum over gradient entries of the square of the sum of |a||b|, which is also the sum over
    /// pairs of positions of the Gram products' magnitudes.
    pub gram: Vec<f64>,
}

/// Returns the squared norm of every sample's gradient with respect to w (and to the bias).
pub fn grad_norms(p: &Conv2dProblem, x: &[f32], dy: &[f32], bias: bool) -> Norms {
    let one = p.with_n(1);
    let mut norms = Norms::default();
    for n in 0..p.n {
        let x = &x[n * one.x_len()..(n + 1) * one.x_len()];
        let dy = &dy[n * one.y_len()..(n + 1) * one.y_len()];
        let dw = wgrad(&one, x, dy);
        let db = if bias { bias_grad(&one, dy) } else { Sums::zeros(0) };
        let entries = || {
            let both = dw.value.iter().chain(&db.value);
            both.zip(dw.magnitude.iter().chain(&db.magnitude))
        };
        norms.value.push(entries().map(|(g, _)| g * g).sum());
        norms.instantiated.push(entries().map(|(g, m)| g.abs() * m).sum());
        norms.gram.push(entries().map(|(_, m)| m * m).sum());
    }
    norms
}

/// Returns the mean over all rows of `y` (rows x `k`) and the sum of squared deviations, for each
/// channel.
pub fn moments(y: &[f32], k: usize) -> (Vec<f64>, Vec<f64>) {
    let count = (y.len() / k).max(1) as f64;
    let channel = |c: usize| y.iter().skip(c).step_by(k).map(|&v| f64::from(v));
    let mean: Vec<f64> = (0..k).map(|c| channel(c).sum::<f64>() / count).collect();
    let m2 = (0..k).map(|c| channel(c).map(|v| (v - mean[c]).powi(2)).sum()).collect();
    (mean, m2)
}
