//! Gradient norms of tensors stored as bf16: every form, and every tile of the instantiated form.

use super::{NORMS, problems, with_every_choice};
use crate::ops::conv2d::{Conv2d, Conv2dDirection, Conv2dProblem, GradNormForm};
use crate::reference::conv2d as oracle;
use crate::reference::{U, equal, judge};
use crate::selftest::conv2d::{Calls, ConvInputs, Sizes, problem};
use crate::selftest::values::words;
use crate::selftest::{CaseOutcome, Subject, ensure};

const INSTANTIATE: GradNormForm = GradNormForm::Instantiate;

fn forms(p: &Conv2dProblem) -> impl Iterator<Item = GradNormForm> + use<> {
    let shifted = (p.stride == [1, 1]).then_some(GradNormForm::ShiftedGram);
    [INSTANTIATE, GradNormForm::Gram].into_iter().chain(shifted)
}

/// Returns what is added to 1, exactly.
fn exact_norms(p: &Conv2dProblem, i: &ConvInputs, bias: bool) -> Vec<f64> {
    let norms = oracle::grad_norms(p, &i.x, &i.dy, bias);
    norms.value.iter().map(|v| f64::from(*v as f32) + 1.0).collect()
}

pub fn integer_gradient_norms_are_exact<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject).filter(|p| p.macs() <= NORMS) {
        let i = ConvInputs::integers(&p);
        for bias in [false, true] {
            let expected = exact_norms(&p, &i, bias);
            for form in forms(&p) {
                let out = Calls::bf16(subject, &p, &i).grad_norm(bias, form)?;
                equal(&format!("{form:?} bias {bias} {p:?}"), &out, &expected)?;
            }
        }
    }
    Ok(())
}

/// Compares norms in a form with the oracle's. Errors of the gradient enter twice, and squaring,
/// summing and storing add their own. The bias gradient is a chain over the positions.
fn judge_norms(
    what: &str,
    (p, bias, form): (&Conv2dProblem, bool, GradNormForm),
    norms: &oracle::Norms,
    out: &[f32],
) -> CaseOutcome {
    let expected: Vec<f64> = norms.value.iter().map(|v| v + 1.0).collect();
    let positions = if p.n == 0 { 0 } else { p.p() * p.q() };
    judge(what, out, &expected, |n| {
        let (chain, size) = match form {
            GradNormForm::Instantiate if bias => (positions, norms.instantiated[n]),
            GradNormForm::Instantiate => (positions.div_ceil(16), norms.instantiated[n]),
            _ => {
                let terms = (p.r * p.s * p.c).div_ceil(16) + p.k.div_ceil(16);
                let taps = p.r * p.s;
                (terms + taps + if bias { positions } else { 0 }, norms.gram[n])
            }
        };
        let own = (2 * 24 + 8) as f64 * U * norms.value[n];
        2.0 * (2 * chain + 8) as f64 * U * size + own + U * expected[n]
    })?;
    Ok(())
}

pub fn random_gradient_norms_are_within_bounds<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject).filter(|p| p.macs() <= NORMS) {
        let i = ConvInputs::random(&p).rounded();
        for bias in [false, true] {
            let norms = oracle::grad_norms(&p, &i.x, &i.dy, bias);
            for form in forms(&p) {
                let out = Calls::bf16(subject, &p, &i).grad_norm(bias, form)?;
                let what = format!("{form:?} bias {bias} {p:?}");
                judge_norms(&what, (&p, bias, form), &norms, &out)?;
            }
        }
    }
    Ok(())
}

/// Shapes as the tiles of a filter row take them: positions of a sample on and off the stages,
/// fewer than one and several, images of one row or column, groups of channels, and output channels
/// on and off the tile.
const FILTER_ROWS: &[Sizes] = &[
    ([0, 5, 6, 64, 8, 3, 3], [1, 1], [1, 1]),
    ([3, 1, 1, 64, 64, 3, 3], [1, 1], [1, 1]),
    ([3, 4, 4, 192, 24, 3, 3], [1, 1], [1, 1]),
    ([3, 5, 6, 128, 72, 3, 3], [1, 1], [1, 1]),
    ([3, 7, 7, 64, 64, 3, 3], [1, 1], [1, 1]),
    ([5, 8, 8, 64, 8, 3, 3], [1, 1], [1, 1]),
    ([2, 1, 40, 64, 16, 3, 3], [1, 1], [1, 1]),
    ([2, 33, 1, 64, 136, 3, 3], [1, 1], [1, 1]),
    ([3, 9, 11, 128, 56, 3, 3], [1, 1], [1, 1]),
];

/// The instantiated norms of every tile and family are exact on integers and within the bound on
/// random values.
pub fn norms_of_every_tile_are_within_bounds<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    let direction = Conv2dDirection::GradNorm(INSTANTIATE);
    for p in FILTER_ROWS.iter().map(problem) {
        let (whole, random) = (ConvInputs::integers(&p), ConvInputs::random(&p).rounded());
        for bias in [false, true] {
            let expected = exact_norms(&p, &whole, bias);
            let norms = oracle::grad_norms(&p, &random.x, &random.dy, bias);
            with_every_choice(subject, &p, direction, |choice| {
                let what = format!("{choice}, bias {bias}, {p:?}");
                let out = Calls::bf16(subject, &p, &whole).grad_norm(bias, INSTANTIATE)?;
                equal(&what, &out, &expected)?;
                let out = Calls::bf16(subject, &p, &random).grad_norm(bias, INSTANTIATE)?;
                judge_norms(&what, (&p, bias, INSTANTIATE), &norms, &out)
            })?;
        }
    }
    Ok(())
}

/// Whatever is beside a sample, its norm is the same bits in every tile. Not even zero times a
/// neighbour's value enters it.
pub fn instantiated_norms_see_their_sample_alone<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in FILTER_ROWS.iter().map(problem).filter(|p| p.n == 3) {
        let i = ConvInputs::random(&p).rounded();
        let mut spoilt = ConvInputs::random(&p).rounded();
        for (tensor, len) in
            [(&mut spoilt.x, p.with_n(1).x_len()), (&mut spoilt.dy, p.with_n(1).y_len())]
        {
            tensor[..len].fill(f32::NAN);
            tensor[2 * len..].fill(f32::NAN);
        }
        with_every_choice(subject, &p, Conv2dDirection::GradNorm(INSTANTIATE), |choice| {
            let norms = Calls::bf16(subject, &p, &i).grad_norm(false, INSTANTIATE)?;
            let beside = Calls::bf16(subject, &p, &spoilt).grad_norm(false, INSTANTIATE)?;
            let what = format!("{choice}, {p:?}: {norms:?}, beside NaN {beside:?}");
            ensure(words(&norms)[1] == words(&beside)[1], || format!("differs: {what}"))?;
            let spoilt = beside[0].is_nan() && beside[2].is_nan();
            ensure(spoilt, || format!("NaN has a norm: {what}"))
        })?;
    }
    Ok(())
}
