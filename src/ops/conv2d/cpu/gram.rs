//! Gradient norms from Gram matrices.
//!
//! With A the unfolded input (T positions x R S C) and B = dy (T x K), the squared norm of A^T B
//! is the inner product of A A^T and B B^T. Both are symmetric: only tiles on and above the
//! diagonal are computed, those above count twice. For stride 1, A A^T is a sum of diagonal
//! shifts of the Gram matrix of the pixels, one a tap, which replaces R S C products by C.
//!
//! Operands are transposed first, so that a product is a sum of outer products over channels and
//! every entry one chain of fused multiply-adds.

use super::fprop::is_pointwise;
use super::kernel::{COLUMNS, Diagonals, MicroKernels, OuterTile};
use super::pad::ZeroPadding;
use super::task::{Cutter, lines};
use crate::ops::conv2d::Conv2dProblem;

/// Channels transposed at a time.
const DEPTH: usize = 256;
/// Rows of a diagonal block.
const BLOCK: usize = COLUMNS;

/// Gram forms of one problem's gradient norms.
#[derive(Clone, Copy)]
pub struct Gram {
    problem: Conv2dProblem,
    padded: ZeroPadding,
    size: [usize; 2],
}

/// Values of a T x T matrix whose rows are whole column groups.
fn matrix(t: usize) -> usize {
    lines(t) * lines(t)
}

/// Consecutive rows of an operand: row `i` is made of `runs` runs of `len` values, at
/// `at(i) + run * step`.
struct GramRows<F> {
    count: usize,
    runs: usize,
    len: usize,
    step: usize,
    at: F,
}

/// `out` = G G^T on and above the diagonal blocks, for the matrix of `rows`; rows of `out` are
/// `lines(count)` values, those beyond the last row and column 0.
///
/// # Safety
/// `at(i)` is readable for the runs it describes; the kernels' instruction set is there.
unsafe fn product<F: Fn(usize) -> *const f32>(
    kernels: &MicroKernels,
    rows: &GramRows<F>,
    panel: &mut [f32],
    out: &mut [f32],
) {
    let pitch = lines(rows.count);
    let mut resume = false;
    for run in 0..rows.runs {
        for first in (0..rows.len).step_by(DEPTH) {
            let depth = DEPTH.min(rows.len - first);
            let panel = &mut panel[..depth * pitch];
            // SAFETY: `first + depth` values of the run are readable (caller).
            unsafe { transposed(kernels, rows, run * rows.step + first, depth, panel) };
            for i in (0..pitch).step_by(BLOCK) {
                let mut j = i;
                while j < pitch {
                    let kernel = kernels.outer(pitch - j);
                    let columns = kernel.width.min(pitch - j);
                    let mut k = i;
                    while k < i + BLOCK {
                        let m = kernel.rows(i + BLOCK - k);
                        let tile = OuterTile {
                            a: panel[k..].as_ptr(),
                            b: panel[j..].as_ptr(),
                            a_step: [0, 0, pitch],
                            b_step: [0, 0, pitch],
                            count: [1, 1, depth],
                            columns,
                            out: out[k * pitch + j..].as_mut_ptr(),
                            out_pitch: pitch,
                            resume,
                        };
                        // SAFETY: rows k .. k + m and the columns lie in panel and out.
                        unsafe { kernel.run(m, &tile) };
                        k += m;
                    }
                    j += columns;
                }
            }
            resume = true;
        }
    }
}

/// Values `from .. from + depth` of every row as a `depth` x `lines(count)` panel.
///
/// # Safety
/// What [`product`] asks of its callers.
unsafe fn transposed<F: Fn(usize) -> *const f32>(
    kernels: &MicroKernels,
    rows: &GramRows<F>,
    from: usize,
    depth: usize,
    panel: &mut [f32],
) {
    let pitch = lines(rows.count);
    let whole = rows.count - rows.count % 8;
    // SAFETY: the rows are readable (caller), and the panel has `depth` lines of `pitch`.
    unsafe {
        for i in (0..whole).step_by(8) {
            let eight = std::array::from_fn(|j| (rows.at)(i + j).add(from));
            (kernels.transpose)(eight, depth, panel[i..].as_mut_ptr(), pitch);
        }
        for line in panel.chunks_exact_mut(pitch) {
            line[whole..].fill(0.0);
        }
        for i in whole..rows.count {
            let row = std::slice::from_raw_parts((rows.at)(i).add(from), depth);
            panel[i..].iter_mut().step_by(pitch).zip(row).for_each(|(to, &v)| *to = v);
        }
    }
}

/// The rows of dy.
fn gradients(dy: &[f32], k: usize) -> GramRows<impl Fn(usize) -> *const f32> {
    GramRows { count: dy.len() / k, runs: 1, len: k, step: 0, at: move |i| dy[i * k..].as_ptr() }
}

impl Gram {
    /// The forms of `p`.
    pub fn new(p: &Conv2dProblem) -> Self {
        Gram { problem: *p, padded: ZeroPadding::of(p), size: [p.p(), p.q()] }
    }

    /// Output positions.
    fn positions(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Positions of the padded image, and of one of its rows.
    fn grid(&self) -> (usize, usize) {
        let width = self.problem.w + 2 * self.problem.pad[1];
        ((self.problem.h + 2 * self.problem.pad[0]) * width, width)
    }

    /// Values of a padded copy, where one is needed.
    fn copy(&self) -> usize {
        if is_pointwise(&self.problem) { 0 } else { self.padded.image() }
    }

    /// Scratch of [`Gram::norm`] for one sample.
    pub fn scratch(&self) -> usize {
        let t = self.positions();
        lines(self.copy()) + DEPTH * lines(t) + 2 * matrix(t)
    }

    /// Scratch of [`Gram::shifted_norm`] for one sample.
    pub fn shifted_scratch(&self) -> usize {
        let (t, inputs) = (self.positions(), self.problem.h * self.problem.w);
        let (wide, _) = self.grid();
        DEPTH * lines(t.max(inputs)) + matrix(t) + matrix(inputs) + lines(wide * wide) + lines(wide)
    }

    /// Squared norm of one sample's gradient as the inner product of two Gram matrices.
    ///
    /// # Safety
    /// `x` and `dy` are one sample's; the kernels' instruction set is there.
    pub unsafe fn norm(
        &self,
        kernels: &MicroKernels,
        x: &[f32],
        dy: &[f32],
        scratch: &mut [f32],
    ) -> f64 {
        let p = &self.problem;
        let out_w = self.size[1];
        let t = self.positions();
        let mut cutter = Cutter(scratch);
        let copy = cutter.take(self.copy());
        let panel = cutter.take(DEPTH * lines(t));
        let (a, b) = (cutter.take(matrix(t)), cutter.take(matrix(t)));
        let image = if copy.is_empty() {
            x.as_ptr()
        } else {
            // SAFETY: x is one image, the copy has room for it.
            unsafe { self.padded.copy(x.as_ptr(), 0..1, copy) }.start
        };
        let row = self.padded.pitch();
        let windows = GramRows {
            count: t,
            runs: p.r,
            len: p.s * p.c,
            step: row,
            at: |i| {
                let at = i / out_w * p.stride[0] * row + i % out_w * p.stride[1] * p.c;
                image.wrapping_add(at)
            },
        };
        // SAFETY: windows lie inside the padded image, rows of dy inside dy.
        unsafe {
            product(kernels, &windows, panel, a);
            product(kernels, &gradients(dy, p.k), panel, b);
        }
        let pitch = lines(t);
        let mut norm = 0.0f64;
        for i in (0..pitch).step_by(BLOCK) {
            for k in i..i + BLOCK {
                let at = k * pitch + i;
                let (a, b) = (a[at..].as_ptr(), b[at..].as_ptr());
                // SAFETY: the rest of row k, from the diagonal block on.
                unsafe {
                    let diagonal = (kernels.dot)(a, b, BLOCK);
                    let above = (kernels.dot)(a.add(BLOCK), b.add(BLOCK), pitch - i - BLOCK);
                    norm += f64::from(diagonal) + 2.0 * f64::from(above);
                }
            }
        }
        norm.max(0.0)
    }

    /// The norm where the stride is 1, with A A^T from shifts of the pixels' Gram matrix.
    ///
    /// # Safety
    /// What [`Gram::norm`] asks of its callers.
    pub unsafe fn shifted_norm(
        &self,
        kernels: &MicroKernels,
        x: &[f32],
        dy: &[f32],
        scratch: &mut [f32],
    ) -> f64 {
        let p = &self.problem;
        let [out_h, out_w] = self.size;
        let (t, inputs) = (out_h * out_w, p.h * p.w);
        let (wide, width) = self.grid();
        let mut cutter = Cutter(scratch);
        let panel = cutter.take(DEPTH * lines(t.max(inputs)));
        let (b, pixels) = (cutter.take(matrix(t)), cutter.take(matrix(inputs)));
        let padded = cutter.take(wide * wide);
        let weight = cutter.take(wide);
        let own = GramRows {
            count: inputs,
            runs: 1,
            len: p.c,
            step: 0,
            at: |i: usize| x[i * p.c..].as_ptr(),
        };
        // SAFETY: rows of x and dy lie inside them.
        unsafe {
            product(kernels, &own, panel, pixels);
            product(kernels, &gradients(dy, p.k), panel, b);
        }
        // The pixels' matrix on the padded grid: a shift by a tap is then one offset.
        padded.fill(0.0);
        let inner = p.pad[0] * width + p.pad[1];
        for i in 0..inputs {
            let line = &mut padded[(i / p.w * width + i % p.w + inner) * wide + inner..];
            let from = &pixels[i * lines(inputs)..];
            for h in i / p.w..p.h {
                line[h * width..h * width + p.w].copy_from_slice(&from[h * p.w..(h + 1) * p.w]);
            }
        }
        let mut norm = 0.0f64;
        weight.fill(0.0);
        for i in 0..t {
            // From this position on, in the padded grid's numbering; positions that are no output
            // have weight 0.
            let (row, col) = (i / out_w, i % out_w);
            let at = row * width + col;
            let len = (out_h - 1) * width + out_w - at;
            let from = &b[i * lines(t)..];
            for h in row..out_h {
                weight[h * width..h * width + out_w]
                    .copy_from_slice(&from[h * out_w..(h + 1) * out_w]);
            }
            let diagonals = Diagonals {
                from: padded[at * (wide + 1)..].as_ptr(),
                taps: [p.r, p.s],
                step: [width * (wide + 1), wide + 1],
                weight: weight[at..].as_ptr(),
                len,
            };
            let mut own = 0.0f32;
            for r in 0..p.r {
                for s in 0..p.s {
                    own += padded[(at + r * width + s) * (wide + 1)];
                }
            }
            // SAFETY: the last tap's entries end with the matrix, the weights with the grid.
            let both = unsafe { (kernels.diagonals)(&diagonals) };
            norm += 2.0 * f64::from(both) - f64::from(own) * f64::from(weight[at]);
        }
        norm.max(0.0)
    }
}
