//! Convolution: every direction and epilogue on awkward shapes, exactly and within bounds.

mod calls;

use super::fence::{Fenced, Fill};
use super::values::words;
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::backend::View;
use crate::ops::conv2d::{
    Conv2d, Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
};
use crate::reference::conv2d as oracle;
use crate::reference::{Sums, U, equal, judge, within};
use crate::tensor::Dtype;

pub use calls::{Calls, ConvInputs, NormInputs};

const SHAPES: &[Sizes] = &[
    ([0, 5, 6, 3, 8, 3, 3], [1, 1], [1, 1]),
    ([1, 5, 6, 3, 8, 3, 3], [1, 1], [1, 1]),
    ([3, 8, 8, 3, 16, 3, 3], [1, 1], [1, 1]),
    ([17, 6, 5, 8, 8, 3, 3], [1, 1], [1, 1]),
    ([3, 9, 7, 16, 16, 3, 3], [1, 1], [1, 1]),
    ([3, 9, 7, 16, 32, 3, 3], [2, 2], [1, 1]),
    ([2, 8, 8, 16, 32, 1, 1], [2, 2], [0, 0]),
    ([2, 9, 9, 17, 33, 1, 1], [2, 2], [0, 0]),
    ([17, 4, 4, 24, 48, 3, 3], [1, 1], [1, 1]),
    ([3, 7, 7, 64, 64, 1, 1], [1, 1], [0, 0]),
    ([2, 15, 13, 3, 24, 7, 7], [2, 2], [3, 3]),
    ([3, 11, 10, 5, 10, 5, 3], [2, 1], [2, 0]),
    ([3, 10, 11, 1, 1, 2, 3], [1, 3], [0, 2]),
    ([1, 7, 8, 10, 17, 3, 2], [3, 2], [1, 1]),
    ([3, 5, 5, 100, 33, 3, 3], [1, 1], [1, 1]),
    ([2, 3, 4, 130, 24, 3, 3], [2, 2], [1, 1]),
    ([17, 1, 1, 48, 10, 1, 1], [1, 1], [0, 0]),
    ([1, 1, 17, 64, 100, 1, 1], [1, 1], [0, 0]),
    ([3, 3, 3, 16, 5, 3, 3], [1, 1], [0, 0]),
    ([3, 2, 2, 16, 5, 3, 3], [2, 2], [1, 1]),
    // There are more positions than two tiles have, with a Gram tile off the diagonal that is cut
    // off.
    ([2, 13, 11, 6, 8, 3, 3], [1, 1], [1, 1]),
    // There are positions enough for several splits of each of several tiles.
    ([5, 12, 13, 12, 70, 3, 2], [1, 1], [1, 0]),
    ([1, 40, 70, 8, 8, 3, 3], [1, 1], [1, 1]),
    // The images are large enough to be cut into bands of rows.
    ([1, 70, 80, 16, 8, 3, 3], [1, 1], [1, 1]),
    ([1, 121, 118, 4, 24, 3, 3], [2, 2], [1, 1]),
    ([2, 30, 50, 32, 40, 1, 1], [1, 1], [0, 0]),
    // Bands have an odd number of rows, and there are several channel blocks and columns left over.
    ([2, 71, 41, 32, 48, 3, 3], [1, 1], [1, 1]),
    ([19, 4, 5, 16, 32, 3, 3], [1, 1], [1, 1]),
    // The weights are large enough for fewer gradient chunks.
    ([9, 3, 4, 180, 192, 3, 3], [1, 1], [1, 1]),
    ([3, 4, 4, 512, 512, 3, 3], [1, 1], [1, 1]),
    ([2, 4, 4, 256, 512, 3, 3], [2, 2], [1, 1]),
];

/// Multiply-adds that a reduced shape has at most.
const REDUCED: u64 = 4_000_000;

/// Returns the problems of a subject.
pub fn problems<B>(subject: &Subject<B>) -> impl Iterator<Item = Conv2dProblem> + use<B> {
    let most = if subject.reduced { REDUCED } else { u64::MAX };
    SHAPES.iter().map(problem).filter(move |p| p.macs() <= most)
}

/// The sizes n h w c k r s, stride and pad.
pub(super) type Sizes = ([usize; 7], [usize; 2], [usize; 2]);

pub(super) fn problem(&([n, h, w, c, k, r, s], stride, pad): &Sizes) -> Conv2dProblem {
    Conv2dProblem { n, h, w, c, k, r, s, stride, pad }
}

/// Returns the forms in which a problem can be computed. Gram matrices of large maps would take
/// seconds and are left out.
fn forms(p: &Conv2dProblem) -> impl Iterator<Item = GradNormForm> + use<> {
    let small = p.n == 0 || p.p() * p.q() <= 1000;
    let gram = small.then_some(GradNormForm::Gram);
    let shifted = (small && p.stride == [1, 1]).then_some(GradNormForm::ShiftedGram);
    [GradNormForm::Instantiate].into_iter().chain(gram).chain(shifted)
}

/// Applies the scale, shift, residual and ReLU of the affine epilogue to an oracle's sums.
pub(super) fn affine(
    y: &Sums,
    p: &Conv2dProblem,
    i: &ConvInputs,
    residual: bool,
    relu: bool,
) -> Sums {
    let mut out = Sums::zeros(y.value.len());
    for (j, (&v, &m)) in y.value.iter().zip(&y.magnitude).enumerate() {
        let (scale, shift) = (f64::from(i.scale[j % p.k]), f64::from(i.shift[j % p.k]));
        out.value[j] = v * scale + shift;
        out.magnitude[j] = m * scale.abs() + shift.abs();
        if residual {
            out.value[j] += f64::from(i.residual[j]);
            out.magnitude[j] += f64::from(i.residual[j]).abs();
        }
        if relu {
            out.value[j] = out.value[j].max(0.0);
        }
    }
    out
}

pub fn integers_give_exact_results<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::integers(&p);
        let calls = Calls::new(subject, &p, &i);
        let y = oracle::fprop(&p, &i.x, &i.w, None);
        equal(&format!("fprop {p:?}"), &calls.fprop(false)?, &y.value)?;
        let y = oracle::fprop(&p, &i.x, &i.w, Some(&i.bias));
        equal(&format!("fprop, bias {p:?}"), &calls.fprop(true)?, &y.value)?;
        for (residual, relu) in [(false, false), (true, false), (false, true), (true, true)] {
            let out = calls.fprop_affine(residual, relu)?;
            let y = affine(&y, &p, &i, residual, relu);
            equal(&format!("affine {residual} {relu} {p:?}"), &out, &y.value)?;
        }
        let dx = oracle::dgrad(&p, &i.dy, &i.w, None);
        equal(&format!("dgrad {p:?}"), &calls.dgrad(false)?, &dx.value)?;
        let dx = oracle::dgrad(&p, &i.dy, &i.w, Some(&i.before));
        equal(&format!("dgrad += {p:?}"), &calls.dgrad(true)?, &dx.value)?;
        let [dw, db] = calls.wgrad(true)?;
        equal(&format!("wgrad {p:?}"), &dw, &oracle::wgrad(&p, &i.x, &i.dy).value)?;
        equal(&format!("db {p:?}"), &db, &oracle::bias_grad(&p, &i.dy).value)?;
        let [again, untouched] = calls.wgrad(false)?;
        ensure(again == dw, || format!("dw depends on whether there is a bias: {p:?}"))?;
        let untouched = untouched.iter().all(|v| v.is_nan());
        ensure(untouched, || format!("db written without a bias: {p:?}"))?;
    }
    Ok(())
}

pub fn integer_gradient_norms_are_exact<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::integers(&p);
        for bias in [false, true] {
            let norms = oracle::grad_norms(&p, &i.x, &i.dy, bias);
            let expected: Vec<f64> =
                norms.value.iter().map(|v| f64::from(*v as f32) + 1.0).collect();
            for form in forms(&p) {
                let out = Calls::new(subject, &p, &i).grad_norm(bias, form)?;
                equal(&format!("{form:?} bias {bias} {p:?}"), &out, &expected)?;
            }
        }
    }
    Ok(())
}

pub fn random_results_are_within_bounds<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::random(&p);
        let calls = Calls::new(subject, &p, &i);
        let window = p.r * p.s * p.c;
        let y = oracle::fprop(&p, &i.x, &i.w, Some(&i.bias));
        within(&format!("fprop {p:?}"), &calls.fprop(true)?, &y, window, U)?;
        let y = affine(&y, &p, &i, true, true);
        within(&format!("affine {p:?}"), &calls.fprop_affine(true, true)?, &y, window + 2, U)?;
        let dx = oracle::dgrad(&p, &i.dy, &i.w, Some(&i.before));
        within(&format!("dgrad {p:?}"), &calls.dgrad(true)?, &dx, p.r * p.s * p.k + 1, U)?;
        let [dw, db] = calls.wgrad(true)?;
        let chain = p.y_len() / p.k + 3;
        within(&format!("wgrad {p:?}"), &dw, &oracle::wgrad(&p, &i.x, &i.dy), chain, U)?;
        within(&format!("db {p:?}"), &db, &oracle::bias_grad(&p, &i.dy), chain, U)?;
    }
    Ok(())
}

pub fn random_gradient_norms_are_within_bounds<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::random(&p);
        for bias in [false, true] {
            let norms = oracle::grad_norms(&p, &i.x, &i.dy, bias);
            let expected: Vec<f64> = norms.value.iter().map(|v| v + 1.0).collect();
            let positions = if p.n == 0 { 0 } else { p.p() * p.q() };
            for form in forms(&p) {
                let out = Calls::new(subject, &p, &i).grad_norm(bias, form)?;
                // Errors of the gradient enter twice, and squaring, summing and storing add their
                // own.
                judge(&format!("{form:?} bias {bias} {p:?}"), &out, &expected, |n| {
                    let (chain, size) = match form {
                        GradNormForm::Instantiate => (positions, norms.instantiated[n]),
                        _ => (p.r * p.s * p.c + p.k, norms.gram[n]),
                    };
                    let own = (2 * 24 + 8) as f64 * U * norms.value[n];
                    2.0 * (2 * chain + 8) as f64 * U * size + own + U * expected[n]
                })?;
            }
        }
    }
    Ok(())
}

pub fn statistics_are_those_of_the_output<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::random(&p);
        let calls = Calls::new(subject, &p, &i);
        let [y, ..] = calls.fprop_statistics(false)?;
        ensure(y == calls.fprop(false)?, || format!("statistics change y: {p:?}"))?;
        let [y, mean, m2] = calls.fprop_statistics(true)?;
        ensure(y == calls.fprop(true)?, || format!("statistics change y with a bias: {p:?}"))?;
        let (mean_ref, m2_ref) = oracle::moments(&y, p.k);
        let rows = y.len() / p.k;
        let size: Vec<f64> = (0..p.k)
            .map(|k| y.iter().skip(k).step_by(p.k).map(|v| f64::from(v.abs())).sum::<f64>())
            .collect();
        let chain = (2 * rows + 8) as f64 * U;
        judge(&format!("mean {p:?}"), &mean, &mean_ref, |k| chain * size[k] / rows.max(1) as f64)?;
        judge(&format!("m2 {p:?}"), &m2, &m2_ref, |k| {
            // The mean's own error adds its square once for each row.
            let mean = chain * size[k] / rows.max(1) as f64;
            chain * m2_ref[k] + rows as f64 * mean * mean
        })?;
    }
    Ok(())
}

/// A large common offset would ruin a variance taken as `E[y^2] - E[y]^2`.
pub fn statistics_survive_a_large_mean<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    let [n, h, w] = if subject.reduced { [16, 8, 8] } else { [64, 16, 16] };
    let p = Conv2dProblem { n, h, w, c: 1, k: 8, r: 1, s: 1, stride: [1, 1], pad: [0, 0] };
    let mut i = ConvInputs::random(&p);
    i.x.iter_mut().for_each(|v| *v = 1000.0 + 0.01 * *v);
    i.w.fill(1.0);
    let [y, _, m2] = Calls::new(subject, &p, &i).fprop_statistics(false)?;
    let (_, reference) = oracle::moments(&y, p.k);
    Ok(judge("m2", &m2, &reference, |k| 1e-3 * reference[k])?)
}

/// Returns every result of every direction, for comparing bits.
pub fn everything<B: Conv2d>(
    subject: &Subject<B>,
    p: &Conv2dProblem,
    i: &ConvInputs,
) -> Result<Vec<Vec<u32>>, CaseFailure> {
    let calls = Calls::new(subject, p, i);
    let mut all = vec![
        calls.fprop(true)?,
        calls.fprop_affine(true, true)?,
        calls.dgrad(false)?,
        calls.dgrad(true)?,
    ];
    all.extend(calls.fprop_statistics(true)?);
    all.extend(calls.wgrad(true)?);
    for form in forms(p) {
        all.push(calls.grad_norm(true, form)?);
    }
    Ok(all.iter().map(|v| words(v)).collect())
}

pub fn calls_repeat_bit_for_bit<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::random(&p);
        let same = everything(subject, &p, &i)? == everything(subject, &p, &i)?;
        ensure(same, || format!("a second call differs: {p:?}"))?;
    }
    Ok(())
}

pub fn a_batch_of_one_is_a_row_of_a_batch<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject).filter(|p| p.n > 1) {
        let i = ConvInputs::random(&p);
        let one = p.with_n(1);
        let (x, y) = (one.x_len(), one.y_len());
        let whole = Calls::new(subject, &p, &i);
        let (whole_y, whole_dx) = (whole.fprop(true)?, whole.dgrad(false)?);
        for n in [0, p.n - 1] {
            let row = ConvInputs {
                x: i.x[n * x..(n + 1) * x].to_vec(),
                dy: i.dy[n * y..(n + 1) * y].to_vec(),
                w: i.w.clone(),
                bias: i.bias.clone(),
                ..ConvInputs::random(&one)
            };
            let single = Calls::new(subject, &one, &row);
            let same = single.fprop(true)? == whole_y[n * y..(n + 1) * y]
                && single.dgrad(false)? == whole_dx[n * x..(n + 1) * x];
            ensure(same, || format!("sample {n} alone differs: {p:?}"))?;
            for form in forms(&p) {
                let same = single.grad_norm(true, form)? == whole.grad_norm(true, form)?[n..=n];
                ensure(same, || format!("{form:?} of sample {n} alone differs: {p:?}"))?;
            }
        }
    }
    Ok(())
}

pub fn wrong_lengths_are_refused<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    let Some(p) = problems(subject).nth(2) else { return Ok(()) };
    let i = ConvInputs::random(&p);
    let backend = subject.backend;
    let needed = backend.conv2d_workspace(&p, Conv2dDirection::Fprop, Dtype::F32);
    for (x_len, y_len, work) in [
        (p.x_len() - 1, p.y_len(), needed),
        (p.x_len(), p.y_len() - 1, needed),
        (p.x_len(), p.y_len(), needed - 1),
    ] {
        let tensors = [
            Fill::Values(&i.x[..x_len]),
            Fill::Values(&i.w),
            Fill::Poison(y_len),
            Fill::Poison(work),
        ];
        let mut f = Fenced::new(subject, &tensors)?;
        let [x, w, y, work] = f.views[..] else { unreachable!() };
        let (bias, epilogue) = (None, Epilogue::None);
        let operands = FpropOperands { x, w, bias, y, epilogue, workspace: work };
        let result = backend.conv2d_fprop(&mut f.memory, &p, &operands);
        ensure(result.is_err(), || format!("accepted x {x_len}, y {y_len}"))?;
        ensure(f.read(2)?.iter().all(|v| v.is_nan()), || "y was written".to_owned())?;
    }
    let bad = Conv2dProblem { pad: [3, 3], ..p };
    let mut f = Fenced::new(subject, &[Fill::Values(&i.x)])?;
    let none = View::EMPTY;
    let x = f.views[0];
    let (accumulate, norm) = (false, None);
    let operands = DgradOperands { dy: x, w: x, dx: none, accumulate, norm, workspace: none };
    let result = backend.conv2d_dgrad(&mut f.memory, &bad, &operands);
    ensure(result.is_err(), || format!("accepted {bad:?}"))
}
