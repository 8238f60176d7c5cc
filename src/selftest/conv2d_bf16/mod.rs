//! Convolution of tensors stored as bf16: every direction, epilogue and tile on awkward shapes. ConvInputs
//! are rounded before the oracle sees them.

mod norms;

use super::batch_norm::bf16::judge_statistics;
use super::conv2d::{Calls, ConvInputs, NormInputs, Sizes, affine, problem};
use super::fence::{Fenced, Fill};
use super::values::words;
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::backend::View;
use crate::ops::batch_norm::BatchNormProblem;
use crate::ops::conv2d::{
    Conv2d, Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, TileChoice,
};
use crate::reference::conv2d as oracle;
use crate::reference::{U, U16, batch_norm, equal, equal16, within};
use crate::tensor::Dtype;

pub use norms::{
    instantiated_norms_see_their_sample_alone, integer_gradient_norms_are_exact,
    norms_of_every_tile_are_within_bounds, random_gradient_norms_are_within_bounds,
};

/// Channels are multiples of 8, on and off those of the tiles.
const SHAPES: &[Sizes] = &[
    ([0, 5, 6, 8, 8, 3, 3], [1, 1], [1, 1]),
    ([1, 5, 6, 8, 16, 3, 3], [1, 1], [1, 1]),
    ([17, 4, 4, 24, 48, 3, 3], [1, 1], [1, 1]),
    ([3, 9, 7, 16, 32, 3, 3], [2, 2], [1, 1]),
    // Three of dgrad's problems have no taps.
    ([2, 9, 10, 40, 72, 1, 1], [2, 2], [0, 0]),
    ([3, 7, 7, 64, 64, 1, 1], [1, 1], [0, 0]),
    ([2, 15, 13, 8, 24, 7, 7], [2, 2], [3, 3]),
    ([3, 11, 10, 8, 136, 5, 3], [2, 1], [2, 0]),
    ([1, 7, 8, 48, 40, 3, 2], [3, 2], [1, 1]),
    ([3, 5, 5, 104, 40, 3, 3], [1, 1], [1, 1]),
    ([17, 1, 1, 48, 8, 1, 1], [1, 1], [0, 0]),
    ([1, 1, 17, 64, 104, 1, 1], [1, 1], [0, 0]),
    // There are more channels than a thread of a block has groups.
    ([2, 3, 2, 8, 1048, 1, 1], [1, 1], [0, 0]),
    ([3, 2, 2, 16, 8, 3, 3], [2, 2], [1, 1]),
    ([2, 13, 11, 8, 8, 2, 3], [1, 3], [0, 2]),
    // There are positions enough for several splits of each tile.
    ([5, 20, 13, 16, 72, 3, 2], [1, 1], [1, 0]),
    ([5, 20, 13, 24, 40, 1, 1], [1, 1], [0, 0]),
    ([3, 40, 11, 16, 8, 3, 3], [1, 1], [1, 1]),
    // There are wide tiles enough to fill a card, in fprop and in dgrad.
    ([3, 53, 54, 8, 256, 1, 3], [1, 1], [0, 1]),
    ([3, 53, 54, 256, 8, 1, 3], [2, 1], [0, 1]),
    ([5, 14, 14, 256, 256, 3, 3], [1, 1], [1, 1]),
    ([3, 28, 28, 128, 256, 3, 3], [2, 2], [1, 1]),
];

/// Most multiply-adds of a reduced shape.
const REDUCED: u64 = 120_000_000;

/// Most multiply-adds of a problem whose norms are tried in every form.
const NORMS: u64 = 12_000_000;

fn problems<B>(subject: &Subject<B>) -> impl Iterator<Item = Conv2dProblem> + use<B> {
    let most = if subject.reduced { REDUCED } else { u64::MAX };
    SHAPES.iter().map(problem).filter(move |p| p.macs() <= most)
}

/// Returns the problems that are small enough for cases that call everything several times.
fn small<B>(subject: &Subject<B>) -> impl Iterator<Item = Conv2dProblem> + use<B> {
    problems(subject).filter(|p| p.macs() <= 2_000_000)
}

pub fn integers_give_exact_results<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::integers(&p);
        let calls = Calls::bf16(subject, &p, &i);
        let y = oracle::fprop(&p, &i.x, &i.w, None);
        equal16(&format!("fprop {p:?}"), &calls.fprop(false)?, &y.value)?;
        let y = oracle::fprop(&p, &i.x, &i.w, Some(&i.bias));
        equal16(&format!("fprop, bias {p:?}"), &calls.fprop(true)?, &y.value)?;
        for (residual, relu) in [(false, false), (true, true)] {
            let out = calls.fprop_affine(residual, relu)?;
            let y = affine(&y, &p, &i, residual, relu);
            equal16(&format!("affine {residual} {relu} {p:?}"), &out, &y.value)?;
        }
        let dx = oracle::dgrad(&p, &i.dy, &i.w, None);
        equal16(&format!("dgrad {p:?}"), &calls.dgrad(false)?, &dx.value)?;
        let dx = oracle::dgrad(&p, &i.dy, &i.w, Some(&i.before));
        equal16(&format!("dgrad += {p:?}"), &calls.dgrad(true)?, &dx.value)?;
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

pub fn random_results_are_within_bounds<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::random(&p).rounded();
        let calls = Calls::bf16(subject, &p, &i);
        let terms = (p.r * p.s * p.c).div_ceil(16);
        let y = oracle::fprop(&p, &i.x, &i.w, Some(&i.bias));
        within(&format!("fprop {p:?}"), &calls.fprop(true)?, &y, terms + 1, U16)?;
        let y = affine(&y, &p, &i, true, true);
        within(&format!("affine {p:?}"), &calls.fprop_affine(true, true)?, &y, terms + 4, U16)?;
        let dx = oracle::dgrad(&p, &i.dy, &i.w, Some(&i.before));
        let terms = (p.r * p.s * p.k).div_ceil(16);
        within(&format!("dgrad {p:?}"), &calls.dgrad(true)?, &dx, terms + 1, U16)?;
        let [dw, db] = calls.wgrad(true)?;
        // Splits have 256 positions or more, so that there are fewer of both than positions / 16.
        let positions = p.y_len() / p.k;
        let chain = positions.div_ceil(16) + 2;
        within(&format!("wgrad {p:?}"), &dw, &oracle::wgrad(&p, &i.x, &i.dy), chain, U)?;
        within(&format!("db {p:?}"), &db, &oracle::bias_grad(&p, &i.dy), positions + 3, U)?;
    }
    Ok(())
}

/// Returns every result of every direction, for comparing bits.
pub fn everything<B: Conv2d>(
    subject: &Subject<B>,
    p: &Conv2dProblem,
    i: &ConvInputs,
) -> Result<Vec<Vec<u32>>, CaseFailure> {
    let calls = Calls::bf16(subject, p, i);
    let mut all = vec![calls.fprop_affine(true, true)?, calls.dgrad(true)?];
    all.extend(calls.wgrad(true)?);
    Ok(all.iter().map(|v| words(v)).collect())
}

pub fn calls_repeat_bit_for_bit<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in small(subject) {
        let i = ConvInputs::random(&p).rounded();
        let same = everything(subject, &p, &i)? == everything(subject, &p, &i)?;
        ensure(same, || format!("a second call differs: {p:?}"))?;
    }
    Ok(())
}

pub fn a_batch_of_one_is_a_row_of_a_batch<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    // This holds also where one image is computed in other tiles than the batch.
    let other = problems(subject).filter(|p| p.n > 1 && p.c.max(p.k) == 256 && p.r == 1);
    for p in small(subject).filter(|p| p.n > 1).chain(other) {
        let i = ConvInputs::random(&p).rounded();
        let one = p.with_n(1);
        let (x, y) = (one.x_len(), one.y_len());
        let whole = Calls::bf16(subject, &p, &i);
        let (whole_y, whole_dx) = (whole.fprop(true)?, whole.dgrad(false)?);
        let n = p.n - 1;
        let row = ConvInputs {
            x: i.x[n * x..(n + 1) * x].to_vec(),
            dy: i.dy[n * y..(n + 1) * y].to_vec(),
            w: i.w.clone(),
            bias: i.bias.clone(),
            ..ConvInputs::random(&one)
        };
        let single = Calls::bf16(subject, &one, &row);
        let same = single.fprop(true)? == whole_y[n * y..(n + 1) * y]
            && single.dgrad(false)? == whole_dx[n * x..(n + 1) * x];
        ensure(same, || format!("sample {n} alone differs: {p:?}"))?;
    }
    Ok(())
}

pub fn statistics_are_those_of_the_stored_output<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems(subject) {
        let i = ConvInputs::random(&p).rounded();
        let calls = Calls::bf16(subject, &p, &i);
        for bias in [false, true] {
            let [y, mean, m2] = calls.fprop_statistics(bias)?;
            let what = format!("bias {bias}, {p:?}");
            ensure(y == calls.fprop(bias)?, || format!("statistics change y: {what}"))?;
            // The chain has 64 rows of a warp, then the warps of a tile and the tiles of a thread
            // in order, then trees.
            let chain = 64 + y.len() / p.k / 64 + 16;
            judge_statistics(&what, [&mean, &m2], &y, p.k, chain)?;
        }
    }
    Ok(())
}

/// The gradient of a batch norm's output is masked, and its sums are those of what is stored.
pub fn gradient_sums_are_those_of_the_stored_gradient<B: Conv2d>(
    subject: &Subject<B>,
) -> CaseOutcome {
    for p in problems(subject) {
        let whole = (ConvInputs::integers(&p), NormInputs::integers(&p), true);
        let random = (ConvInputs::random(&p).rounded(), NormInputs::random(&p), false);
        // Large shapes are tried once, for the tiles that they take.
        let small = p.macs() <= NORMS;
        for (i, norm, exact) in [whole, random].into_iter().filter(|c| small || !c.2) {
            let calls = Calls::bf16(subject, &p, &i);
            let all = [(true, true), (false, false), (false, true)];
            for (accumulate, relu) in all.into_iter().take(if small { 3 } else { 1 }) {
                let what = format!("integers {exact}, += {accumulate}, relu {relu}, {p:?}");
                let [dx, dgamma, dbeta] = calls.dgrad_norm(accumulate, relu, &norm)?;
                let mut plain = calls.dgrad(accumulate)?;
                for (v, out) in plain.iter_mut().zip(&norm.out) {
                    *v = if relu && *out <= 0.0 { 0.0 } else { *v };
                }
                ensure(dx == plain, || format!("dx is not the masked one: {what}"))?;
                let problem = BatchNormProblem { n: p.n, hw: p.h * p.w, c: p.c };
                let (y, mean, rstd) = (&norm.y, &norm.mean, &norm.rstd);
                let input = batch_norm::BackwardValues { dout: &dx, out: None, y, mean, rstd };
                let [dgamma_ref, dbeta_ref] =
                    batch_norm::parameter_gradients(&problem, &input, 0..p.n);
                let largest = dgamma_ref.magnitude.iter().fold(0.0f64, |a, b| a.max(*b));
                // Halves of integers are exact as long as sums have 24 bits.
                if exact && 2.0 * largest < f64::from(1 << 24) {
                    equal(&format!("dgamma, {what}"), &dgamma, &dgamma_ref.value)?;
                    equal(&format!("dbeta, {what}"), &dbeta, &dbeta_ref.value)?;
                } else {
                    let chain = 16 + p.n * p.h * p.w / 256 + 16;
                    within(&format!("dgamma, {what}"), &dgamma, &dgamma_ref, chain, U)?;
                    within(&format!("dbeta, {what}"), &dbeta, &dbeta_ref, chain, U)?;
                }
            }
        }
    }
    Ok(())
}

/// 3 x 3 with stride 1 and padding 1, as the tiles with a halo take them: images of one row or
/// column and off the tile, several in a tile and several tiles in one, channels on and off groups
/// of all kinds.
const HALOS: &[Sizes] = &[
    ([0, 5, 6, 8, 8, 3, 3], [1, 1], [1, 1]),
    ([1, 5, 6, 8, 16, 3, 3], [1, 1], [1, 1]),
    ([17, 4, 4, 16, 24, 3, 3], [1, 1], [1, 1]),
    ([3, 1, 1, 24, 8, 3, 3], [1, 1], [1, 1]),
    ([1, 1, 141, 8, 40, 3, 3], [1, 1], [1, 1]),
    ([1, 131, 1, 32, 8, 3, 3], [1, 1], [1, 1]),
    ([3, 17, 11, 40, 72, 3, 3], [1, 1], [1, 1]),
    ([3, 9, 11, 64, 56, 3, 3], [1, 1], [1, 1]),
    ([1, 10, 9, 128, 136, 3, 3], [1, 1], [1, 1]),
    ([17, 5, 7, 64, 64, 3, 3], [1, 1], [1, 1]),
    // Tiles begin and end within images of more rows than a tile has.
    ([2, 3, 150, 16, 8, 3, 3], [1, 1], [1, 1]),
];

/// Computes with every choice in turn, and then as planned again whatever happens.
fn with_every_choice<B: Conv2d>(
    subject: &Subject<B>,
    p: &Conv2dProblem,
    direction: Conv2dDirection,
    mut run: impl FnMut(TileChoice) -> CaseOutcome,
) -> CaseOutcome {
    let Some(tuning) = subject.backend.conv2d_tuning() else {
        return ensure(false, || format!("nothing to choose on {}", subject.backend.name()));
    };
    let choices = tuning.choices(p, direction);
    let few = choices.len() < 4;
    ensure(!few, || format!("{direction:?} has {} choices for {p:?}", choices.len()))?;
    let outcome = choices.into_iter().try_for_each(|choice| {
        tuning.force(Some(choice));
        let taken = tuning.choice(p, direction);
        ensure(taken == Some(choice), || format!("{choice} forced, {taken:?} taken for {p:?}"))?;
        run(choice)
    });
    tuning.force(None);
    outcome
}

/// On integers every tile and family is exact. On random values outputs are the same bits, and
/// moments and sums are those of other tiles with as many rows.
pub fn tiles_and_families_give_the_same_results<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in HALOS.iter().map(problem) {
        let (whole, random) = (ConvInputs::integers(&p), ConvInputs::random(&p).rounded());
        let y = oracle::fprop(&p, &whole.x, &whole.w, Some(&whole.bias));
        let mut first: Option<Vec<u32>> = None;
        let mut moments: Vec<(usize, [Vec<u32>; 2])> = Vec::new();
        with_every_choice(subject, &p, Conv2dDirection::Fprop, |choice| {
            let what = format!("{choice}, {p:?}");
            let exact = Calls::bf16(subject, &p, &whole);
            equal16(&format!("fprop, {what}"), &exact.fprop(true)?, &y.value)?;
            let affine = affine(&y, &p, &whole, true, true);
            equal16(&format!("affine, {what}"), &exact.fprop_affine(true, true)?, &affine.value)?;
            let [out, mean, m2] = Calls::bf16(subject, &p, &random).fprop_statistics(true)?;
            judge_statistics(&what, [&mean, &m2], &out, p.k, 80 + out.len() / p.k / 64)?;
            let out = words(&out);
            let same = *first.get_or_insert_with(|| out.clone()) == out;
            ensure(same, || format!("y differs: {what}"))?;
            same_moments(&mut moments, choice, [words(&mean), words(&m2)], &what)
        })?;
        let dx = oracle::dgrad(&p, &whole.dy, &whole.w, Some(&whole.before));
        let norm = NormInputs::random(&p);
        let (mut first, mut sums): (Option<Vec<u32>>, _) = (None, Vec::new());
        with_every_choice(subject, &p, Conv2dDirection::DgradNorm, |choice| {
            let what = format!("{choice}, {p:?}");
            let exact = Calls::bf16(subject, &p, &whole);
            equal16(&format!("dgrad, {what}"), &exact.dgrad(true)?, &dx.value)?;
            let calls = Calls::bf16(subject, &p, &random);
            let [out, dgamma, dbeta] = calls.dgrad_norm(true, true, &norm)?;
            let out = words(&out);
            let same = *first.get_or_insert_with(|| out.clone()) == out;
            ensure(same, || format!("dx differs: {what}"))?;
            same_moments(&mut sums, choice, [words(&dgamma), words(&dbeta)], &what)
        })?;
    }
    Ok(())
}

/// Compares moments with those of an earlier choice whose tile has as many rows.
fn same_moments(
    seen: &mut Vec<(usize, [Vec<u32>; 2])>,
    choice: TileChoice,
    values: [Vec<u32>; 2],
    what: &str,
) -> CaseOutcome {
    let rows = choice.tile[0];
    if let Some((_, before)) = seen.iter().find(|(r, _)| *r == rows) {
        return ensure(*before == values, || format!("moments or sums differ: {what}"));
    }
    seen.push((rows, values));
    Ok(())
}

/// The wgrad of every tile and family is exact on integers. On random values as many splits give
/// the same bits.
pub fn weight_gradients_depend_on_the_splits_alone<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    for p in HALOS.iter().map(problem).filter(|p| p.c.is_multiple_of(64)) {
        let (whole, random) = (ConvInputs::integers(&p), ConvInputs::random(&p).rounded());
        let dw = oracle::wgrad(&p, &whole.x, &whole.dy);
        let mut seen: Vec<(usize, Vec<u32>)> = Vec::new();
        with_every_choice(subject, &p, Conv2dDirection::Wgrad, |choice| {
            let what = format!("{choice}, {p:?}");
            let [exact, _] = Calls::bf16(subject, &p, &whole).wgrad(false)?;
            equal(&format!("wgrad, {what}"), &exact, &dw.value)?;
            for splits in [1, 2] {
                let choice = TileChoice { splits, ..choice };
                subject.backend.conv2d_tuning().into_iter().for_each(|t| t.force(Some(choice)));
                let [bits, _] = Calls::bf16(subject, &p, &random).wgrad(false)?;
                let bits = words(&bits);
                match seen.iter().find(|(s, _)| *s == splits) {
                    Some((_, before)) => ensure(*before == bits, || format!("differs: {what}"))?,
                    None => seen.push((splits, bits)),
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// With mixed types, or channels off the groups of 8, nothing is written.
pub fn wrong_types_are_refused<B: Conv2d>(subject: &Subject<B>) -> CaseOutcome {
    let p = problem(&([2, 4, 5, 8, 16, 3, 3], [1, 1], [1, 1]));
    let i = ConvInputs::random(&p).rounded();
    let refused = |p: &Conv2dProblem, f32_tensor: usize| -> CaseOutcome {
        let stored = |tensor: usize, values| {
            if tensor == f32_tensor { Fill::Values(values) } else { Fill::Values16(values) }
        };
        let y = if f32_tensor == 2 { Fill::Poison(p.y_len()) } else { Fill::Poison16(p.y_len()) };
        let direction = Conv2dDirection::Fprop;
        let work = subject.backend.conv2d_workspace(p, direction, Dtype::Bf16);
        let work = Fill::Poison(work);
        let tensors = [stored(0, &i.x[..p.x_len()]), stored(1, &i.w[..p.w_len()]), y, work];
        let mut f = Fenced::new(subject, &tensors)?;
        let [x, w, y, work] = f.views[..] else { unreachable!() };
        let backend = subject.backend;
        let (bias, epilogue) = (None, Epilogue::None);
        let operands = FpropOperands { x, w, bias, y, epilogue, workspace: work };
        let result = backend.conv2d_fprop(&mut f.memory, p, &operands);
        let what = format!("{p:?}, tensor {f32_tensor} in f32");
        ensure(result.is_err(), || format!("accepted {what}"))?;
        ensure(f.read(2)?.iter().all(|v| v.is_nan()), || format!("y was written: {what}"))
    };
    for tensor in 0..3 {
        refused(&p, tensor)?;
    }
    refused(&Conv2dProblem { c: 4, ..p }, 9)?;
    refused(&Conv2dProblem { k: 12, ..p }, 9)?;
    // The calls have a bias gradient in bf16, and a view of whole numbers.
    let mut f = Fenced::new(subject, &[Fill::Values16(&i.x), Fill::Values16(&i.dy)])?;
    let [x, dy] = f.views[..] else { unreachable!() };
    let backend = subject.backend;
    let mut dgrad = |dy, w, dx| {
        let (accumulate, norm, workspace) = (false, None, View::EMPTY);
        let operands = DgradOperands { dy, w, dx, accumulate, norm, workspace };
        backend.conv2d_dgrad(&mut f.memory, &p, &operands)
    };
    let result = dgrad(dy, x, x);
    ensure(result.is_err(), || "accepted x as weights".to_owned())?;
    let whole = View { dtype: Dtype::U32, ..dy };
    let result = dgrad(whole, whole, whole);
    ensure(result.is_err(), || "accepted whole numbers".to_owned())
}
