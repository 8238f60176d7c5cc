//! One golden file, and an executor in the state it describes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fairprune::backend::Cpu;
use fairprune::exec::{ArenaMode, Executor, Mode, Pass, Requirements, TrainOptions};
use fairprune::nn::NetworkSpec;
use fairprune::ops::gather::Augmentation;
use fairprune::ops::loss_score::Field;
use fairprune::ops::sgd::SgdProblem;
use fairprune::tensor::Tensor;
use serde::Deserialize;

use super::inputs;

/// Norm, sum, then values at [`inputs::positions`], by tensor name.
pub type Sampled = BTreeMap<String, Vec<f64>>;

/// Results in eval mode, one entry a sample; logits row by row.
#[derive(Deserialize)]
pub struct Scores {
    pub logits: Vec<f64>,
    pub loss: Vec<f64>,
    pub el2n: Vec<f64>,
    pub grand: Vec<f64>,
    /// The part of `grand` that convolutions' biases have; empty where there are none.
    #[serde(default)]
    pub grand_conv_bias: Vec<f64>,
}

/// Results of three training steps.
#[derive(Deserialize)]
pub struct Steps {
    /// Of the samples in the order of the pass, each at its presentation.
    pub loss: Vec<f64>,
    /// Of the first batch.
    pub logits: Vec<f64>,
    /// After the first step.
    pub gradient: Sampled,
    pub weight: Sampled,
    pub running: Sampled,
    /// After the last.
    pub weight_end: Sampled,
    pub running_end: Sampled,
}

/// Distance of PyTorch's float32 from its float64 in the same computation, a group each.
#[derive(Deserialize)]
pub struct Errors {
    pub eval: BTreeMap<String, f64>,
    pub train: BTreeMap<String, f64>,
}

/// A golden file.
#[derive(Deserialize)]
pub struct Case {
    pub arch: String,
    pub width: usize,
    pub stem: String,
    pub classes: usize,
    pub size: [usize; 2],
    pub image_seed: u64,
    pub lr: f32,
    pub momentum: f32,
    pub nesterov: bool,
    pub weight_decay: f32,
    pub smoothing: f32,
    pub class_weights: Option<Vec<f32>>,
    pub trunk: Option<String>,
    pub samples: usize,
    pub batch: usize,
    pub steps: usize,
    pub scales: inputs::Scales,
    pub eval: Scores,
    pub train: Steps,
    pub float32_error: Errors,
}

/// Batches of scoring: three of them, the last smaller.
const SCORE_BATCH: usize = 10;

impl Case {
    pub fn parse(json: &str) -> Case {
        serde_json::from_str(json).expect("a golden file")
    }

    pub fn spec(&self) -> NetworkSpec {
        NetworkSpec {
            arch: self.arch.parse().unwrap(),
            width: self.width,
            stem: self.stem.parse().unwrap(),
            classes: self.classes,
            size: self.size,
        }
    }

    /// A run in the state the golden values start from.
    pub fn run(&self) -> Run<'_> {
        let network = self.spec().build().unwrap();
        let sgd = SgdProblem {
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            nesterov: self.nesterov,
        };
        let augmentation = Augmentation::NONE;
        let requirements = Requirements {
            passes: vec![
                (Mode::Train, self.batch, self.samples),
                (Mode::Score, SCORE_BATCH, self.samples),
                (Mode::GradNorm, SCORE_BATCH, self.samples),
                (Mode::LastLayerNorm, SCORE_BATCH, self.samples),
            ],
            capacity: self.samples,
            options: TrainOptions { sgd, smoothing: self.smoothing, augmentation, seed: 0 },
            mean: inputs::MEAN,
            std: inputs::STD,
            arena: ArenaMode::Shared,
            compute: fairprune::exec::Compute::default(),
            divergences: false,
            stored: None,
            stream: false,
            memory_limit: Some(u64::MAX),
        };
        let cpu = Arc::new(Cpu::new(0).unwrap());
        let mut executor = Executor::new(cpu, network, &requirements).unwrap();
        let weights = inputs::weights(executor.network(), &self.scales, self.trunk.as_deref());
        executor.set_weights(&weights).unwrap();
        executor.set_velocities(&inputs::velocities(executor.network())).unwrap();
        Run {
            case: self,
            executor,
            images: inputs::images(self.samples, self.size, self.image_seed).into(),
            labels: inputs::labels(self.samples, self.classes),
        }
    }
}

/// An executor over the case's samples.
pub struct Run<'a> {
    case: &'a Case,
    pub executor: Executor<Cpu>,
    images: Bytes,
    labels: Vec<u32>,
}

impl Run<'_> {
    fn begin(&mut self, order: &[u32], lrs: &[f32]) {
        let ones = vec![1.0; self.case.classes];
        let class_weights = self.case.class_weights.as_ref().unwrap_or(&ones);
        let pass = Pass {
            labels: &self.labels,
            order,
            epoch: 0,
            start: 0,
            steps_done: 0,
            lrs,
            class_weights,
        };
        self.executor.begin(&pass).unwrap();
    }

    /// Scores all samples in order; returns the logits.
    pub fn score(&mut self, mode: Mode) -> Vec<f32> {
        let order: Vec<u32> = (0..self.case.samples as u32).collect();
        self.begin(&order, &[]);
        let mut logits = Vec::new();
        for batch in order.chunks(SCORE_BATCH) {
            self.executor.step(mode, batch.len(), &self.images).unwrap();
            logits.extend(self.executor.logits(mode, batch.len()).unwrap());
        }
        logits
    }

    /// Features of every sample, in order.
    pub fn features(&mut self) -> impl Iterator<Item = Vec<f32>> + use<> {
        let width = self.executor.network().feature_count();
        let order: Vec<u32> = (0..self.case.samples as u32).collect();
        self.begin(&order, &[]);
        let mut features = Vec::new();
        for batch in order.chunks(SCORE_BATCH) {
            self.executor.step(Mode::Score, batch.len(), &self.images).unwrap();
            let rows = self.executor.features(batch.len()).unwrap();
            features.extend(rows.chunks(width).map(<[f32]>::to_vec));
        }
        features.into_iter()
    }

    /// A score of every sample.
    pub fn column(&self, field: Field) -> Vec<f32> {
        self.executor.column(field, self.case.samples).unwrap()
    }

    /// Starts the training pass.
    pub fn begin_training(&mut self) -> Vec<u32> {
        let order = inputs::order(self.case.samples);
        self.begin(&order, &vec![self.case.lr; self.case.steps]);
        order
    }

    pub fn train_step(&mut self) {
        self.executor.step(Mode::Train, self.case.batch, &self.images).unwrap();
    }

    /// Running statistics, or parameters.
    pub fn tensors(&self, running: bool) -> BTreeMap<String, Tensor> {
        let mut tensors = self.executor.weights().unwrap().tensors;
        tensors.retain(|name, _| name.contains("running_") == running);
        tensors
    }
}
