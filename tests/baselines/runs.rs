//! Whole runs against a driver that has no trainer: passes and steps by hand, the rule in between.

use std::sync::Arc;

use fairprune::backend::{Backend, Cpu};
use fairprune::exec::{ArenaMode, EvaluationSet, Executor, Mode, Pass, batch_sizes};
use fairprune::nn::init::initialise;
use fairprune::ops::gather::Gather;
use fairprune::train::order::epoch_order;
use fairprune::train::{Baseline, BaselineInput, Budget, class_weights, evaluate};

use crate::small_run::*;

pub fn cpu(threads: usize) -> Arc<Cpu> {
    Arc::new(Cpu::new(threads).unwrap())
}

pub fn parse(name: &str) -> Baseline {
    name.parse().unwrap()
}

/// What a trainer-less driver does with an epoch's weights and order.
struct Driver {
    executor: Executor<Cpu>,
    images: bytes::Bytes,
    labels: Vec<u32>,
    recipe: fairprune::train::Recipe,
    steps: u64,
}

impl Driver {
    fn new(epochs: usize) -> Driver {
        let (cpu, recipe) = (cpu(2), recipe(epochs));
        let images = cpu.images(&images()).unwrap();
        let mut executor = executor(cpu, &recipe, ArenaMode::Shared);
        let weights = initialise(executor.network(), SEEDS.init);
        executor.set_weights(&weights).unwrap();
        executor.zero_velocities().unwrap();
        Driver { executor, images, labels: labels(), recipe, steps: 0 }
    }

    fn epoch(&mut self, epoch: u32, order: &[u32], weights: &[f32], samples: Option<&[f32]>) {
        let sizes = batch_sizes(Mode::Train, BATCH, order.len());
        let total = self.recipe.steps(Budget::Fixed, TRAINED, TRAINED);
        let lrs: Vec<f32> =
            (0..sizes.len() as u64).map(|i| self.recipe.lr_at(self.steps + i, total)).collect();
        self.executor.set_sample_weights(samples).unwrap();
        self.executor
            .begin(&Pass {
                labels: &self.labels,
                order,
                epoch,
                start: 0,
                steps_done: self.steps as u32,
                lrs: &lrs,
                class_weights: weights,
            })
            .unwrap();
        for n in sizes {
            self.executor.step(Mode::Train, n, &self.images).unwrap();
            self.steps += 1;
        }
    }

    fn order(&self, epoch: u32) -> Vec<u32> {
        epoch_order(SEEDS.order, epoch, SAMPLES, &positions().0)
    }

    /// Correct and total validation samples of each class.
    fn validate(&mut self) -> Vec<(u64, u64)> {
        let positions = positions().1;
        let set = EvaluationSet {
            images: &self.images,
            labels: &self.labels,
            positions: &positions,
            groups: None,
        };
        let counts = evaluate(&mut self.executor, &set).unwrap().counts;
        counts.iter().map(|c| (c.correct, c.total)).collect()
    }

    fn bits(&self) -> Vec<(String, Vec<u32>)> {
        let bits = |data: &[f32]| data.iter().map(|v| v.to_bits()).collect();
        let weights = self.executor.weights().unwrap().tensors;
        weights.into_iter().map(|(name, t)| (name, bits(&t.data))).collect()
    }
}

/// The trainer's last weights.
fn trained(name: Option<&str>, epochs: usize) -> Vec<(String, Vec<u32>)> {
    let (cpu, recipe) = (cpu(1), recipe(epochs));
    let images = cpu.images(&images()).unwrap();
    let mut executor = executor(cpu, &recipe, ArenaMode::Shared);
    let input = name.map(|name| BaselineInput { baseline: parse(name) });
    let outcome =
        train(&mut executor, &images, &recipe, input.as_ref(), &Watched::default()).unwrap();
    let count = outcome.weights.tensors.len();
    essence(&outcome).0.into_iter().take(count).collect()
}

#[test]
fn plain_training_is_the_same_with_weights_of_one() {
    let mut plain = Driver::new(3);
    let mut weighted = Driver::new(3);
    for epoch in 0..3 {
        let order = plain.order(epoch);
        plain.epoch(epoch, &order, &[1.0; CLASSES], None);
        weighted.epoch(epoch, &order, &[1.0; CLASSES], Some(&[1.0; SAMPLES]));
    }
    assert!(plain.bits() == weighted.bits());
    assert!(plain.bits() == trained(None, 3));
}

#[test]
fn cdb_w_takes_the_recalls_of_the_epoch_before() {
    for name in ["cdb-w", "cdb-w:dynamic"] {
        let mut driver = Driver::new(4);
        let mut weights = vec![1.0; CLASSES];
        for epoch in 0..4 {
            let order = driver.order(epoch);
            driver.epoch(epoch, &order, &weights, None);
            let counts = driver.validate();
            weights = class_weights::cdb_w(&counts, name == "cdb-w:dynamic");
        }
        assert!(weights != [1.0; CLASSES], "the run must make a difference: {weights:?}");
        assert!(driver.bits() == trained(Some(name), 4), "{name}");
    }
    assert!(trained(Some("cdb-w"), 4) != trained(Some("cdb-w:dynamic"), 4));
    assert!(trained(Some("cdb-w"), 4) != trained(None, 4));
}

#[test]
fn class_balanced_weighs_by_the_sizes_of_what_is_trained_on() {
    let mut sizes = [0u64; CLASSES];
    labels()[..TRAINED].iter().for_each(|&l| sizes[l as usize] += 1);
    let weights = class_weights::class_balanced(&sizes, 0.9);
    let mut driver = Driver::new(2);
    for epoch in 0..2 {
        let order = driver.order(epoch);
        driver.epoch(epoch, &order, &weights, None);
    }
    assert!(driver.bits() == trained(Some("class-balanced:beta=.9"), 2));
}

#[test]
fn a_baseline_without_what_it_needs_says_so() {
    let (cpu, recipe) = (cpu(1), recipe(1));
    let images = cpu.images(&images()).unwrap();
    let mut executor = executor(cpu, &recipe, ArenaMode::Shared);
    let input = BaselineInput { baseline: parse("cdb-w") };
    let watched = Watched { without_validation: true, ..Watched::default() };
    let error = train(&mut executor, &images, &recipe, Some(&input), &watched).unwrap_err();
    assert!(error.to_string().contains("cdb-w: found no validation images"), "{error}");
    let weighted = fairprune::train::Recipe { class_weights: Some(vec![1.0; 3]), ..recipe };
    for name in ["cdb-w", "class-balanced"] {
        let input = BaselineInput { baseline: parse(name) };
        let watched = Watched::default();
        let error = train(&mut executor, &images, &weighted, Some(&input), &watched).unwrap_err();
        assert!(error.to_string().contains("--class-weights"), "{error}");
    }
    assert!(executor.backend().workers() == 1);
}
