//! Scores of a recorded run against PyTorch's float64 (`tests/golden/make_dynamics.py`), computed there
//! from the logits of every presentation alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use fairprune::artefact::dynamics::Quantity;
use fairprune::artefact::npy::{self, ArrayValues};
use fairprune::backend::{Cpu, View};
use fairprune::exec::ArenaMode;
use fairprune::ops::loss_score::{
    BatchViews, FIELDS, Field, LogitGradient, LossScore, LossScoreProblem,
};
use fairprune::reference::{U, judge};
use fairprune::score::options::{El2nForm, NeverLearned};
use fairprune::score::{Method, Options, recorded};
use fairprune::selftest::Subject;
use fairprune::selftest::fence::{Fenced, Fill};
use fairprune::selftest::values::{as_u32, bits};
use serde::Deserialize;

use crate::recorded_run::{CLASSES, SAMPLES, executor, logits, part};

const EPOCHS: usize = 32;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dynamics")
}

/// What PyTorch made of the logits.
#[derive(Deserialize)]
struct Golden {
    labels: Vec<u32>,
    /// Epoch by epoch, N values; null where an epoch left the sample out.
    quantities: Vec<(String, Vec<Option<f64>>)>,
    scores: Vec<GoldenScore>,
}

#[derive(Deserialize)]
struct GoldenScore {
    method: String,
    never_learned: Option<String>,
    /// The run as if it had ended after them.
    epochs: Option<usize>,
    window: Option<usize>,
    trajectory: Option<usize>,
    decay: Option<f64>,
    /// Largest error that rounding the quantities to f32 first makes, relative to the largest value.
    float32_error: f64,
    values: Vec<f64>,
}

fn golden() -> Golden {
    let text = std::fs::read_to_string(folder().join("scores.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn stored_logits() -> Vec<f32> {
    let array = npy::read(&folder().join("logits.npy")).unwrap();
    assert_eq!(array.shape, [EPOCHS * SAMPLES, CLASSES]);
    match array.values {
        ArrayValues::F32(values) => values,
        _ => panic!("the logits are f32"),
    }
}

/// The quantities, by the operator that records them, fed with one epoch after the other.
fn quantities(logits: &[f32], labels: &[u32]) -> Vec<(Quantity, Vec<f32>)> {
    let cpu = Cpu::new(2).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let fields = [
        (Quantity::Loss, Field::Loss),
        (Quantity::LabelProbability, Field::LabelProbability),
        (Quantity::Correct, Field::Correct),
        (Quantity::LogitMargin, Field::Aum),
        (Quantity::El2n, Field::El2n),
        (Quantity::Divergence, Field::Divergence),
    ];
    let mut recorded: Vec<(Quantity, Vec<f32>)> =
        fields.iter().map(|f| (f.0, Vec::new())).collect();
    let mut previous = vec![f32::NAN; SAMPLES * CLASSES];
    for z in logits.chunks(SAMPLES * CLASSES) {
        let presented: Vec<u32> =
            (0..SAMPLES as u32).filter(|&i| !z[i as usize * CLASSES].is_nan()).collect();
        let rows: Vec<f32> =
            presented.iter().flat_map(|&i| z[i as usize * CLASSES..][..CLASSES].to_vec()).collect();
        let n = presented.len();
        let [order, labels, state] = [&presented[..], labels, &[0; 4]].map(bits);
        let tensors = [
            Fill::Values(&rows),
            Fill::Values(&order),
            Fill::Values(&labels),
            Fill::Values(&state),
            Fill::Poison(FIELDS * SAMPLES),
            Fill::Values(&previous),
        ];
        let mut f = Fenced::new(&subject, &tensors).unwrap();
        let [z, order, labels, state, table, before] = f.views[..] else { unreachable!() };
        let [order, labels, state] = [order, labels, state].map(as_u32);
        let batch = BatchViews { order, labels, state, table, previous: before };
        let problem = LossScoreProblem { n, batch: n, k: CLASSES };
        let none = LogitGradient::None;
        cpu.loss_score(&mut f.memory, &problem, z, &batch, none, View::EMPTY).unwrap();
        let table = f.read(4).unwrap();
        previous = f.read(5).unwrap();
        for ((_, values), (_, field)) in recorded.iter_mut().zip(fields) {
            values.extend(&table[field as usize * SAMPLES..][..SAMPLES]);
        }
    }
    recorded
}

#[test]
fn quantities_are_pytorch_s() {
    let golden = golden();
    let recorded = quantities(&stored_logits(), &golden.labels);
    assert_eq!(golden.quantities.len(), recorded.len());
    for ((name, reference), (quantity, values)) in golden.quantities.iter().zip(&recorded) {
        assert_eq!(name, quantity.name());
        for (i, (&out, reference)) in values.iter().zip(reference).enumerate() {
            match reference {
                None => assert!(out.is_nan(), "{name} {i}: {out}"),
                // The divergence adds up differences of logarithms kept in f32, up to some 20.
                Some(r) => judge(name, &[out], &[*r], |_| 4.0 * U * r.abs() + 20.0 * U).unwrap(),
            }
        }
    }
}

#[test]
fn scores_are_pytorch_s() {
    let golden = golden();
    let recorded = quantities(&stored_logits(), &golden.labels);
    let mut seen = Vec::new();
    for case in &golden.scores {
        let method: Method = case.method.parse().unwrap();
        let default = Options::default();
        let never = case.never_learned.as_deref();
        let options = Options {
            el2n: if method == Method::El2n { El2nForm::Sum } else { El2nForm::Mean },
            never_learned: never.map_or(NeverLearned::Hardest, |name| name.parse().unwrap()),
            window: case.window.unwrap_or(default.window),
            trajectory: case.trajectory,
            decay: case.decay.unwrap_or(default.decay),
            ..default
        };
        let scores = recorded::score(&[method], &options, SAMPLES, |quantity| {
            let values = &recorded.iter().find(|r| r.0 == quantity).unwrap().1;
            Ok(values[..case.epochs.unwrap_or(EPOCHS) * SAMPLES].to_vec())
        });
        let scores = &scores.unwrap()[0].1;
        let largest = case.values.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        // Twice what rounding the quantities does, and one more rounding.
        let bound = 2.0 * case.float32_error * largest + 2.0 * U * largest;
        judge(&format!("{options:?} {method}"), scores, &case.values, |_| bound).unwrap();
        seen.push(method);
    }
    let missing = Method::ALL.into_iter().filter(|m| {
        let recorded = m.least_epochs(&Options::default()) > 1
            || matches!(
                m,
                Method::Forgetting | Method::Aum | Method::Confidence | Method::Variability
            );
        recorded && !seen.contains(m)
    });
    // Its golden values are made without PyTorch, in `early`.
    assert_eq!(missing.collect::<Vec<_>>(), [Method::EarlyConfidence]);
}

/// The committed logits are those of the run: the same bits on the machine that made them, and as
/// close as training allows elsewhere at its beginning.
#[test]
fn the_stored_logits_are_of_the_run() {
    let (images, labels) = part();
    assert_eq!(golden().labels, labels);
    let mut e = executor(Arc::new(Cpu::new(2).unwrap()), false, ArenaMode::Shared);
    let run = logits(&mut e, &Bytes::from(images), &labels, 2);
    for (i, (&now, stored)) in run.iter().zip(stored_logits()).enumerate() {
        let same = now.is_nan() && stored.is_nan() || (now - stored).abs() <= 1e-3;
        assert!(same, "logit {i}: {now}, stored {stored}");
    }
}

#[test]
#[ignore = "writes tests/golden/dynamics/logits.npy and labels.npy; then run make_dynamics.py"]
fn writes_the_logits() {
    let (images, labels) = part();
    let mut e = executor(Arc::new(Cpu::new(2).unwrap()), false, ArenaMode::Shared);
    let run = logits(&mut e, &Bytes::from(images), &labels, EPOCHS);
    npy::write(&folder().join("logits.npy"), &[EPOCHS * SAMPLES, CLASSES], &run).unwrap();
    let labels: Vec<i64> = labels.iter().map(|&l| l.into()).collect();
    npy::write(&folder().join("labels.npy"), &[SAMPLES], &labels).unwrap();
}
