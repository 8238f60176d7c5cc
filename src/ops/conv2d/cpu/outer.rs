//! The driver behind wgrad and instantiated gradient norms: A^T B, summed over output positions
//! as outer products of a pixel of dy with inputs under a window.
//!
//! The gradient is computed in pieces, each a matrix of its own:
//! - from 16 input channels on, a piece a tap: K x C, over the positions where the tap lies inside
//!   the input, read in place, so padding is neither copied nor multiplied;
//! - below, a piece a kernel row, since (s, c) is one run of S C values in a padded copy:
//!   K x S C or its transpose, whichever fills vectors better.

use std::ops::Range;

use super::fprop::is_pointwise;
use super::kernel::{MicroKernels, OuterTile};
use super::pad::{PaddedImages, ZeroPadding};
use super::task::lines;
use crate::ops::conv2d::Conv2dProblem;

/// Rows of a tile; kernels may take fewer at a time.
pub const TILE_ROWS: usize = 8;
/// Columns of a tile.
pub const TILE_COLUMNS: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq)]
enum OuterForm {
    /// A piece a tap: k x c.
    Taps,
    /// A piece a kernel row: k x (s, c).
    Runs,
    /// A piece a kernel row: (s, c) x k.
    RunsTransposed,
}

/// The pieces of one problem's gradient.
#[derive(Clone, Copy)]
pub struct Outer {
    problem: Conv2dProblem,
    form: OuterForm,
    padded: ZeroPadding,
    /// Output rows and columns; 0 without images.
    pub size: [usize; 2],
}

/// Vectors of 16 that a row of `columns` values takes; half ones exist, too.
fn vectors(columns: usize) -> f64 {
    let rest = columns % TILE_COLUMNS;
    let last = match rest {
        0 => 0.0,
        1..=8 => 0.55,
        17..=24 => 1.5,
        _ => rest.div_ceil(16) as f64,
    };
    (columns / TILE_COLUMNS * 3) as f64 + last
}

/// Cuts rows and columns of a piece into tiles; rows evenly, so that no tile is nearly empty. Rows
/// run fastest, as a task has few of them next to its columns.
pub fn for_each_tile(
    rows: Range<usize>,
    columns: usize,
    mut tile: impl FnMut(Range<usize>, Range<usize>),
) {
    let most = rows.len().div_ceil(rows.len().div_ceil(TILE_ROWS).max(1)).max(1);
    for column in (0..columns).step_by(TILE_COLUMNS) {
        let end = (column + TILE_COLUMNS).min(columns);
        for row in rows.clone().step_by(most) {
            tile(row..(row + most).min(rows.end), column..end);
        }
    }
}

/// Output positions whose input position `i * stride + tap - pad` lies in `0..len`.
pub fn valid(size: usize, tap: usize, stride: usize, pad: usize, len: usize) -> Range<usize> {
    let first = pad.saturating_sub(tap).div_ceil(stride).min(size);
    let end = (len + pad).saturating_sub(tap).div_ceil(stride).clamp(first, size);
    first..end
}

/// The images and output gradients whose products are summed.
pub struct OuterFactors {
    pub images: PaddedImages,
    /// Gradients from the first of the images on.
    pub dy: *const f32,
}

/// Where a tile's sums go.
pub struct OuterTarget {
    pub out: *mut f32,
    /// Values from one row to the next.
    pub pitch: usize,
    /// Sums start from what is there.
    pub resume: bool,
}

impl Outer {
    /// The pieces of the gradient of `p`, in the form with the fewest idle lanes.
    pub fn new(p: &Conv2dProblem) -> Self {
        let run = p.s * p.c;
        let form = if p.c >= 16 || p.s == 1 && p.pad == [0, 0] {
            OuterForm::Taps
        } else if p.k as f64 * vectors(run) <= run as f64 * vectors(p.k) {
            OuterForm::Runs
        } else {
            OuterForm::RunsTransposed
        };
        let size = if p.h == 0 { [0, 0] } else { [p.p(), p.q()] };
        Outer { problem: *p, form, padded: ZeroPadding::of(p), size }
    }

    /// Matrices the gradient is made of.
    pub fn pieces(&self) -> usize {
        let p = &self.problem;
        if self.form == OuterForm::Taps { p.r * p.s } else { p.r }
    }

    /// Rows of a piece.
    pub fn rows(&self) -> usize {
        let p = &self.problem;
        if self.form == OuterForm::RunsTransposed { p.s * p.c } else { p.k }
    }

    /// Columns of a piece.
    pub fn columns(&self) -> usize {
        let p = &self.problem;
        match self.form {
            OuterForm::Taps => p.c,
            OuterForm::Runs => p.s * p.c,
            OuterForm::RunsTransposed => p.k,
        }
    }

    /// Rows of pieces are output channels.
    pub fn rows_are_outputs(&self) -> bool {
        self.form != OuterForm::RunsTransposed
    }

    /// Place of the weight w[k][j] (j = (r, s, c)) as (piece, row, column).
    pub fn place(&self, k: usize, j: usize) -> (usize, usize, usize) {
        let p = &self.problem;
        match self.form {
            OuterForm::Taps => (j / p.c, k, j % p.c),
            OuterForm::Runs => (j / (p.s * p.c), k, j % (p.s * p.c)),
            OuterForm::RunsTransposed => (j / (p.s * p.c), j % (p.s * p.c), k),
        }
    }

    /// Vector operations for one sample.
    pub fn operations(&self) -> f64 {
        let p = &self.problem;
        let [h, w] = self.size;
        let along = |size, taps, stride, pad, len| -> usize {
            (0..taps).map(|tap| valid(size, tap, stride, pad, len).len()).sum()
        };
        let positions = match self.form {
            OuterForm::Taps => {
                along(h, p.r, p.stride[0], p.pad[0], p.h)
                    * along(w, p.s, p.stride[1], p.pad[1], p.w)
            }
            _ => h * w * p.r,
        };
        (positions * self.rows()) as f64 * vectors(self.columns())
    }

    /// Consecutive (r, s, c) of one k that lie side by side in a piece.
    pub fn run(&self) -> usize {
        if self.form == OuterForm::RunsTransposed { 1 } else { self.columns() }
    }

    /// Scratch values for `count` images.
    pub fn scratch(&self, count: usize) -> usize {
        if self.form == OuterForm::Taps { 0 } else { lines(count * self.padded.image()) }
    }

    /// Makes images `range` available.
    ///
    /// # Safety
    /// `x` holds all images of the problem; `scratch` holds [`Outer::scratch`] of the range.
    pub unsafe fn images(
        &self,
        x: *const f32,
        range: Range<usize>,
        scratch: &mut [f32],
    ) -> PaddedImages {
        if self.form == OuterForm::Taps {
            let step = self.problem.h * self.problem.w * self.problem.c;
            return PaddedImages {
                start: x.wrapping_add(range.start * step),
                step,
                count: range.len(),
            };
        }
        // SAFETY: passed on to the caller.
        unsafe { self.padded.copy(x, range, scratch) }
    }

    /// Rows x columns of one piece over all positions of `images`, written to `out`, whose rows
    /// are `pitch` apart and whole multiples of 16. Sums start from 0, or from `out` if `resume`.
    ///
    /// # Safety
    /// `images` are those of [`Outer::images`], `dy` the gradients from the first of them on; `out`
    /// is writable for the rows and for the columns rounded up to 16; rows and columns are inside
    /// the piece; the kernels' instruction set is there.
    pub unsafe fn tile(
        &self,
        kernels: &MicroKernels,
        factors: &OuterFactors,
        piece: usize,
        [rows, columns]: [Range<usize>; 2],
        target: &OuterTarget,
    ) {
        let &OuterFactors { images, dy } = factors;
        let &OuterTarget { out, pitch, resume } = target;
        let p = &self.problem;
        let [out_h, out_w] = self.size;
        // The input under the first position, its steps, and the positions.
        let (x_at, x_row, ps, qs) = if self.form == OuterForm::Taps {
            let (r, s) = (piece / p.s, piece % p.s);
            let ps = valid(out_h, r, p.stride[0], p.pad[0], p.h);
            let qs = valid(out_w, s, p.stride[1], p.pad[1], p.w);
            let h = (ps.start * p.stride[0] + r).saturating_sub(p.pad[0]);
            let w = (qs.start * p.stride[1] + s).saturating_sub(p.pad[1]);
            ((h * p.w + w) * p.c, p.w * p.c, ps, qs)
        } else {
            (piece * self.padded.pitch(), self.padded.pitch(), 0..out_h, 0..out_w)
        };
        let x = images.start.wrapping_add(x_at);
        let dy = dy.wrapping_add((ps.start * out_w + qs.start) * p.k);
        let x_step = [images.step, p.stride[0] * x_row, p.stride[1] * p.c];
        let dy_step = [out_h * out_w * p.k, out_w * p.k, p.k];
        // Pixels of a pointwise convolution follow each other across rows and images.
        let count = if is_pointwise(p) {
            [1, 1, images.count * out_h * out_w]
        } else {
            [images.count, ps.len(), qs.len()]
        };
        let (a, b, a_step, b_step) = if self.form == OuterForm::RunsTransposed {
            (x, dy, x_step, dy_step)
        } else {
            (dy, x, dy_step, x_step)
        };
        let mut j = columns.start;
        while j < columns.end {
            let kernel = kernels.outer(columns.end - j);
            let wide = kernel.width.min(columns.end - j);
            let mut i = rows.start;
            while i < rows.end {
                let m = kernel.rows(rows.end - i);
                let at = (i - rows.start) * pitch + j - columns.start;
                let tile = OuterTile {
                    a: a.wrapping_add(i),
                    b: b.wrapping_add(j),
                    a_step,
                    b_step,
                    count,
                    columns: wide,
                    out: out.wrapping_add(at),
                    out_pitch: pitch,
                    resume,
                };
                // SAFETY: valid positions lie inside the images, rows and columns inside a pixel
                // or run; the rest is the caller's.
                unsafe { kernel.run(m, &tile) };
                i += m;
            }
            j += wide;
        }
    }
}
