//! Pooling by its definition, in float64 (see `ops::pool`).

use super::Sums;
use crate::ops::pool::{GlobalPoolProblem, MaxPoolProblem};

/// Returns the inputs of one window in row-major order: (tap, index into x).
fn window(p: &MaxPoolProblem, output: usize) -> Vec<(u32, usize)> {
    let channel = output % p.c;
    let (column, rest) = (output / p.c % p.q(), output / p.c / p.q());
    let (row, image) = (rest % p.p(), rest / p.p());
    let mut inside = Vec::new();
    for r in 0..p.window {
        for s in 0..p.window {
            let h = (row * p.stride + r) as isize - p.pad as isize;
            let w = (column * p.stride + s) as isize - p.pad as isize;
            if (0..p.h as isize).contains(&h) && (0..p.w as isize).contains(&w) {
                let pixel = (image * p.h + h as usize) * p.w + w as usize;
                inside.push(((r * p.window + s) as u32, pixel * p.c + channel));
            }
        }
    }
    inside
}

/// Returns the maximum of every window and its tap: the first of equal values, and NaN above all,
/// the last of them.
pub fn max_pool(p: &MaxPoolProblem, x: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let best = |output: usize| {
        let inside = window(p, output);
        let nan = inside.iter().rev().find(|&&(_, i)| x[i].is_nan());
        let first_of_largest = || {
            let largest = inside.iter().map(|&(_, i)| x[i]).fold(f32::NEG_INFINITY, f32::max);
            inside.iter().find(|&&(_, i)| x[i] == largest).expect("a window sees an input")
        };
        let &(tap, i) = nan.unwrap_or_else(first_of_largest);
        (x[i], tap)
    };
    let len = if p.n == 0 { 0 } else { p.y_len() };
    (0..len).map(best).unzip()
}

/// Computes dx: every output's gradient goes to the input that won its window.
pub fn max_pool_backward(p: &MaxPoolProblem, dy: &[f32], taps: &[u32]) -> Sums {
    let mut dx = Sums::zeros(p.x_len());
    for (output, (&d, &tap)) in dy.iter().zip(taps).enumerate() {
        let inside = window(p, output);
        let &(_, i) = inside.iter().find(|w| w.0 == tap).expect("a winner lies in its window");
        dx.add(i, d.into(), 1.0);
    }
    dx
}

/// Computes y, the mean over positions.
pub fn global_pool(p: &GlobalPoolProblem, x: &[f32]) -> Sums {
    let mut y = Sums::zeros(p.n * p.c);
    for (i, &v) in x.iter().enumerate() {
        let (image, channel) = (i / (p.hw * p.c), i % p.c);
        y.add(image * p.c + channel, v.into(), 1.0);
    }
    y.value.iter_mut().chain(&mut y.magnitude).for_each(|v| *v /= p.hw as f64);
    y
}

/// Computes dx = dy / hw.
pub fn global_pool_backward(p: &GlobalPoolProblem, dy: &[f32]) -> Vec<f64> {
    let at = |i: usize| f64::from(dy[i / (p.hw * p.c) * p.c + i % p.c]) / p.hw as f64;
    (0..p.n * p.hw * p.c).map(at).collect()
}
