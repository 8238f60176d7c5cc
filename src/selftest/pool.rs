//! Pooling: maxima with ties, padding and NaN; averages.

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits, words};
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::ops::pool::{GlobalPoolProblem, MaxPoolProblem, Pool};
use crate::reference::pool as oracle;
use crate::reference::{U, equal, within};

/// The sizes n h w c, then window, stride and pad.
const SHAPES: &[([usize; 4], [usize; 3])] = &[
    ([0, 6, 5, 3], [3, 2, 1]),
    ([1, 4, 5, 3], [3, 2, 1]),
    ([3, 7, 6, 5], [3, 2, 1]),
    ([17, 5, 6, 1], [2, 2, 0]),
    // VGG's poolings: whole, with the last row and column left over, and with one output for an
    // image.
    ([3, 8, 8, 16], [2, 2, 0]),
    ([2, 9, 7, 33], [2, 2, 0]),
    ([5, 2, 2, 64], [2, 2, 0]),
    ([3, 2, 3, 6], [2, 2, 0]),
    ([3, 6, 4, 17], [3, 1, 1]),
    ([2, 9, 8, 4], [3, 3, 0]),
    ([2, 33, 47, 8], [3, 2, 1]),
    ([3, 5, 5, 2], [1, 1, 0]),
    ([3, 8, 7, 9], [5, 2, 4]),
    ([1, 1, 1, 64], [3, 2, 1]),
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

fn max_pool<B: Pool>(
    subject: &Subject<B>,
    p: &MaxPoolProblem,
    x: &[f32],
) -> Result<(Vec<f32>, Vec<u32>), CaseFailure> {
    let out = Fill::Poison(p.y_len());
    let mut f = Fenced::new(subject, &[Fill::Values(x), out, Fill::Poison(p.y_len())])?;
    let [x, y, taps] = f.views[..] else { unreachable!() };
    subject.backend.max_pool(&mut f.memory, p, x, y, as_u32(taps))?;
    Ok((f.read(1)?, words(&f.read(2)?)))
}

fn max_pool_backward<B: Pool>(
    subject: &Subject<B>,
    p: &MaxPoolProblem,
    dy: &[f32],
    taps: &[u32],
) -> Result<Vec<f32>, CaseFailure> {
    let taps = bits(taps);
    let tensors = [Fill::Values(dy), Fill::Values(&taps), Fill::Poison(p.x_len())];
    let mut f = Fenced::new(subject, &tensors)?;
    let [dy, taps, dx] = f.views[..] else { unreachable!() };
    subject.backend.max_pool_backward(&mut f.memory, p, dy, as_u32(taps), dx)?;
    f.read(2)
}

/// Checks that output and taps are the oracle's.
fn check<B: Pool>(subject: &Subject<B>, p: &MaxPoolProblem, x: &[f32]) -> CaseOutcome {
    let (y, taps) = max_pool(subject, p, x)?;
    let (y_ref, taps_ref) = oracle::max_pool(p, x);
    let same = y.iter().zip(&y_ref).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    ensure(same && y.len() == y_ref.len(), || format!("maxima differ: {p:?}"))?;
    ensure(taps == taps_ref, || format!("taps differ: {p:?}"))
}

pub fn the_first_of_equal_maxima_wins<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    // With three values nearly every window has ties.
    problems().try_for_each(|p| check(subject, &p, &Values::new(1).integers(p.x_len(), 1)))
}

pub fn padding_never_wins<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        // All values are negative, so that zero padding would win at every border.
        let x: Vec<f32> = Values::new(2).uniform(p.x_len()).iter().map(|v| v - 2.0).collect();
        check(subject, &p, &x)?;
        check(subject, &p, &vec![f32::NEG_INFINITY; p.x_len()])?;
    }
    Ok(())
}

pub fn nan_reaches_every_window_that_sees_it<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems().filter(|p| p.n > 0) {
        let mut values = Values::new(3);
        let mut x = values.uniform(p.x_len());
        for i in values.below(1 + x.len() / 20, p.x_len() as u32) {
            x[i as usize] = f32::NAN;
        }
        check(subject, &p, &x)?;
    }
    Ok(())
}

pub fn gradients_go_to_the_winners<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    for p in problems() {
        let mut values = Values::new(4);
        let (_, taps) = oracle::max_pool(&p, &values.integers(p.x_len(), 2));
        let exact = values.integers(p.y_len(), 8);
        let reference = oracle::max_pool_backward(&p, &exact, &taps);
        let dx = max_pool_backward(subject, &p, &exact, &taps)?;
        equal(&format!("dx {p:?}"), &dx, &reference.value)?;
        let random = values.uniform(p.y_len());
        let reference = oracle::max_pool_backward(&p, &random, &taps);
        let dx = max_pool_backward(subject, &p, &random, &taps)?;
        // One input is the winner of at most this many windows.
        let overlap = p.window.div_ceil(p.stride).pow(2);
        within(&format!("dx {p:?}"), &dx, &reference, overlap, U)?;
    }
    Ok(())
}

/// The sizes n, positions, channels.
const GLOBAL: &[[usize; 3]] =
    &[[0, 4, 3], [1, 1, 1], [3, 49, 7], [17, 16, 64], [2, 30, 130], [3, 64, 1]];

fn global<B: Pool>(
    subject: &Subject<B>,
    p: &GlobalPoolProblem,
    x: &[f32],
) -> Result<Vec<f32>, CaseFailure> {
    let mut f = Fenced::new(subject, &[Fill::Values(x), Fill::Poison(p.n * p.c)])?;
    let [x, y] = f.views[..] else { unreachable!() };
    subject.backend.global_pool(&mut f.memory, p, x, y)?;
    f.read(1)
}

fn global_backward<B: Pool>(
    subject: &Subject<B>,
    p: &GlobalPoolProblem,
    dy: &[f32],
) -> Result<Vec<f32>, CaseFailure> {
    let mut f = Fenced::new(subject, &[Fill::Values(dy), Fill::Poison(p.n * p.hw * p.c)])?;
    let [dy, dx] = f.views[..] else { unreachable!() };
    subject.backend.global_pool_backward(&mut f.memory, p, dy, dx)?;
    f.read(1)
}

pub fn averages<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    for &[n, hw, c] in GLOBAL {
        let p = GlobalPoolProblem { n, hw, c };
        let mut values = Values::new(5);
        // The sum of integers is exact, and its division rounds once.
        let x = values.integers(n * hw * c, 100);
        let y = global(subject, &p, &x)?;
        equal(&format!("{p:?}"), &y, &oracle::global_pool(&p, &x).value)?;
        let x = values.uniform(n * hw * c);
        let y = global(subject, &p, &x)?;
        within(&format!("{p:?}"), &y, &oracle::global_pool(&p, &x), hw, U)?;
        let dy = values.uniform(n * c);
        let dx = global_backward(subject, &p, &dy)?;
        equal(&format!("dx {p:?}"), &dx, &oracle::global_pool_backward(&p, &dy))?;
    }
    Ok(())
}

pub fn wrong_lengths_are_refused<B: Pool>(subject: &Subject<B>) -> CaseOutcome {
    let backend = subject.backend;
    let Some(p) = problems().nth(2) else { return Ok(()) };
    let x = Values::new(6).uniform(p.x_len());
    for (x_len, y_len) in [(p.x_len() - p.c, p.y_len()), (p.x_len(), p.y_len() - p.c)] {
        let tensors = [Fill::Values(&x[..x_len]), Fill::Poison(y_len), Fill::Poison(y_len)];
        let mut f = Fenced::new(subject, &tensors)?;
        let [x, y, taps] = f.views[..] else { unreachable!() };
        let result = backend.max_pool(&mut f.memory, &p, x, y, as_u32(taps));
        ensure(result.is_err(), || format!("accepted x {x_len}, y {y_len}"))?;
        ensure(f.read(1)?.iter().all(|v| v.is_nan()), || "y was written".to_owned())?;
    }
    let p = GlobalPoolProblem { n: 3, hw: 4, c: 5 };
    let mut f = Fenced::new(subject, &[Fill::Values(&x[..60]), Fill::Poison(14)])?;
    let [x, y] = f.views[..] else { unreachable!() };
    let result = backend.global_pool(&mut f.memory, &p, x, y);
    ensure(result.is_err(), || format!("accepted 14 means for {p:?}"))
}
