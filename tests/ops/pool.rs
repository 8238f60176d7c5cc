//! Pooling: maxima with ties, padding and NaN; averages.

use fairprune::backend::Cpu;
use fairprune::ops::pool::{GlobalPoolProblem, MaxPoolProblem, Pool};
use fairprune::reference::pool as oracle;
use fairprune::reference::{U, equal, within};

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits, words};

/// n h w c, window stride pad.
const SHAPES: &[([usize; 4], [usize; 3])] = &[
    ([0, 6, 5, 3], [3, 2, 1]),
    ([1, 4, 5, 3], [3, 2, 1]),
    ([3, 7, 6, 5], [3, 2, 1]),
    ([17, 5, 6, 1], [2, 2, 0]),
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

fn cpu() -> Cpu {
    Cpu::new(0).unwrap()
}

fn max_pool(cpu: &Cpu, p: &MaxPoolProblem, x: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let out = Fill::Poison(p.y_len());
    let mut f = Fenced::new(cpu, &[Fill::Values(x), out, Fill::Poison(p.y_len())]);
    let [x, y, taps] = f.views[..] else { unreachable!() };
    cpu.max_pool(&mut f.memory, p, x, y, as_u32(taps)).unwrap();
    (f.read(1), words(&f.read(2)))
}

fn max_pool_backward(cpu: &Cpu, p: &MaxPoolProblem, dy: &[f32], taps: &[u32]) -> Vec<f32> {
    let taps = bits(taps);
    let tensors = [Fill::Values(dy), Fill::Values(&taps), Fill::Poison(p.x_len())];
    let mut f = Fenced::new(cpu, &tensors);
    let [dy, taps, dx] = f.views[..] else { unreachable!() };
    cpu.max_pool_backward(&mut f.memory, p, dy, as_u32(taps), dx).unwrap();
    f.read(2)
}

#[test]
fn the_first_of_equal_maxima_wins() {
    let cpu = cpu();
    for p in problems() {
        // Three values: nearly every window has ties.
        let x = Values::new(1).integers(p.x_len(), 1);
        let (y, taps) = max_pool(&cpu, &p, &x);
        assert_eq!((y, taps), oracle::max_pool(&p, &x), "{p:?}");
    }
}

#[test]
fn padding_never_wins() {
    let cpu = cpu();
    for p in problems() {
        // All negative: zero padding would win at every border.
        let x: Vec<f32> = Values::new(2).uniform(p.x_len()).iter().map(|v| v - 2.0).collect();
        let (y, taps) = max_pool(&cpu, &p, &x);
        assert_eq!((y, taps), oracle::max_pool(&p, &x), "{p:?}");
        let lowest = vec![f32::NEG_INFINITY; p.x_len()];
        assert_eq!(max_pool(&cpu, &p, &lowest), oracle::max_pool(&p, &lowest), "{p:?}");
    }
}

#[test]
fn nan_reaches_every_window_that_sees_it() {
    let cpu = cpu();
    for p in problems().filter(|p| p.n > 0) {
        let mut values = Values::new(3);
        let mut x = values.uniform(p.x_len());
        for i in values.below(1 + x.len() / 20, p.x_len() as u32) {
            x[i as usize] = f32::NAN;
        }
        let (y, taps) = max_pool(&cpu, &p, &x);
        let (y_ref, taps_ref) = oracle::max_pool(&p, &x);
        assert_eq!(taps, taps_ref, "{p:?}");
        let same = y.iter().zip(&y_ref).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        assert!(same && y.iter().any(|v| v.is_nan()), "{p:?}");
    }
}

#[test]
fn gradients_go_to_the_winners() {
    let cpu = cpu();
    for p in problems() {
        let mut values = Values::new(4);
        let (_, taps) = oracle::max_pool(&p, &values.integers(p.x_len(), 2));
        let exact = values.integers(p.y_len(), 8);
        let reference = oracle::max_pool_backward(&p, &exact, &taps);
        let dx = max_pool_backward(&cpu, &p, &exact, &taps);
        equal(&format!("dx {p:?}"), &dx, &reference.value).unwrap();
        let random = values.uniform(p.y_len());
        let reference = oracle::max_pool_backward(&p, &random, &taps);
        let dx = max_pool_backward(&cpu, &p, &random, &taps);
        // One input is the winner of at most this many windows.
        let overlap = p.window.div_ceil(p.stride).pow(2);
        within(&format!("dx {p:?}"), &dx, &reference, overlap, U).unwrap();
    }
}

/// n, positions, channels.
const GLOBAL: &[[usize; 3]] =
    &[[0, 4, 3], [1, 1, 1], [3, 49, 7], [17, 16, 64], [2, 30, 130], [3, 64, 1]];

fn global(cpu: &Cpu, p: &GlobalPoolProblem, x: &[f32]) -> Vec<f32> {
    let mut f = Fenced::new(cpu, &[Fill::Values(x), Fill::Poison(p.n * p.c)]);
    let [x, y] = f.views[..] else { unreachable!() };
    cpu.global_pool(&mut f.memory, p, x, y).unwrap();
    f.read(1)
}

#[test]
fn averages() {
    let cpu = cpu();
    for &[n, hw, c] in GLOBAL {
        let p = GlobalPoolProblem { n, hw, c };
        let mut values = Values::new(5);
        // The sum of integers is exact and its division rounds once.
        let x = values.integers(n * hw * c, 100);
        equal(&format!("{p:?}"), &global(&cpu, &p, &x), &oracle::global_pool(&p, &x).value)
            .unwrap();
        let x = values.uniform(n * hw * c);
        within(&format!("{p:?}"), &global(&cpu, &p, &x), &oracle::global_pool(&p, &x), hw, U)
            .unwrap();
        let dy = values.uniform(n * c);
        let mut f = Fenced::new(&cpu, &[Fill::Values(&dy), Fill::Poison(n * hw * c)]);
        let [dy_view, dx] = f.views[..] else { unreachable!() };
        cpu.global_pool_backward(&mut f.memory, &p, dy_view, dx).unwrap();
        equal(&format!("dx {p:?}"), &f.read(1), &oracle::global_pool_backward(&p, &dy)).unwrap();
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let cpu = cpu();
    let p = problems().nth(2).unwrap();
    let x = Values::new(6).uniform(p.x_len());
    for (x_len, y_len) in [(p.x_len() - p.c, p.y_len()), (p.x_len(), p.y_len() - p.c)] {
        let tensors = [Fill::Values(&x[..x_len]), Fill::Poison(y_len), Fill::Poison(y_len)];
        let mut f = Fenced::new(&cpu, &tensors);
        let [x, y, taps] = f.views[..] else { unreachable!() };
        assert!(cpu.max_pool(&mut f.memory, &p, x, y, as_u32(taps)).is_err());
        assert!(f.read(1).iter().all(|v| v.is_nan()), "y was written");
    }
    let p = GlobalPoolProblem { n: 3, hw: 4, c: 5 };
    let mut f = Fenced::new(&cpu, &[Fill::Values(&x[..60]), Fill::Poison(14)]);
    let [x, y] = f.views[..] else { unreachable!() };
    assert!(cpu.global_pool(&mut f.memory, &p, x, y).is_err());
}
