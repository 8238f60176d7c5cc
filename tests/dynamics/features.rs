//! Penultimate features and last-layer gradient norms: what the network's last layer makes of them.

use std::sync::Arc;

use bytes::Bytes;

use fairprune::backend::Cpu;
use fairprune::exec::{ArenaMode, EvaluationSet};
use fairprune::requests::Requests;
use fairprune::score::features::extract;

use crate::recorded_run::{SAMPLES, check_features, executor, part, with_bias};

#[test]
fn the_last_layer_makes_logits_and_norms_of_the_features() {
    let (images, labels) = part();
    let mut e = executor(Arc::new(Cpu::new(2).unwrap()), false, ArenaMode::Debug);
    check_features(&mut e, &Bytes::from(images), &labels);
}

#[test]
fn other_batches_give_the_same_features() {
    let (images, labels) = part();
    let images = Bytes::from(images);
    let mut e = executor(Arc::new(Cpu::new(2).unwrap()), false, ArenaMode::Shared);
    with_bias(&mut e);
    let all: Vec<u32> = (0..SAMPLES as u32).collect();
    let set = EvaluationSet { images: &images, labels: &labels, positions: &all, groups: None };
    let goes_on = Requests::new();
    let stopped = Requests::new();
    stopped.ask_to_stop();
    let whole = extract(&mut e, &set, &goes_on).unwrap();
    // Eleven samples are batches of 7 and 4: there is a plan for both, 25 leaves the same rest.
    let first = EvaluationSet { positions: &all[..11], ..set };
    let some = extract(&mut e, &first, &goes_on).unwrap();
    assert_eq!(some.features.values[..], whole.features.values[..11 * whole.features.width]);
    let shuffled =
        EvaluationSet { images: &images, labels: &labels, positions: &[1, 0], groups: None };
    assert!(extract(&mut e, &shuffled, &goes_on).is_err());
    let whole = EvaluationSet { images: &images, labels: &labels, positions: &all, groups: None };
    assert!(extract(&mut e, &whole, &stopped).is_err(), "interrupted");
}
