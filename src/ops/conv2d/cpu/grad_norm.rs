//! Squared norms of per-sample weight gradients, without storing a gradient.

use super::gram::Gram;
use super::kernel::{COLUMNS, MicroKernels};
use super::outer::{Outer, OuterFactors, OuterTarget, TILE_COLUMNS, TILE_ROWS, for_each_tile};
use super::pad::PaddedImages;
use super::task::{Cutter, Shared, lines, run_tasks};
use super::winograd::{self, Gradient};
use crate::backend::{Backend, Cpu};
use crate::isa::Isa;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};

/// Workspace: what one sample needs, a worker.
pub fn workspace(cpu: &Cpu, problem: &Conv2dProblem, form: GradNormForm) -> usize {
    cpu.workers() * lines(SampleNorm::new(problem, form).scratch())
}

/// What a sample's norm takes: the problem of one image, and how its gradient is cut.
#[derive(Clone, Copy)]
pub struct SampleNorm {
    problem: Conv2dProblem,
    form: GradNormForm,
    outer: Outer,
    gram: Gram,
}

impl SampleNorm {
    /// The norm of a problem's samples in one form.
    pub fn new(problem: &Conv2dProblem, form: GradNormForm) -> Self {
        let problem = problem.with_n(1);
        SampleNorm { problem, form, outer: Outer::new(&problem), gram: Gram::new(&problem) }
    }

    /// Scratch values for one sample.
    pub fn scratch(&self) -> usize {
        let p = &self.problem;
        match self.form {
            _ if p.p() * p.q() == 1 => 0,
            GradNormForm::Instantiate if winograd::pays(p) => {
                let gradient = Gradient::new(p);
                lines(gradient.planes()) + lines(gradient.row()) + gradient.scratch()
            }
            GradNormForm::Instantiate => self.outer.scratch(1) + TILE_ROWS * TILE_COLUMNS,
            GradNormForm::Gram => self.gram.scratch(),
            GradNormForm::ShiftedGram => self.gram.shifted_scratch(),
        }
    }

    /// The squared norm of a sample's gradient with respect to the weights, and to the bias if there is one.
    /// `x` (H W C) and `dy` (P Q K) are the sample's, `scratch` has [`SampleNorm::scratch`] values of any
    /// content.
    pub fn of(&self, isa: Isa, [x, dy]: [&[f32]; 2], bias: bool, scratch: &mut [f32]) -> f64 {
        let p = &self.problem;
        assert!(x.len() == p.x_len() && dy.len() == p.y_len() && scratch.len() >= self.scratch());
        let kernels = MicroKernels::of(isa);
        let norm = if p.p() * p.q() == 1 {
            squares(dy) * squares_of_window(p, x)
        } else {
            // SAFETY: x, dy and the scratch have the sizes of the problem and of the form (checked above).
            unsafe {
                match self.form {
                    GradNormForm::Instantiate if winograd::pays(p) => {
                        let gradient = Gradient::new(p);
                        let mut cutter = Cutter(scratch);
                        let planes = cutter.take(gradient.planes());
                        let row = cutter.take(gradient.row());
                        let scratch = cutter.take(gradient.scratch());
                        let (x, dy, out) = (x.as_ptr(), dy.as_ptr(), planes.as_mut_ptr());
                        gradient.accumulate(kernels, x, dy, 0..1, out, scratch);
                        gradient.norm(kernels, planes, row)
                    }
                    GradNormForm::Instantiate => {
                        let (scratch, tile) = scratch.split_at_mut(self.outer.scratch(1));
                        let image = self.outer.images(x.as_ptr(), 0..1, scratch);
                        instantiate(kernels, &self.outer, image, dy, tile)
                    }
                    GradNormForm::Gram => self.gram.norm(kernels, x, dy, scratch),
                    GradNormForm::ShiftedGram => self.gram.shifted_norm(kernels, x, dy, scratch),
                }
            }
        };
        if bias { norm + SampleNorm::bias(dy, p.k) } else { norm }
    }

    /// The squared norm of the gradient of a bias of `k` values: of the sum of dy over positions.
    pub fn bias(dy: &[f32], k: usize) -> f64 {
        (0..k)
            .map(|ki| {
                let sum: f32 = dy.iter().skip(ki).step_by(k).sum();
                f64::from(sum) * f64::from(sum)
            })
            .sum()
    }
}

/// norms[n] += squared norm of sample n's gradient. Slices have the lengths of the problem;
/// `work` has [`workspace`] values.
pub fn grad_norm(
    cpu: &Cpu,
    problem: &Conv2dProblem,
    [x, dy]: [&[f32]; 2],
    bias: bool,
    norms: &mut [f32],
    form: GradNormForm,
    work: &mut [f32],
) {
    let sample = SampleNorm::new(problem, form);
    let per_worker = lines(sample.scratch());
    let scratch = Cutter(work).take(cpu.workers() * per_worker);
    let one = problem.with_n(1);
    let (image, out) = (one.x_len(), one.y_len());
    let shared = Shared::new(norms);
    run_tasks(cpu, problem.n, scratch, per_worker, |n, scratch| {
        let own = [&x[n * image..][..image], &dy[n * out..][..out]];
        let norm = sample.of(cpu.isa(), own, bias, scratch);
        // SAFETY: this task's own sample.
        unsafe { shared.slice(n, 1)[0] += norm as f32 };
    });
}

/// Sum of squares, in double precision.
fn squares(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v) * f64::from(v)).sum()
}

/// Sum of squares of the inputs under the only window (one output position): the gradient is the
/// outer product of dy and the window.
fn squares_of_window(p: &Conv2dProblem, x: &[f32]) -> f64 {
    let rows = 0..(p.r - p.pad[0]).min(p.h);
    let cols = 0..(p.s - p.pad[1]).min(p.w);
    rows.map(|h| squares(&x[(h * p.w + cols.start) * p.c..(h * p.w + cols.end) * p.c])).sum()
}

/// The gradient tile by tile, squared and summed.
///
/// # Safety
/// `image` is the sample at hand, `dy` its gradient, `tile` holds TILE_ROWS rows of TILE_COLUMNS;
/// the kernels' instruction set is there.
unsafe fn instantiate(
    kernels: &MicroKernels,
    outer: &Outer,
    image: PaddedImages,
    dy: &[f32],
    tile: &mut [f32],
) -> f64 {
    let mut norm = 0.0f64;
    for piece in 0..outer.pieces() {
        for_each_tile(0..outer.rows(), outer.columns(), |rows, columns| {
            let (count, valid) = (rows.len(), columns.len());
            let groups = valid.div_ceil(COLUMNS);
            let factors = OuterFactors { images: image, dy: dy.as_ptr() };
            let out = tile.as_mut_ptr();
            let target = OuterTarget { out, pitch: TILE_COLUMNS, resume: false };
            // SAFETY: the tile holds rows x columns (caller); see `Outer::tile`.
            unsafe { outer.tile(kernels, &factors, piece, [rows, columns], &target) };
            if valid < groups * COLUMNS {
                for row in tile.chunks_exact_mut(TILE_COLUMNS).take(count) {
                    row[valid..groups * COLUMNS].fill(0.0);
                }
            }
            // SAFETY: the tile was just written.
            let sum = unsafe { (kernels.square_sum)(tile.as_ptr(), TILE_COLUMNS, count, groups) };
            norm += f64::from(sum);
        });
    }
    norm
}
