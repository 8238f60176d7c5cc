//! Whole runs against a driver that has no trainer: passes and steps by hand, the rule in between.

use std::sync::Arc;

use fairprune::backend::Cpu;
use fairprune::exec::{ArenaMode, EvaluationSet, Executor, Mode, Pass, batch_sizes, run_pass};
use fairprune::nn::init::initialise;
use fairprune::ops::gather::Gather;
use fairprune::ops::loss_score::Field;
use fairprune::train::baseline::{class_weights, rules};
use fairprune::train::order::epoch_order;
use fairprune::train::{BaselineInput, Recipe, evaluate};

use crate::small_run::*;

pub fn cpu(threads: usize) -> Arc<Cpu> {
    Arc::new(Cpu::new(threads).unwrap())
}

pub type Bits = Vec<(String, Vec<u32>)>;

/// Trains by hand.
pub struct Driver {
    pub executor: Executor<Cpu>,
    pub images: bytes::Bytes,
    labels: Vec<u32>,
    pub recipe: Recipe,
    /// Steps done, and of the schedule in an epoch and in the run.
    pub steps: u64,
    span: u64,
    total: u64,
}

impl Driver {
    fn new(recipe: Recipe, span: u64) -> Driver {
        let cpu = cpu(2);
        let images = cpu.images(&images()).unwrap();
        let mut executor = executor(cpu, &recipe, ArenaMode::Shared);
        let weights = initialise(executor.network(), SEEDS.init);
        executor.set_weights(&weights).unwrap();
        executor.zero_velocities().unwrap();
        let total = recipe.epochs as u64 * span;
        Driver { executor, images, labels: labels(), recipe, steps: 0, span, total }
    }

    pub fn plain(epochs: usize) -> Driver {
        Driver::new(recipe(epochs), 4)
    }

    pub fn begin(
        &mut self,
        epoch: u32,
        order: &[u32],
        labels: &[u32],
        lrs: &[f32],
        weights: &[f32],
    ) {
        let pass = Pass {
            labels,
            order,
            epoch,
            start: 0,
            steps_done: self.steps as u32,
            lrs,
            class_weights: weights,
        };
        self.executor.begin(&pass).unwrap();
    }

    /// Learning rate of batch `batch` of `all` in an epoch.
    pub fn lr(&self, epoch: u32, batch: usize, all: usize) -> f32 {
        let place = u64::from(epoch) * self.span + batch as u64 * self.span / all as u64;
        self.recipe.lr_at(place, self.total)
    }

    pub fn epoch(&mut self, epoch: u32, order: &[u32], weights: &[f32], samples: Option<&[f32]>) {
        let sizes = batch_sizes(Mode::Train, BATCH, order.len());
        let lrs: Vec<f32> = (0..sizes.len()).map(|i| self.lr(epoch, i, sizes.len())).collect();
        self.executor.set_sample_weights(samples).unwrap();
        let labels = self.labels.clone();
        self.begin(epoch, order, &labels, &lrs, weights);
        for n in sizes {
            self.executor.step(Mode::Train, n, &self.images).unwrap();
            self.steps += 1;
        }
    }

    pub fn order(&self, epoch: u32) -> Vec<u32> {
        epoch_order(SEEDS.order, epoch, SAMPLES, &positions().0)
    }

    pub fn losses(&self) -> Vec<f32> {
        self.executor.column(Field::Loss, SAMPLES).unwrap()
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

    pub fn bits(&self) -> Bits {
        let bits = |data: &[f32]| data.iter().map(|v| v.to_bits()).collect();
        let weights = self.executor.weights().unwrap().tensors;
        weights.into_iter().map(|(name, t)| (name, bits(&t.data))).collect()
    }
}

/// The trainer's last weights, and how many samples were presented and looked at.
pub fn trained(name: Option<&str>, epochs: usize) -> (Bits, [u64; 2]) {
    let inputs = name.map(Inputs::of);
    let recipe = inputs.as_ref().map_or(recipe(epochs), |i| i.recipe(epochs));
    let cpu = cpu(1);
    let images = cpu.images(&images()).unwrap();
    let on_device = inputs.as_ref().map_or(recipe.clone(), |i| i.on_device(&recipe));
    let mut executor = executor(cpu, &on_device, ArenaMode::Shared);
    let input = inputs.as_ref().map(Inputs::input);
    let outcome =
        train(&mut executor, &images, &recipe, input.as_ref(), &Watched::default()).unwrap();
    let count = outcome.weights.tensors.len();
    let weights = essence(&outcome).0.into_iter().take(count).collect();
    (weights, [outcome.presented, outcome.selected])
}

#[test]
fn plain_training_is_the_same_with_weights_of_one() {
    let mut plain = Driver::plain(3);
    let mut weighted = Driver::plain(3);
    for epoch in 0..3 {
        let order = plain.order(epoch);
        plain.epoch(epoch, &order, &[1.0; CLASSES], None);
        weighted.epoch(epoch, &order, &[1.0; CLASSES], Some(&[1.0; SAMPLES]));
    }
    assert!(plain.bits() == weighted.bits());
    let (weights, counts) = trained(None, 3);
    assert!(plain.bits() == weights);
    assert_eq!(counts, [3 * TRAINED as u64, 0]);
}

#[test]
fn a_step_in_two_halves_is_a_step() {
    let [mut whole, mut halves] = [Driver::plain(1), Driver::plain(1)];
    let order = whole.order(0);
    whole.epoch(0, &order, &[1.0; CLASSES], None);
    let lrs: Vec<f32> = (0..4).map(|i| halves.lr(0, i, 4)).collect();
    halves.begin(0, &order, &labels(), &lrs, &[1.0; CLASSES]);
    for n in batch_sizes(Mode::Train, BATCH, order.len()) {
        halves.executor.step_forward(n, &halves.images).unwrap();
        halves.executor.step_backward(n, &halves.images).unwrap();
    }
    assert!(whole.bits() == halves.bits());
}

#[test]
fn cdb_w_takes_the_recalls_of_the_epoch_before() {
    for name in ["cdb-w", "cdb-w:dynamic"] {
        let mut driver = Driver::plain(4);
        let mut weights = vec![1.0; CLASSES];
        for epoch in 0..4 {
            let order = driver.order(epoch);
            driver.epoch(epoch, &order, &weights, None);
            let counts = driver.validate();
            weights = class_weights::cdb_w(&counts, name == "cdb-w:dynamic");
        }
        assert!(weights != [1.0; CLASSES], "the run must make a difference: {weights:?}");
        assert!(driver.bits() == trained(Some(name), 4).0, "{name}");
    }
    assert!(trained(Some("cdb-w"), 4) != trained(Some("cdb-w:dynamic"), 4));
    assert!(trained(Some("cdb-w"), 4) != trained(None, 4));
}

#[test]
fn class_balanced_weighs_by_the_sizes_of_what_is_trained_on() {
    let mut sizes = [0u64; CLASSES];
    labels()[..TRAINED].iter().for_each(|&l| sizes[l as usize] += 1);
    let weights = class_weights::class_balanced(&sizes, 0.9);
    let mut driver = Driver::plain(2);
    for epoch in 0..2 {
        let order = driver.order(epoch);
        driver.epoch(epoch, &order, &weights, None);
    }
    assert!(driver.bits() == trained(Some("class-balanced:beta=.9"), 2).0);
}

#[test]
fn infobatch_drops_easy_samples_and_weighs_the_others_of_them() {
    let (epochs, drop) = (6, 0.25);
    let mut driver = Driver::plain(epochs);
    let mut scores = [1.2f32; TRAINED];
    let (mut presented, mut dropped_in, mut weighed) = (0, Vec::new(), 0);
    for epoch in 0..epochs as u32 {
        let mean = scores.iter().map(|&s| f64::from(s)).sum::<f64>() / TRAINED as f64;
        let (mut order, mut weights) = (driver.order(epoch), [1.0f32; SAMPLES]);
        // Off after 80 % of 6 epochs: from the sixth on.
        if epoch < 5 {
            let easy = |i: u32| f64::from(scores[i as usize]) < mean;
            order.retain(|&i| !(easy(i) && rules::dropped(SEEDS.order, epoch, i, drop)));
            (0..TRAINED as u32).filter(|&i| easy(i)).for_each(|i| weights[i as usize] = 4.0 / 3.0);
        }
        dropped_in.push(TRAINED - order.len());
        weighed += order.iter().filter(|&&i| weights[i as usize] > 1.0).count();
        // A rest of one is left out.
        let shown: usize = batch_sizes(Mode::Train, BATCH, order.len()).iter().sum();
        presented += shown as u64;
        driver.epoch(epoch, &order, &[1.0; CLASSES], Some(&weights));
        let losses = driver.losses();
        order[..shown].iter().for_each(|&i| scores[i as usize] = losses[i as usize]);
    }
    assert_eq!((dropped_in[0], dropped_in[5]), (0, 0), "{dropped_in:?}");
    assert!(dropped_in[1..5].iter().sum::<usize>() > 4 && weighed > 10, "{dropped_in:?}");
    let (weights, counts) = trained(Some("infobatch:start=1.2:until=.8:drop=.25"), epochs);
    assert!(driver.bits() == weights);
    assert_eq!(counts, [presented, 0]);
}

#[test]
fn rho_trains_on_what_is_furthest_above_its_irreducible_loss() {
    let name = "rho:candidates=10:keep=.4";
    let inputs = Inputs::of(name);
    let mut driver = Driver::new(inputs.recipe(2), 3);
    assert_eq!(driver.recipe.batch, 4);
    let mut selected = 0;
    for epoch in 0..2 {
        let order = driver.order(epoch);
        // Four of ten; of the rest of six, two.
        for (batch, (candidates, n)) in order.chunks(10).zip([4, 4, 2]).enumerate() {
            let labels = driver.labels.clone();
            let set = EvaluationSet {
                images: &driver.images,
                labels: &driver.labels,
                positions: candidates,
                groups: None,
            };
            run_pass(&mut driver.executor, Mode::Score, &set).unwrap();
            let losses = driver.losses();
            let reducible = |&i: &u32| losses[i as usize] - inputs.values[i as usize];
            let mut ranked = candidates.to_vec();
            ranked.sort_by(|a, b| reducible(b).total_cmp(&reducible(a)));
            let chosen: Vec<u32> =
                candidates.iter().copied().filter(|i| ranked[..n].contains(i)).collect();
            let lr = driver.lr(epoch, batch, 3);
            driver.begin(epoch, &chosen, &labels, &[lr], &[1.0; CLASSES]);
            driver.executor.step(Mode::Train, n, &driver.images).unwrap();
            driver.steps += 1;
            selected += candidates.len() as u64;
        }
    }
    let (weights, counts) = trained(Some(name), 2);
    assert!(driver.bits() == weights);
    assert_eq!(counts, [20, selected]);
}

#[test]
fn rwg_and_jtt_draw_samples_in_proportion_to_their_weight() {
    for name in ["rwg", "jtt:lambda=4"] {
        let inputs = Inputs::of(name);
        let mut driver = Driver::plain(2);
        let weights: Vec<f64> = (0..TRAINED)
            .map(|i| match name {
                "rwg" => {
                    let same = |&&g: &&u32| g == inputs.groups[i];
                    1.0 / inputs.groups[..TRAINED].iter().filter(same).count() as f64
                }
                _ if inputs.values[i] > 0.0 => 4.0,
                _ => 1.0,
            })
            .collect();
        let sums = rules::cumulative(&weights);
        let mut twice = 0;
        for epoch in 0..2 {
            let places = rules::draw(SEEDS.order, epoch, &sums, TRAINED);
            let sources: Vec<u32> = places.iter().map(|&p| p as u32).collect();
            let of_draws: Vec<u32> = places.iter().map(|&p| driver.labels[p]).collect();
            let count = |p: &usize| places.iter().filter(|q| *q == p).count();
            twice += places.iter().filter(|p| count(p) > 1).count();
            driver.executor.set_sources(Some(&sources)).unwrap();
            let order: Vec<u32> = (0..TRAINED as u32).collect();
            let lrs: Vec<f32> = (0..4).map(|i| driver.lr(epoch, i, 4)).collect();
            driver.begin(epoch, &order, &of_draws, &lrs, &[1.0; CLASSES]);
            for n in batch_sizes(Mode::Train, BATCH, TRAINED) {
                driver.executor.step(Mode::Train, n, &driver.images).unwrap();
                driver.steps += 1;
            }
        }
        assert!(twice > 4, "samples are drawn more than once");
        let (weights, counts) = trained(Some(name), 2);
        assert!(driver.bits() == weights, "{name}");
        assert_eq!(counts, [2 * TRAINED as u64, 0]);
    }
}

#[test]
fn groupdro_weighs_groups_by_the_losses_of_the_batch() {
    let inputs = Inputs::of("groupdro:eta=.1");
    let mut driver = Driver::plain(2);
    // Six groups, all of which have samples.
    let mut q = [1.0f32 / 6.0; 6];
    for epoch in 0..2 {
        let order = driver.order(epoch);
        let lrs: Vec<f32> = (0..4).map(|i| driver.lr(epoch, i, 4)).collect();
        driver.begin(epoch, &order, &labels(), &lrs, &[1.0; CLASSES]);
        for batch in order.chunks(BATCH) {
            driver.executor.step_forward(batch.len(), &driver.images).unwrap();
            let column = driver.losses();
            let losses: Vec<f32> = batch.iter().map(|&i| column[i as usize]).collect();
            let groups: Vec<u32> = batch.iter().map(|&i| inputs.groups[i as usize]).collect();
            let of_batch = rules::group_dro(&mut q, &losses, &groups, 0.1);
            let mut weights = [1.0; SAMPLES];
            batch.iter().zip(of_batch).for_each(|(&i, w)| weights[i as usize] = w);
            driver.executor.set_sample_weights(Some(&weights)).unwrap();
            driver.executor.step_backward(batch.len(), &driver.images).unwrap();
            driver.steps += 1;
        }
    }
    assert!(q.iter().any(|q| (q - 1.0 / 6.0).abs() > 0.01), "{q:?}");
    assert!(driver.bits() == trained(Some("groupdro:eta=.1"), 2).0);
}

#[test]
fn a_baseline_without_what_it_needs_says_so() {
    let (cpu, recipe) = (cpu(1), recipe(1));
    let images = cpu.images(&images()).unwrap();
    let mut executor = executor(cpu, &recipe, ArenaMode::Shared);
    let mut message = |recipe: &Recipe, input: BaselineInput, without_validation: bool| {
        let watched = Watched { without_validation, ..Watched::default() };
        train(&mut executor, &images, recipe, Some(&input), &watched).unwrap_err().to_string()
    };
    let bare = |name: &str| BaselineInput::new(name.parse().unwrap());
    let text = message(&recipe, bare("cdb-w"), true);
    assert!(text.contains("cdb-w: found no validation images"), "{text}");
    let weighted = Recipe { class_weights: Some(vec![1.0; 3]), ..recipe.clone() };
    for name in ["cdb-w", "class-balanced", "groupdro"] {
        let text = message(&weighted, bare(name), false);
        assert!(text.contains("`class_weights`"), "{text}");
    }
    for name in ["rho:candidates=10:keep=.4", "jtt", "bam", "rwg", "groupdro"] {
        let text = message(&recipe, bare(name), false);
        assert!(text.contains("internal error") && text.contains("samples"), "{name}: {text}");
    }
    let size = message(&recipe, bare("micro-batch-clipping:size=3"), false);
    assert!(size.contains("a divisor of `batch` 8"), "{size}");
    let few = message(&recipe, Inputs::of("rho:candidates=320:keep=.0063").input(), false);
    assert!(few.contains("at least 2 to train on: 2 of 320 candidates"), "{few}");
}
