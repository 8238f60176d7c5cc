//! Whole runs of methods that decide step by step or epoch by epoch, against a driver that has no
//! trainer.

use fairprune::exec::{ArenaMode, Executor, Mode, Pass, batch_sizes};
use fairprune::nn::init::initialise;
use fairprune::ops::gather::Gather;
use fairprune::ops::loss_score::Field;
use fairprune::rng::{Philox, Stream};
use fairprune::train::baseline::bam::{Auxiliary, Objective};
use fairprune::train::baseline::lff::{MovingLosses, generalised_weights, relative_difficulty};
use fairprune::train::baseline::{ordered_sgd, rcap};
use fairprune::train::{Recipe, TrainOutcome};

use super::runs::{Bits, Driver, cpu, trained};
use crate::small_run::*;

/// A run of the trainer.
fn outcome(name: &str, epochs: usize) -> TrainOutcome {
    let inputs = Inputs::of(name);
    let recipe = inputs.recipe(epochs);
    let cpu = cpu(1);
    let images = cpu.images(&images()).unwrap();
    let mut executor = executor(cpu, &inputs.on_device(&recipe), ArenaMode::Shared);
    train(&mut executor, &images, &recipe, Some(&inputs.input()), &Watched::default()).unwrap()
}

/// The largest difference between two results.
fn distance(a: &Bits, b: &Bits) -> f32 {
    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.1.iter().zip(&b.1));
    pairs.map(|(&a, &b)| (f32::from_bits(a) - f32::from_bits(b)).abs()).fold(0.0, f32::max)
}

#[test]
fn rcap_keeps_of_each_class_what_its_last_picks_ask_for() {
    for mean_loss in [false, true] {
        let (epochs, beta, budget) = (4, 0.5, 13);
        let labels = labels()[..TRAINED].to_vec();
        let count = |class: u32| labels.iter().filter(|&&l| l == class).count() as u64;
        let sizes: Vec<u64> = (0..CLASSES as u32).map(count).collect();
        let mut driver = Driver::plain(epochs);
        let mut last = [(CLASSES as f64).ln() as f32; TRAINED];
        let (mut picks, mut times, mut shown_in) = ([true; TRAINED], [0; TRAINED], Vec::new());
        for epoch in 0..epochs as u32 {
            let losses = rcap::clipped(&last, CLASSES);
            let values = match mean_loss {
                true => losses.clone(),
                false => rcap::importances(&losses, &labels, CLASSES, beta),
            };
            let of = |class: usize| {
                (0..TRAINED).filter(move |&i| picks[i]).filter({
                    let labels = &labels;
                    move |&i| labels[i] as usize == class
                })
            };
            let aggregate = |class: usize| {
                let sum: f64 = of(class).map(|i| values[i]).sum();
                if mean_loss { sum / of(class).count() as f64 } else { sum }
            };
            let aggregates: Vec<f64> = (0..CLASSES).map(aggregate).collect();
            let counts = rcap::class_counts(&aggregates, &sizes, budget);
            let mut kept = [false; TRAINED];
            for (class, &count) in counts.iter().enumerate() {
                let samples: Vec<u32> =
                    (0..TRAINED as u32).filter(|&i| labels[i as usize] as usize == class).collect();
                let own: Vec<f64> = samples.iter().map(|&i| losses[i as usize]).collect();
                let draw = [SEEDS.order, u64::from(epoch)];
                let places = rcap::drawn(draw, &samples, &own, beta, count);
                places.into_iter().for_each(|p| kept[samples[p] as usize] = true);
            }
            let mut order = driver.order(epoch);
            order.retain(|&i| kept[i as usize]);
            driver.epoch(epoch, &order, &[1.0; CLASSES], None);
            let shown: usize = batch_sizes(Mode::Train, BATCH, order.len()).iter().sum();
            let found = driver.losses();
            picks = [false; TRAINED];
            for &i in &order[..shown] {
                last[i as usize] = found[i as usize];
                picks[i as usize] = true;
                times[i as usize] += 1;
            }
            shown_in.push(shown);
        }
        assert!(shown_in.iter().all(|&n| (12..=16).contains(&n)), "{shown_in:?}");
        let name = if mean_loss { "rcap:beta=.5:mean-loss" } else { "rcap:beta=.5" };
        let outcome = outcome(name, epochs);
        let (weights, counts) = trained(Some(name), epochs);
        assert!(driver.bits() == weights, "{name}");
        assert_eq!(counts, [shown_in.iter().sum::<usize>() as u64, 0]);
        let presented = outcome.times_presented.unwrap();
        assert_eq!(presented.iter().map(|&t| t as u32).collect::<Vec<_>>()[..TRAINED], times);
        assert_eq!(presented[TRAINED..], [0.0; SAMPLES - TRAINED]);
    }
}

#[test]
fn ordered_sgd_trains_on_the_largest_losses_of_each_batch() {
    let epochs = 24;
    let mut driver = Driver::plain(epochs);
    let (mut best, mut sizes) = (0.0f64, Vec::new());
    for epoch in 0..epochs as u32 {
        let q = ordered_sgd::largest_losses(BATCH, best);
        sizes.push(q);
        let order = driver.order(epoch);
        let lrs: Vec<f32> = (0..4).map(|i| driver.lr(epoch, i, 4)).collect();
        driver.begin(epoch, &order, &labels(), &lrs, &[1.0; CLASSES]);
        for batch in order.chunks(BATCH) {
            driver.executor.step_forward(batch.len(), &driver.images).unwrap();
            let losses = driver.losses();
            let mut ranked = batch.to_vec();
            ranked.sort_by(|&a, &b| losses[b as usize].total_cmp(&losses[a as usize]));
            let mut weights = [0.0; SAMPLES];
            let taken = q.min(batch.len());
            let weight = (batch.len() as f64 / taken as f64) as f32;
            ranked[..taken].iter().for_each(|&i| weights[i as usize] = weight);
            driver.executor.set_sample_weights(Some(&weights)).unwrap();
            driver.executor.step_backward(batch.len(), &driver.images).unwrap();
            driver.steps += 1;
        }
        let correct = driver.executor.column(Field::Correct, SAMPLES).unwrap();
        let sum: f64 = order.iter().map(|&i| f64::from(correct[i as usize])).sum();
        best = best.max(sum / order.len() as f64);
    }
    assert!(sizes[0] == BATCH && sizes.contains(&(BATCH / 2)), "q must shrink: {sizes:?}");
    assert!(driver.bits() == trained(Some("ordered-sgd"), epochs).0);
    // As long as q is the batch, it is plain training.
    let plain = sizes.iter().take_while(|&&q| q == BATCH).count().min(3);
    assert!(trained(Some("ordered-sgd"), plain).0 == trained(None, plain).0);
}

/// The first step by hand: gradients by name, the norm over all of them, and PyTorch's SGD.
#[test]
fn micro_batches_of_a_step_have_the_smallest_norm_of_theirs() {
    let inputs = Inputs::of("micro-batch-clipping:size=4");
    // One step: 26 samples are one batch, of six micro-batches and a rest of two.
    let recipe = Recipe { batch: 28, ..inputs.recipe(1) };
    let cpu = cpu(1);
    let images = cpu.images(&images()).unwrap();
    let mut executor = executor(cpu, &inputs.on_device(&recipe), ArenaMode::Shared);
    let initial = initialise(executor.network(), SEEDS.init);
    executor.set_weights(&initial).unwrap();
    executor.zero_velocities().unwrap();
    let order = fairprune::train::order::epoch_order(SEEDS.order, 0, SAMPLES, &positions().0);
    let (mut gradients, mut norms) = (Vec::new(), Vec::new());
    for part in order.chunks(4) {
        let lrs = [0.0];
        executor
            .begin(&Pass {
                labels: &labels(),
                order: part,
                epoch: 0,
                start: 0,
                steps_done: 0,
                lrs: &lrs,
                class_weights: &[1.0; CLASSES],
            })
            .unwrap();
        executor.step_gradient(part.len(), &images).unwrap();
        let gradient = executor.gradients().unwrap();
        let squares = gradient.values().flat_map(|t| &t.data).map(|&g| f64::from(g).powi(2));
        norms.push(squares.sum::<f64>().sqrt());
        gradients.push(gradient);
    }
    assert_eq!(norms.len(), 7);
    let least = norms.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(norms.iter().any(|&n| n > 1.2 * least), "norms must differ: {norms:?}");
    let found = train(&mut executor, &images, &recipe, Some(&inputs.input()), &Watched::default());
    let found = found.unwrap().weights;
    let lr = f64::from(recipe.lr_at(0, 1));
    for (name, tensor) in &gradients[0] {
        for i in 0..tensor.data.len() {
            let scaled =
                |(g, norm): (&std::collections::BTreeMap<_, fairprune::tensor::Tensor>, &f64)| {
                    f64::from(g[name].data[i]) * least / norm
                };
            let mean = gradients.iter().zip(&norms).map(scaled).sum::<f64>() / 7.0;
            let w = f64::from(initial.tensors[name].data[i]);
            let g = mean + f64::from(recipe.weight_decay) * w;
            let expected = w - lr * (g + f64::from(recipe.momentum) * g);
            let value = f64::from(found.tensors[name].data[i]);
            assert!(
                (value - expected).abs() < 1e-6 + 1e-5 * expected.abs(),
                "{name} {i}: {value} {expected}"
            );
        }
    }
}

#[test]
fn a_micro_batch_of_the_whole_batch_clips_nothing() {
    let (weights, counts) = {
        let outcome = outcome("micro-batch-clipping:size=8", 2);
        let count = outcome.weights.tensors.len();
        let bits: Bits = essence(&outcome).0.into_iter().take(count).collect();
        (bits, outcome.presented)
    };
    let (plain, other) = (trained(None, 2).0, trained(None, 1).0);
    assert_eq!(counts, 2 * TRAINED as u64);
    let (near, far) = (distance(&weights, &plain), distance(&other, &plain));
    assert!(near < 1e-3 * far, "{near} beside {far}");
    // Smaller ones are another run, and a last micro-batch of one sample is left out.
    let halves = outcome("micro-batch-clipping:size=4", 2);
    assert_eq!(halves.presented, 2 * TRAINED as u64);
    assert!(essence(&halves).0 != essence(&outcome("micro-batch-clipping:size=2", 2)).0);
}

#[test]
fn lff_trains_two_networks_in_step() {
    let (epochs, q, decay) = (3, 0.7, 0.7);
    let mut driver = Driver::plain(epochs);
    let mut biased = Driver::plain(epochs);
    let seed = Philox::new(SEEDS.init, Stream::Seeds).sequence(1 << 35).next_u64();
    let weights = initialise(biased.executor.network(), seed);
    biased.executor.set_weights(&weights).unwrap();
    let mut averages = [MovingLosses::new(SAMPLES, decay), MovingLosses::new(SAMPLES, decay)];
    let mut spread = 0.0f32;
    for epoch in 0..epochs as u32 {
        let order = driver.order(epoch);
        let lrs: Vec<f32> = (0..4).map(|i| driver.lr(epoch, i, 4)).collect();
        for d in [&mut driver, &mut biased] {
            d.begin(epoch, &order, &labels(), &lrs, &[1.0; CLASSES]);
        }
        for batch in order.chunks(BATCH) {
            let column = |d: &Driver, field| {
                let all = d.executor.column(field, SAMPLES).unwrap();
                batch.iter().map(|&i| all[i as usize]).collect::<Vec<f32>>()
            };
            let mut losses = Vec::new();
            for (d, average) in [&mut biased, &mut driver].into_iter().zip(&mut averages) {
                d.executor.step_forward(batch.len(), &d.images).unwrap();
                losses = column(d, Field::Loss);
                average.update(batch, &losses);
            }
            assert_eq!(losses.len(), batch.len());
            let p = column(&biased, Field::LabelProbability);
            let [b, d] = &averages;
            let of_network = [
                generalised_weights(&p, q),
                relative_difficulty([b, d], batch, &labels(), CLASSES),
            ];
            spread = spread.max(of_network[1].iter().map(|w| (w - 0.5).abs()).fold(0.0, f32::max));
            for (d, own) in [&mut biased, &mut driver].into_iter().zip(of_network) {
                let mut weights = [1.0; SAMPLES];
                batch.iter().zip(own).for_each(|(&i, w)| weights[i as usize] = w);
                d.executor.set_sample_weights(Some(&weights)).unwrap();
                d.executor.step_backward(batch.len(), &d.images).unwrap();
                d.steps += 1;
            }
        }
    }
    assert!(spread > 0.1, "weights must differ: {spread}");
    let (weights, counts) = trained(Some("lff"), epochs);
    assert!(driver.bits() == weights);
    assert_eq!(counts, [epochs as u64 * TRAINED as u64, 0]);
    assert!(weights != trained(None, epochs).0 && weights != trained(Some("lff:q=.2"), epochs).0);
}

#[test]
fn bam_adds_a_variable_a_sample_to_the_logits_of_its_first_stage() {
    let (epochs, lambda) = (3, 20.0);
    let mut driver = Driver::plain(epochs);
    let mut auxiliary = Auxiliary::new(SAMPLES, CLASSES, lambda);
    let smoothing = f64::from(driver.recipe.label_smoothing);
    let objective = Objective { class_weights: &[1.0; CLASSES], smoothing };
    for epoch in 0..epochs as u32 {
        let order = driver.order(epoch);
        let lrs: Vec<f32> = (0..4).map(|i| driver.lr(epoch, i, 4)).collect();
        driver.begin(epoch, &order, &labels(), &lrs, &[1.0; CLASSES]);
        for (batch, &lr) in order.chunks(BATCH).zip(&lrs) {
            let executor: &mut Executor<_> = &mut driver.executor;
            executor.step_forward(batch.len(), &driver.images).unwrap();
            let mut logits = executor.logits(Mode::Train, batch.len()).unwrap();
            auxiliary.amplify(batch, &mut logits);
            executor.set_logits(batch.len(), &logits).unwrap();
            executor.step_backward(batch.len(), &driver.images).unwrap();
            let own: Vec<u32> = batch.iter().map(|&i| labels()[i as usize]).collect();
            auxiliary.descend(batch, &objective.gradient(&logits, &own), lr);
            driver.steps += 1;
        }
    }
    // The label's variable rises for every sample that was trained on.
    let rises = |i: usize| auxiliary.values[i * CLASSES + labels()[i] as usize] > 0.0;
    assert!((0..TRAINED).all(rises) && !(TRAINED..SAMPLES).any(rises));
    assert!(driver.bits() == trained(Some("first bam:lambda=20"), epochs).0);
    // Without lambda it is plain training; the second stage draws as JTT's does.
    let plain = trained(None, epochs).0;
    assert!(trained(Some("first bam:lambda=0"), epochs).0 == plain && driver.bits() != plain);
    assert!(trained(Some("bam:mu=4"), 2).0 == trained(Some("jtt:lambda=4"), 2).0);
}

#[test]
fn bam_is_best_where_classes_differ_least() {
    let epochs = 6;
    let outcome = outcome("bam:mu=4", epochs);
    let validated: Vec<u32> = labels()[TRAINED..].to_vec();
    let mut least = (f64::INFINITY, 0);
    for record in &outcome.history {
        let correct = record.val_correct.as_ref().unwrap();
        let recall = |c: usize| {
            correct[c] as f64 / validated.iter().filter(|&&l| l as usize == c).count() as f64
        };
        let pairs = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| (recall(a) - recall(b)).abs());
        let mean = pairs.iter().sum::<f64>() / 3.0;
        assert!((record.val_class_difference.unwrap() - mean).abs() < 1e-12);
        if mean < least.0 - 1e-12 {
            least = (mean, record.epoch);
        }
    }
    assert_eq!(outcome.best().unwrap().epoch, least.1);
    let differs = |name| outcome_without_difference(name, epochs);
    assert!(differs("jtt:lambda=4"));
}

/// Other methods take the best accuracy, and record no difference.
fn outcome_without_difference(name: &str, epochs: usize) -> bool {
    let outcome = outcome(name, epochs);
    let best = outcome.history.iter().filter_map(|r| r.val_accuracy).fold(0.0, f64::max);
    outcome.best().unwrap().val_accuracy == Some(best)
        && outcome.history.iter().all(|r| r.val_class_difference.is_none())
}
