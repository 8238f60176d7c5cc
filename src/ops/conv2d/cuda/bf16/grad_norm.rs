//! Launches of `kernels/conv2d_grad_norm_bf16.cu`, and which form a layer takes.

use super::super::norm_parts::{Args, Plan, Tiling, triangle};
use super::{Tile, window};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};
use crate::ops::device::count;

/// Most f32 values of the pixels' Gram matrices of one launch: a quarter of an H200's L2, where they are
/// read right after they are written; unless one is larger.
const PIXEL_GRAMS: usize = 3 << 20;
const SIDE: usize = tiles::MMA_GRAM_TILE as usize;

/// Multiply-adds a second of the tensor cores in these kernels, taps a second of the shifted form, bytes a
/// second of the L2: assumed of an H200 (not measured), and only their ratios matter.
const PRODUCTS: f64 = 100e12;
const TAPS: f64 = 1.5e12;
const L2_BYTES: f64 = 5e12;

/// Seconds a sample that a form is expected to take: whole tiles, whole stages.
fn seconds(problem: &Conv2dProblem, form: GradNormForm) -> f64 {
    let stages = |terms: usize| terms.next_multiple_of(tiles::MMA_DEPTH as usize);
    let [positions, pixels] = [problem.p() * problem.q(), problem.h * problem.w];
    let gram = |size: usize, terms: usize| triangle(size, SIDE) * SIDE * SIDE * stages(terms);
    let products = match form {
        GradNormForm::Instantiate => {
            let tile = Tile::of(problem.k);
            tile.count(window(problem), problem.k) * tile.rows * tile.columns * stages(positions)
        }
        GradNormForm::Gram => gram(positions, window(problem)) + gram(positions, problem.k),
        GradNormForm::ShiftedGram => gram(pixels, problem.c) + gram(positions, problem.k),
    };
    let shifted = match form {
        GradNormForm::ShiftedGram => {
            let taps = positions * (positions + 1) / 2 * problem.r * problem.s;
            let matrix = 4 * pixels * (pixels + 1) / 2;
            taps as f64 / TAPS + matrix as f64 / L2_BYTES
        }
        _ => 0.0,
    };
    products as f64 / PRODUCTS + shifted
}

/// The form that is expected to be fastest.
pub fn form(problem: &Conv2dProblem) -> GradNormForm {
    let mut forms = vec![GradNormForm::Instantiate, GradNormForm::Gram];
    if problem.stride == [1, 1] {
        forms.push(GradNormForm::ShiftedGram);
    }
    let fastest = forms.into_iter().map(|form| (seconds(problem, form), form));
    fastest.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(GradNormForm::Instantiate, |best| best.1)
}

fn plan(problem: &Conv2dProblem, form: GradNormForm) -> Plan {
    let instantiated = Tile::of(problem.k).count(window(problem), problem.k);
    Plan::new(problem, form, &Tiling { instantiated, side: SIDE, pixel_grams: PIXEL_GRAMS })
}

/// Workspace: the pixels' Gram matrices and the partial sums of the samples of one launch.
pub fn workspace(problem: &Conv2dProblem, form: GradNormForm) -> usize {
    plan(problem, form).workspace()
}

pub fn grad_norm(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    [x, dy, norms]: [View; 3],
    bias: bool,
    form: GradNormForm,
    workspace: View,
) -> Result<()> {
    let (views, reduce) =
        ([x, dy, norms, workspace], (2, &cuda.kernels().conv2d_grad_norm_reduce_bf16));
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
        let (grid, threads) = ([tiles, samples, 1], tiles::MMA_GRAM_THREADS);
        // SAFETY: Conv2dGradNorm16Args; the views have the problem's lengths and types, channels are
        // multiples of 8, the workspace holds the matrices and partial sums of these samples
        // (check_grad_norm).
        unsafe { cuda.launch(kernel, grid, threads, tiles::MMA_GRAM_SHARED, args) }
    };
    let positions = problem.p() * problem.q();
    match form {
        GradNormForm::Instantiate => {
            let three = [
                &kernels.conv2d_grad_norm_instantiate_wide_bf16,
                &kernels.conv2d_grad_norm_instantiate_medium_bf16,
                &kernels.conv2d_grad_norm_instantiate_narrow_bf16,
            ];
            let product = [window(problem), problem.k];
            // SAFETY: as above.
            unsafe { Tile::of(problem.k).launch(cuda, three, product, samples as usize, args) }
        }
        GradNormForm::Gram => gram(&kernels.conv2d_grad_norm_gram_bf16, positions),
        GradNormForm::ShiftedGram => {
            gram(&kernels.conv2d_grad_norm_pixel_gram_bf16, problem.h * problem.w)?;
            gram(&kernels.conv2d_grad_norm_shifted_gram_bf16, positions)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GradNormForm::{Gram, Instantiate, ShiftedGram};
    use super::*;

    /// h = w, c, k, r = s, stride, pad. Every form wins where it has by far the least to do.
    #[test]
    fn the_fastest_form_is_chosen() {
        for ([h, c, k, r, stride, pad], expected) in [
            ([32, 64, 64, 3, 1, 1], Instantiate),
            ([32, 8, 64, 3, 1, 1], Instantiate),
            ([56, 64, 256, 1, 1, 0], Instantiate),
            ([28, 128, 128, 3, 1, 1], Instantiate),
            ([8, 256, 256, 3, 1, 1], ShiftedGram),
            ([7, 512, 512, 3, 1, 1], ShiftedGram),
            ([4, 512, 512, 3, 1, 1], ShiftedGram),
            ([7, 512, 2048, 1, 1, 0], Gram),
            ([14, 256, 512, 3, 2, 1], Gram),
        ] {
            let (stride, pad) = ([stride; 2], [pad; 2]);
            let p = Conv2dProblem { n: 1, h, w: h, c, k, r, s: r, stride, pad };
            assert_eq!(form(&p), expected, "{p:?}");
        }
    }
}
