//! Launches of `kernels/conv2d_grad_norm.cu`.

use super::norm_parts::{Args, Plan, Tiling, triangle};
use super::{Tile, window};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};
use crate::ops::device::count;

/// Most f32 values of the pixels' Gram matrices of one launch (64 MiB), unless one is larger.
const PIXEL_GRAMS: usize = 1 << 24;
const SIDE: usize = tiles::GRAM_TILE as usize;

fn plan(problem: &Conv2dProblem, form: GradNormForm) -> Plan {
    let [across, down] = Tile::of(problem.k).grid(window(problem), problem.k);
    let tiling = Tiling { instantiated: across * down, side: SIDE, pixel_grams: PIXEL_GRAMS };
    Plan::new(problem, form, &tiling)
}

/// Workspace: the pixels' Gram matrices and the partial sums of the samples of one launch.
pub(super) fn workspace(problem: &Conv2dProblem, form: GradNormForm) -> usize {
    plan(problem, form).workspace()
}

pub(super) fn grad_norm(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    [x, dy, norms]: [View; 3],
    bias: bool,
    form: GradNormForm,
    workspace: View,
) -> Result<()> {
    let (views, reduce) =
        ([x, dy, norms, workspace], (4, &cuda.kernels().conv2d_grad_norm_reduce_f32));
    let part = |samples: u32, args: &Args| launch(cuda, form, problem, samples, args);
    // SAFETY: check_grad_norm.
    unsafe { plan(problem, form).run(cuda, memory, problem, views, bias, reduce, part) }
}

/// Partial sums of `samples` samples.
fn launch(
    cuda: &Cuda,
    form: GradNormForm,
    problem: &Conv2dProblem,
    samples: u32,
    args: &Args,
) -> Result<()> {
    let kernels = cuda.kernels();
    let gram = |kernel, size: usize| {
        let tiles = count("gradient norms", "tiles", triangle(size, SIDE))?;
        let (grid, threads) = ([tiles, samples, 1], tiles::GRAM_THREADS);
        // SAFETY: Conv2dGradNormArgs; the views have the problem's lengths, the workspace the
        // matrices and partial sums of these samples (check_grad_norm).
        unsafe { cuda.launch(kernel, grid, threads, tiles::GRAM_SHARED, args) }
    };
    let positions = problem.p() * problem.q();
    match form {
        GradNormForm::Instantiate => {
            let pair = [
                &kernels.conv2d_grad_norm_instantiate_wide_f32,
                &kernels.conv2d_grad_norm_instantiate_narrow_f32,
            ];
            let tile = Tile::of(problem.k);
            let grid = tile.grid(window(problem), problem.k);
            // SAFETY: as above.
            unsafe { tile.launch(cuda, pair, grid, samples as usize, args) }
        }
        GradNormForm::Gram => gram(&kernels.conv2d_grad_norm_gram_f32, positions),
        GradNormForm::ShiftedGram => {
            gram(&kernels.conv2d_grad_norm_pixel_gram_f32, problem.h * problem.w)?;
            gram(&kernels.conv2d_grad_norm_shifted_gram_f32, positions)
        }
    }
}
