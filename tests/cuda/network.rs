//! Small networks on small images, the same on the CPU and on the card: executors, a pass, and what
//! a step leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairprune::backend::Cpu;
use fairprune::cuda::Cuda;
use fairprune::exec::{
    ArenaMode, Compute, EvaluationSet, Executor, Mode, Pass, Requirements, TrainOptions, run_pass,
};
use fairprune::nn::{NetworkSpec, Stem, Weights};
use fairprune::ops::Operators;
use fairprune::ops::gather::Augmentation;
use fairprune::ops::loss_score::Field;
use fairprune::ops::sgd::SgdProblem;
use fairprune::rng::{Philox, Stream};
use fairprune::tensor::Tensor;

use crate::cuda_device;

pub type Tensors = BTreeMap<String, Tensor>;

/// A network and its images.
#[derive(Clone, Copy)]
pub struct Net {
    pub arch: &'static str,
    pub width: usize,
    pub size: [usize; 2],
    /// R S C of the longest sum of a convolution forward or backward.
    pub chain: usize,
    pub lr: f32,
    /// Of the initial weights: states from which no perturbation by an ulp moves an input of a ReLU or
    /// a pooling's winner to the other side, where the gradient jumps.
    pub seed: u64,
}

pub const RESNET8: Net =
    Net { arch: "resnet8", width: 4, size: [12, 8], chain: 9 * 4 * 4, lr: 0.05, seed: 1 };
/// The same with channels that bf16 takes.
pub const RESNET8_BF16: Net = Net { width: 8, chain: 9 * 8 * 4, ..RESNET8 };
/// Bottlenecks, the 7 x 7 stem and overlapping poolings.
pub const RESNET50_BF16: Net =
    Net { arch: "resnet50", width: 8, size: [32, 32], chain: 9 * 64, lr: 0.01, seed: 2 };
/// Convolutions with bias, poolings whose windows do not overlap. It learns slowly: a saturated
/// softmax has no gradient to compare.
pub const VGG16: Net =
    Net { arch: "vgg16", width: 4, size: [32, 35], chain: 9 * 8 * 4, lr: 0.001, seed: 4 };
pub const BATCH: usize = 8;
pub const STEPS: usize = 20;
const CLASSES: usize = 3;
const SAMPLES: usize = BATCH * STEPS;
/// Scored samples: two batches, the last smaller.
const SCORED: usize = 13;
pub const SGD: SgdProblem = SgdProblem { momentum: 0.9, weight_decay: 5e-4, nesterov: true };

/// Everything that a training step changes, and the gradients it used.
#[derive(Clone, PartialEq)]
pub struct State {
    pub weights: Weights,
    pub velocities: Tensors,
    pub gradients: Tensors,
}

/// An executor with its images, at some step of the pass.
pub struct Machine<B: Operators> {
    pub executor: Executor<B>,
    images: B::Images,
    labels: Vec<u32>,
    lr: f32,
}

/// On two threads of the CPU.
pub fn cpu(net: Net) -> Machine<Cpu> {
    Machine::new(net, Cpu::new(2).unwrap(), ArenaMode::Shared, Compute::default(), false)
}

/// On the card.
pub fn card(net: Net, arena: ArenaMode) -> Machine<Cuda> {
    computing(net, arena, Compute::default())
}

/// On the card, computed so.
pub fn computing(net: Net, arena: ArenaMode, compute: Compute) -> Machine<Cuda> {
    Machine::new(net, cuda_device::open(), arena, compute, false)
}

/// The same with images on the host.
pub fn streaming(net: Net, arena: ArenaMode, compute: Compute) -> Machine<Cuda> {
    Machine::new(net, cuda_device::open(), arena, compute, true)
}

impl<B: Operators> Machine<B> {
    fn new(net: Net, backend: B, arena: ArenaMode, compute: Compute, stream: bool) -> Self {
        let spec = NetworkSpec {
            arch: net.arch.parse().unwrap(),
            width: net.width,
            stem: if net.arch == "resnet50" { Stem::Imagenet } else { Stem::Cifar },
            classes: CLASSES,
            size: net.size,
        };
        let requirements = Requirements {
            passes: vec![
                (Mode::Train, BATCH, SAMPLES),
                (Mode::Score, BATCH, SCORED),
                (Mode::GradNorm, BATCH, SCORED),
            ],
            capacity: SAMPLES,
            options: TrainOptions {
                sgd: SGD,
                smoothing: 0.1,
                augmentation: Augmentation { flip: true, translate: 2, resized_crop: false },
                seed: 5,
            },
            mean: [0.5, 0.45, 0.4],
            std: [0.25, 0.2, 0.3],
            arena,
            compute,
            divergences: false,
            stored: None,
            stream,
            memory_limit: None,
        };
        let mut draws = Philox::new(3, Stream::Shapes).sequence(0);
        let labels: Vec<u32> = (0..SAMPLES).map(|_| draws.below(CLASSES as u32)).collect();
        let values = net.size[0] * net.size[1] * 3;
        let byte = |label: u32, draw: u32| (draw / 2 + 60 * label) as u8;
        let bytes: Vec<u8> = labels
            .iter()
            .flat_map(|&l| vec![l; values])
            .map(|l| byte(l, draws.below(256)))
            .collect();
        let images = match stream {
            true => backend.host_images(&bytes.into()).unwrap(),
            false => backend.images(&bytes.into()).unwrap(),
        };
        let executor =
            Executor::new(Arc::new(backend), spec.build().unwrap(), &requirements).unwrap();
        Machine { executor, images, labels, lr: net.lr }
    }

    /// Takes over weights, running statistics and velocities.
    pub fn set(&mut self, state: &State) {
        self.executor.set_weights(&state.weights).unwrap();
        self.executor.set_velocities(&state.velocities).unwrap();
    }

    pub fn get(&self) -> State {
        State {
            weights: self.executor.weights().unwrap(),
            velocities: self.executor.velocities().unwrap(),
            gradients: self.executor.gradients().unwrap(),
        }
    }

    /// Runs `steps` training steps of the pass from step `start` on.
    pub fn train(&mut self, start: usize, steps: usize) {
        let order: Vec<u32> = (0..SAMPLES as u32).map(|i| (i * 77 + 5) % SAMPLES as u32).collect();
        let pass = Pass {
            labels: &self.labels,
            order: &order,
            epoch: 1,
            start: start as u32,
            steps_done: start as u32,
            lrs: &[self.lr; STEPS],
            class_weights: &[1.0, 0.5, 2.0],
        };
        self.executor.begin(&pass).unwrap();
        for _ in 0..steps {
            self.executor.step(Mode::Train, BATCH, &self.images).unwrap();
        }
        assert_eq!(self.executor.state().unwrap().bad_step, None);
    }

    /// Losses of the samples of steps `start..start + steps`, in the pass's order.
    pub fn losses(&self, start: usize, steps: usize) -> Vec<f32> {
        let all = self.executor.column(Field::Loss, SAMPLES).unwrap();
        let places = start * BATCH..(start + steps) * BATCH;
        places.map(|i| all[(i * 77 + 5) % SAMPLES]).collect()
    }

    /// EL2N of the scoring pass, EL2N and GraNd of the gradient pass, a value a sample.
    pub fn scores(&mut self) -> [Vec<f32>; 3] {
        let positions: Vec<u32> = (0..SCORED as u32).collect();
        let labels = &self.labels[..SCORED];
        let set =
            EvaluationSet { images: &self.images, labels, positions: &positions, groups: None };
        run_pass(&mut self.executor, Mode::Score, &set).unwrap();
        let forward = self.executor.column(Field::El2n, SCORED).unwrap();
        run_pass(&mut self.executor, Mode::GradNorm, &set).unwrap();
        let [el2n, grand] =
            [Field::El2n, Field::Grand].map(|f| self.executor.column(f, SCORED).unwrap());
        [forward, el2n, grand]
    }
}

/// The state with every parameter one unit in the last place up or down, at random.
pub fn one_ulp_apart(state: &State, seed: u64) -> State {
    let mut moved = state.clone();
    let philox = Philox::new(seed, Stream::Shapes);
    // Running statistics have names of their own; only parameters have velocities.
    for (i, name) in state.velocities.keys().enumerate() {
        let mut draws = philox.sequence(i as u64);
        for v in &mut moved.weights.tensors.get_mut(name).unwrap().data {
            *v = if draws.below(2) == 0 { v.next_up() } else { v.next_down() };
        }
    }
    moved
}
