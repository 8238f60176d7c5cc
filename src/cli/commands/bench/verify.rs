//! A wrong result is not worth timing: each kind of pass is checked on the subject first.

use anyhow::{Result, bail, ensure};
use fairprune::exec::{Executor, Mode, Pass};
use fairprune::ops::loss_score::Field;
use fairprune::ops::{Operators, Precision};

use super::subject::{SGD, Subject};

/// Drop of the loss, relative to it, that the checked training step aims at: far above rounding,
/// small enough for the linear prediction.
const DROP: f64 = 2e-3;

/// Largest relative deviation of the drop from its prediction; curvature takes .005. A missing or doubled
/// term of the gradient is off by far more.
const DROP_TOLERANCE: f64 = 0.1;

/// The same in bf16: weights are rounded to 2^-8 of them before they are used, so that only a larger step
/// is seen, whose curvature counts.
const DROP_BF16: f64 = 5e-2;
const DROP_TOLERANCE_BF16: f64 = 0.5;

/// Largest deviation of EL2N from its float64 value (its range is [0, sqrt 2]).
const EL2N_TOLERANCE: f64 = 1e-5;

/// Largest relative deviation of a gradient norm between batch sizes, which may be computed in
/// different forms and sum in different orders.
const GRAND_TOLERANCE: f64 = 1e-3;

/// Starts a pass over `order`.
pub fn begin<B: Operators>(
    executor: &mut Executor<B>,
    subject: &Subject<B>,
    order: &[u32],
    lrs: &[f32],
) -> Result<()> {
    let weights = vec![1.0; if lrs.is_empty() { 0 } else { subject.network.classes }];
    let labels = &subject.labels;
    let pass =
        Pass { labels, order, epoch: 0, start: 0, steps_done: 0, lrs, class_weights: &weights };
    Ok(executor.begin(&pass)?)
}

/// Checks one mode on the first batch. Leaves weights and velocities as they were.
pub fn verify<B: Operators>(
    executor: &mut Executor<B>,
    subject: &Subject<B>,
    mode: Mode,
) -> Result<()> {
    match mode {
        Mode::Train => descends(executor, subject),
        Mode::Score | Mode::LastLayerNorm => scores_agree(executor, subject, mode),
        Mode::GradNorm => {
            scores_agree(executor, subject, mode)?;
            norms_agree(executor, subject)
        }
    }
}

/// Loss of the first batch, then a step at this learning rate.
fn train_step<B: Operators>(
    executor: &mut Executor<B>,
    subject: &Subject<B>,
    lr: f32,
) -> Result<f64> {
    let batch = &subject.order[..subject.batch];
    begin(executor, subject, batch, &[lr])?;
    executor.step(Mode::Train, subject.batch, &subject.images)?;
    let losses = executor.column(Field::Loss, subject.labels.len())?;
    let sum: f64 = batch.iter().map(|&i| f64::from(losses[i as usize])).sum();
    ensure!(sum.is_finite(), "verification failed: the loss of a training batch is not finite");
    Ok(sum / batch.len() as f64)
}

/// A small step lowers the loss by what the gradient predicts.
fn descends<B: Operators>(executor: &mut Executor<B>, subject: &Subject<B>) -> Result<()> {
    executor.zero_velocities()?;
    let before = train_step(executor, subject, 0.0)?;
    let gradients = executor.gradients()?;
    // The first step from zero velocity moves by lr (1 + momentum) (g + decay w).
    let mut slope = 0.0;
    for (name, g) in &gradients {
        let w = &subject.weights.tensors[name].data;
        slope += g
            .data
            .iter()
            .zip(w)
            .map(|(&g, &w)| f64::from(g) * (f64::from(g) + f64::from(SGD.weight_decay * w)))
            .sum::<f64>();
    }
    slope *= 1.0 + f64::from(SGD.momentum);
    ensure!(slope > 0.0, "verification failed: the gradient's squared norm is {slope}");
    let (aim, tolerance) = match subject.compute.precision {
        Precision::F32 => (DROP, DROP_TOLERANCE),
        Precision::Bf16 => (DROP_BF16, DROP_TOLERANCE_BF16),
    };
    let lr = (aim * before / slope) as f32;
    executor.zero_velocities()?;
    train_step(executor, subject, lr)?;
    let drop = before - train_step(executor, subject, 0.0)?;
    let predicted = f64::from(lr) * slope;
    tracing::debug!("verification: drop of the loss over its prediction {:.4}", drop / predicted);
    let close = (drop / predicted - 1.0).abs() <= tolerance;
    ensure!(
        close,
        "verification failed: a step lowered the loss by {drop:.3e}, its gradient predicts \
         {predicted:.3e}"
    );
    executor.set_weights(&subject.weights)?;
    Ok(executor.zero_velocities()?)
}

/// EL2N is what the logits say, computed apart in float64.
fn scores_agree<B: Operators>(
    executor: &mut Executor<B>,
    subject: &Subject<B>,
    mode: Mode,
) -> Result<()> {
    let batch = executor.batch(mode);
    let (order, classes) = (&subject.order[..batch], subject.network.classes);
    begin(executor, subject, order, &[])?;
    executor.step(mode, batch, &subject.images)?;
    let logits = executor.logits(mode, batch)?;
    let scores = executor.column(Field::El2n, subject.labels.len())?;
    for (row, &i) in logits.chunks(classes).zip(order) {
        let (found, expected) =
            (f64::from(scores[i as usize]), el2n(row, subject.labels[i as usize] as usize));
        // Written so that NaN fails.
        if !((found - expected).abs() <= EL2N_TOLERANCE) {
            bail!("verification failed: EL2N of image {i} is {found}, its logits give {expected}");
        }
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
fn norms_agree<B: Operators>(executor: &mut Executor<B>, subject: &Subject<B>) -> Result<()> {
    let (n, samples) = (executor.batch(Mode::GradNorm), subject.labels.len());
    // The sample in the middle of the first batch comes again as the rest of one.
    let chosen = subject.order[n / 2];
    let mut order = subject.order[..n].to_vec();
    order.push(chosen);
    begin(executor, subject, &order, &[])?;
    executor.step(Mode::GradNorm, n, &subject.images)?;
    let norms = executor.column(Field::Grand, samples)?;
    let bad = subject.order[..n].iter().find(|&&i| !(norms[i as usize] > 0.0));
    if let Some(&i) = bad {
        bail!("verification failed: GraNd of image {i} is {}", norms[i as usize]);
    }
    executor.step(Mode::GradNorm, 1, &subject.images)?;
    let alone = executor.column(Field::Grand, samples)?[chosen as usize];
    let together = norms[chosen as usize];
    let off = f64::from((together - alone).abs());
    ensure!(
        off <= GRAND_TOLERANCE * f64::from(alone),
        "verification failed: GraNd of image {chosen} is {together} in a batch and {alone} alone"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use fairprune::backend::Cpu;

    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::cli::commands::bench::settings::Settings;

    fn subject(words: &str) -> Subject<Cpu> {
        let all = "fairprune bench --samples 20 ".to_owned() + words;
        let Command::Bench(args) = Cli::try_parse_from(all.split_whitespace()).unwrap().command
        else {
            panic!("not bench")
        };
        let settings = Settings::new(&args.suite, &args.common).unwrap();
        Subject::new(&Arc::new(Cpu::new(2).unwrap()), &settings).unwrap()
    }

    #[test]
    fn sound_passes_verify() {
        for words in [
            "--arch resnet8 --width 8 --batch 16 --image-size 16",
            "--arch resnet56 --width 4 --batch 8 --image-size 8",
            "--arch resnet50 --width 4 --batch 8 --image-size 33 --stem imagenet",
            "--arch vgg16 --width 4 --batch 16 --image-size 32",
        ] {
            let subject = subject(words);
            for mode in [Mode::Train, Mode::Score, Mode::GradNorm] {
                let mut executor = subject.executor(mode).unwrap();
                verify(&mut executor, &subject, mode).unwrap();
                if mode == Mode::Train {
                    let zero = |t: &fairprune::tensor::Tensor| t.data.iter().all(|v| *v == 0.0);
                    assert!(executor.velocities().unwrap().values().all(zero));
                }
            }
        }
    }

    #[test]
    fn an_executor_with_other_weights_does_not_descend_as_predicted() {
        let mut subject = subject("--arch resnet8 --width 8 --batch 16 --image-size 16");
        let mut executor = subject.executor(Mode::Train).unwrap();
        // The executor keeps its weights; the prediction is made from others.
        for tensor in subject.weights.tensors.values_mut() {
            tensor.data.iter_mut().for_each(|v| *v = *v * 1e4 + 1e4);
        }
        assert!(descends(&mut executor, &subject).is_err());
    }

    #[test]
    fn el2n_of_known_logits() {
        assert!((el2n(&[0.0, 0.0], 0) - 0.5f64.sqrt()).abs() < 1e-12);
        assert!((el2n(&[1000.0, 0.0], 1) - 2f64.sqrt()).abs() < 1e-12);
        assert!(el2n(&[f32::NAN, 0.0], 1).is_nan());
    }
}
