//! Squared norms of per-sample weight gradients, without storing a gradient.

use super::columns::Columns;
use super::kernel::{COLUMNS, Kernels};
use super::task::{Cutter, Shared, lines, run_tasks};
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};

/// Output channels and column groups of a tile; fixed, as the order of summation follows them.
const TILE_ROWS: usize = 8;
const TILE_GROUPS: usize = 3;
const TILE_PITCH: usize = TILE_GROUPS * COLUMNS;

/// Workspace: a padded image and a tile a worker.
pub fn workspace(cpu: &Cpu, problem: &Conv2dProblem, _form: GradNormForm) -> usize {
    cpu.workers() * (Columns::new(problem).scratch(1) + TILE_ROWS * TILE_PITCH)
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
    _form: GradNormForm,
    work: &mut [f32],
) {
    let columns = Columns::new(problem);
    let kernels = Kernels::of(cpu.isa());
    let mut cutter = Cutter(work);
    let per_worker = lines(columns.scratch(1) + TILE_ROWS * TILE_PITCH);
    let scratch = cutter.take(cpu.workers() * per_worker);
    let pixels = columns.size[0] * columns.size[1];
    let (image, out) = (columns.image(), pixels * problem.k);
    let shared = Shared::new(norms);
    run_tasks(cpu, problem.n, scratch, per_worker, |n, scratch| {
        let (tile, scratch) = scratch.split_at_mut(TILE_ROWS * TILE_PITCH);
        let dy = &dy[n * out..(n + 1) * out];
        let mut norm = if pixels == 1 {
            squares(dy) * squares_of_window(problem, &x[n * image..(n + 1) * image])
        } else {
            instantiate(kernels, &columns, x, n, dy, tile, scratch)
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
fn instantiate(
    kernels: &Kernels,
    columns: &Columns,
    x: &[f32],
    n: usize,
    dy: &[f32],
    tile: &mut [f32],
    scratch: &mut [f32],
) -> f64 {
    let Conv2dProblem { k, r, s, c, .. } = columns.problem;
    let mut norm = 0.0f64;
    // SAFETY: x and dy have the problem's lengths; the tile holds TILE_ROWS rows of TILE_PITCH.
    unsafe {
        let images = columns.images(x.as_ptr(), n..n + 1, scratch);
        for r_i in 0..r {
            for g in (0..columns.groups()).step_by(TILE_GROUPS) {
                let groups = TILE_GROUPS.min(columns.groups() - g);
                let valid = (s * c - g * COLUMNS).min(groups * COLUMNS);
                for k_i in (0..k).step_by(TILE_ROWS) {
                    let rows = TILE_ROWS.min(k - k_i);
                    let at = tile.as_mut_ptr();
                    columns.tile(
                        kernels,
                        images,
                        dy.as_ptr(),
                        [k_i, rows],
                        r_i,
                        [g, groups],
                        at,
                        TILE_PITCH,
                        false,
                    );
                    if valid < groups * COLUMNS {
                        for row in tile.chunks_exact_mut(TILE_PITCH).take(rows) {
                            row[valid..groups * COLUMNS].fill(0.0);
                        }
                    }
                    let sum = (kernels.square_sum)(tile.as_ptr(), TILE_PITCH, rows, groups);
                    norm += f64::from(sum);
                }
            }
        }
    }
    norm
}
