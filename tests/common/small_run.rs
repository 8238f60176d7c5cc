//! A small run of any baseline on any backend: 26 samples of three uneven classes and two attributes,
//! and 12 validation samples.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairprune::error::Result;
use fairprune::exec::{ArenaMode, EvaluationSet, Executor, Mode, Requirements, TrainOptions};
use fairprune::nn::{NetworkSpec, Stem};
use fairprune::ops::Operators;
use fairprune::ops::sgd::SgdProblem;
use fairprune::requests::Requests;
use fairprune::rng::{Philox, Stream};
use fairprune::train::{
    Baseline, BaselineInput, Control, EpochRecord, Recipe, Schedule, Seeds, StepBudget, TrainJob,
    TrainOutcome, TrainProgress, train_with,
};

pub const CLASSES: usize = 3;
pub const SAMPLES: usize = 38;
/// Samples from here on are validation's.
pub const TRAINED: usize = 26;
pub const BATCH: usize = 8;
pub const SEEDS: Seeds = Seeds { init: 3, order: 4, augment: 5, subset: 0 };
const SIZE: [usize; 2] = [8, 8];

/// Labels of all samples; class 0 is common, class 2 rare.
pub fn labels() -> Vec<u32> {
    (0..SAMPLES).map(|i| [0, 1, 0, 2, 0, 1][i % 6]).collect()
}

/// What baselines have to know beside the job.
pub struct Inputs {
    pub baseline: Baseline,
    pub values: Vec<f32>,
    pub groups: Vec<u32>,
    pub first_stage: bool,
}

impl Inputs {
    /// Groups are class x attribute; values are marks for JTT and BAM, small losses for RHO-loss. A name
    /// after `first ` is that of the stage before.
    pub fn of(name: &str) -> Inputs {
        let (name, first_stage) = match name.strip_prefix("first ") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let baseline: Baseline = name.parse().unwrap();
        let attribute = |i: usize| u32::from(i.is_multiple_of(5) || i % 7 == 3);
        let groups = labels().iter().enumerate().map(|(i, l)| 2 * l + attribute(i)).collect();
        let value = |i: usize| match baseline {
            Baseline::Jtt { .. } | Baseline::Bam { .. } => f32::from(u8::from(i.is_multiple_of(3))),
            _ => 0.1 * ((i * 7) % 11) as f32,
        };
        Inputs { baseline, values: (0..SAMPLES).map(value).collect(), groups, first_stage }
    }

    pub fn input(&self) -> BaselineInput<'_> {
        BaselineInput {
            baseline: self.baseline,
            values: &self.values,
            groups: &self.groups,
            group_count: 2 * CLASSES,
            first_stage: self.first_stage,
        }
    }

    /// The recipe whose batches the device sees at once.
    pub fn on_device(&self, recipe: &Recipe) -> Recipe {
        Recipe { batch: self.baseline.device_batch(recipe.batch), ..recipe.clone() }
    }

    /// The recipe with the baseline's own batch.
    pub fn recipe(&self, epochs: usize) -> Recipe {
        let own = self.baseline.chosen();
        Recipe { batch: if own > 0 { own } else { BATCH }, ..recipe(epochs) }
    }
}

/// Images of classes that are hard to tell apart.
pub fn images() -> Bytes {
    let mut draws = Philox::new(8, Stream::Shapes).sequence(0);
    let values = SIZE[0] * SIZE[1] * 3;
    let pixel = |label: u32, draw: u32| (draw * 3 / 4 + 14 * label) as u8;
    let all = labels().into_iter().flat_map(|l| vec![l; values]);
    Bytes::from(all.map(|l| pixel(l, draws.below(256))).collect::<Vec<u8>>())
}

/// Positions that are trained on, and those of validation.
pub fn positions() -> (Vec<u32>, Vec<u32>) {
    ((0..TRAINED as u32).collect(), (TRAINED as u32..SAMPLES as u32).collect())
}

pub fn recipe(epochs: usize) -> Recipe {
    Recipe {
        epochs,
        batch: BATCH,
        lr: 0.05,
        schedule: Schedule::Cosine,
        warmup_steps: 2,
        momentum: 0.9,
        nesterov: true,
        weight_decay: 5e-4,
        label_smoothing: 0.05,
        class_weights: None,
        flip: true,
        translate: 1,
        resized_crop: false,
    }
}

/// An executor for training in batches of any size up to `recipe`'s, and for evaluation.
pub fn executor<B: Operators>(backend: Arc<B>, recipe: &Recipe, arena: ArenaMode) -> Executor<B> {
    let spec = NetworkSpec {
        arch: "resnet8".parse().unwrap(),
        width: 4,
        stem: Stem::Cifar,
        classes: CLASSES,
        size: SIZE,
    };
    let mut passes = vec![
        (Mode::Train, recipe.batch, TRAINED),
        (Mode::Score, 7, SAMPLES),
        (Mode::Score, 7, SAMPLES - TRAINED),
    ];
    passes.extend([10, 6].map(|n| (Mode::Score, 7, n)));
    passes.extend((2..recipe.batch).map(|n| (Mode::Train, recipe.batch, n)));
    let requirements = Requirements {
        passes,
        capacity: SAMPLES,
        options: TrainOptions {
            sgd: SgdProblem {
                momentum: recipe.momentum,
                weight_decay: recipe.weight_decay,
                nesterov: recipe.nesterov,
            },
            smoothing: recipe.label_smoothing,
            augmentation: recipe.augmentation(),
            seed: SEEDS.augment,
        },
        divergences: false,
        mean: [0.5, 0.45, 0.4],
        std: [0.25, 0.2, 0.3],
        arena,
        compute: fairprune::exec::Compute::default(),
        stored: None,
        // Where images are on the device this changes nothing.
        stream: true,
        memory_limit: None,
    };
    Executor::new(backend, spec.build().unwrap(), &requirements).unwrap()
}

/// How the run is watched.
#[derive(Clone, Default)]
pub struct Watched {
    /// Kept after every step.
    pub checkpoint: Option<PathBuf>,
    /// Steps after which it is interrupted.
    pub stop_after: Option<u64>,
    pub without_validation: bool,
    /// One a sample, of all samples.
    pub sample_weights: Option<Vec<f32>>,
}

/// Trains `recipe.epochs` epochs.
pub fn train<B: Operators>(
    executor: &mut Executor<B>,
    images: &B::Images,
    recipe: &Recipe,
    baseline: Option<&BaselineInput>,
    watched: &Watched,
) -> Result<TrainOutcome> {
    let labels = labels();
    let (subset, val) = positions();
    let per_epoch = match baseline {
        Some(input) => input.baseline.epoch_steps(recipe.batch, TRAINED),
        None => recipe.steps(StepBudget::Fixed, TRAINED, TRAINED) / recipe.epochs as u64,
    };
    let steps = recipe.epochs as u64 * per_epoch;
    let set = EvaluationSet { images, labels: &labels, positions: &val, groups: None };
    let job = TrainJob {
        recipe,
        seeds: SEEDS,
        total_steps: steps,
        until: steps,
        images,
        labels: &labels,
        subset: &subset,
        validation: Some(set).filter(|_| !watched.without_validation),
        evaluate_every: 1,
        keep_best: true,
        identity: "a small run".to_owned(),
        sample_weights: watched.sample_weights.as_deref(),
        initial: None,
        record: None,
    };
    let requests = Requests::new();
    let mut seen = 0;
    let mut progress = |_: TrainProgress| {
        seen += 1;
        if Some(seen) == watched.stop_after {
            requests.ask_to_stop();
        }
    };
    let checkpoint = watched.checkpoint.clone().map(|path| (path, Duration::ZERO));
    let mut control = Control { requests: &requests, progress: &mut progress, checkpoint };
    train_with(executor, &job, baseline, &mut control)
}

/// What of an outcome must not depend on time or interruptions: every bit of the weights, and the
/// epochs' records.
pub fn essence(outcome: &TrainOutcome) -> (Vec<(String, Vec<u32>)>, Vec<EpochRecord>) {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
    let all = outcome.weights.tensors.iter();
    let best = outcome.best_weights.iter().flat_map(|w| &w.tensors);
    let tensors = all.chain(best).map(|(name, t)| (name.clone(), bits(&t.data))).collect();
    let records = outcome.history.iter().map(|r| EpochRecord { seconds: 0.0, ..r.clone() });
    (tensors, records.collect())
}
