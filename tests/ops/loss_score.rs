//! Losses, scores and gradients of the logits; which rows of the table a batch writes.

use fairprune::backend::{Cpu, View};
use fairprune::ops::loss_score::{
    BatchViews, FIELDS, Field, LogitGradient, LossScore, LossScoreProblem,
};
use fairprune::reference::loss_score as oracle;
use fairprune::reference::{U, judge};

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits, words};

const FIELD: [Field; 8] = [
    Field::Loss,
    Field::El2n,
    Field::Entropy,
    Field::Margin,
    Field::LabelProbability,
    Field::Aum,
    Field::Correct,
    Field::Prediction,
];

fn cpu() -> Cpu {
    Cpu::new(0).unwrap()
}

/// One call: `part` samples in the part, of which `order` is the pass.
struct Call<'a> {
    problem: LossScoreProblem,
    logits: &'a [f32],
    order: &'a [u32],
    labels: &'a [u32],
    state: [u32; 4],
    /// Class weights and smoothing of the mean objective; none: `per_sample` decides.
    mean: Option<(&'a [f32], f32)>,
    per_sample: bool,
}

/// What a call left behind.
struct After {
    /// Column by column, one value a sample of the part.
    table: Vec<f32>,
    dlogits: Vec<f32>,
    state: Vec<u32>,
    part: usize,
}

impl After {
    fn field(&self, field: Field, sample: u32) -> f32 {
        self.table[field as usize * self.part + sample as usize]
    }
}

impl Call<'_> {
    fn run(&self, cpu: &Cpu) -> After {
        let part = self.labels.len();
        let (order, labels, state) = (bits(self.order), bits(self.labels), bits(&self.state));
        let (weights, smoothing) = self.mean.unwrap_or((&[], 0.0));
        let with_gradient = self.mean.is_some() || self.per_sample;
        let gradients = if with_gradient { self.logits.len() } else { 0 };
        let tensors = [
            Fill::Values(self.logits),
            Fill::Values(&order),
            Fill::Values(&labels),
            Fill::Values(&state),
            Fill::Poison(FIELDS * part),
            Fill::Values(weights),
            Fill::Poison(gradients),
        ];
        let mut f = Fenced::new(cpu, &tensors);
        let [logits, order, labels, state, table, class_weights, dlogits] = f.views[..] else {
            unreachable!()
        };
        let batch = BatchViews {
            order: as_u32(order),
            labels: as_u32(labels),
            state: as_u32(state),
            table,
        };
        let gradient = match (self.mean, self.per_sample) {
            (Some(_), _) => LogitGradient::Mean { class_weights, smoothing },
            (None, true) => LogitGradient::PerSample,
            (None, false) => LogitGradient::None,
        };
        cpu.loss_score(&mut f.memory, &self.problem, logits, &batch, gradient, dlogits).unwrap();
        After { table: f.read(4), dlogits: f.read(6), state: words(&f.read(3)), part }
    }
}

/// A whole part in order, as one batch.
fn all(labels: &[u32]) -> Vec<u32> {
    (0..labels.len() as u32).collect()
}

fn whole(problem: LossScoreProblem, logits: &[f32], labels: &[u32]) -> After {
    let order = all(labels);
    Call { problem, logits, order: &order, labels, state: [0; 4], mean: None, per_sample: false }
        .run(&cpu())
}

fn expected(field: Field, s: &oracle::Scores) -> f64 {
    match field {
        Field::Loss => s.loss,
        Field::El2n => s.el2n,
        Field::Entropy => s.entropy,
        Field::Margin => s.margin,
        Field::LabelProbability => s.label_probability,
        Field::Aum => s.aum,
        Field::Correct => s.correct,
        Field::Prediction => s.prediction,
        Field::Grand => unreachable!("not read off the logits"),
    }
}

/// The operator works in f64 and rounds once: beyond that, only the exponentials' last digits,
/// relative to the largest logit.
#[test]
fn every_score_is_its_definition() {
    for (n, k, scale) in [(1, 2, 1.0), (3, 10, 5.0), (17, 7, 30.0), (40, 100, 3.0), (3, 3, 1e4)] {
        let mut values = Values::new(1);
        let logits: Vec<f32> = values.uniform(n * k).iter().map(|v| v * scale).collect();
        let labels = values.below(n, k as u32);
        let after = whole(LossScoreProblem { n, batch: n, k }, &logits, &labels);
        for (i, (z, &y)) in logits.chunks(k).zip(&labels).enumerate() {
            let scores = oracle::scores(z, y as usize);
            for field in FIELD {
                let (out, reference) = (after.field(field, i as u32), expected(field, &scores));
                judge(&format!("{field:?} of {i} in {n} x {k}"), &[out], &[reference], |_| {
                    U * reference.abs() + 1e-15 * f64::from(scale) + f64::from(f32::MIN_POSITIVE)
                })
                .unwrap();
            }
        }
        assert_eq!(after.state, [0; 4], "finite losses set no flag, and nothing counts");
    }
}

#[test]
fn closed_forms() {
    // Equal logits: p = 1/4, the first class is predicted.
    let after = whole(LossScoreProblem { n: 2, batch: 2, k: 4 }, &[3.0; 8], &[0, 2]);
    let ln4 = 4f32.ln();
    for (sample, correct) in [(0, 1.0), (1, 0.0)] {
        let row = FIELD.map(|f| after.field(f, sample));
        assert_eq!(row, [ln4, 0.75f32.sqrt(), ln4, 0.0, 0.25, 0.0, correct, 0.0]);
    }
}

#[test]
fn saturated_logits_stay_finite() {
    let (low, high) = (-1e4, 1e4);
    let logits = [high, low, low, low, high, low, high, high, low, low, low, low];
    let labels = [0, 0, 1, 2];
    let after = whole(LossScoreProblem { n: 4, batch: 4, k: 3 }, &logits, &labels);
    let row = |i| FIELD.map(|f| after.field(f, i));
    let (ln2, ln3, half) = (2f32.ln(), 3f32.ln(), 0.5f32);
    // Loss, EL2N, entropy, margin, p_y, AUM, correct, prediction.
    assert_eq!(row(0), [0.0, 0.0, 0.0, 1.0, 1.0, 2e4, 1.0, 0.0]);
    assert_eq!(row(1), [2e4, 2f32.sqrt(), 0.0, 1.0, 0.0, -2e4, 0.0, 1.0]);
    assert_eq!(row(2), [ln2, half.sqrt(), ln2, 0.0, 0.5, 0.0, 0.0, 0.0]);
    let third = 1.0 / 3.0;
    assert_eq!(row(3), [ln3, (2.0f64 / 3.0).sqrt() as f32, ln3, 0.0, third, 0.0, 0.0, 0.0]);
    assert_eq!(after.state[2], 0);
}

#[test]
fn gradients_are_derivatives_of_the_objective() {
    for (n, k, smoothing) in [(1, 2, 0.0), (3, 5, 0.1), (17, 10, 0.0), (5, 7, 0.5)] {
        let mut values = Values::new(2);
        let logits: Vec<f32> = values.uniform(n * k).iter().map(|v| v * 4.0).collect();
        let labels = values.below(n, k as u32);
        let uneven: Vec<f32> = values.uniform(k).iter().map(|v| 1.1 + v).collect();
        let order = all(&labels);
        for weights in [vec![1.0; k], uneven] {
            let call = Call {
                problem: LossScoreProblem { n, batch: n, k },
                logits: &logits,
                order: &order,
                labels: &labels,
                state: [0; 4],
                mean: Some((&weights, smoothing)),
                per_sample: false,
            };
            let after = call.run(&cpu());
            let y: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
            let w: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
            let reference = oracle::objective_gradient(&logits, &y, &w, smoothing.into());
            judge(&format!("{n} x {k}, smoothing {smoothing}"), &after.dlogits, &reference, |i| {
                U * reference[i].abs() + oracle::DIFFERENCE_ERROR
            })
            .unwrap();
        }
    }
}

/// A per-sample gradient is not divided by the batch, nor weighted, nor smoothed.
#[test]
fn per_sample_gradients_ignore_the_batch() {
    let (n, k) = (5, 4);
    let mut values = Values::new(3);
    let logits = values.uniform(n * k);
    let labels = values.below(n, k as u32);
    let order = all(&labels);
    let call = |problem, logits, order| Call {
        problem,
        logits,
        order,
        labels: &labels,
        state: [0; 4],
        mean: None,
        per_sample: true,
    };
    let problem = LossScoreProblem { n, batch: n, k };
    let after = call(problem, &logits, &order).run(&cpu());
    for i in 0..n {
        let row = &logits[i * k..(i + 1) * k];
        let y = [labels[i] as usize];
        let reference = oracle::objective_gradient(row, &y, &vec![1.0; k], 0.0);
        judge(&format!("sample {i}"), &after.dlogits[i * k..(i + 1) * k], &reference, |j| {
            U * reference[j].abs() + oracle::DIFFERENCE_ERROR
        })
        .unwrap();
        let one = call(LossScoreProblem { n: 1, batch: 1, k }, row, &order[i..=i]).run(&cpu());
        assert_eq!(one.dlogits, after.dlogits[i * k..(i + 1) * k]);
        // EL2N is the norm of this very gradient.
        let norm = one.dlogits.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        assert!((norm - f64::from(after.field(Field::El2n, i as u32))).abs() < 1e-6);
    }
}

#[test]
fn a_batch_without_weight_has_no_gradient() {
    let labels = [0, 0];
    let call = Call {
        problem: LossScoreProblem { n: 2, batch: 2, k: 2 },
        logits: &[1.0, 2.0, 3.0, -1.0],
        order: &[0, 1],
        labels: &labels,
        state: [0; 4],
        mean: Some((&[0.0, 1.0], 0.0)),
        per_sample: false,
    };
    assert_eq!(call.run(&cpu()).dlogits, [0.0; 4]);
}

/// The third batch of four over ten samples of a part of thirteen: two rows are written.
#[test]
fn only_the_rows_of_the_batch_are_written() {
    let k = 3;
    let mut values = Values::new(4);
    let labels = values.below(13, k as u32);
    let order = [12, 3, 7, 0, 9, 1, 11, 4, 6, 2];
    let logits = values.uniform(2 * k);
    let problem = LossScoreProblem { n: 2, batch: 4, k };
    let call = Call {
        problem,
        logits: &logits,
        order: &order,
        labels: &labels,
        state: [2, 5, 0, 77],
        mean: None,
        per_sample: false,
    };
    let after = call.run(&cpu());
    for sample in 0..13 {
        let row = order[8..].iter().position(|&o| o == sample);
        for field in FIELD {
            let value = after.field(field, sample);
            match row {
                Some(row) => {
                    let z = &logits[row * k..(row + 1) * k];
                    let scores = oracle::scores(z, labels[sample as usize] as usize);
                    let error = (f64::from(value) - expected(field, &scores)).abs();
                    assert!(error <= 1e-6, "{field:?} of {sample}");
                }
                None => assert!(value.is_nan(), "{field:?} of {sample} was written"),
            }
        }
        assert!(after.field(Field::Grand, sample).is_nan(), "norms are stored by another call");
    }
    assert_eq!(after.state, [2, 5, 0, 77]);
}

#[test]
fn the_first_bad_step_is_kept() {
    let labels = [0, 1, 1];
    let run = |logits: &[f32], state| {
        let call = Call {
            problem: LossScoreProblem { n: 3, batch: 3, k: 2 },
            logits,
            order: &[0, 1, 2],
            labels: &labels,
            state,
            mean: None,
            per_sample: false,
        };
        call.run(&cpu()).state
    };
    for bad in [f32::NAN, f32::INFINITY] {
        for at in 0..6 {
            let mut logits = [0.5; 6];
            logits[at] = bad;
            assert_eq!(run(&logits, [0, 0, 0, 41]), [0, 0, 42, 41], "{bad} at {at}");
            assert_eq!(run(&logits, [0, 0, 7, 41]), [0, 0, 7, 41], "an earlier step stays");
        }
    }
    assert_eq!(run(&[0.5; 6], [0, 0, 7, 41]), [0, 0, 7, 41]);
}

#[test]
fn norms_are_stored_as_roots() {
    let cpu = cpu();
    let (order, labels, state) = (bits(&[4, 0, 2, 3]), bits(&[0; 5]), bits(&[1, 0, 0, 0]));
    let run = |squares: &[f32], n| {
        let tensors = [
            Fill::Values(squares),
            Fill::Values(&order),
            Fill::Values(&labels),
            Fill::Values(&state),
            Fill::Poison(FIELDS * 5),
        ];
        let mut f = Fenced::new(&cpu, &tensors);
        let [norms, order, labels, state, table] = f.views[..] else { unreachable!() };
        let [order, labels, state] = [order, labels, state].map(as_u32);
        let batch = BatchViews { order, labels, state, table };
        let problem = LossScoreProblem { n, batch: 3, k: 2 };
        let result = cpu.store_norms(&mut f.memory, &problem, norms, &batch);
        result.map(|()| f.read(4))
    };
    let table = run(&[6.25], 1).unwrap();
    for (i, value) in table.iter().enumerate() {
        match i.checked_sub(Field::Grand as usize * 5) {
            Some(3) => assert_eq!(*value, 2.5),
            _ => assert!(value.is_nan(), "place {i} was written"),
        }
    }
    // Cancellation can leave a Gram sum just below 0; NaN is no score.
    assert_eq!(run(&[-1e-9], 1).unwrap()[Field::Grand as usize * 5 + 3], 0.0);
    assert!(run(&[f32::NAN], 1).unwrap()[Field::Grand as usize * 5 + 3].is_nan());
    assert!(run(&[1.0, 1.0], 2).is_err(), "the batch ends outside the order");
}

#[test]
fn an_empty_batch_writes_nothing() {
    let after = Call {
        problem: LossScoreProblem { n: 0, batch: 4, k: 3 },
        logits: &[],
        order: &[1, 0],
        labels: &[2, 2],
        state: [0; 4],
        mean: Some((&[1.0; 3], 0.0)),
        per_sample: false,
    }
    .run(&cpu());
    assert!(after.table.iter().all(|v| v.is_nan()) && after.state == [0; 4]);
}

#[test]
fn wrong_lengths_are_refused() {
    let cpu = cpu();
    let problem = LossScoreProblem { n: 2, batch: 2, k: 3 };
    for (logits_len, dlogits_len, weights_len) in [(5, 6, 3), (6, 5, 3), (6, 6, 2)] {
        let tensors = [
            Fill::Values(&[0.0; 6][..logits_len]),
            Fill::Values(&[0.0; 2]),
            Fill::Poison(FIELDS * 2),
            Fill::Values(&[1.0; 3][..weights_len]),
            Fill::Poison(dlogits_len),
            Fill::Values(&[0.0; 4]),
        ];
        let mut f = Fenced::new(&cpu, &tensors);
        let [logits, zeros, table, class_weights, dlogits, state] = f.views[..] else {
            unreachable!()
        };
        let order: View = as_u32(zeros);
        let batch = BatchViews { order, labels: order, state: as_u32(state), table };
        let gradient = LogitGradient::Mean { class_weights, smoothing: 0.0 };
        let result = cpu.loss_score(&mut f.memory, &problem, logits, &batch, gradient, dlogits);
        assert!(result.is_err(), "{logits_len} {dlogits_len} {weights_len}");
        assert!(f.read(2).iter().all(|v| v.is_nan()), "the table was written");
    }
}
