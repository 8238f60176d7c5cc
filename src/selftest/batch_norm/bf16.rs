//! Batch normalisation of tensors stored as bf16, with the calls of the parent module on rounded
//! inputs. Results in bf16 are the oracle's single rounding on integers, and within 2^-8 of it on
//! random values.

use super::calls::{
    NormInputs, apply, backward_apply, backward_eval, backward_input, reduce, statistics,
};
use super::{FLAGS, dout_after};
use crate::ops::batch_norm::{BatchNorm, BatchNormProblem};
use crate::reference::batch_norm as oracle;
use crate::reference::{U, U16, equal, equal16, judge, within};
use crate::selftest::fence::Fill;
use crate::selftest::values::{Values, words};
use crate::selftest::{CaseOutcome, Subject, ensure};

/// Samples, positions and channels: multiples of 8, fewer and more groups of them than lanes, and
/// off a power of two. Some have several parts, of which the last is shorter.
const SHAPES: &[[usize; 3]] = &[
    [0, 6, 8],
    [1, 1, 8],
    [1, 12, 24],
    [17, 9, 16],
    [3, 64, 64],
    [17, 1, 136],
    [2, 31, 264],
    [3, 5, 320],
    [1, 1024, 8],
    [40, 9, 16],
];

fn problems() -> impl Iterator<Item = BatchNormProblem> {
    SHAPES.iter().map(|&[n, hw, c]| BatchNormProblem { n, hw, c })
}

/// Returns the longest chain of additions, as in the parent module.
fn chain(p: &BatchNormProblem) -> usize {
    super::chain(p)
}

pub fn integers_give_exact_results<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let i = NormInputs::exact(&p).rounded();
        for (residual, relu) in FLAGS {
            let out = apply(subject, &p, &i, residual, relu)?;
            let residual = residual.then_some(i.residual.as_slice());
            let reference = oracle::apply(&p, &i.y, &i.gamma, &i.beta, residual, relu);
            equal16(&format!("apply {} {relu} {p:?}", residual.is_some()), &out, &reference.value)?;
        }
        for (relu, mask) in FLAGS {
            let what = |name: &str| format!("{name}, relu {relu}, in place {mask}, {p:?}");
            let input = i.oracle(relu);
            let [dgamma, dbeta, dout] = reduce(subject, &p, &i, relu, mask)?;
            let [dgamma_ref, dbeta_ref] = oracle::parameter_gradients(&p, &input, 0..p.n);
            equal(&what("dgamma"), &dgamma, &dgamma_ref.value)?;
            equal(&what("dbeta"), &dbeta, &dbeta_ref.value)?;
            equal16(&what("dout"), &dout, &dout_after(&i, relu, mask))?;
            let [dy, norms, dout] = backward_eval(subject, &p, &i, relu, mask)?;
            equal16(&what("dy, eval"), &dy, &oracle::backward_eval(&p, &input, &i.gamma).value)?;
            equal16(&what("dout, eval"), &dout, &dout_after(&i, relu, mask))?;
            let norms_ref: Vec<f64> =
                oracle::norms(&p, &input).value.iter().map(|v| v + 1.0).collect();
            equal(&what("norms"), &norms, &norms_ref)?;
        }
        for relu in [false, true] {
            let dy = backward_apply(subject, &p, &i, relu)?;
            let reference = oracle::backward(&p, &i.oracle(relu), &i.gamma, &i.dgamma, &i.dbeta);
            equal16(&format!("dy, relu {relu}, {p:?}"), &dy, &reference.value)?;
        }
    }
    Ok(())
}

pub fn random_results_are_within_bounds<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let i = NormInputs::random(&p).rounded();
        for (residual, relu) in FLAGS {
            let out = apply(subject, &p, &i, residual, relu)?;
            let r = residual.then_some(i.residual.as_slice());
            let reference = oracle::apply(&p, &i.y, &i.gamma, &i.beta, r, relu);
            within(&format!("apply {residual} {relu} {p:?}"), &out, &reference, 2, U16)?;
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
            within(&what("dy"), &dy, &reference, 2, U16)?;
            let [dy, norms, _] = backward_eval(subject, &p, &i, relu, relu)?;
            let reference = oracle::backward_eval(&p, &input, &i.gamma);
            within(&what("dy, eval"), &dy, &reference, 1, U16)?;
            // As in f32, the norms are of the sums and not of what is stored.
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
        let i = NormInputs::random(&p).rounded();
        let [mean, m2] = statistics(subject, &p, i.stored(&i.y))?;
        judge_statistics(&format!("{p:?}"), [&mean, &m2], &i.y, p.c, chain(&p))?;
    }
    Ok(())
}

/// Judges the mean and m2 of values stored as rows of `c` channels by how far f32 sums with chains
/// of `chain` additions may be off.
pub fn judge_statistics(
    what: &str,
    [mean, m2]: [&[f32]; 2],
    y: &[f32],
    c: usize,
    chain: usize,
) -> CaseOutcome {
    let (mean_ref, m2_ref) = oracle::moments(y, c);
    let mut size = vec![0.0; c];
    y.iter().enumerate().for_each(|(j, v)| size[j % c] += f64::from(v.abs()));
    let (unit, count) = ((2 * chain + 8) as f64 * U, y.len() / c);
    let mean_bound = |c: usize| unit * size[c] / count.max(1) as f64;
    judge(&format!("mean, {what}"), mean, &mean_ref, mean_bound)?;
    // The mean's own error adds its square once for each position.
    let m2_bound = |c: usize| unit * m2_ref[c] + count as f64 * mean_bound(c).powi(2);
    Ok(judge(&format!("m2, {what}"), m2, &m2_ref, m2_bound)?)
}

pub fn statistics_survive_a_large_mean<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    let p = BatchNormProblem { n: 64, hw: 256, c: 8 };
    // Stored values are 1000 or its neighbours in bf16, which are 4 apart.
    let y: Vec<f32> = Values::new(3).choose(p.len(), &[996.0, 1000.0, 1004.0]);
    let [_, m2] = statistics(subject, &p, Fill::Values16(&y))?;
    let (_, reference) = oracle::moments(&y, p.c);
    judge("m2", &m2, &reference, |c| 1e-5 * reference[c])?;
    Ok(())
}

pub fn calls_repeat_bit_for_bit<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems().filter(|p| p.n > 1) {
        let i = NormInputs::random(&p).rounded();
        let all = || -> Result<Vec<Vec<u32>>, crate::selftest::CaseFailure> {
            let mut all = statistics(subject, &p, i.stored(&i.y))?.to_vec();
            all.extend(reduce(subject, &p, &i, true, true)?);
            all.extend(backward_eval(subject, &p, &i, true, true)?);
            all.extend([
                apply(subject, &p, &i, true, true)?,
                backward_apply(subject, &p, &i, true)?,
            ]);
            Ok(all.iter().map(|v| words(v)).collect())
        };
        ensure(all()? == all()?, || format!("a second call differs: {p:?}"))?;
    }
    Ok(())
}

/// With mixed types, or channels off the groups of 8, nothing is written.
pub fn wrong_types_are_refused<B: BatchNorm>(subject: &Subject<B>) -> CaseOutcome {
    let refused = |p: BatchNormProblem, f32_tensor: usize| -> CaseOutcome {
        let i = NormInputs::random(&p).rounded();
        let more = [p.c, p.c, p.workspace()].map(Fill::Poison);
        let mut f = i.backward(subject, more)?;
        let mut input = backward_input(&f.views, true, true);
        let [dgamma, dbeta, work] = f.views[5..] else { unreachable!() };
        let views = [&mut input.dout, &mut input.y];
        if let Some(view) = views.into_iter().nth(f32_tensor) {
            view.dtype = crate::tensor::Dtype::F32;
        }
        let (memory, backend) = (&mut f.memory, subject.backend);
        let result = backend.batch_norm_backward_reduce(memory, &p, &input, dgamma, dbeta, work);
        ensure(result.is_err(), || format!("accepted tensor {f32_tensor} in f32, {p:?}"))?;
        ensure(f.read(5)?.iter().all(|v| v.is_nan()), || "dgamma was written".to_owned())
    };
    let p = BatchNormProblem { n: 3, hw: 4, c: 8 };
    refused(p, 0)?;
    refused(p, 1)?;
    refused(BatchNormProblem { c: 12, ..p }, 2)
}
