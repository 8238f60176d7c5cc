//! Rules of methods that decide step by step or epoch by epoch, against
//! `tests/golden/baselines/make_in_training.py`.

use fairprune::backend::Cpu;
use fairprune::metrics::class_difference;
use fairprune::ops::loss_score::LossScoreProblem;
use fairprune::reference::{U, judge};
use fairprune::selftest::Subject;
use fairprune::selftest::loss_score::Call;
use fairprune::train::baseline::bam::{Auxiliary, Objective};
use fairprune::train::baseline::clipping::ClippedGradients;
use fairprune::train::baseline::lff::{MovingLosses, generalised_weights, relative_difficulty};
use fairprune::train::baseline::{ordered_sgd, rcap};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rcap_weights: Vec<RcapWeights>,
    rcap_counts: Vec<RcapCounts>,
    rcap_draws: Vec<RcapDraws>,
    ordered: Vec<Ordered>,
    clipping: Vec<Clipping>,
    generalised: Vec<Generalised>,
    difficulty: Vec<Difficulty>,
    auxiliary: Vec<Auxiliaries>,
    class_difference: Vec<Recalls>,
}

#[derive(Deserialize)]
struct RcapWeights {
    losses: Vec<f32>,
    labels: Vec<u32>,
    classes: usize,
    beta: f64,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct RcapCounts {
    aggregates: Vec<f64>,
    sizes: Vec<u64>,
    budget: usize,
    counts: Vec<usize>,
}

#[derive(Deserialize)]
struct RcapDraws {
    losses: Vec<f64>,
    beta: f64,
    count: usize,
    inclusion: Vec<f64>,
}

#[derive(Deserialize)]
struct Ordered {
    batch: usize,
    accuracies: Vec<f64>,
    q: Vec<usize>,
}

#[derive(Deserialize)]
struct Clipping {
    gradients: Vec<Vec<f32>>,
    mean: Vec<f64>,
}

#[derive(Deserialize)]
struct Generalised {
    logits: Vec<f32>,
    labels: Vec<u32>,
    classes: usize,
    q: f64,
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct Difficulty {
    labels: Vec<u32>,
    classes: usize,
    decay: f64,
    steps: Vec<DifficultyStep>,
}

#[derive(Deserialize)]
struct DifficultyStep {
    batch: Vec<u32>,
    biased: Vec<f32>,
    debiased: Vec<f32>,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct Auxiliaries {
    logits: Vec<f32>,
    labels: Vec<u32>,
    class_weights: Vec<f32>,
    smoothing: f64,
    scale: f64,
    lrs: Vec<f32>,
    variables: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Recalls {
    recalls: Vec<f64>,
    mean: Option<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/baselines/in_training.json")).unwrap()
}

fn near(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= 1e-12 * expected.abs() + 1e-14,
        "{what}: {found} {expected}"
    );
}

#[test]
fn rcap_weighs_samples_within_their_class() {
    let cases = golden().rcap_weights;
    assert_eq!(cases.len(), 3);
    for case in cases {
        let losses = rcap::clipped(&case.losses, case.classes);
        let weights = rcap::importances(&losses, &case.labels, case.classes, case.beta);
        weights.iter().zip(&case.weights).for_each(|(w, e)| near(*w, *e, "a weight"));
    }
    assert_eq!(rcap::clipped(&[-1.0, 0.5, 9.0, f32::NAN], 2)[1..3], [0.5, 2f64.ln()]);
    assert_eq!(rcap::clipped(&[-1.0, f32::NAN], 2), [0.0, 2f64.ln()]);
}

#[test]
fn rcap_gives_classes_counts_by_their_losses() {
    let cases = golden().rcap_counts;
    assert_eq!(cases.len(), 5);
    for case in cases {
        let counts = rcap::class_counts(&case.aggregates, &case.sizes, case.budget);
        assert_eq!(counts, case.counts, "{:?} of {:?}", case.aggregates, case.sizes);
    }
    // Classes that nothing is known against share nothing, but keep a sample to be seen again.
    assert_eq!(rcap::class_counts(&[0.0, 0.0, 1.0], &[9, 0, 9], 6), [1, 0, 6]);
    assert_eq!(rcap::class_counts(&[0.0; 2], &[3, 3], 4), [1, 1]);
    // A class of larger loss keeps more of itself.
    let counts = rcap::class_counts(&[0.2, 0.4, 0.8], &[100; 3], 150);
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
}

/// Frequencies of draws against the probabilities of successive draws without replacement.
#[test]
fn rcap_draws_without_replacement_in_favour_of_large_losses() {
    let cases = golden().rcap_draws;
    assert_eq!(cases.len(), 2);
    for case in cases {
        let n = case.losses.len();
        let samples: Vec<u32> = (0..n as u32).map(|i| 100 + 7 * i).collect();
        let (runs, mut found) = (20_000u64, vec![0u64; n]);
        for epoch in 0..runs {
            let places = rcap::drawn([5, epoch], &samples, &case.losses, case.beta, case.count);
            assert_eq!(places.len(), case.count);
            places.into_iter().for_each(|place| found[place] += 1);
        }
        for (found, p) in found.iter().zip(&case.inclusion) {
            let share = *found as f64 / runs as f64;
            // Four standard deviations.
            let bound = 4.0 * (p * (1.0 - p) / runs as f64).sqrt();
            assert!((share - p).abs() < bound, "{share}, expected {p}");
        }
        let draw = |seed| rcap::drawn([seed, 0], &samples, &case.losses, case.beta, n);
        assert!((1..9).any(|seed| draw(seed) != draw(0)), "the seed decides");
    }
}

#[test]
fn ordered_sgd_shrinks_q_with_the_training_accuracy_and_never_back() {
    let cases = golden().ordered;
    assert_eq!(cases.len(), 12);
    for case in cases {
        let mut best = 0.0f64;
        for (&accuracy, &q) in case.accuracies.iter().zip(&case.q) {
            let found = ordered_sgd::largest_losses(case.batch, best);
            assert_eq!(found, q.max(1), "batch {} at {best}", case.batch);
            best = best.max(accuracy);
        }
    }
    assert_eq!(ordered_sgd::largest_losses(8, 1.0), 1);
}

#[test]
fn ordered_sgd_weighs_the_largest_losses_alone() {
    let losses = [0.5, 2.0, 0.1, 2.0, 7.0, 0.2];
    assert_eq!(ordered_sgd::ordered_weights(&losses, 2), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(ordered_sgd::ordered_weights(&losses, 1), [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(ordered_sgd::ordered_weights(&losses, 6), [1.0; 6]);
    assert_eq!(ordered_sgd::ordered_weights(&losses, 9), [1.0; 6]);
}

#[test]
fn micro_batches_are_clipped_to_the_smallest_norm() {
    let cases = golden().clipping;
    assert_eq!(cases.len(), 3);
    for case in cases {
        let mut gradients = ClippedGradients::default();
        case.gradients.iter().for_each(|g| gradients.add(g));
        let bound = |i: usize| 2.0 * U * case.mean[i].abs() + 1e-12;
        judge("the clipped mean", &gradients.mean(), &case.mean, bound).unwrap();
    }
    // A micro-batch without a gradient stops the others.
    let mut gradients = ClippedGradients::default();
    gradients.add(&[3.0, 4.0]);
    gradients.add(&[0.0, 0.0]);
    assert_eq!(gradients.mean(), [0.0, 0.0]);
}

/// The gradient of the loss (1 - p^q) / q is that of the cross-entropy under weights p^q.
#[test]
fn generalised_cross_entropy_is_cross_entropy_under_weights() {
    let cpu = Cpu::new(1).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let cases = golden().generalised;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let (n, k) = (case.labels.len(), case.classes);
        let order: Vec<u32> = (0..n as u32).collect();
        let row = |i: usize| &case.logits[i * k..(i + 1) * k];
        let probability = |(i, &y): (usize, &u32)| {
            let sum: f64 = row(i).iter().map(|&z| f64::from(z).exp()).sum();
            (f64::from(row(i)[y as usize]).exp() / sum) as f32
        };
        let probabilities: Vec<f32> = case.labels.iter().enumerate().map(probability).collect();
        let weights = generalised_weights(&probabilities, case.q);
        let call = Call {
            problem: LossScoreProblem { n, batch: n, k },
            logits: &case.logits,
            order: &order,
            labels: &case.labels,
            state: [0; 4],
            mean: Some((&vec![1.0; k], 0.0)),
            sample_weights: &weights,
            per_sample: false,
            previous: &[],
        };
        let found = call.run(&subject).unwrap().dlogits;
        let bound = |i: usize| 8.0 * U * case.gradient[i].abs() + 1e-9;
        judge(&format!("{n} x {k}, q {}", case.q), &found, &case.gradient, bound).unwrap();
    }
}

#[test]
fn lff_weighs_by_relative_difficulty_of_moving_losses() {
    let cases = golden().difficulty;
    assert_eq!(cases.len(), 3);
    for case in cases {
        let mut biased = MovingLosses::new(case.labels.len(), case.decay);
        let mut debiased = biased.clone();
        for (i, step) in case.steps.iter().enumerate() {
            biased.update(&step.batch, &step.biased);
            debiased.update(&step.batch, &step.debiased);
            let both = [&biased, &debiased];
            let weights = relative_difficulty(both, &step.batch, &case.labels, case.classes);
            // Averages are kept in f32, step after step.
            let bound = |_| 16.0 * U;
            judge(&format!("weights of step {i}"), &weights, &step.weights, bound).unwrap();
        }
    }
    // A class whose losses are all 0 has no difficulty.
    let mut zero = MovingLosses::new(2, 0.7);
    zero.update(&[0, 1], &[0.0, 0.0]);
    assert_eq!(relative_difficulty([&zero, &zero], &[0, 1], &[0, 0], 1), [0.0, 0.0]);
}

#[test]
fn auxiliary_variables_descend_along_their_own_gradient() {
    let cases = golden().auxiliary;
    assert_eq!(cases.len(), 3);
    for case in cases {
        let (n, k) = (case.labels.len(), case.class_weights.len());
        let mut auxiliary = Auxiliary::new(n, k, case.scale);
        let batch: Vec<u32> = (0..n as u32).collect();
        let objective = Objective { class_weights: &case.class_weights, smoothing: case.smoothing };
        for (&lr, expected) in case.lrs.iter().zip(&case.variables) {
            let mut logits = case.logits.clone();
            auxiliary.amplify(&batch, &mut logits);
            let gradient = objective.gradient(&logits, &case.labels);
            auxiliary.descend(&batch, &gradient, lr);
            // Logits and variables are f32; an error of a variable comes back times lambda.
            let bound = |i: usize| 64.0 * U * (expected[i].abs() + 1e-2) * (1.0 + case.scale);
            judge(&format!("{n} x {k}"), &auxiliary.values, expected, bound).unwrap();
        }
    }
    // Other samples' variables stay where they are.
    let mut auxiliary = Auxiliary::new(3, 2, 1.0);
    auxiliary.descend(&[2, 0], &[1.0, -1.0, 0.5, -0.5], 0.5);
    assert_eq!(auxiliary.values, [-0.25, 0.25, 0.0, 0.0, -0.5, 0.5]);
    let none = Objective { class_weights: &[0.0, 1.0], smoothing: 0.0 };
    assert_eq!(none.gradient(&[1.0, 2.0], &[0]), [0.0, 0.0]);
}

#[test]
fn the_class_difference_is_the_mean_over_pairs() {
    for case in golden().class_difference {
        let recalls: Vec<Option<f64>> = case.recalls.iter().map(|&r| Some(r)).collect();
        match (class_difference(&recalls), case.mean) {
            (Some(found), Some(expected)) => near(found, expected, "the mean difference"),
            (found, expected) => assert_eq!(found, expected),
        }
    }
    let with_gap = [Some(0.25), None, Some(0.75)];
    assert_eq!(class_difference(&with_gap), Some(0.5));
}
