//! Launches of `kernels/conv2d_grad_norm.cu`, and which form a layer takes in f32.

use super::norm_parts::{GradNormPlan, Tiling, triangle};
use super::shape::window;
use super::tile::Tile;
use crate::cuda::args::Conv2dGradNormArgs;
use crate::cuda::{Cuda, CudaMemory, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm, GradNormOperands};
use crate::ops::device::count;

/// Most f32 values of the pixels' Gram matrices of one launch (64 MiB), unless one is larger.
const PIXEL_GRAMS: usize = 1 << 24;
const SIDE: usize = tiles::GRAM_TILE as usize;

/// Multiply-adds that one tap of a shifted Gram entry costs: a load and its bounds.
const TAP: u64 = 16;

/// The cheapest form in f32 by multiply-adds a sample; depends on the problem alone. Gram matrices are
/// symmetric, so that half of them is computed.
pub(super) fn form(problem: &Conv2dProblem) -> GradNormForm {
    let Conv2dProblem { h, w, c, k, r, s, .. } = *problem;
    let [t, pixels, c, k, taps] = [problem.p() * problem.q(), h * w, c, k, r * s].map(|v| v as u64);
    let instantiate = t * taps * c * k;
    let gram = t * t * (taps * c + k) / 2;
    let shifted = (pixels * pixels * c + t * t * (k + TAP * taps)) / 2;
    let shifted = if problem.stride == [1, 1] { shifted } else { u64::MAX };
    if shifted < gram.min(instantiate) {
        GradNormForm::ShiftedGram
    } else if gram < instantiate {
        GradNormForm::Gram
    } else {
        GradNormForm::Instantiate
    }
}

fn plan(problem: &Conv2dProblem, form: GradNormForm) -> GradNormPlan {
    let [across, down] = Tile::of(problem.k).grid(window(problem), problem.k);
    let tiling = Tiling { instantiated: across * down, side: SIDE, pixel_grams: PIXEL_GRAMS };
    GradNormPlan::new(problem, form, &tiling)
}

/// Workspace: the pixels' Gram matrices and the partial sums of the samples of one launch.
pub(super) fn workspace(problem: &Conv2dProblem, form: GradNormForm) -> usize {
    plan(problem, form).workspace()
}

pub(super) fn grad_norm(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &GradNormOperands,
) -> Result<()> {
    let form = operands.form;
    let reduce = (4, &cuda.kernels().conv2d_grad_norm_reduce_f32);
    let part = |samples: u32, args: &Conv2dGradNormArgs| launch(cuda, form, problem, samples, args);
    // SAFETY: check_grad_norm.
    unsafe { plan(problem, form).run(cuda, memory, problem, operands, reduce, part) }
}

/// Partial sums of `samples` samples.
fn launch(
    cuda: &Cuda,
    form: GradNormForm,
    problem: &Conv2dProblem,
    samples: u32,
    args: &Conv2dGradNormArgs,
) -> Result<()> {
    let kernels = cuda.kernels();
    let gram = |kernel, size: usize| {
        let tiles = count("gradient norms", "tiles", triangle(size, SIDE))?;
        let (grid, threads) = ([tiles, samples, 1], tiles::GRAM_THREADS);
        // SAFETY: the views have the problem's lengths, the workspace the
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

#[cfg(test)]
mod tests {
    use super::GradNormForm::{Gram, Instantiate, ShiftedGram};
    use super::*;

    /// h = w, c, k, r = s, stride, pad.
    #[test]
    fn the_cheapest_form_is_chosen() {
        for ([h, c, k, r, stride, pad], expected) in [
            ([32, 64, 64, 3, 1, 1], Instantiate),
            ([56, 64, 256, 1, 1, 0], Instantiate),
            ([28, 128, 128, 3, 1, 1], Instantiate),
            ([16, 128, 128, 3, 1, 1], ShiftedGram),
            ([8, 256, 256, 3, 1, 1], ShiftedGram),
            ([7, 512, 512, 3, 1, 1], ShiftedGram),
            ([14, 1024, 256, 1, 1, 0], Gram),
            ([14, 256, 512, 3, 2, 1], Gram),
            ([1, 512, 10, 1, 1, 0], Gram),
        ] {
            let (stride, pad) = ([stride; 2], [pad; 2]);
            let p = Conv2dProblem { n: 1, h, w: h, c, k, r, s: r, stride, pad };
            assert_eq!(form(&p), expected, "{p:?}");
        }
    }
}
