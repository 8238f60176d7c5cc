//! This file checks the gradients of the logits: those of the mean objective, with and without
//! weights of samples, and those of each sample alone.

use super::calls::{Call, all, expect};
use crate::ops::loss_score::{Field, LossScore, LossScoreProblem};
use crate::reference::loss_score as oracle;
use crate::reference::{U, judge};
use crate::selftest::values::{Values, words};
use crate::selftest::{CaseOutcome, Subject, ensure};

pub fn gradients_are_derivatives_of_the_objective<B: LossScore>(
    subject: &Subject<B>,
) -> CaseOutcome {
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
                sample_weights: &[],
                per_sample: false,
                previous: &[],
            };
            let after = call.run(subject)?;
            let y: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
            let w: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
            let s = vec![1.0; n];
            let reference = oracle::objective_gradient(&logits, &y, [&w, &s], smoothing.into());
            judge(&format!("{n} x {k}, smoothing {smoothing}"), &after.dlogits, &reference, |i| {
                U * reference[i].abs() + oracle::DIFFERENCE_ERROR
            })?;
        }
    }
    Ok(())
}

/// Weights belong to samples of the part, and not to places in the batch. They are factors of the
/// terms, and not of the divisor. Weights of 1 change nothing, bit for bit.
pub fn sample_weights_multiply_their_samples<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    for (n, k, smoothing) in [(1, 2, 0.0), (3, 5, 0.1), (17, 10, 0.0), (40, 37, 0.5)] {
        let part = n + 6;
        let mut values = Values::new(7);
        let logits: Vec<f32> = values.uniform(n * k).iter().map(|v| v * 4.0).collect();
        let labels = values.below(part, k as u32);
        let order: Vec<u32> = (0..n as u32).map(|i| (i * 5 + 3) % part as u32).rev().collect();
        let class_weights: Vec<f32> = values.uniform(k).iter().map(|v| 1.1 + v).collect();
        let mut uneven: Vec<f32> = values.uniform(part).iter().map(|v| 2.0 + 2.0 * v).collect();
        uneven[order[0] as usize] = 0.0;
        let run = |sample_weights: &[f32]| {
            let call = Call {
                problem: LossScoreProblem { n, batch: n, k },
                logits: &logits,
                order: &order,
                labels: &labels,
                state: [0; 4],
                mean: Some((&class_weights, smoothing)),
                sample_weights,
                per_sample: false,
                previous: &[],
            };
            call.run(subject)
        };
        let (none, ones, weighted) = (run(&[])?, run(&vec![1.0; part])?, run(&uneven)?);
        expect("dlogits of weights 1", &words(&ones.dlogits), &words(&none.dlogits))?;
        // The table holds what the sample is, whatever it weighs.
        expect("table", &words(&weighted.table), &words(&none.table))?;
        let y: Vec<usize> = order.iter().map(|&i| labels[i as usize] as usize).collect();
        let w: Vec<f64> = class_weights.iter().map(|&w| w.into()).collect();
        let s: Vec<f64> = order.iter().map(|&i| uneven[i as usize].into()).collect();
        let reference = oracle::objective_gradient(&logits, &y, [&w, &s], smoothing.into());
        judge(&format!("{n} x {k}, weighted"), &weighted.dlogits, &reference, |i| {
            U * reference[i].abs() + 4.0 * oracle::DIFFERENCE_ERROR
        })?;
        let zero = weighted.dlogits[..k].iter().all(|&d| d == 0.0);
        ensure(zero, || "a sample of weight 0 has a gradient".to_owned())?;
    }
    Ok(())
}

/// A per-sample gradient is neither divided by the batch nor weighted nor smoothed.
pub fn per_sample_gradients_ignore_the_batch<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
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
        sample_weights: &[],
        per_sample: true,
        previous: &[],
    };
    let problem = LossScoreProblem { n, batch: n, k };
    let after = call(problem, &logits, &order).run(subject)?;
    for i in 0..n {
        let row = &logits[i * k..(i + 1) * k];
        let y = [labels[i] as usize];
        let reference = oracle::objective_gradient(row, &y, [&vec![1.0; k], &[1.0]], 0.0);
        judge(&format!("sample {i}"), &after.dlogits[i * k..(i + 1) * k], &reference, |j| {
            U * reference[j].abs() + oracle::DIFFERENCE_ERROR
        })?;
        let one = call(LossScoreProblem { n: 1, batch: 1, k }, row, &order[i..=i]).run(subject)?;
        let same = one.dlogits == after.dlogits[i * k..(i + 1) * k];
        ensure(same, || format!("sample {i} alone differs"))?;
        // EL2N is the norm of this very gradient.
        let norm = one.dlogits.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        let el2n = f64::from(after.field(Field::El2n, i as u32));
        ensure((norm - el2n).abs() < 1e-6, || format!("EL2N {el2n} of a gradient of {norm}"))?;
    }
    Ok(())
}

pub fn a_batch_without_weight_has_no_gradient<B: LossScore>(subject: &Subject<B>) -> CaseOutcome {
    let labels = [0, 0];
    let call = Call {
        problem: LossScoreProblem { n: 2, batch: 2, k: 2 },
        logits: &[1.0, 2.0, 3.0, -1.0],
        order: &[0, 1],
        labels: &labels,
        state: [0; 4],
        mean: Some((&[0.0, 1.0], 0.0)),
        sample_weights: &[],
        per_sample: false,
        previous: &[],
    };
    expect("dlogits", &call.run(subject)?.dlogits, &vec![0.0; 4])?;
    Ok(())
}
