//! Gradient norms from Gram matrices.
//!
//! With A the unfolded input (T positions x R S C) and B = dy (T x K), the squared norm of A^T B
//! is the inner product of A A^T and B B^T. Both are symmetric: only tiles on and above the
//! diagonal are computed, those above count twice. For stride 1, A A^T is a sum of diagonal
//! shifts of the Gram matrix of the pixels, one a tap, which replaces R S C products by C.
//!
//! Operands are transposed first, so that a product is a sum of outer products over channels and
//! every entry one chain of fused multiply-adds.

use super::columns::{Columns, Images};
use super::kernel::{COLUMNS, Kernels, OuterTile};
use super::task::{Cutter, lines};

/// Channels transposed at a time.
const DEPTH: usize = 256;
/// Rows of a diagonal block, as many as a column group has columns.
const BLOCK: usize = COLUMNS;

/// Scratch of [`gram`] for one sample.
pub fn gram_scratch(columns: &Columns) -> usize {
    let t = columns.size[0] * columns.size[1];
    DEPTH * lines(t) + 2 * matrix(t)
}

/// Scratch of [`shifted_gram`] for one sample.
pub fn shifted_gram_scratch(columns: &Columns) -> usize {
    let t = columns.size[0] * columns.size[1];
    let inputs = columns.problem.h * columns.problem.w;
    let (wide, _) = grid(columns);
    DEPTH * lines(t.max(inputs)) + matrix(t) + matrix(inputs) + lines(wide * wide) + 2 * lines(wide)
}

/// Values of a T x T matrix whose rows are whole column groups.
fn matrix(t: usize) -> usize {
    lines(t) * lines(t)
}

/// Pixels of the padded image, and of one of its rows.
fn grid(columns: &Columns) -> (usize, usize) {
    let pitch = columns.input.left + columns.problem.w + columns.input.right;
    (columns.input.rows() * pitch, pitch)
}

/// Consecutive rows of an operand: row `i` is made of `runs` runs of `len` values, at
/// `at(i) + run * step`.
struct Rows<F> {
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
    kernels: &Kernels,
    rows: &Rows<F>,
    panel: &mut [f32],
    out: &mut [f32],
) {
    let pitch = lines(rows.count);
    let (max_rows, max_groups) = kernels.outer_limits();
    let mut resume = false;
    for run in 0..rows.runs {
        for first in (0..rows.len).step_by(DEPTH) {
            let depth = DEPTH.min(rows.len - first);
            let panel = &mut panel[..depth * pitch];
            // SAFETY: `first + depth` values of the run are readable (caller).
            unsafe { transposed(kernels, rows, run * rows.step + first, depth, panel) };
            for i in (0..pitch).step_by(BLOCK) {
                for k in (i..i + BLOCK).step_by(max_rows) {
                    let m = max_rows.min(i + BLOCK - k);
                    for j in (i..pitch).step_by(max_groups * COLUMNS) {
                        let groups = max_groups.min((pitch - j) / COLUMNS);
                        let tile = OuterTile {
                            a: panel[k..].as_ptr(),
                            b: panel[j..].as_ptr(),
                            a_step: [0, 0, pitch],
                            b_step: [0, 0, pitch],
                            count: [1, 1, depth],
                            out: out[k * pitch + j..].as_mut_ptr(),
                            out_pitch: pitch,
                            resume,
                        };
                        // SAFETY: rows k .. k + m and the column groups lie in panel and out.
                        unsafe { kernels.outer(m, groups)(&tile) };
                    }
                }
            }
            resume = true;
        }
    }
}

/// Values `from .. from + depth` of every row as a `depth` x `lines(count)` panel.
///
/// # Safety
/// As for [`product`].
unsafe fn transposed<F: Fn(usize) -> *const f32>(
    kernels: &Kernels,
    rows: &Rows<F>,
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

/// Squared norm of one sample's gradient as the inner product of two Gram matrices.
///
/// # Safety
/// `image` is the sample at hand, `dy` its gradient; the kernels' instruction set is there.
pub unsafe fn gram(
    kernels: &Kernels,
    columns: &Columns,
    image: Images,
    dy: &[f32],
    scratch: &mut [f32],
) -> f64 {
    let p = &columns.problem;
    let [out_h, out_w] = columns.size;
    let t = out_h * out_w;
    let mut cutter = Cutter(scratch);
    let panel = cutter.take(DEPTH * lines(t));
    let (a, b) = (cutter.take(matrix(t)), cutter.take(matrix(t)));
    let row = columns.input.pitch();
    let windows = Rows {
        count: t,
        runs: p.r,
        len: p.s * p.c,
        step: row,
        at: |i| {
            let at = i / out_w * p.stride[0] * row + i % out_w * p.stride[1] * p.c;
            image.start.wrapping_add(at)
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

/// The rows of dy.
fn gradients(dy: &[f32], k: usize) -> Rows<impl Fn(usize) -> *const f32> {
    Rows { count: dy.len() / k, runs: 1, len: k, step: 0, at: move |i| dy[i * k..].as_ptr() }
}

/// Squared norm of one sample's gradient; stride 1. `x` is the sample without padding.
///
/// # Safety
/// The kernels' instruction set is there.
pub unsafe fn shifted_gram(
    kernels: &Kernels,
    columns: &Columns,
    x: &[f32],
    dy: &[f32],
    scratch: &mut [f32],
) -> f64 {
    let p = &columns.problem;
    let [out_h, out_w] = columns.size;
    let (t, inputs) = (out_h * out_w, p.h * p.w);
    let (wide, width) = grid(columns);
    let mut cutter = Cutter(scratch);
    let panel = cutter.take(DEPTH * lines(t.max(inputs)));
    let (b, pixels) = (cutter.take(matrix(t)), cutter.take(matrix(inputs)));
    let padded = cutter.take(wide * wide);
    let (sum, weight) = (cutter.take(wide), cutter.take(wide));
    let own =
        Rows { count: inputs, runs: 1, len: p.c, step: 0, at: |i: usize| x[i * p.c..].as_ptr() };
    // SAFETY: rows of x and dy lie inside them.
    unsafe {
        product(kernels, &own, panel, pixels);
        product(kernels, &gradients(dy, p.k), panel, b);
    }
    // The pixels' matrix on the padded grid: a shift by a tap is then one offset.
    padded.fill(0.0);
    let inner = columns.input.top * width + columns.input.left;
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
        let end = (out_h - 1) * width + out_w;
        let sum = &mut sum[..end - at];
        sum.fill(0.0);
        for r in 0..p.r {
            for s in 0..p.s {
                let shift = r * width + s;
                let from = &padded[(at + shift) * wide + at + shift..][..end - at];
                // SAFETY: both have end - at values.
                unsafe { (kernels.add)(sum.as_mut_ptr(), from.as_ptr(), end - at) };
            }
        }
        let from = &b[i * lines(t)..];
        for h in row..out_h {
            weight[h * width..h * width + out_w].copy_from_slice(&from[h * out_w..(h + 1) * out_w]);
        }
        let weight = &weight[at..end];
        // SAFETY: both have end - at values.
        let both = unsafe { (kernels.dot)(sum.as_ptr(), weight.as_ptr(), end - at) };
        norm += 2.0 * f64::from(both) - f64::from(sum[0]) * f64::from(weight[0]);
    }
    norm.max(0.0)
}
