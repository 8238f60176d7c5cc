//! Defects of a caller that a device finds while it computes, and does not wait to report: nothing
//! outside the tensors is touched, and the step counts as bad.

use fairprune::backend::View;
use fairprune::cuda::Cuda;
use fairprune::ops::gather::Augmentation;
use fairprune::ops::loss_score::{BatchViews, FIELDS, LogitGradient, LossScore, LossScoreProblem};
use fairprune::ops::sgd::SgdProblem;
use fairprune::selftest::fence::{Fenced, Fill};
use fairprune::selftest::values::{as_u32, bits, words};
use fairprune::selftest::{Subject, gather, sgd};

use super::card;

#[test]
fn images_that_are_not_there_are_nan() {
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: true };
    let images = gather::pixels(3, [4, 4]);
    let p = gather::problem(
        2,
        2,
        [4, 4],
        Augmentation { flip: true, translate: 1, resized_crop: false },
    );
    let run = |order: &[u32], batch| {
        let out = gather::gather(&subject, &p, &images, order, batch, 0).unwrap();
        [0, 1].map(|i| out[i * 48..][..48].iter().filter(|v| v.is_nan()).count())
    };
    assert_eq!(run(&[0, 1, 2], 1), [0, 48], "a batch past the order");
    assert_eq!(run(&[3, 2], 0), [48, 0], "an image past the last");
    assert_eq!(run(&[0, 1], u32::MAX), [48, 48], "a batch far away");
}

/// State, then table, dlogits and previous presentations, of a batch of three with two classes.
fn loss(cuda: &Cuda, order: &[u32], labels: &[u32], batch: u32) -> (Vec<u32>, [Vec<f32>; 3]) {
    let subject = Subject { backend: cuda, reduced: true };
    let state = bits(&[batch, 0, 0, 6]);
    let (order, labels) = (bits(order), bits(labels));
    let tensors = [
        Fill::Values(&[0.5; 6]),
        Fill::Values(&order),
        Fill::Values(&labels),
        Fill::Values(&state),
        Fill::Poison(FIELDS * labels.len()),
        Fill::Poison(6),
        Fill::Values(&[1.0, 2.0]),
        Fill::Poison(2 * labels.len()),
    ];
    let mut f = Fenced::new(&subject, &tensors).unwrap();
    let [logits, order, labels, state, table, dlogits, class_weights, previous] = f.views[..]
    else {
        unreachable!()
    };
    let [order, labels, state] = [order, labels, state].map(as_u32);
    let batch = BatchViews { order, labels, state, table, previous };
    let problem = LossScoreProblem { n: 3, batch: 3, k: 2 };
    let gradient =
        LogitGradient::Mean { class_weights, sample_weights: View::EMPTY, smoothing: 0.1 };
    cuda.loss_score(&mut f.memory, &problem, logits, &batch, gradient, dlogits).unwrap();
    // The norms of the same batch: nothing of it is written outside the table either.
    cuda.store_norms(&mut f.memory, &problem, logits.prefix(3), &batch).unwrap();
    (words(&f.read(3).unwrap()), [4, 5, 7].map(|i| f.read(i).unwrap()))
}

#[test]
fn samples_without_a_place_make_the_step_bad() {
    let cuda = card();
    let written = |table: &[f32]| table.iter().filter(|v| !v.is_nan()).count();
    for (what, order, labels, batch, rows) in [
        ("nothing wrong", &[2, 0, 1][..], &[1, 0, 1][..], 0, 3),
        ("a batch that ends outside the order", &[2, 0][..], &[1, 0, 1][..], 0, 2),
        ("a batch outside the order", &[2, 0, 1][..], &[1, 0, 1][..], 1, 0),
        ("a sample without a label", &[2, 3, 1][..], &[1, 0, 1][..], 0, 2),
        ("a label that is no class", &[2, 0, 1][..], &[1, 2, 1][..], 0, 2),
    ] {
        let (state, [table, dlogits, previous]) = loss(&cuda, order, labels, batch);
        let bad = if rows == 3 { 0 } else { 7 };
        assert_eq!(state, [batch, 0, bad, 6], "{what}");
        assert_eq!(written(&dlogits), 2 * rows, "{what}");
        assert_eq!(written(&previous), 2 * rows, "{what}");
        // The norms need no label: a row is theirs where it is in the table.
        let norms = if what.starts_with("a label") { 3 } else { rows };
        // No sample was presented before, so that no divergence is a number.
        assert_eq!(written(&table), (FIELDS - 2) * rows + norms, "{what}");
    }
}

#[test]
fn a_step_without_a_learning_rate_is_bad() {
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: true };
    let p = SgdProblem { momentum: 0.0, weight_decay: 0.0, nesterov: false };
    let one = [1.0; 5];
    let run = |state| sgd::step(&subject, &p, [&one, &one, &one], &[0.5], state).unwrap();
    let (w, v, state) = run([1, 0, 0, 9]);
    assert_eq!((w, v, state), (vec![1.0; 5], vec![1.0; 5], vec![2, 0, 10, 10]));
    assert_eq!(run([1, 0, 4, 9]).2, [2, 0, 4, 10], "an earlier step stays");
}
