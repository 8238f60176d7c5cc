//! Convolutions whose channels are all apart.

use crate::isa::{Isa, multiversion};
use crate::ops::conv2d::Conv2dProblem;
use crate::ops::conv2d::cpu::valid;

/// Channels summed at a time: what stays in registers.
const BLOCK: usize = 32;

/// Squared norm of one sample's gradient with respect to the weights (C R S) and the bias, as
/// `[weight, bias]` says. x is H W C, dy P Q C.
pub fn depthwise(
    isa: Isa,
    p: &Conv2dProblem,
    operands: [&[f32]; 2],
    [weight, bias]: [bool; 2],
) -> f64 {
    let mut norm = 0.0;
    for first in (0..p.c).step_by(BLOCK) {
        for tap in (0..p.r * p.s).filter(|_| weight) {
            norm += tap_norm(isa, p, [tap / p.s, tap % p.s], first, operands);
        }
        if bias {
            norm += bias_norm(isa, p, first, operands[1]);
        }
    }
    norm
}

/// Sum of squares of the sums of a block's channels.
#[inline(always)]
fn squares(sums: &[f64; BLOCK]) -> f64 {
    sums.iter().map(|&s| s * s).sum()
}

multiversion! {
    /// The gradient of one tap of the channels from `first` on, squared. Sums over a row of positions are
    /// f32, those over rows f64.
    fn tap_norm(p: &Conv2dProblem, tap: [usize; 2], first: usize, operands: [&[f32]; 2]) -> f64 {
        let [x, dy] = operands;
        let [r, s] = tap;
        let (out_h, out_w) = (p.p(), p.q());
        let count = BLOCK.min(p.c - first);
        let rows = valid(out_h, r, p.stride[0], p.pad[0], p.h);
        let columns = valid(out_w, s, p.stride[1], p.pad[1], p.w);
        let mut sums = [0.0f64; BLOCK];
        for row in rows {
            let h = row * p.stride[0] + r - p.pad[0];
            let mut acc = [0.0f32; BLOCK];
            for column in columns.clone() {
                let w = column * p.stride[1] + s - p.pad[1];
                let x = &x[(h * p.w + w) * p.c + first..][..count];
                let dy = &dy[(row * out_w + column) * p.c + first..][..count];
                if let (Ok(x), Ok(dy)) = (<&[f32; BLOCK]>::try_from(x), <&[f32; BLOCK]>::try_from(dy)) {
                    for i in 0..BLOCK {
                        acc[i] += x[i] * dy[i];
                    }
                } else {
                    for i in 0..count {
                        acc[i] += x[i] * dy[i];
                    }
                }
            }
            for i in 0..BLOCK {
                sums[i] += f64::from(acc[i]);
            }
        }
        squares(&sums)
    }
}

multiversion! {
    /// The gradient of the bias of the channels from `first` on, squared.
    fn bias_norm(p: &Conv2dProblem, first: usize, dy: &[f32]) -> f64 {
        let count = BLOCK.min(p.c - first);
        let mut sums = [0.0f64; BLOCK];
        for position in dy.chunks_exact(p.c) {
            for (sum, &v) in sums.iter_mut().zip(&position[first..first + count]) {
                *sum += f64::from(v);
            }
        }
        squares(&sums)
    }
}
