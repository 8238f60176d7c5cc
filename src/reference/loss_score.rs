//! Losses and scores by their definitions, in float64 (see `ops::loss_score`). The gradient of the
//! objective is taken by finite differences, so that it shares no formula with the operators.

/// Returns ln softmax(z), shifted by the largest logit so that nothing overflows.
pub fn log_softmax(z: &[f64]) -> Vec<f64> {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = z.iter().map(|v| (v - top).exp()).sum::<f64>().ln();
    z.iter().map(|v| v - top - log_sum).collect()
}

/// Scores of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceScores {
    pub loss: f64,
    pub el2n: f64,
    pub entropy: f64,
    pub margin: f64,
    pub label_probability: f64,
    pub aum: f64,
    pub correct: f64,
    pub prediction: f64,
    pub top_probability: f64,
}

/// Computes the scores of logits `z` under label `y`.
pub fn scores(z: &[f32], y: usize) -> ReferenceScores {
    let z: Vec<f64> = z.iter().map(|&v| v.into()).collect();
    let log_p = log_softmax(&z);
    let p: Vec<f64> = log_p.iter().map(|l| l.exp()).collect();
    let mut sorted = p.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let prediction = z.iter().position(|&v| v == largest).expect("there is a class");
    let others = z.iter().enumerate().filter(|&(k, _)| k != y).map(|(_, &v)| v);
    let terms = p.iter().zip(&log_p).filter(|(p, _)| **p > 0.0);
    ReferenceScores {
        loss: -log_p[y],
        el2n: p
            .iter()
            .enumerate()
            .map(|(k, p)| if k == y { (p - 1.0).powi(2) } else { p * p })
            .sum::<f64>()
            .sqrt(),
        entropy: -terms.map(|(p, l)| p * l).sum::<f64>(),
        margin: sorted[0] - sorted[1],
        label_probability: p[y],
        aum: z[y] - others.fold(f64::NEG_INFINITY, f64::max),
        correct: f64::from(u8::from(prediction == y)),
        prediction: prediction as f64,
        top_probability: sorted[0],
    }
}

/// Returns sum_k |p_k (ln p_k - before_k)| of logits `z`; `before` is ln p of another presentation.
pub fn divergence(before: &[f64], z: &[f32]) -> f64 {
    let z: Vec<f64> = z.iter().map(|&v| v.into()).collect();
    let pairs = log_softmax(&z).into_iter().zip(before);
    pairs.map(|(l, b)| (l.exp() * (l - b)).abs()).sum()
}

/// Returns the batch's objective: the cross-entropy with class weights `w` and label smoothing `e`,
/// the mean as PyTorch takes it, each term times the weight `s` of its row. `logits` holds one row
/// of `w.len()` values for each label.
pub fn objective(logits: &[f64], labels: &[usize], [w, s]: [&[f64]; 2], e: f64) -> f64 {
    let k = w.len();
    let mut total = 0.0;
    for ((z, &y), s) in logits.chunks(k).zip(labels).zip(s) {
        let log_p = log_softmax(z);
        let smooth: f64 = w.iter().zip(&log_p).map(|(w, l)| -w * l).sum();
        total += s * ((1.0 - e) * w[y] * -log_p[y] + e / k as f64 * smooth);
    }
    total / labels.iter().map(|&y| w[y]).sum::<f64>()
}

/// Step of the differences below.
const STEP: f64 = 1e-4;
/// The largest error of [`objective_gradient`] for logits of order 10: the fifth derivative's term
/// and rounding.
pub const DIFFERENCE_ERROR: f64 = 1e-10;

/// Computes the gradient of [`objective`] by five-point differences.
pub fn objective_gradient(
    logits: &[f32],
    labels: &[usize],
    weights: [&[f64]; 2],
    e: f64,
) -> Vec<f64> {
    let logits: Vec<f64> = logits.iter().map(|&v| v.into()).collect();
    let at = |i: usize, offset: f64| {
        let mut moved = logits.clone();
        moved[i] += offset;
        objective(&moved, labels, weights, e)
    };
    (0..logits.len())
        .map(|i| {
            let near = at(i, STEP) - at(i, -STEP);
            let far = at(i, 2.0 * STEP) - at(i, -2.0 * STEP);
            (8.0 * near - far) / (12.0 * STEP)
        })
        .collect()
}
