//! Squared norms of per-sample weight gradients, without storing a gradient.

use super::columns::{Columns, Images};
use super::gram::{gram, gram_scratch, shifted_gram, shifted_gram_scratch};
use super::kernel::{COLUMNS, Kernels};
use super::task::{Cutter, Shared, run_tasks};
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};

/// Output channels and column groups of a tile; fixed, as the order of summation follows them.
const TILE_ROWS: usize = 8;
const TILE_GROUPS: usize = 3;
const TILE_PITCH: usize = TILE_GROUPS * COLUMNS;

/// Workspace: what one sample needs, a worker.
pub fn workspace(cpu: &Cpu, problem: &Conv2dProblem, form: GradNormForm) -> usize {
    cpu.workers() * scratch_of(&Columns::new(problem), form)
}

/// Scratch values for one sample: its padded image and what the form needs.
fn scratch_of(columns: &Columns, form: GradNormForm) -> usize {
    if columns.size == [1, 1] {
        return 0;
    }
    match form {
        GradNormForm::Instantiate => columns.scratch(1) + TILE_ROWS * TILE_PITCH,
        GradNormForm::Gram => columns.scratch(1) + gram_scratch(columns),
        GradNormForm::ShiftedGram => shifted_gram_scratch(columns),
    }
}

/// norms[n] += squared norm of sample n's gradient. Slices have the lengths of the problem;
/// `work` has [`workspace`] values.
#[expect(clippy::too_many_arguments)]
pub fn grad_norm(
    cpu: &Cpu,
    problem: &Conv2dProblem,
    x: &[f32],
    dy: &[f32],
    bias: bool,
    norms: &mut [f32],
    form: GradNormForm,
    work: &mut [f32],
) {
    let columns = Columns::new(problem);
    let kernels = Kernels::of(cpu.isa());
    let per_worker = scratch_of(&columns, form);
    let scratch = Cutter(work).take(cpu.workers() * per_worker);
    let pixels = columns.size[0] * columns.size[1];
    let (image, out) = (columns.image(), pixels * problem.k);
    let shared = Shared::new(norms);
    run_tasks(cpu, problem.n, scratch, per_worker, |n, scratch| {
        let dy = &dy[n * out..(n + 1) * out];
        let own = &x[n * image..(n + 1) * image];
        let mut norm = if pixels == 1 {
            squares(dy) * squares_of_window(problem, own)
        } else {
            // SAFETY: x and dy have the problem's lengths, the scratch what the form needs.
            unsafe {
                match form {
                    GradNormForm::Instantiate => {
                        let (scratch, tile) = scratch.split_at_mut(columns.scratch(1));
                        let image = columns.images(x.as_ptr(), n..n + 1, scratch);
                        instantiate(kernels, &columns, image, dy, tile)
                    }
                    GradNormForm::Gram => {
                        let (scratch, rest) = scratch.split_at_mut(columns.scratch(1));
                        let image = columns.images(x.as_ptr(), n..n + 1, scratch);
                        gram(kernels, &columns, image, dy, rest)
                    }
                    GradNormForm::ShiftedGram => shifted_gram(kernels, &columns, own, dy, scratch),
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
/// `image` is the sample at hand, `dy` its gradient, `tile` holds TILE_ROWS rows of TILE_PITCH;
/// the kernels' instruction set is there.
unsafe fn instantiate(
    kernels: &Kernels,
    columns: &Columns,
    image: Images,
    dy: &[f32],
    tile: &mut [f32],
) -> f64 {
    let Conv2dProblem { k, r, s, c, .. } = columns.problem;
    let mut norm = 0.0f64;
    for r_i in 0..r {
        for g in (0..columns.groups()).step_by(TILE_GROUPS) {
            let groups = TILE_GROUPS.min(columns.groups() - g);
            let valid = (s * c - g * COLUMNS).min(groups * COLUMNS);
            for k_i in (0..k).step_by(TILE_ROWS) {
                let rows = TILE_ROWS.min(k - k_i);
                let (dy, out) = (dy.as_ptr(), tile.as_mut_ptr());
                let (ks, gs) = ([k_i, rows], [g, groups]);
                // SAFETY: the tile holds rows x groups (caller); see `Columns::tile`.
                unsafe {
                    columns.tile(kernels, image, dy, ks, r_i, gs, out, TILE_PITCH, false);
                }
                if valid < groups * COLUMNS {
                    for row in tile.chunks_exact_mut(TILE_PITCH).take(rows) {
                        row[valid..groups * COLUMNS].fill(0.0);
                    }
                }
                // SAFETY: the tile was just written.
                norm += f64::from(unsafe {
                    (kernels.square_sum)(tile.as_ptr(), TILE_PITCH, rows, groups)
                });
            }
        }
    }
    norm
}
