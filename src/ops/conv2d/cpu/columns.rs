//! x as wgrad and the gradient norms read it: for a kernel row r, the columns (s, c) of the
//! unfolded input are `S * C` consecutive values of a padded image row.

use super::fprop::is_pointwise;
use super::kernel::{COLUMNS, Kernels, OuterTile};
use super::pad::Padded;
use super::task::lines;
use crate::ops::conv2d::Conv2dProblem;

/// How a problem's windows lie in (padded) images.
#[derive(Clone, Copy)]
pub struct Columns {
    pub problem: Conv2dProblem,
    pub input: Padded,
    /// Output rows and columns; 0 without images.
    pub size: [usize; 2],
    /// Images can be read where they are.
    pub in_place: bool,
}

/// Images at hand: where they start and how far apart they are.
#[derive(Clone, Copy)]
pub struct Images {
    pub start: *const f32,
    pub step: usize,
    pub count: usize,
}

impl Columns {
    pub fn new(problem: &Conv2dProblem) -> Self {
        let [ph, pw] = problem.pad;
        let input = Padded {
            h: problem.h,
            w: problem.w,
            c: problem.c,
            top: ph,
            bottom: ph,
            left: pw,
            right: pw,
        };
        let size = if problem.h == 0 { [0, 0] } else { [problem.p(), problem.q()] };
        // Whole column groups are read, which must not run past the tensor's end.
        let in_place = input.is_bare() && (problem.s * problem.c).is_multiple_of(COLUMNS);
        Columns { problem: *problem, input, size, in_place }
    }

    /// Values of x of an image.
    pub fn image(&self) -> usize {
        self.problem.h * self.problem.w * self.problem.c
    }

    /// Columns of one kernel row, in groups.
    pub fn groups(&self) -> usize {
        (self.problem.s * self.problem.c).div_ceil(COLUMNS)
    }

    /// Scratch values for `count` padded images; reading whole groups stays inside.
    pub fn scratch(&self, count: usize) -> usize {
        if self.in_place {
            0
        } else {
            lines(count * self.input.rows() * self.input.pitch() + COLUMNS)
        }
    }

    /// Makes images `range` available, padded in `scratch` if they cannot be read in place.
    ///
    /// # Safety
    /// `x` holds all images of the problem; `scratch` holds [`Columns::scratch`] of the range.
    pub unsafe fn images(
        &self,
        x: *const f32,
        range: std::ops::Range<usize>,
        scratch: &mut [f32],
    ) -> Images {
        let count = range.len();
        if self.in_place {
            // SAFETY: image `range.start` is in x.
            let start = unsafe { x.add(range.start * self.image()) };
            return Images { start, step: self.image(), count };
        }
        let rows = self.input.rows();
        let step = rows * self.input.pitch();
        for (i, n) in range.enumerate() {
            // SAFETY: image n is in x; the scratch part holds one padded image.
            unsafe {
                let to = scratch[i * step..(i + 1) * step].as_mut_ptr();
                self.input.copy_rows(x.add(n * self.image()), 0..rows, to);
            }
        }
        scratch[count * step..count * step + COLUMNS].fill(0.0);
        Images { start: scratch.as_ptr(), step, count }
    }

    /// Accumulates `rows` x `groups` values of A^T B over all pixels of `images`: dy channels from
    /// `k`, columns from group `group` of kernel row `r`. Sums start from 0, or from `out` if
    /// `resume`.
    ///
    /// # Safety
    /// `dy` is the first image's gradient, consecutive images follow; `out` is writable for the
    /// tile at `pitch`; the kernels' instruction set is there.
    #[expect(clippy::too_many_arguments)]
    pub unsafe fn tile(
        &self,
        kernels: &Kernels,
        images: Images,
        dy: *const f32,
        [k, rows]: [usize; 2],
        r: usize,
        [group, groups]: [usize; 2],
        out: *mut f32,
        pitch: usize,
        resume: bool,
    ) {
        let p = &self.problem;
        let [out_h, out_w] = self.size;
        let row = self.input.pitch();
        // Pixels of a pointwise convolution follow each other across rows and images.
        let count = if is_pointwise(p) {
            [1, 1, images.count * out_h * out_w]
        } else {
            [images.count, out_h, out_w]
        };
        let (max_rows, max_groups) = kernels.outer_limits();
        let mut j = 0;
        while j < groups {
            let g = max_groups.min(groups - j);
            let mut i = 0;
            while i < rows {
                let m = max_rows.min(rows - i);
                // SAFETY: pixel windows lie inside the padded images, `scratch` or `in_place`
                // covers whole groups; dy rows have k + rows <= K channels.
                unsafe {
                    let tile = OuterTile {
                        a: dy.add(k + i),
                        b: images.start.add(r * row + (group + j) * COLUMNS),
                        a_step: [out_h * out_w * p.k, out_w * p.k, p.k],
                        b_step: [images.step, p.stride[0] * row, p.stride[1] * p.c],
                        count,
                        out: out.add(i * pitch + j * COLUMNS),
                        out_pitch: pitch,
                        resume,
                    };
                    kernels.outer(m, g)(&tile);
                }
                i += m;
            }
            j += g;
        }
    }
}
