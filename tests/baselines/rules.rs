//! Rules against `tests/golden/baselines/make.py`.

use fairprune::backend::Cpu;
use fairprune::ops::loss_score::LossScoreProblem;
use fairprune::reference::{U, judge};
use fairprune::selftest::Subject;
use fairprune::selftest::loss_score::Call;
use fairprune::train::class_weights;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cdb_w: Vec<CdbW>,
    class_balanced: Vec<ClassBalanced>,
    weighted_gradient: Vec<Weighted>,
}

#[derive(Deserialize)]
struct CdbW {
    correct: Vec<u64>,
    total: Vec<u64>,
    dynamic: bool,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct ClassBalanced {
    sizes: Vec<u64>,
    beta: f64,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct Weighted {
    logits: Vec<f32>,
    labels: Vec<u32>,
    class_weights: Vec<f32>,
    sample_weights: Vec<f32>,
    smoothing: f32,
    gradient: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/baselines/rules.json")).unwrap()
}

/// One rounding of weights that f64 computes.
fn same(what: &str, found: &[f32], expected: &[f64]) {
    judge(what, found, expected, |i| 2.0 * U * expected[i].abs() + 1e-12).unwrap();
}

#[test]
fn cdb_w() {
    let cases = golden().cdb_w;
    assert_eq!(cases.len(), 8);
    for case in cases {
        let counts: Vec<(u64, u64)> = case.correct.into_iter().zip(case.total).collect();
        let weights = class_weights::cdb_w(&counts, case.dynamic);
        same(&format!("{} classes", weights.len()), &weights, &case.weights);
    }
}

#[test]
fn class_balanced() {
    let cases = golden().class_balanced;
    assert_eq!(cases.len(), 16);
    for case in cases {
        let weights = class_weights::class_balanced(&case.sizes, case.beta);
        // NumPy's own 1 - beta^n has few digits left where n is small.
        let bound = |i: usize| 2.0 * U * case.weights[i] + 1e-11;
        judge(&format!("beta {}", case.beta), &weights, &case.weights, bound).unwrap();
    }
}

#[test]
fn weighted_losses_are_those_of_pytorch() {
    let cpu = Cpu::new(1).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let cases = golden().weighted_gradient;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let (n, k) = (case.labels.len(), case.class_weights.len());
        let order: Vec<u32> = (0..n as u32).collect();
        let call = Call {
            problem: LossScoreProblem { n, batch: n, k },
            logits: &case.logits,
            order: &order,
            labels: &case.labels,
            state: [0; 4],
            mean: Some((&case.class_weights, case.smoothing)),
            sample_weights: &case.sample_weights,
            per_sample: false,
            previous: &[],
        };
        let found = call.run(&subject).unwrap().dlogits;
        same(&format!("{n} x {k}"), &found, &case.gradient);
    }
}
