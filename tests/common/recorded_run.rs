//! A small run that is recorded, and the logits of its every presentation, on any backend.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fairprune::artefact::dynamics::Quantity;
use fairprune::error::Result;
use fairprune::exec::{
    ArenaMode, EvaluationSet, Executor, Mode, Pass, Requirements, TrainOptions, batch_sizes,
    run_pass,
};
use fairprune::nn::init::initialise;
use fairprune::nn::{NetworkSpec, Stem, Weights};
use fairprune::ops::Operators;
use fairprune::ops::gather::Augmentation;
use fairprune::ops::loss_score::Field;
use fairprune::ops::sgd::SgdProblem;
use fairprune::reference::loss_score as oracle;
use fairprune::reference::{U, judge};
use fairprune::requests::Requests;
use fairprune::rng::{Philox, Stream};
use fairprune::score::features::extract;
use fairprune::train::order::epoch_order;
use fairprune::train::{
    Control, Recipe, Recording, Schedule, Seeds, TrainJob, TrainProgress, train,
};

pub const CLASSES: usize = 4;
/// One more than three batches: every epoch leaves a sample out.
pub const SAMPLES: usize = 25;
pub const BATCH: usize = 8;
const SIZE: [usize; 2] = [10, 8];
const SEEDS: Seeds = Seeds { init: 3, order: 4, augment: 5, subset: 0 };
/// Scored in batches that leave a rest.
pub const SCORE_BATCH: usize = 7;

/// Images of classes that are hard to tell apart, so that samples are learned and forgotten.
pub fn part() -> (Vec<u8>, Vec<u32>) {
    let mut draws = Philox::new(8, Stream::Shapes).sequence(0);
    let labels: Vec<u32> = (0..SAMPLES).map(|i| (i % CLASSES) as u32).collect();
    let values = SIZE[0] * SIZE[1] * 3;
    let byte = |label: u32, draw: u32| (draw * 3 / 4 + 12 * label) as u8;
    let images =
        labels.iter().flat_map(|&l| vec![l; values]).map(|l| byte(l, draws.below(256))).collect();
    (images, labels)
}

pub fn recipe(epochs: usize) -> Recipe {
    Recipe {
        epochs,
        batch: BATCH,
        lr: 0.1,
        schedule: Schedule::Constant,
        warmup_steps: 0,
        momentum: 0.9,
        nesterov: true,
        weight_decay: 5e-4,
        label_smoothing: 0.1,
        class_weights: Some(vec![1.0, 0.5, 2.0, 1.0]),
        flip: false,
        translate: 0,
        resized_crop: false,
    }
}

/// An executor for the run, recorded or not.
pub fn executor<B: Operators>(backend: Arc<B>, divergences: bool, arena: ArenaMode) -> Executor<B> {
    let spec = NetworkSpec {
        arch: "resnet8".parse().unwrap(),
        width: 4,
        stem: Stem::Cifar,
        classes: CLASSES,
        size: SIZE,
    };
    let recipe = recipe(1);
    let requirements = Requirements {
        passes: vec![
            (Mode::Train, BATCH, SAMPLES),
            (Mode::Score, SCORE_BATCH, SAMPLES),
            (Mode::LastLayerNorm, SCORE_BATCH, SAMPLES),
        ],
        capacity: SAMPLES,
        options: TrainOptions {
            sgd: SgdProblem {
                momentum: recipe.momentum,
                weight_decay: recipe.weight_decay,
                nesterov: recipe.nesterov,
            },
            smoothing: recipe.label_smoothing,
            augmentation: Augmentation::NONE,
            seed: SEEDS.augment,
        },
        divergences,
        mean: [0.5, 0.45, 0.4],
        std: [0.25, 0.2, 0.3],
        arena,
        compute: fairprune::exec::Compute::default(),
        stored: None,
        stream: false,
        memory_limit: None,
    };
    Executor::new(backend, spec.build().unwrap(), &requirements).unwrap()
}

/// How a recorded run is done.
pub struct Run {
    pub epochs: usize,
    /// Steps to do, of 3 an epoch.
    pub until: u64,
    pub recording: Recording,
    pub checkpoint: Option<PathBuf>,
    /// Step at which it is interrupted.
    pub stop_at: Option<u64>,
}

impl Run {
    /// All epochs in memory, everything recorded.
    pub fn whole(epochs: usize) -> Run {
        let recording = Recording { divergence: true };
        Run { epochs, until: 3 * epochs as u64, recording, checkpoint: None, stop_at: None }
    }

    /// T x N values of every recorded quantity.
    pub fn record<B: Operators>(
        &self,
        executor: &mut Executor<B>,
        images: &B::Images,
        labels: &[u32],
    ) -> Result<Vec<(Quantity, Vec<f32>)>> {
        let recipe = recipe(self.epochs);
        let all: Vec<u32> = (0..SAMPLES as u32).collect();
        let job = TrainJob {
            recipe: &recipe,
            seeds: SEEDS,
            total_steps: 3 * self.epochs as u64,
            until: self.until,
            images,
            labels,
            subset: &all,
            // Between two epochs, into the same table.
            validation: Some(EvaluationSet { images, labels, positions: &all, groups: None }),
            evaluate_every: 1,
            keep_best: false,
            identity: "a recorded run".to_owned(),
            sample_weights: None,
            initial: None,
            record: Some(self.recording),
        };
        let requests = Requests::new();
        let mut progress = |p: TrainProgress| {
            if Some(p.step) == self.stop_at {
                requests.ask_to_stop();
            }
        };
        let checkpoint = self.checkpoint.clone().map(|path| (path, Duration::ZERO));
        let mut control = Control { requests: &requests, progress: &mut progress, checkpoint };
        let mut recorder = train(executor, &job, &mut control)?.dynamics.expect("it is recorded");
        let quantities = self.recording.quantities().iter();
        quantities.map(|&q| Ok((q, recorder.all(q)?))).collect()
    }
}

/// Logits of every presentation of the same run, T x N x K, NaN where an epoch left a sample out;
/// driven step by step, without the trainer.
pub fn logits<B: Operators>(
    executor: &mut Executor<B>,
    images: &B::Images,
    labels: &[u32],
    epochs: usize,
) -> Vec<f32> {
    let recipe = recipe(epochs);
    let weights = initialise(executor.network(), SEEDS.init);
    executor.set_weights(&weights).unwrap();
    executor.zero_velocities().unwrap();
    let all: Vec<u32> = (0..SAMPLES as u32).collect();
    let sizes = batch_sizes(Mode::Train, BATCH, SAMPLES);
    let mut logits = vec![f32::NAN; epochs * SAMPLES * CLASSES];
    for (epoch, of_epoch) in logits.chunks_mut(SAMPLES * CLASSES).enumerate() {
        let order = epoch_order(SEEDS.order, epoch as u32, SAMPLES, &all);
        executor
            .begin(&Pass {
                labels,
                order: &order,
                epoch: epoch as u32,
                start: 0,
                steps_done: (epoch * sizes.len()) as u32,
                lrs: &vec![recipe.lr as f32; sizes.len()],
                class_weights: recipe.class_weights.as_ref().unwrap(),
            })
            .unwrap();
        for (batch, &n) in sizes.iter().enumerate() {
            executor.step(Mode::Train, n, images).unwrap();
            let z = executor.logits(Mode::Train, n).unwrap();
            for (&i, z) in order[batch * BATCH..].iter().zip(z.chunks(CLASSES)) {
                of_epoch[i as usize * CLASSES..][..CLASSES].copy_from_slice(z);
            }
        }
    }
    logits
}

/// Holds recorded quantities against the definitions, computed from the logits in f64.
pub fn check(recorded: &[(Quantity, Vec<f32>)], logits: &[f32], labels: &[u32]) {
    let mut presentations = 0;
    for sample in 0..SAMPLES {
        let mut before: Option<Vec<f64>> = None;
        for (epoch, of_epoch) in logits.chunks(SAMPLES * CLASSES).enumerate() {
            let z = &of_epoch[sample * CLASSES..][..CLASSES];
            let value = |q: Quantity| {
                let values = recorded.iter().find(|r| r.0 == q);
                values.map(|(_, values)| values[epoch * SAMPLES + sample])
            };
            if z[0].is_nan() {
                let all_nan = Quantity::ALL.into_iter().filter_map(value).all(f32::is_nan);
                assert!(all_nan, "sample {sample} was not presented in epoch {epoch}");
                continue;
            }
            presentations += 1;
            let s = oracle::scores(z, labels[sample] as usize);
            for (quantity, reference) in [
                (Quantity::Loss, s.loss),
                (Quantity::LabelProbability, s.label_probability),
                (Quantity::Correct, s.correct),
                (Quantity::LogitMargin, s.aum),
                (Quantity::El2n, s.el2n),
            ] {
                let what = format!("{quantity:?} of sample {sample} in epoch {epoch}");
                let out = value(quantity).unwrap();
                judge(&what, &[out], &[reference], |_| U * reference.abs() + 1e-13).unwrap();
            }
            let log_p = oracle::log_softmax(&z.iter().map(|&v| v.into()).collect::<Vec<f64>>());
            if let Some(out) = value(Quantity::Divergence) {
                match &before {
                    None => assert!(out.is_nan(), "first presentation of {sample}: {out}"),
                    Some(before) => {
                        let reference = oracle::divergence(before, z);
                        // ln p of the presentation before is kept in f32.
                        let kept: f64 =
                            log_p.iter().zip(before).map(|(l, b)| l.exp() * b.abs()).sum();
                        let what = format!("divergence of sample {sample} in epoch {epoch}");
                        let bound = |_: usize| U * (reference + kept) + 1e-13;
                        judge(&what, &[out], &[reference], bound).unwrap();
                    }
                }
            }
            before = Some(log_p);
        }
    }
    let epochs = logits.len() / (SAMPLES * CLASSES);
    assert_eq!(presentations, epochs * (SAMPLES - 1), "each epoch leaves one sample out");
}

/// Weights whose last layer has a bias, so that a missing one shows.
pub fn with_bias<B: Operators>(executor: &mut Executor<B>) -> Weights {
    let mut weights = initialise(executor.network(), 7);
    weights.tensors.get_mut("fc.bias").unwrap().data.copy_from_slice(&[0.5, -0.25, 0.125, 1.0]);
    executor.set_weights(&weights).unwrap();
    weights
}

/// Features: the last layer makes the probabilities of them. Last-layer norms: the closed form
/// ||p - onehot(y)|| sqrt(1 + ||h||^2), and the other scores as the forward pass gives them.
pub fn check_features<B: Operators>(
    executor: &mut Executor<B>,
    images: &B::Images,
    labels: &[u32],
) {
    let weights = with_bias(executor);
    let all: Vec<u32> = (0..SAMPLES as u32).collect();
    let set = EvaluationSet { images, labels, positions: &all, groups: None };
    let extracted = extract(executor, &set, &Requests::new()).unwrap();
    let features = &extracted.features;
    assert_eq!((features.samples(), features.width), (SAMPLES, 16));
    let (w, b) = (&weights.tensors["fc.weight"].data, &weights.tensors["fc.bias"].data);
    for i in 0..SAMPLES {
        let h = features.row(i);
        let z: Vec<f64> = (0..CLASSES)
            .map(|k| {
                let row = w[k * features.width..][..features.width].iter();
                let sum: f64 = row.zip(h).map(|(&w, &h)| f64::from(w) * f64::from(h)).sum();
                sum + f64::from(b[k])
            })
            .collect();
        let p: Vec<f64> = oracle::log_softmax(&z).iter().map(|l| l.exp()).collect();
        let out = &extracted.probabilities[i * CLASSES..][..CLASSES];
        // A chain of 17 terms, of this size at most (2 s + 8 roundings); p moves less than z.
        let size = 2.0 * h.iter().map(|v| f64::from(v.abs())).sum::<f64>() + 1.0;
        judge(&format!("p of {i}"), out, &p, |_| 42.0 * U * size).unwrap();
        let total: f64 = out.iter().map(|&p| f64::from(p)).sum();
        assert!((total - 1.0).abs() < 4.0 * U, "{total}");
    }
    let forward = executor.column(Field::El2n, SAMPLES).unwrap();
    run_pass(executor, Mode::LastLayerNorm, &set).unwrap();
    let el2n = executor.column(Field::El2n, SAMPLES).unwrap();
    assert_eq!(forward, el2n, "the same forward pass");
    let norms = executor.column(Field::Grand, SAMPLES).unwrap();
    for i in 0..SAMPLES {
        let squares: f64 = features.row(i).iter().map(|&h| f64::from(h).powi(2)).sum();
        let reference = f64::from(el2n[i]) * (1.0 + squares).sqrt();
        // Two sums of squares of 4 and 16 values, their product, and a root.
        judge(&format!("norm of {i}"), &[norms[i]], &[reference], |_| 42.0 * U * reference)
            .unwrap();
    }
}
