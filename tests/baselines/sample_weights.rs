//! This file tests runs under weights of samples, such as a selection gives them. It compares them with the
//! driver that goes by hand and with weights of classes, and checks which weights are refused.

use fairprune::exec::ArenaMode;
use fairprune::ops::gather::Gather;
use fairprune::train::Recipe;

use super::runs::{Bits, Driver, cpu, trained};
use crate::small_run::*;

/// The trainer's run under weights of samples.
fn weighted(recipe: &Recipe, weights: &[f32], watched: Watched) -> Bits {
    let cpu = cpu(2);
    let images = cpu.images(&images()).unwrap();
    let mut executor = executor(cpu, recipe, ArenaMode::Shared);
    let watched = Watched { sample_weights: Some(weights.to_vec()), ..watched };
    let outcome = match train(&mut executor, &images, recipe, None, &watched) {
        Ok(outcome) => outcome,
        Err(_) => {
            let watched = Watched { stop_after: None, ..watched };
            train(&mut executor, &images, recipe, None, &watched).unwrap()
        }
    };
    let count = outcome.weights.tensors.len();
    essence(&outcome).0.into_iter().take(count).collect()
}

/// Weights such as a selection gives: some 0, some large.
fn uneven() -> Vec<f32> {
    (0..SAMPLES).map(|i| [0.25, 0.0, 3.5, 1.0, 0.75][i * 7 % 5]).collect()
}

#[test]
fn weights_of_samples_divide_each_batch_by_their_sum() {
    let weights = uneven();
    let mut driver = Driver::plain(3);
    for epoch in 0..3 {
        let order = driver.order(epoch);
        let mut factors = vec![1.0; SAMPLES];
        for batch in order.chunks(BATCH) {
            let of_batch = batch.iter().map(|&i| f64::from(weights[i as usize]));
            let sum: f64 = of_batch.sum();
            for &i in batch {
                let weight = f64::from(weights[i as usize]) * batch.len() as f64 / sum;
                factors[i as usize] = weight as f32;
            }
        }
        driver.epoch(epoch, &order, &[1.0; CLASSES], Some(&factors));
    }
    let recipe = recipe(3);
    let bits = weighted(&recipe, &weights, Watched::default());
    assert!(driver.bits() == bits);
    assert!(bits != trained(None, 3).0, "the weights must make a difference");
    // Their scale does not, and equal ones are none.
    let doubled: Vec<f32> = weights.iter().map(|w| 2.0 * w).collect();
    assert!(weighted(&recipe, &doubled, Watched::default()) == bits);
    assert!(weighted(&recipe, &[0.7; SAMPLES], Watched::default()) == trained(None, 3).0);
    // A run that was stopped twice ends with the same bits.
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Some(folder.path().join("checkpoint.safetensors"));
    let stopped = Watched { checkpoint, stop_after: Some(6), ..Watched::default() };
    assert!(weighted(&recipe, &weights, stopped) == bits);
}

/// PyTorch's weighted cross-entropy, which the golden runs hold ours against, as an oracle: a weight a
/// class is the same weight for each of its samples.
#[test]
fn weights_of_samples_that_are_those_of_their_class() {
    let classes = [0.5f32, 2.0, 5.0];
    let plain = Recipe { label_smoothing: 0.0, ..recipe(3) };
    let by_class = Recipe { class_weights: Some(classes.to_vec()), ..plain.clone() };
    let of_samples: Vec<f32> = labels().iter().map(|&l| classes[l as usize]).collect();
    let ones = [1.0; SAMPLES];
    let wanted = weighted(&by_class, &ones, Watched::default());
    let found = weighted(&plain, &of_samples, Watched::default());
    let unweighted = weighted(&plain, &ones, Watched::default());
    let distance = |a: &Bits, b: &Bits| {
        let pairs = a.iter().zip(b).flat_map(|(a, b)| a.1.iter().zip(&b.1));
        pairs.map(|(&a, &b)| (f32::from_bits(a) - f32::from_bits(b)).abs()).fold(0.0, f32::max)
    };
    let (near, far) = (distance(&found, &wanted), distance(&unweighted, &wanted));
    assert!(near < 1e-3 * far, "{near} beside {far}");
    // Both at once multiply.
    let both = weighted(&by_class, &of_samples, Watched::default());
    let squares = Recipe { class_weights: Some(classes.map(|c| c * c).to_vec()), ..plain };
    let near = distance(&both, &weighted(&squares, &ones, Watched::default()));
    assert!(near < 1e-3 * far, "{near} beside {far}");
}

#[test]
fn weights_of_samples_that_are_none_are_refused() {
    let (cpu, recipe) = (cpu(1), recipe(1));
    let images = cpu.images(&images()).unwrap();
    let mut executor = executor(cpu, &recipe, ArenaMode::Shared);
    let mut message = |weights: Vec<f32>, baseline: Option<&str>| {
        let watched = Watched { sample_weights: Some(weights), ..Watched::default() };
        let inputs = baseline.map(Inputs::of);
        let input = inputs.as_ref().map(Inputs::input);
        let error = train(&mut executor, &images, &recipe, input.as_ref(), &watched).unwrap_err();
        error.to_string()
    };
    let mut weights = uneven();
    assert!(message(weights.clone(), Some("rwg")).contains("rwg: found weights of picks"));
    assert!(message(weights[1..].to_vec(), None).contains("37 sample weights of 38"));
    weights[5] = -0.5;
    assert!(message(weights, None).contains("weight of sample 5"));
}
