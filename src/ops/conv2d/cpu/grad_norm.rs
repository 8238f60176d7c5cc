//! Squared norms of per-sample weight gradients, without storing a gradient.

use super::gram::Gram;
use super::kernel::{COLUMNS, MicroKernels};
use super::outer::{Outer, OuterFactors, OuterTarget, TILE_COLUMNS, TILE_ROWS, for_each_tile};
use super::pad::PaddedImages;
use super::task::{Cutter, Shared, lines, run_tasks};
use super::winograd::{self, Gradient};
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};

/// Workspace: what one sample needs, a worker.
pub fn workspace(cpu: &Cpu, problem: &Conv2dProblem, form: GradNormForm) -> usize {
    cpu.workers() * scratch_of(problem, form)
}

/// Scratch values for one sample.
fn scratch_of(p: &Conv2dProblem, form: GradNormForm) -> usize {
    match form {
        _ if p.p() * p.q() == 1 => 0,
        GradNormForm::Instantiate if winograd::pays(p) => {
            let gradient = Gradient::new(p);
            lines(gradient.planes()) + lines(gradient.row()) + gradient.scratch()
        }
        GradNormForm::Instantiate => Outer::new(p).scratch(1) + TILE_ROWS * TILE_COLUMNS,
        GradNormForm::Gram => Gram::new(p).scratch(),
        GradNormForm::ShiftedGram => Gram::new(p).shifted_scratch(),
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
    let kernels = MicroKernels::of(cpu.isa());
    let per_worker = scratch_of(problem, form);
    let scratch = Cutter(work).take(cpu.workers() * per_worker);
    let positions = problem.p() * problem.q();
    let (outer, gram) = (Outer::new(problem), Gram::new(problem));
    let one = problem.with_n(1);
    let (image, out) = (one.x_len(), one.y_len());
    let shared = Shared::new(norms);
    run_tasks(cpu, problem.n, scratch, per_worker, |n, scratch| {
        let dy = &dy[n * out..(n + 1) * out];
        let own = &x[n * image..(n + 1) * image];
        let mut norm = if positions == 1 {
            squares(dy) * squares_of_window(problem, own)
        } else {
            // SAFETY: x and dy have the problem's lengths, the scratch what the form needs.
            unsafe {
                match form {
                    GradNormForm::Instantiate if winograd::pays(problem) => {
                        let gradient = Gradient::new(problem);
                        let mut cutter = Cutter(scratch);
                        let planes = cutter.take(gradient.planes());
                        let row = cutter.take(gradient.row());
                        let scratch = cutter.take(gradient.scratch());
                        let (x, dy, out) = (own.as_ptr(), dy.as_ptr(), planes.as_mut_ptr());
                        gradient.accumulate(kernels, x, dy, 0..1, out, scratch);
                        gradient.norm(kernels, planes, row)
                    }
                    GradNormForm::Instantiate => {
                        let (scratch, tile) = scratch.split_at_mut(outer.scratch(1));
                        let image = outer.images(x.as_ptr(), n..n + 1, scratch);
                        instantiate(kernels, &outer, image, dy, tile)
                    }
                    GradNormForm::Gram => gram.norm(kernels, own, dy, scratch),
                    GradNormForm::ShiftedGram => gram.shifted_norm(kernels, own, dy, scratch),
                }
            }
        };
        if bias {
            norm += bias_norm(dy, problem.k);
        }
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

/// Squared norm of the bias gradient, the sum of dy over positions.
fn bias_norm(dy: &[f32], k: usize) -> f64 {
    (0..k)
        .map(|ki| {
            let sum: f32 = dy.iter().skip(ki).step_by(k).sum();
            f64::from(sum) * f64::from(sum)
        })
        .sum()
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
