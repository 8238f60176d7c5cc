//! One step of stochastic gradient descent, in float64 (see `ops::sgd`).

use super::Sums;
use crate::ops::sgd::SgdProblem;

/// Returns (w, v) after one step with learning rate `lr`.
pub fn step(p: &SgdProblem, lr: f32, dw: &[f32], w: &[f32], v: &[f32]) -> [Sums; 2] {
    let [mut new_w, mut new_v] = [(); 2].map(|()| Sums::zeros(w.len()));
    let (momentum, decay) = (f64::from(p.momentum), f64::from(p.weight_decay));
    let lr = f64::from(lr);
    for i in 0..w.len() {
        let terms = [f64::from(dw[i]), decay * f64::from(w[i])];
        new_v.add(i, momentum, v[i].into());
        terms.iter().for_each(|&t| new_v.add(i, t, 1.0));
        new_w.add(i, w[i].into(), 1.0);
        if p.nesterov {
            terms.iter().for_each(|&t| new_w.add(i, -lr, t));
            new_w.value[i] -= lr * momentum * new_v.value[i];
            new_w.magnitude[i] += lr * momentum * new_v.magnitude[i];
        } else {
            new_w.value[i] -= lr * new_v.value[i];
            new_w.magnitude[i] += lr * new_v.magnitude[i];
        }
    }
    [new_w, new_v]
}
