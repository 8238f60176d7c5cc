//! Batch normalisation: statistics, the affine map, apply, and backward under batch and running
//! statistics, exactly and within bounds.

pub mod bf16;
mod calls;

use super::fence::{Fenced, Fill};
use super::values::{Values, words};
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::ops::batch_norm::{Affine, AffineMap, BatchNorm, BatchNormProblem};
use crate::reference::batch_norm as oracle;
use crate::reference::{U, equal, judge, within};
use calls::{apply, backward_apply, backward_eval, backward_input, reduce, statistics};

pub use calls::NormInputs;

/// Samples, positions and channels: off every vector width, and fewer and more channels than lanes.
const SHAPES: &[[usize; 3]] = &[
    [0, 6, 5],
    [1, 1, 1],
    [1, 12, 3],
    [3, 35, 7],
    [17, 9, 16],
    [3, 64, 64],
    [2, 5, 100],
    [17, 1, 130],
    [3, 31, 65],
    [1, 1024, 8],
    // A channel has several parts, of which the last is shorter, and there are several groups of
    // channels.
    [7, 29, 132],
    [40, 9, 3],
];

/// Makes the problems of the shapes.
pub fn problems() -> impl Iterator<Item = BatchNormProblem> {
    SHAPES.iter().map(|&[n, hw, c]| BatchNormProblem { n, hw, c })
}

/// Returns a bound that no backend's chain of f32 additions behind a channel sum exceeds: the
/// positions of a sample, or a thread's share of a part's rows, then the trees over samples,
/// threads and parts.
fn chain(p: &BatchNormProblem) -> usize {
    p.hw + 24
}

/// Returns what a call leaves in dout.
fn dout_after(i: &NormInputs, relu: bool, mask: bool) -> Vec<f64> {
    let input = i.oracle(relu && mask);
    (0..i.dout.len()).map(|j| input.dz(j)).collect()
}

const FLAGS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

pub fn integers_give_exact_results<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let i = NormInputs::exact(&p);
        for (residual, relu) in FLAGS {
            let out = apply(subject, &p, &i, residual, relu)?;
            let residual = residual.then_some(i.residual.as_slice());
            let reference = oracle::apply(&p, &i.y, &i.gamma, &i.beta, residual, relu);
            equal(&format!("apply {residual:?} {relu} {p:?}"), &out, &reference.value)?;
        }
        for (relu, mask) in FLAGS {
            let what = |name: &str| format!("{name}, relu {relu}, in place {mask}, {p:?}");
            let input = i.oracle(relu);
            let [dgamma, dbeta, dout] = reduce(subject, &p, &i, relu, mask)?;
            let [dgamma_ref, dbeta_ref] = oracle::parameter_gradients(&p, &input, 0..p.n);
            equal(&what("dgamma"), &dgamma, &dgamma_ref.value)?;
            equal(&what("dbeta"), &dbeta, &dbeta_ref.value)?;
            equal(&what("dout"), &dout, &dout_after(&i, relu, mask))?;
            let [dy, norms, dout] = backward_eval(subject, &p, &i, relu, mask)?;
            let dy_ref = oracle::backward_eval(&p, &input, &i.gamma);
            equal(&what("dy, eval"), &dy, &dy_ref.value)?;
            equal(&what("dout, eval"), &dout, &dout_after(&i, relu, mask))?;
            let norms_ref: Vec<f64> =
                oracle::norms(&p, &input).value.iter().map(|v| v + 1.0).collect();
            equal(&what("norms"), &norms, &norms_ref)?;
        }
        for relu in [false, true] {
            let dy = backward_apply(subject, &p, &i, relu)?;
            let reference = oracle::backward(&p, &i.oracle(relu), &i.gamma, &i.dgamma, &i.dbeta);
            equal(&format!("dy, relu {relu}, {p:?}"), &dy, &reference.value)?;
        }
    }
    Ok(())
}

pub fn random_results_are_within_bounds<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let i = NormInputs::random(&p);
        for (residual, relu) in FLAGS {
            let out = apply(subject, &p, &i, residual, relu)?;
            let r = residual.then_some(i.residual.as_slice());
            let reference = oracle::apply(&p, &i.y, &i.gamma, &i.beta, r, relu);
            within(&format!("apply {residual} {relu} {p:?}"), &out, &reference, 2, U)?;
        }
        for relu in [false, true] {
            let what = |name: &str| format!("{name}, relu {relu}, {p:?}");
            let input = i.oracle(relu);
            let [dgamma, dbeta, _] = reduce(subject, &p, &i, relu, relu)?;
            let [dgamma_ref, dbeta_ref] = oracle::parameter_gradients(&p, &input, 0..p.n);
            within(&what("dgamma"), &dgamma, &dgamma_ref, chain(&p), U)?;
            within(&what("dbeta"), &dbeta, &dbeta_ref, chain(&p), U)?;
            let dy = backward_apply(subject, &p, &i, relu)?;
            let reference = oracle::backward(&p, &input, &i.gamma, &i.dgamma, &i.dbeta);
            within(&what("dy"), &dy, &reference, 2, U)?;
            let [dy, norms, _] = backward_eval(subject, &p, &i, relu, relu)?;
            within(&what("dy, eval"), &dy, &oracle::backward_eval(&p, &input, &i.gamma), 1, U)?;
            // Errors of the channel sums enter twice, and 2 C squares are summed in one chain.
            let reference = oracle::norms(&p, &input);
            let expected: Vec<f64> = reference.value.iter().map(|v| v + 1.0).collect();
            judge(&what("norms"), &norms, &expected, |n| {
                let sums = (2 * chain(&p) + 8) as f64 * U * reference.magnitude[n];
                sums + (4 * p.c + 8) as f64 * U * reference.value[n] + 2.0 * U * expected[n]
            })?;
        }
    }
    Ok(())
}

pub fn statistics_are_those_of_all_values<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let y = NormInputs::random(&p).y;
        let [mean, m2] = statistics(subject, &p, Fill::Values(&y))?;
        let (mean_ref, m2_ref) = oracle::moments(&y, p.c);
        let mut size = vec![0.0; p.c];
        y.iter().enumerate().for_each(|(j, v)| size[j % p.c] += f64::from(v.abs()));
        let unit = (2 * chain(&p) + 8) as f64 * U;
        let mean_bound = |c: usize| unit * size[c] / p.count().max(1) as f64;
        judge(&format!("mean {p:?}"), &mean, &mean_ref, mean_bound)?;
        judge(&format!("m2 {p:?}"), &m2, &m2_ref, |c| {
            // The mean's own error adds its square once for each position.
            unit * m2_ref[c] + p.count() as f64 * mean_bound(c).powi(2)
        })?;
    }
    Ok(())
}

pub fn statistics_of_equal_integers_are_exact<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems().filter(|p| p.n > 0) {
        let y: Vec<f32> = (0..p.len()).map(|i| (i % p.c) as f32 - 3.0).collect();
        let [mean, m2] = statistics(subject, &p, Fill::Values(&y))?;
        let channels: Vec<f64> = (0..p.c).map(|c| c as f64 - 3.0).collect();
        equal(&format!("mean {p:?}"), &mean, &channels)?;
        equal(&format!("m2 {p:?}"), &m2, &vec![0.0; p.c])?;
    }
    Ok(())
}

/// A large common offset would ruin a variance taken as `E[y^2] - E[y]^2`.
pub fn statistics_survive_a_large_mean<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    let p = BatchNormProblem { n: 64, hw: 256, c: 5 };
    let y: Vec<f32> =
        Values::new(3).uniform(p.len()).into_iter().map(|v| 1000.0 + 0.01 * v).collect();
    let [_, m2] = statistics(subject, &p, Fill::Values(&y))?;
    let (_, reference) = oracle::moments(&y, p.c);
    judge("m2", &m2, &reference, |c| 1e-3 * reference[c])?;
    Ok(())
}

fn check_map(what: &str, got: [&[f32]; 3], map: &oracle::Map) -> CaseOutcome {
    let [rstd, scale, shift] = got;
    within(&format!("{what}: rstd"), rstd, &map.rstd, 0, U)?;
    within(&format!("{what}: scale"), scale, &map.scale, 0, U)?;
    Ok(within(&format!("{what}: shift"), shift, &map.shift, 0, U)?)
}

pub fn finalize_gives_the_affine_map_and_moves_running_statistics<B: BatchNorm>(
    subject: &Subject<B>,
) -> CaseOutcome {
    for (count, channels) in [(2usize, 1usize), (7, 5), (4096, 67)] {
        let mut v = Values::new(4);
        let positive = |v: Vec<f32>| -> Vec<f32> { v.into_iter().map(|v| v + 1.001).collect() };
        let [mean, gamma, beta, rm] = [(); 4].map(|()| v.uniform(channels));
        let [variance, rv] = [(); 2].map(|()| positive(v.uniform(channels)));
        // In a channel of equal values only eps remains.
        let mut m2: Vec<f32> = variance.iter().map(|v| v * count as f32).collect();
        m2[0] = 0.0;
        let mut tensors: Vec<Fill> =
            [&mean, &m2, &gamma, &beta, &rm, &rv].map(|v| Fill::Values(v.as_slice())).into();
        tensors.extend([channels; 3].map(Fill::Poison));
        let mut f = Fenced::new(subject, &tensors)?;
        let [a, b, g, h, m, r, rstd, scale, shift] = f.views[..] else { unreachable!() };
        let affine = Affine { gamma: g, beta: h };
        let map = AffineMap { affine, running: [m, r], rstd, scale_shift: [scale, shift] };
        subject.backend.batch_norm_finalize(&mut f.memory, count, [a, b], &map)?;
        let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let biased: Vec<f64> = wide(&m2).iter().map(|m| m / count as f64).collect();
        let map = oracle::map(&wide(&mean), &biased, &gamma, &beta);
        check_map("finalize", [&f.read(6)?, &f.read(7)?, &f.read(8)?], &map)?;
        let [rm_ref, rv_ref] = oracle::running(&mean, &m2, count, [&rm, &rv]);
        within("running mean", &f.read(4)?, &rm_ref, 1, U)?;
        within("running variance", &f.read(5)?, &rv_ref, 1, U)?;

        let tensors = [
            Fill::Values(&gamma),
            Fill::Values(&beta),
            Fill::Values(&rm),
            Fill::Values(&rv),
            Fill::Poison(channels),
            Fill::Poison(channels),
            Fill::Poison(channels),
        ];
        let mut f = Fenced::new(subject, &tensors)?;
        let [gamma_view, beta_view, m, r, rstd, scale, shift] = f.views[..] else { unreachable!() };
        let affine = Affine { gamma: gamma_view, beta: beta_view };
        let map = AffineMap { affine, running: [m, r], rstd, scale_shift: [scale, shift] };
        subject.backend.batch_norm_eval_affine(&mut f.memory, &map)?;
        let map = oracle::map(&wide(&rm), &wide(&rv), &gamma, &beta);
        check_map("eval", [&f.read(4)?, &f.read(5)?, &f.read(6)?], &map)?;
        let same = f.read(2)? == rm && f.read(3)? == rv;
        ensure(same, || "scoring moves running statistics".to_owned())?;
    }
    Ok(())
}

/// Checks backward against the definition itself: the gradient of sum dout * act(bn(y)) by
/// differences, into which no formula of the module enters.
pub fn backward_is_the_derivative_of_forward<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    let p = BatchNormProblem { n: 3, hw: 5, c: 2 };
    let i = NormInputs::random(&p);
    let forward = |y: &[f64]| -> f64 {
        (0..p.c)
            .map(|c| {
                let at: Vec<usize> = (c..p.len()).step_by(p.c).collect();
                let mean = at.iter().map(|&j| y[j]).sum::<f64>() / at.len() as f64;
                let variance =
                    at.iter().map(|&j| (y[j] - mean).powi(2)).sum::<f64>() / at.len() as f64;
                let rstd = 1.0 / (variance + 1e-5).sqrt();
                let dz = |j: usize| i.oracle(true).dz(j);
                let gamma = f64::from(i.gamma[c]);
                at.iter().map(|&j| dz(j) * (y[j] - mean) * rstd * gamma).sum::<f64>()
            })
            .sum()
    };
    let y: Vec<f64> = i.y.iter().map(|&v| v.into()).collect();
    let step = 1e-5;
    let slope = |j: usize| {
        let at = |d: f64| {
            let mut moved = y.clone();
            moved[j] += d;
            forward(&moved)
        };
        (at(step) - at(-step)) / (2.0 * step)
    };
    let reference: Vec<f64> = (0..p.len()).map(slope).collect();
    let (mean, m2) = oracle::moments(&i.y, p.c);
    let narrow = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
    let rstd = m2.iter().map(|m| 1.0 / (m / p.count() as f64 + 1e-5).sqrt()).collect();
    let mut i = NormInputs { mean: narrow(mean), rstd: narrow(rstd), ..NormInputs::random(&p) };
    let [dgamma, dbeta, _] = reduce(subject, &p, &i, true, false)?;
    (i.dgamma, i.dbeta) = (dgamma, dbeta);
    let dy = backward_apply(subject, &p, &i, true)?;
    judge("dy", &dy, &reference, |_| 1e-5)?;
    Ok(())
}

/// Returns every result, for comparing bits.
pub fn everything<B: BatchNorm>(
    subject: &Subject<B>,
    p: &BatchNormProblem,
    i: &NormInputs,
) -> Result<Vec<Vec<u32>>, CaseFailure> {
    let mut all = vec![apply(subject, p, i, true, true)?, backward_apply(subject, p, i, true)?];
    all.extend(statistics(subject, p, i.stored(&i.y))?);
    all.extend(reduce(subject, p, i, true, true)?);
    all.extend(backward_eval(subject, p, i, true, true)?);
    Ok(all.iter().map(|v| words(v)).collect())
}

pub fn calls_repeat_bit_for_bit<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let i = NormInputs::random(&p);
        let same = everything(subject, &p, &i)? == everything(subject, &p, &i)?;
        ensure(same, || format!("a second call differs: {p:?}"))?;
    }
    Ok(())
}

pub fn a_batch_of_one_is_a_row_of_a_batch_in_eval_mode<B: BatchNorm>(
    subject: &Subject<B>,
) -> CaseOutcome {
    for p in problems().filter(|p| p.n > 1) {
        let i = NormInputs::random(&p);
        let [dy, norms, _] = backward_eval(subject, &p, &i, true, false)?;
        let size = p.hw * p.c;
        for n in [0, p.n - 1] {
            let row = n * size..(n + 1) * size;
            let one = NormInputs {
                y: i.y[row.clone()].to_vec(),
                dout: i.dout[row.clone()].to_vec(),
                out: i.out[row.clone()].to_vec(),
                ..NormInputs::random(&p)
            };
            let [one_dy, one_norms, _] =
                backward_eval(subject, &BatchNormProblem { n: 1, ..p }, &one, true, false)?;
            let same = one_dy == dy[row] && one_norms == norms[n..=n];
            ensure(same, || format!("sample {n} alone differs: {p:?}"))?;
        }
    }
    Ok(())
}

pub fn wrong_lengths_are_refused<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    let p = BatchNormProblem { n: 3, hw: 4, c: 5 };
    let i = NormInputs::random(&p);
    for other in [
        BatchNormProblem { n: 2, ..p },
        BatchNormProblem { hw: 5, ..p },
        BatchNormProblem { c: 4, ..p },
    ] {
        let more = [p.c, p.c, p.workspace()].map(Fill::Poison);
        let mut f = i.backward(subject, more)?;
        let input = backward_input(&f.views, true, true);
        let [dgamma, dbeta, work] = f.views[5..] else { unreachable!() };
        let (memory, backend) = (&mut f.memory, subject.backend);
        let result =
            backend.batch_norm_backward_reduce(memory, &other, &input, dgamma, dbeta, work);
        ensure(result.is_err(), || format!("{other:?} accepted for {p:?}"))?;
        ensure(f.read(0)? == i.dout, || "dout was written".to_owned())?;
        ensure(f.read(5)?.iter().all(|v| v.is_nan()), || "dgamma was written".to_owned())?;
    }
    Ok(())
}
