//! A wrong result is not worth timing: each kind of pass is checked on the network and its images first.

use super::network::{SGD, TimedNetwork};
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode, Pass};
use crate::ops::loss_score::Field;
use crate::ops::{Operators, Precision};

/// Drop of the loss, relative to it, that the checked training step aims at: far above rounding,
/// small enough for the linear prediction.
const DROP: f64 = 2e-3;

/// Largest relative deviation of the drop from its prediction; curvature takes .005. A missing or doubled
/// term of the gradient is off by far more.
const DROP_TOLERANCE: f64 = 0.1;

/// Drop and tolerance in bf16: weights are rounded to 2^-8 of them before they are used, so that only a
/// larger step is seen, whose curvature counts.
const DROP_BF16: f64 = 5e-2;
const DROP_TOLERANCE_BF16: f64 = 0.5;

/// Largest deviation of EL2N from its float64 value (its range is [0, sqrt 2]).
const EL2N_TOLERANCE: f64 = 1e-5;

/// Largest relative deviation of a gradient norm between batch sizes, which may be computed in
/// different forms and sum in different orders.
const GRAND_TOLERANCE: f64 = 1e-3;

fn ensure(holds: bool, found: impl FnOnce() -> String) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::Measurement(format!("verification failed: {}", found())))
}

/// Starts a pass over `order`.
pub fn begin<B: Operators>(
    executor: &mut Executor<B>,
    timed: &TimedNetwork<B>,
    order: &[u32],
    lrs: &[f32],
) -> Result<()> {
    let weights = vec![1.0; if lrs.is_empty() { 0 } else { timed.network.classes }];
    let labels = &timed.labels;
    let pass =
        Pass { labels, order, epoch: 0, start: 0, steps_done: 0, lrs, class_weights: &weights };
    executor.begin(&pass)
}

/// Checks one mode on the first batch. Leaves weights and velocities as they were.
pub fn verify<B: Operators>(
    executor: &mut Executor<B>,
    timed: &TimedNetwork<B>,
    mode: Mode,
) -> Result<()> {
    match mode {
        Mode::Train => descends(executor, timed),
        Mode::Score | Mode::LastLayerNorm => scores_agree(executor, timed, mode),
        Mode::GradNorm => {
            scores_agree(executor, timed, mode)?;
            norms_agree(executor, timed)
        }
    }
}

/// Loss of the first batch, then a step at this learning rate.
fn train_step<B: Operators>(
    executor: &mut Executor<B>,
    timed: &TimedNetwork<B>,
    lr: f32,
) -> Result<f64> {
    let batch = &timed.order[..timed.batch];
    begin(executor, timed, batch, &[lr])?;
    executor.step(Mode::Train, timed.batch, &timed.images)?;
    let losses = executor.column(Field::Loss, timed.labels.len())?;
    let sum: f64 = batch.iter().map(|&i| f64::from(losses[i as usize])).sum();
    ensure(sum.is_finite(), || "the loss of a training batch is not finite".to_owned())?;
    Ok(sum / batch.len() as f64)
}

/// A small step lowers the loss by what the gradient predicts.
fn descends<B: Operators>(executor: &mut Executor<B>, timed: &TimedNetwork<B>) -> Result<()> {
    executor.zero_velocities()?;
    let before = train_step(executor, timed, 0.0)?;
    let gradients = executor.gradients()?;
    // The first step from zero velocity moves by lr (1 + momentum) (g + decay w).
    let mut slope = 0.0;
    for (name, g) in &gradients {
        let w = &timed.weights.tensors[name].data;
        slope += g
            .data
            .iter()
            .zip(w)
            .map(|(&g, &w)| f64::from(g) * (f64::from(g) + f64::from(SGD.weight_decay * w)))
            .sum::<f64>();
    }
    slope *= 1.0 + f64::from(SGD.momentum);
    ensure(slope > 0.0, || format!("the gradient's squared norm is {slope}"))?;
    let (aim, tolerance) = match timed.compute.precision {
        Precision::F32 => (DROP, DROP_TOLERANCE),
        Precision::Bf16 => (DROP_BF16, DROP_TOLERANCE_BF16),
    };
    let lr = (aim * before / slope) as f32;
    executor.zero_velocities()?;
    train_step(executor, timed, lr)?;
    let drop = before - train_step(executor, timed, 0.0)?;
    let predicted = f64::from(lr) * slope;
    tracing::debug!("verification: drop of the loss over its prediction {:.4}", drop / predicted);
    let close = (drop / predicted - 1.0).abs() <= tolerance;
    ensure(close, || {
        format!("a step lowered the loss by {drop:.3e}, its gradient predicts {predicted:.3e}")
    })?;
    executor.set_weights(&timed.weights)?;
    executor.zero_velocities()
}

/// EL2N is what the logits say, computed apart in float64.
fn scores_agree<B: Operators>(
    executor: &mut Executor<B>,
    timed: &TimedNetwork<B>,
    mode: Mode,
) -> Result<()> {
    let batch = executor.batch(mode);
    let (order, classes) = (&timed.order[..batch], timed.network.classes);
    begin(executor, timed, order, &[])?;
    executor.step(mode, batch, &timed.images)?;
    let logits = executor.logits(mode, batch)?;
    let scores = executor.column(Field::El2n, timed.labels.len())?;
    for (row, &i) in logits.chunks(classes).zip(order) {
        let (found, expected) =
            (f64::from(scores[i as usize]), el2n(row, timed.labels[i as usize] as usize));
        // Written so that NaN fails.
        ensure((found - expected).abs() <= EL2N_TOLERANCE, || {
            format!("EL2N of image {i} is {found}, its logits give {expected}")
        })?;
    }
    Ok(())
}

/// Norm of softmax - onehot.
fn el2n(logits: &[f32], label: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f64> = logits.iter().map(|&z| f64::from(z - max).exp()).collect();
    let sum: f64 = exp.iter().sum();
    let error = |(k, e): (usize, &f64)| (e / sum - f64::from(u8::from(k == label))).powi(2);
    exp.iter().enumerate().map(error).sum::<f64>().sqrt()
}

/// A sample's gradient norm in a batch is its norm in a batch of one.
fn norms_agree<B: Operators>(executor: &mut Executor<B>, timed: &TimedNetwork<B>) -> Result<()> {
    let (n, samples) = (executor.batch(Mode::GradNorm), timed.labels.len());
    // The sample in the middle of the first batch comes again as the rest of one.
    let chosen = timed.order[n / 2];
    let mut order = timed.order[..n].to_vec();
    order.push(chosen);
    begin(executor, timed, &order, &[])?;
    executor.step(Mode::GradNorm, n, &timed.images)?;
    let norms = executor.column(Field::Grand, samples)?;
    for &i in &timed.order[..n] {
        let norm = norms[i as usize];
        ensure(norm > 0.0, || format!("GraNd of image {i} is {norm}"))?;
    }
    executor.step(Mode::GradNorm, 1, &timed.images)?;
    let alone = executor.column(Field::Grand, samples)?[chosen as usize];
    let together = norms[chosen as usize];
    let off = f64::from((together - alone).abs());
    ensure(off <= GRAND_TOLERANCE * f64::from(alone), || {
        format!("GraNd of image {chosen} is {together} in a batch and {alone} alone")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::Cpu;
    use crate::bench::settings::Measurement;
    use crate::nn::Stem;

    fn timed(arch: &str, width: usize, batch: usize, side: usize) -> TimedNetwork<Cpu> {
        let settings = Measurement {
            arch: arch.parse().unwrap(),
            width: Some(width),
            batch,
            image_size: Some(side),
            stem: (arch == "resnet50").then_some(Stem::Imagenet),
            samples: Some(20),
            ..Measurement::default()
        };
        TimedNetwork::new(&Arc::new(Cpu::new(2).unwrap()), &settings).unwrap()
    }

    #[test]
    fn sound_passes_verify() {
        for (arch, width, batch, side) in [
            ("resnet8", 8, 16, 16),
            ("resnet56", 4, 8, 8),
            ("resnet50", 4, 8, 33),
            ("vgg16", 4, 16, 32),
        ] {
            let timed = timed(arch, width, batch, side);
            for mode in [Mode::Train, Mode::Score, Mode::GradNorm] {
                let mut executor = timed.executor(mode).unwrap();
                verify(&mut executor, &timed, mode).unwrap();
                if mode == Mode::Train {
                    let zero = |t: &crate::tensor::Tensor| t.data.iter().all(|v| *v == 0.0);
                    assert!(executor.velocities().unwrap().values().all(zero));
                }
            }
        }
    }

    #[test]
    fn an_executor_with_other_weights_does_not_descend_as_predicted() {
        let mut timed = timed("resnet8", 8, 16, 16);
        let mut executor = timed.executor(Mode::Train).unwrap();
        // The executor keeps its weights; the prediction is made from others.
        for tensor in timed.weights.tensors.values_mut() {
            tensor.data.iter_mut().for_each(|v| *v = *v * 1e4 + 1e4);
        }
        assert!(descends(&mut executor, &timed).is_err());
    }

    #[test]
    fn el2n_of_known_logits() {
        assert!((el2n(&[0.0, 0.0], 0) - 0.5f64.sqrt()).abs() < 1e-12);
        assert!((el2n(&[1000.0, 0.0], 1) - 2f64.sqrt()).abs() < 1e-12);
        assert!(el2n(&[f32::NAN, 0.0], 1).is_nan());
    }
}
