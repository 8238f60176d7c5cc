//! Pooling of tensors stored as bf16: maxima with ties, padding, NaN and infinities; averages in f32.

use super::fence::{Fenced, Fill};
use super::values::Values;
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::ops::pool::{GlobalPoolProblem, MaxPoolProblem, Pool};
use crate::reference::pool as oracle;
use crate::reference::{U, U16, equal, equal16, within};
use crate::tensor::Dtype;

/// The sizes n h w c, then window, stride and pad.
const SHAPES: &[([usize; 4], [usize; 3])] = &[
    ([0, 6, 5, 8], [3, 2, 1]),
    ([1, 4, 5, 24], [3, 2, 1]),
    ([3, 8, 8, 16], [2, 2, 0]),
    ([2, 9, 7, 40], [2, 2, 0]),
    ([5, 2, 2, 64], [2, 2, 0]),
    ([3, 6, 4, 16], [3, 1, 1]),
    ([2, 33, 47, 8], [3, 2, 1]),
    ([3, 8, 7, 8], [5, 2, 4]),
    ([2, 17, 16, 8], [16, 3, 2]),
];

fn problems() -> impl Iterator<Item = MaxPoolProblem> {
    SHAPES.iter().map(|&([n, h, w, c], [window, stride, pad])| MaxPoolProblem {
        n,
        h,
        w,
        c,
        window,
        stride,
        pad,
    })
}

/// Checks that output and taps are the oracle's.
fn check<B: Pool>(subject: &Subject<B>, p: &MaxPoolProblem, x: &[f32]) -> CaseOutcome {
    let tensors = [Fill::Values16(x), Fill::Poison16(p.y_len()), Fill::Poison16(p.y_len())];
    let mut f = Fenced::new(subject, &tensors)?;
    let [view, y, taps] = f.views[..] else { unreachable!() };
    subject.backend.max_pool(&mut f.memory, p, view, y, taps)?;
    let (y, taps) = (f.read(1)?, f.read(2)?);
    let (y_ref, taps_ref) = oracle::max_pool(p, x);
    let same = y.iter().zip(&y_ref).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    ensure(same && y.len() == y_ref.len(), || format!("maxima differ: {p:?}"))?;
    let same = taps.iter().zip(&taps_ref).all(|(&a, &b)| a == b as f32);
    ensure(same && taps.len() == taps_ref.len(), || format!("taps differ: {p:?}"))
}

pub fn the_first_of_equal_maxima_wins<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    // With three values nearly every window has ties.
    problems().try_for_each(|p| check(subject, &p, &Values::new(1).integers(p.x_len(), 1)))
}

pub fn nan_and_minus_infinity<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems().filter(|p| p.n > 0) {
        let mut values = Values::new(3);
        // All values are negative, so that zero padding would win at every border.
        let mut x: Vec<f32> = values.integers(p.x_len(), 7).iter().map(|v| v - 8.0).collect();
        check(subject, &p, &x)?;
        check(subject, &p, &vec![f32::NEG_INFINITY; p.x_len()])?;
        for i in values.below(1 + x.len() / 20, p.x_len() as u32) {
            x[i as usize] = f32::NAN;
        }
        check(subject, &p, &x)?;
    }
    Ok(())
}

fn backward<B: Pool>(
    subject: &Subject<B>,
    p: &MaxPoolProblem,
    dy: &[f32],
    taps: &[u32],
) -> Result<Vec<f32>, CaseFailure> {
    let taps: Vec<f32> = taps.iter().map(|&t| t as f32).collect();
    let tensors = [Fill::Values16(dy), Fill::Values16(&taps), Fill::Poison16(p.x_len())];
    let mut f = Fenced::new(subject, &tensors)?;
    let [dy, taps, dx] = f.views[..] else { unreachable!() };
    subject.backend.max_pool_backward(&mut f.memory, p, dy, taps, dx)?;
    f.read(2)
}

pub fn gradients_go_to_the_winners<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let mut values = Values::new(4);
        let (_, taps) = oracle::max_pool(&p, &values.integers(p.x_len(), 2));
        let exact = values.integers(p.y_len(), 8);
        let reference = oracle::max_pool_backward(&p, &exact, &taps);
        let dx = backward(subject, &p, &exact, &taps)?;
        equal16(&format!("dx {p:?}"), &dx, &reference.value)?;
        let random = values.uniform(p.y_len());
        let random: Vec<f32> = random.iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect();
        let reference = oracle::max_pool_backward(&p, &random, &taps);
        let dx = backward(subject, &p, &random, &taps)?;
        // One input is the winner of at most this many windows.
        let overlap = p.window.div_ceil(p.stride).pow(2);
        within(&format!("dx {p:?}"), &dx, &reference, overlap, U16)?;
    }
    Ok(())
}

/// The sizes n, positions, channels.
const GLOBAL: &[[usize; 3]] = &[[0, 4, 8], [1, 1, 8], [3, 49, 24], [17, 16, 64], [2, 30, 136]];

pub fn averages<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    let backend = subject.backend;
    for &[n, hw, c] in GLOBAL {
        let p = GlobalPoolProblem { n, hw, c };
        let mut values = Values::new(5);
        let forward = |x: &[f32]| -> Result<Vec<f32>, CaseFailure> {
            let mut f = Fenced::new(subject, &[Fill::Values16(x), Fill::Poison(n * c)])?;
            let [x, y] = f.views[..] else { unreachable!() };
            backend.global_pool(&mut f.memory, &p, x, y)?;
            f.read(1)
        };
        // The sum of integers is exact, and its division rounds once.
        let x = values.integers(n * hw * c, 100);
        equal(&format!("{p:?}"), &forward(&x)?, &oracle::global_pool(&p, &x).value)?;
        let x = values.uniform(n * hw * c);
        let x: Vec<f32> = x.iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect();
        within(&format!("{p:?}"), &forward(&x)?, &oracle::global_pool(&p, &x), hw, U)?;
        let dy = values.uniform(n * c);
        let mut f = Fenced::new(subject, &[Fill::Values(&dy), Fill::Poison16(n * hw * c)])?;
        let [gradient, dx] = f.views[..] else { unreachable!() };
        backend.global_pool_backward(&mut f.memory, &p, gradient, dx)?;
        // The division rounds to f32, and the result is rounded to bf16.
        let quotients: Vec<f64> =
            oracle::global_pool_backward(&p, &dy).iter().map(|&v| f64::from(v as f32)).collect();
        equal16(&format!("dx {p:?}"), &f.read(1)?, &quotients)?;
    }
    Ok(())
}

pub fn wrong_types_are_refused<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    let backend = subject.backend;
    let refused = |p: MaxPoolProblem, types: [Dtype; 3]| -> CaseOutcome {
        let x = Values::new(6).integers(p.x_len(), 3);
        let tensors = [Fill::Values(&x), Fill::Poison(p.y_len()), Fill::Poison(p.y_len())];
        let mut f = Fenced::new(subject, &tensors)?;
        let views: Vec<_> = f.views.iter().zip(types).map(|(v, dtype)| (*v, dtype)).collect();
        let [x, y, taps] = views[..] else { unreachable!() };
        let [x, y, taps] = [x, y, taps].map(|(v, dtype)| crate::backend::View { dtype, ..v });
        let result = backend.max_pool(&mut f.memory, &p, x, y, taps);
        ensure(result.is_err(), || format!("accepted {types:?}, {p:?}"))?;
        ensure(f.read(1)?.iter().all(|v| v.is_nan()), || "y was written".to_owned())
    };
    use Dtype::{Bf16, F32, U32};
    let p = MaxPoolProblem { n: 1, h: 4, w: 4, c: 8, window: 2, stride: 2, pad: 0 };
    refused(p, [Bf16, F32, Bf16])?;
    refused(p, [Bf16, Bf16, U32])?;
    refused(p, [F32, F32, Bf16])?;
    refused(MaxPoolProblem { c: 12, ..p }, [Bf16; 3])?;
    let large = MaxPoolProblem { h: 17, w: 17, window: 17, ..p };
    refused(large, [Bf16; 3])?;
    let g = GlobalPoolProblem { n: 2, hw: 3, c: 8 };
    let mut f = Fenced::new(subject, &[Fill::Poison16(48), Fill::Poison16(16)])?;
    let [x, y] = f.views[..] else { unreachable!() };
    let result = backend.global_pool(&mut f.memory, &g, x, y);
    ensure(result.is_err(), || "accepted means in bf16".to_owned())
}
