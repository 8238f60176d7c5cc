//! Rules against `tests/golden/baselines/make.py`.

use fairprune::backend::Cpu;
use fairprune::ops::loss_score::LossScoreProblem;
use fairprune::reference::{U, judge};
use fairprune::selftest::Subject;
use fairprune::selftest::loss_score::Call;
use fairprune::train::baseline::last_layer::{HeldOut, LastLayer, balanced, refit, regression};
use fairprune::train::baseline::{class_weights, rules};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cdb_w: Vec<CdbW>,
    class_balanced: Vec<ClassBalanced>,
    weighted_gradient: Vec<Weighted>,
    info_batch: Vec<InfoBatch>,
    rho: Vec<Rho>,
    group_dro: Vec<GroupDro>,
    regression: Vec<Regression>,
}

#[derive(Deserialize)]
struct InfoBatch {
    scores: Vec<f32>,
    easy: Vec<bool>,
}

#[derive(Deserialize)]
struct Rho {
    losses: Vec<f32>,
    irreducible: Vec<f32>,
    chosen: Vec<usize>,
}

#[derive(Deserialize)]
struct GroupDro {
    count: usize,
    eta: f64,
    steps: Vec<GroupDroStep>,
}

#[derive(Deserialize)]
struct GroupDroStep {
    losses: Vec<f32>,
    groups: Vec<u32>,
    q: Vec<f64>,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct Regression {
    rows: Vec<f64>,
    width: usize,
    labels: Vec<u32>,
    classes: usize,
    c: f64,
    objective: f64,
    probabilities: Vec<f64>,
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

#[test]
fn infobatch() {
    for case in golden().info_batch {
        assert_eq!(rules::below_mean(&case.scores), case.easy);
    }
}

#[test]
fn rho() {
    for case in golden().rho {
        let chosen = rules::most_reducible(&case.losses, &case.irreducible, case.chosen.len());
        assert_eq!(chosen, case.chosen);
    }
}

#[test]
fn rho_sizes() {
    assert_eq!(rules::rho_sizes(50_000, 320, 32)[155..], [32, 8]);
    assert_eq!(rules::rho_sizes(640, 320, 32), [32, 32]);
    // A rest of one is dropped, of none is none.
    assert_eq!(rules::rho_sizes(330, 320, 32), [32]);
    assert_eq!(rules::rho_sizes(15, 320, 32), [2]);
    assert_eq!(rules::rho_sizes(14, 320, 32), [0usize; 0]);
    assert_eq!(rules::rho_sizes(0, 2, 2), [0usize; 0]);
}

/// Five steps in a row, each from the rounded weights of the last.
#[test]
fn group_dro() {
    let cases = golden().group_dro;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let mut q = vec![1.0 / case.count as f32; case.count];
        for (i, step) in case.steps.iter().enumerate() {
            let weights = rules::group_dro(&mut q, &step.losses, &step.groups, case.eta);
            same(&format!("weights of step {i}"), &weights, &step.weights);
            same(&format!("q of step {i}"), &q, &step.q);
        }
    }
}

fn probabilities(layer: &LastLayer, rows: &[f64], width: usize) -> Vec<f64> {
    let mut all = Vec::new();
    for row in rows.chunks(width) {
        let z: Vec<f64> = layer
            .weight
            .chunks(width)
            .zip(&layer.bias)
            .map(|(w, b)| w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>() + b)
            .collect();
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        all.extend(z.iter().map(|z| z.exp() / sum));
    }
    all
}

/// Against another algorithm, L-BFGS-B on the split problem.
#[test]
fn the_last_layer_is_the_minimum() {
    let cases = golden().regression;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let (width, classes) = (case.width, case.classes);
        let layer = regression(&case.rows, width, &case.labels, classes, case.c);
        let p = probabilities(&layer, &case.rows, width);
        let losses = p.chunks(classes).zip(&case.labels).map(|(p, &y)| -p[y as usize].ln());
        let objective =
            case.c * losses.sum::<f64>() + layer.weight.iter().map(|w| w.abs()).sum::<f64>();
        let error = (objective - case.objective) / case.objective;
        assert!(error < 1e-6, "{objective}, expected {}", case.objective);
        for (found, expected) in p.iter().zip(&case.probabilities) {
            assert!((found - expected).abs() < 2e-3, "{found}, expected {expected}");
        }
    }
}

#[test]
fn dfr_takes_as_many_of_every_group_and_refuses_a_class_that_is_not_there() {
    let groups = [3, 0, 0, 3, 3, 0, 1, 1, 0, 3];
    for resample in 0..5 {
        let chosen = balanced(&groups, 9, resample);
        assert_eq!(chosen.len(), 6);
        for group in [0, 1, 3] {
            assert_eq!(chosen.iter().filter(|&&i| groups[i] == group).count(), 2);
        }
        assert!(chosen.is_sorted_by(|a, b| a < b));
    }
    assert!((1..9).any(|r| balanced(&groups, 9, r) != balanced(&groups, 9, 0)));
    assert_eq!(balanced(&[], 9, 0), [0usize; 0]);

    // Feature 0 tells the class, feature 1 the group, feature 2 nothing and never changes.
    let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
    let groups: Vec<u32> = (0..40).map(|i| 2 * (i % 2) + u32::from(i >= 34)).collect();
    let features: Vec<f32> = (0..40u32)
        .flat_map(|i| {
            let class = (i % 2) as f32 + 0.3 * ((i * 7 % 11) as f32 / 11.0 - 0.5);
            [10.0 + 4.0 * class, f32::from(u8::from(i >= 34)) - 3.0, 5.0]
        })
        .collect();
    let held_out =
        HeldOut { features: &features, width: 3, labels: &labels, classes: 2, groups: &groups };
    let layer = refit(held_out, 4, 1.0, 1).unwrap();
    let rows: Vec<f64> = features.iter().map(|&v| v.into()).collect();
    let p = probabilities(&layer, &rows, 3);
    assert!(p.chunks(2).zip(&labels).all(|(p, &y)| p[y as usize] > 0.5), "{p:?}");
    assert!(layer.weight[0].abs() > 10.0 * layer.weight[1].abs(), "{layer:?}");
    assert_eq!((layer.weight[2], layer.weight[5]), (0.0, 0.0));
    assert_eq!(layer, refit(held_out, 4, 1.0, 1).unwrap());
    let missing = HeldOut { classes: 3, ..held_out };
    let message = refit(missing, 4, 1.0, 1).unwrap_err().to_string();
    assert!(message.contains("no validation sample of class 2"), "{message}");
}
