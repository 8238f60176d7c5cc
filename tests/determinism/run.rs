//! A small training run and its scores, as bits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairprune::backend::{Cpu, Isa};
use fairprune::error::Result;
use fairprune::exec::{
    ArenaMode, Compute, EvaluationSet, Executor, Mode, Requirements, TrainOptions, run_pass,
};
use fairprune::isa::bf16::Bf16Form;
use fairprune::nn::{NetworkSpec, Stem};
use fairprune::ops::Precision;
use fairprune::ops::gather::Augmentation;
use fairprune::ops::loss_score::Field;
use fairprune::ops::sgd::SgdProblem;
use fairprune::requests::Requests;
use fairprune::rng::{Philox, Stream};
use fairprune::train::{
    Control, Recipe, Schedule, Seeds, TrainJob, TrainOutcome, TrainProgress, train,
};

pub const CLASSES: usize = 3;
pub const FIELDS: [Field; 10] = [
    Field::Loss,
    Field::El2n,
    Field::Entropy,
    Field::Margin,
    Field::LabelProbability,
    Field::Aum,
    Field::Correct,
    Field::Prediction,
    Field::TopProbability,
    Field::Grand,
];

/// What must not change a result.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub threads: usize,
    pub isa: Isa,
    pub arena: ArenaMode,
    pub precision: Precision,
    pub form: Bf16Form,
}

impl Machine {
    /// Two threads on the processor's best instruction set.
    pub fn usual() -> Self {
        Machine {
            threads: 2,
            isa: Isa::detect(),
            arena: ArenaMode::Shared,
            precision: Precision::F32,
            form: Bf16Form::detect(),
        }
    }

    /// The same in bf16, with products summed in one order.
    pub fn bf16(form: Bf16Form) -> Self {
        Machine { precision: Precision::Bf16, form, ..Machine::usual() }
    }

    pub fn cpu(&self) -> Arc<Cpu> {
        let cpu = Cpu::with_isa(self.threads, self.isa).unwrap();
        Arc::new(cpu.with_bf16_form(self.form))
    }
}

/// Networks of every kind of block: basic blocks, bottlenecks, both stems, convolutions with bias.
pub fn networks() -> [NetworkSpec; 4] {
    let spec = |arch: &str, width, stem, size| NetworkSpec {
        arch: arch.parse().unwrap(),
        width,
        stem,
        classes: CLASSES,
        size,
    };
    [
        spec("resnet8", 6, Stem::Cifar, [16, 13]),
        spec("resnet50", 4, Stem::Cifar, [11, 16]),
        spec("resnet18", 5, Stem::Imagenet, [33, 47]),
        spec("vgg16", 3, Stem::Cifar, [33, 36]),
    ]
}

/// The same with whole groups of 8 channels, as bf16 takes them.
pub fn wide_networks() -> [NetworkSpec; 4] {
    networks().map(|spec| NetworkSpec { width: 8, ..spec })
}

/// Random images with labels.
pub struct Part {
    pub images: Bytes,
    pub labels: Vec<u32>,
}

impl Part {
    pub fn new(spec: &NetworkSpec, samples: usize, seed: u64) -> Self {
        let mut draws = Philox::new(seed, Stream::Shapes).sequence(0);
        let labels: Vec<u32> = (0..samples).map(|_| draws.below(CLASSES as u32)).collect();
        let size = spec.size[0] * spec.size[1] * 3;
        // Brighter by class, so that there is something to learn.
        let byte = |label: u32, draw: u32| (draw / 2 + 60 * label) as u8;
        let images =
            labels.iter().flat_map(|&l| vec![l; size]).map(|l| byte(l, draws.below(256))).collect();
        Part { images, labels }
    }

    pub fn positions(&self) -> Vec<u32> {
        (0..self.labels.len() as u32).collect()
    }
}

pub fn recipe(epochs: usize) -> Recipe {
    Recipe {
        epochs,
        batch: 6,
        lr: 0.05,
        schedule: Schedule::Cosine,
        warmup_steps: 1,
        momentum: 0.9,
        nesterov: true,
        weight_decay: 5e-4,
        label_smoothing: 0.1,
        class_weights: Some(vec![1.0, 0.5, 2.0]),
        flip: true,
        translate: 2,
        resized_crop: false,
    }
}

/// An executor for `recipe` on parts of `samples`, scoring in batches of `score_batch`.
pub fn executor(
    machine: &Machine,
    spec: &NetworkSpec,
    recipe: &Recipe,
    samples: usize,
    score_batch: usize,
) -> Executor<Cpu> {
    let sgd = SgdProblem {
        momentum: recipe.momentum,
        weight_decay: recipe.weight_decay,
        nesterov: recipe.nesterov,
    };
    let requirements = Requirements {
        passes: vec![
            (Mode::Train, recipe.batch, samples),
            (Mode::Score, score_batch, samples),
            (Mode::GradNorm, score_batch, samples),
        ],
        capacity: samples,
        options: TrainOptions {
            sgd,
            smoothing: recipe.label_smoothing,
            augmentation: recipe.augmentation(),
            seed: 5,
        },
        mean: [0.5, 0.45, 0.4],
        std: [0.25, 0.2, 0.3],
        arena: machine.arena,
        compute: Compute::new(machine.precision),
        divergences: false,
        stored: None,
        stream: false,
        memory_limit: None,
    };
    Executor::new(machine.cpu(), spec.build().unwrap(), &requirements).unwrap()
}

/// A training run: where it keeps its state, when it is interrupted, how often it evaluates.
pub struct Training<'a> {
    pub recipe: &'a Recipe,
    pub steps: u64,
    pub part: &'a Part,
    pub evaluate_every: u32,
    pub checkpoint: Option<PathBuf>,
    pub stop_at: Option<u64>,
}

impl Training<'_> {
    pub fn run(&self, executor: &mut Executor<Cpu>) -> Result<TrainOutcome> {
        let positions = self.part.positions();
        let job = TrainJob {
            recipe: self.recipe,
            seeds: Seeds { init: 1, order: 2, augment: 5, subset: 0 },
            total_steps: self.steps,
            until: self.steps,
            images: &self.part.images,
            labels: &self.part.labels,
            subset: &positions,
            validation: (self.evaluate_every > 0).then_some(EvaluationSet {
                images: &self.part.images,
                labels: &self.part.labels,
                positions: &positions,
                groups: None,
            }),
            evaluate_every: self.evaluate_every,
            keep_best: true,
            identity: "a test".to_owned(),
            sample_weights: None,
            initial: None,
            record: None,
        };
        let requests = Requests::new();
        let mut progress = |p: TrainProgress| {
            if Some(p.step) == self.stop_at {
                requests.ask_to_stop();
            }
        };
        let checkpoint = self.checkpoint.clone().map(|path| (path, Duration::ZERO));
        let mut control = Control { requests: &requests, progress: &mut progress, checkpoint };
        train(executor, &job, &mut control)
    }
}

/// Bits of everything a run leaves: weights, momentum, history without times.
pub fn trained_bits(executor: &Executor<Cpu>, outcome: &TrainOutcome) -> Vec<u64> {
    let wide = |v: f32| u64::from(v.to_bits());
    let mut bits = Vec::new();
    for tensors in [&outcome.weights.tensors, &executor.velocities().unwrap()] {
        bits.extend(tensors.values().flat_map(|t| &t.data).map(|&v| wide(v)));
    }
    let best = outcome.best_weights.iter().flat_map(|w| w.tensors.values());
    bits.extend(best.flat_map(|t| &t.data).map(|&v| wide(v)));
    for r in &outcome.history {
        let floats = [Some(r.train_loss), Some(r.train_accuracy), r.val_loss, r.val_accuracy];
        bits.extend(floats.map(|v| v.unwrap_or(f64::NAN).to_bits()));
        bits.extend([u64::from(r.epoch), r.steps, wide(r.lr)]);
        bits.extend(r.val_correct.iter().flatten());
    }
    bits
}

/// An executor for one pass over `samples` in one batch, within `limit` bytes.
pub fn limited(
    machine: &Machine,
    spec: &NetworkSpec,
    mode: Mode,
    samples: usize,
    limit: Option<u64>,
) -> Result<Executor<Cpu>> {
    let sgd = SgdProblem { momentum: 0.9, weight_decay: 0.0, nesterov: false };
    let augmentation = Augmentation::NONE;
    let requirements = Requirements {
        passes: vec![(mode, samples, samples)],
        capacity: samples,
        options: TrainOptions { sgd, smoothing: 0.0, augmentation, seed: 0 },
        mean: [0.5; 3],
        std: [0.25; 3],
        arena: machine.arena,
        compute: Compute::new(machine.precision),
        divergences: false,
        stored: None,
        stream: false,
        memory_limit: limit,
    };
    Executor::new(machine.cpu(), spec.build()?, &requirements)
}

/// Every field of every sample after a pass, field by field.
pub fn score(executor: &mut Executor<Cpu>, mode: Mode, part: &Part) -> Vec<Vec<f32>> {
    let positions = part.positions();
    let set = EvaluationSet {
        images: &part.images,
        labels: &part.labels,
        positions: &positions,
        groups: None,
    };
    run_pass(executor, mode, &set).unwrap();
    FIELDS.map(|f| executor.column(f, part.labels.len()).unwrap()).to_vec()
}
