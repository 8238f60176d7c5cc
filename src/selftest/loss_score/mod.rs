//! This module checks losses and scores of the logits, and which rows of the table a batch writes.
//! The calls that the checks make are in `calls`, and the checks of gradients are in `gradients`.

mod calls;
mod gradients;

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits, words};
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::backend::View;
use crate::ops::loss_score::{
    BatchViews, FIELDS, Field, LogitGradient, LossScore, LossScoreProblem,
};
use crate::reference::loss_score as oracle;
use crate::reference::{U, judge};

use calls::{FIELD, expect, expected, whole};

pub use calls::{Call, LossScoreOutput};
pub use gradients::{
    a_batch_without_weight_has_no_gradient, gradients_are_derivatives_of_the_objective,
    per_sample_gradients_ignore_the_batch, sample_weights_multiply_their_samples,
};

/// The operator works in f64 and rounds once. Beyond that, only the last digits of the exponentials
/// may differ, relative to the largest logit.
pub fn every_score_is_its_definition<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    for (n, k, scale) in [(1, 2, 1.0), (3, 10, 5.0), (17, 7, 30.0), (40, 100, 3.0), (3, 3, 1e4)] {
        let mut values = Values::new(1);
        let logits: Vec<f32> = values.uniform(n * k).iter().map(|v| v * scale).collect();
        let labels = values.below(n, k as u32);
        let after = whole(subject, LossScoreProblem { n, batch: n, k }, &logits, &labels)?;
        for (i, (z, &y)) in logits.chunks(k).zip(&labels).enumerate() {
            let scores = oracle::scores(z, y as usize);
            for field in FIELD {
                let (out, reference) = (after.field(field, i as u32), expected(field, &scores));
                judge(&format!("{field:?} of {i} in {n} x {k}"), &[out], &[reference], |_| {
                    U * reference.abs() + 1e-15 * f64::from(scale) + f64::from(f32::MIN_POSITIVE)
                })?;
            }
        }
        // Finite losses set no flag, and nothing counts.
        expect("state", &after.state, &[0; 4])?;
    }
    Ok(())
}

pub fn closed_forms<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    // With equal logits, p = 1/4 and the first class is predicted.
    let after = whole(subject, LossScoreProblem { n: 2, batch: 2, k: 4 }, &[3.0; 8], &[0, 2])?;
    let ln4 = 4f32.ln();
    for (sample, correct) in [(0, 1.0), (1, 0.0)] {
        let row = FIELD.map(|f| after.field(f, sample));
        expect("row", &row, &[ln4, 0.75f32.sqrt(), ln4, 0.0, 0.25, 0.0, correct, 0.0, 0.25])?;
    }
    Ok(())
}

pub fn saturated_logits_stay_finite<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    let (low, high) = (-1e4, 1e4);
    let logits = [high, low, low, low, high, low, high, high, low, low, low, low];
    let labels = [0, 0, 1, 2];
    let after = whole(subject, LossScoreProblem { n: 4, batch: 4, k: 3 }, &logits, &labels)?;
    let row = |i| FIELD.map(|f| after.field(f, i));
    let (ln2, ln3, half) = (2f32.ln(), 3f32.ln(), 0.5f32);
    // The columns are loss, EL2N, entropy, margin, p_y, AUM, correct, prediction and top
    // probability.
    expect("row 0", &row(0), &[0.0, 0.0, 0.0, 1.0, 1.0, 2e4, 1.0, 0.0, 1.0])?;
    expect("row 1", &row(1), &[2e4, 2f32.sqrt(), 0.0, 1.0, 0.0, -2e4, 0.0, 1.0, 1.0])?;
    expect("row 2", &row(2), &[ln2, half.sqrt(), ln2, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5])?;
    let third = 1.0 / 3.0;
    let root = (2.0f64 / 3.0).sqrt() as f32;
    expect("row 3", &row(3), &[ln3, root, ln3, 0.0, third, 0.0, 0.0, 0.0, third])?;
    expect("bad step", &after.state[2], &0)?;
    Ok(())
}

/// There are many classes, two of which are equally large. Whichever lane or task sees them, the
/// first wins.
pub fn the_first_of_equal_logits_is_predicted<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    let k = 75;
    let pairs = [(0, 1), (3, 35), (35, 64), (31, 32), (2, 74), (70, 71)];
    let mut logits = Values::new(5).uniform(pairs.len() * k);
    for (row, (a, b)) in logits.chunks_mut(k).zip(pairs) {
        (row[a], row[b]) = (7.0, 7.0);
    }
    let labels: Vec<u32> = pairs.iter().map(|&(a, _)| a as u32).collect();
    let n = pairs.len();
    let after = whole(subject, LossScoreProblem { n, batch: n, k }, &logits, &labels)?;
    for (i, (a, b)) in pairs.into_iter().enumerate() {
        let prediction = after.field(Field::Prediction, i as u32);
        expect(&format!("prediction of {a} and {b}"), &prediction, &(a as f32))?;
        expect("margin of equals", &after.field(Field::Margin, i as u32), &0.0)?;
        expect("AUM of equals", &after.field(Field::Aum, i as u32), &0.0)?;
    }
    Ok(())
}

/// The third batch of four over ten samples of a part of thirteen writes two rows.
pub fn only_the_rows_of_the_batch_are_written<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
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
        sample_weights: &[],
        per_sample: false,
        previous: &[],
    };
    let after = call.run(subject)?;
    for sample in 0..13 {
        let row = order[8..].iter().position(|&o| o == sample);
        for field in FIELD {
            let value = after.field(field, sample);
            match row {
                Some(row) => {
                    let z = &logits[row * k..(row + 1) * k];
                    let scores = oracle::scores(z, labels[sample as usize] as usize);
                    let error = (f64::from(value) - expected(field, &scores)).abs();
                    ensure(error <= 1e-6, || format!("{field:?} of {sample} is {value}"))?;
                }
                None => ensure(value.is_nan(), || format!("{field:?} of {sample} was written"))?,
            }
        }
        for other in [Field::Grand, Field::Divergence] {
            let untouched = after.field(other, sample).is_nan();
            ensure(untouched, || format!("{other:?} is stored by another call"))?;
        }
    }
    expect("state", &after.state, &[2, 5, 0, 77])?;
    Ok(())
}

/// A part of seven is presented three times, in batches of three and with one sample left out. Each
/// divergence is that from the sample's own last presentation, and NaN at the first.
pub fn divergences_are_between_successive_presentations<B: LossScore>(
    subject: &Subject<B>,
) -> CaseOutcome {
    for (k, scale) in [(2, 1.0), (10, 6.0), (75, 30.0), (3, 2e3)] {
        let mut values = Values::new(6);
        let labels = values.below(7, k as u32);
        let mut previous = vec![f32::NAN; 7 * k];
        let mut before: Vec<Option<Vec<f32>>> = vec![None; 7];
        for order in [[4, 0, 6, 1, 3, 2], [5, 1, 2, 0, 4, 6], [6, 5, 4, 3, 2, 1]] {
            for batch in 0..2 {
                let logits: Vec<f32> = values.uniform(3 * k).iter().map(|v| v * scale).collect();
                let call = Call {
                    problem: LossScoreProblem { n: 3, batch: 3, k },
                    logits: &logits,
                    order: &order,
                    labels: &labels,
                    state: [batch, 0, 0, 0],
                    mean: Some((&vec![1.0; k], 0.0)),
                    sample_weights: &[],
                    per_sample: false,
                    previous: &previous,
                };
                let after = call.run(subject)?;
                let rows = &order[batch as usize * 3..][..3];
                for (&sample, z) in rows.iter().zip(logits.chunks(k)) {
                    let out = after.field(Field::Divergence, sample);
                    let kept = &after.previous[sample as usize * k..][..k];
                    let wide: Vec<f64> = z.iter().map(|&v| v.into()).collect();
                    let log_p = oracle::log_softmax(&wide);
                    let what = format!("ln p of {sample}, {k} classes");
                    judge(&what, kept, &log_p, |i| U * log_p[i].abs() + 1e-15 * f64::from(scale))?;
                    match &before[sample as usize] {
                        None => ensure(out.is_nan(), || format!("first divergence {out}"))?,
                        Some(last) => {
                            let last: Vec<f64> = last.iter().map(|&v| v.into()).collect();
                            let reference = oracle::divergence(&last, z);
                            let what = format!("divergence of {sample}, {k} classes");
                            // The bound is for the last digits of the exponentials, of differences
                            // of up to 2 scale.
                            let small = 1e-14 * f64::from(scale) * f64::from(scale);
                            judge(&what, &[out], &[reference], |_| U * reference + small)?;
                        }
                    }
                    before[sample as usize] = Some(kept.to_vec());
                }
                for sample in (0..7).filter(|s| !rows.contains(s)) {
                    let at = sample as usize * k..(sample as usize + 1) * k;
                    let same = words(&after.previous[at.clone()]) == words(&previous[at]);
                    ensure(same, || format!("the row of {sample} was written"))?;
                    let untouched = after.field(Field::Divergence, sample).is_nan();
                    ensure(untouched, || format!("divergence of {sample} was written"))?;
                }
                previous = after.previous;
            }
        }
    }
    Ok(())
}

pub fn the_first_bad_step_is_kept<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    let labels = [0, 1, 1];
    let run = |logits: &[f32], state| {
        let call = Call {
            problem: LossScoreProblem { n: 3, batch: 3, k: 2 },
            logits,
            order: &[0, 1, 2],
            labels: &labels,
            state,
            mean: None,
            sample_weights: &[],
            per_sample: false,
            previous: &[],
        };
        Ok::<_, CaseFailure>(call.run(subject)?.state)
    };
    for bad in [f32::NAN, f32::INFINITY] {
        for at in 0..6 {
            let mut logits = [0.5; 6];
            logits[at] = bad;
            let what = format!("state after {bad} at {at}");
            expect(&what, &run(&logits, [0, 0, 0, 41])?, &[0, 0, 42, 41])?;
            expect(&what, &run(&logits, [0, 0, 7, 41])?, &[0, 0, 7, 41])?;
        }
    }
    expect("state", &run(&[0.5; 6], [0, 0, 7, 41])?, &[0, 0, 7, 41])?;
    Ok(())
}

pub fn norms_are_stored_as_roots<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    let (order, labels, state) = (bits(&[4, 0, 2, 3]), bits(&[0; 5]), bits(&[1, 0, 0, 0]));
    let run = |squares: &[f32], n| {
        let tensors = [
            Fill::Values(squares),
            Fill::Values(&order),
            Fill::Values(&labels),
            Fill::Values(&state),
            Fill::Poison(FIELDS * 5),
        ];
        let mut f = Fenced::new(subject, &tensors)?;
        let [norms, order, labels, state, table] = f.views[..] else { unreachable!() };
        let [order, labels, state] = [order, labels, state].map(as_u32);
        let batch = BatchViews { order, labels, state, table, previous: View::EMPTY };
        let problem = LossScoreProblem { n, batch: 3, k: 2 };
        subject.backend.store_norms(&mut f.memory, &problem, norms, &batch)?;
        f.read(4)
    };
    const AT: usize = Field::Grand as usize * 5 + 3;
    for (i, value) in run(&[6.25], 1)?.iter().enumerate() {
        let right = if i == AT { *value == 2.5 } else { value.is_nan() };
        ensure(right, || format!("place {i} is {value}"))?;
    }
    // Cancellation can leave a Gram sum just below 0, but NaN is no score.
    expect("root of -1e-9", &run(&[-1e-9], 1)?[AT], &0.0)?;
    ensure(run(&[f32::NAN], 1)?[AT].is_nan(), || "NaN became a score".to_owned())?;
    Ok(())
}

pub fn an_empty_batch_writes_nothing<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    let after = Call {
        problem: LossScoreProblem { n: 0, batch: 4, k: 3 },
        logits: &[],
        order: &[1, 0],
        labels: &[2, 2],
        state: [0; 4],
        mean: Some((&[1.0; 3], 0.0)),
        sample_weights: &[],
        per_sample: false,
        previous: &[],
    }
    .run(subject)?;
    let untouched = after.table.iter().all(|v| v.is_nan()) && after.state == [0; 4];
    ensure(untouched, || "an empty batch wrote something".to_owned())?;
    Ok(())
}

pub fn wrong_lengths_are_refused<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    let problem = LossScoreProblem { n: 2, batch: 2, k: 3 };
    for (logits_len, dlogits_len, weights_len, previous_len) in
        [(5, 6, 3, 0), (6, 5, 3, 0), (6, 6, 2, 6), (6, 6, 3, 5)]
    {
        let tensors = [
            Fill::Values(&[0.0; 6][..logits_len]),
            Fill::Values(&[0.0; 2]),
            Fill::Poison(FIELDS * 2),
            Fill::Values(&[1.0; 3][..weights_len]),
            Fill::Poison(dlogits_len),
            Fill::Values(&[0.0; 4]),
            Fill::Poison(previous_len),
        ];
        let mut f = Fenced::new(subject, &tensors)?;
        let [logits, zeros, table, class_weights, dlogits, state, previous] = f.views[..] else {
            unreachable!()
        };
        let order: View = as_u32(zeros);
        let state = as_u32(state);
        let batch = BatchViews { order, labels: order, state, table, previous };
        let sample_weights = View::EMPTY;
        let gradient = LogitGradient::Mean { class_weights, sample_weights, smoothing: 0.0 };
        let (backend, memory) = (subject.backend, &mut f.memory);
        let result = backend.loss_score(memory, &problem, logits, &batch, gradient, dlogits);
        let what = || format!("accepted {logits_len} {dlogits_len} {weights_len} {previous_len}");
        ensure(result.is_err(), what)?;
        ensure(f.read(2)?.iter().all(|v| v.is_nan()), || "the table was written".to_owned())?;
    }
    Ok(())
}
