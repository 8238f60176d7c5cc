//! Launches of `kernels/conv2d_grad_norm_bf16.cu`, and which form a layer takes.

use super::super::norm_parts::{GradNormPlan, Tiling, triangle};
use super::super::shape::window;
use super::choice::{L2_BYTES, NORM_SAMPLES, Product, TilePlan, tile_seconds};
use super::tile::GRAM;
use crate::cuda::args::Conv2dGradNorm16Args;
use crate::cuda::{Cuda, CudaMemory, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem, GradNormForm, GradNormOperands};
use crate::ops::device::count;

/// Most f32 values of the pixels' Gram matrices of one launch: a quarter of an H200's L2, where they are
/// read right after they are written; unless one is larger.
const PIXEL_GRAMS: usize = 3 << 20;
const SIDE: usize = GRAM.rows;

/// Taps a second of the shifted form: assumed of an H200 (not measured). A warp's load of 32 touches 8 rows of
/// the matrix, and a multiprocessor looks up one of them a cycle.
const TAPS: f64 = 0.8e12;

/// The gradients as products, one a sample.
fn product(problem: &Conv2dProblem) -> Option<Product> {
    Product::new(problem, Conv2dDirection::GradNorm(GradNormForm::Instantiate))
}

/// Seconds that a form is expected to take on [`NORM_SAMPLES`]: the model of tiles' products and copies, and
/// the tensors in device memory; of the shifted form also its taps and matrices.
fn seconds(problem: &Conv2dProblem, product: &Product, form: GradNormForm) -> f64 {
    let [positions, pixels] = [problem.p() * problem.q(), problem.h * problem.w];
    let gram = |size: usize, terms: usize| {
        let depth = terms.next_multiple_of(tiles::MMA_DEPTH as usize);
        let (count, copied) = (NORM_SAMPLES * triangle(size, SIDE), 4 * SIDE * depth);
        let [products, copies] = tile_seconds(&GRAM, GRAM.blocks, count, depth, copied);
        products.max(copies)
    };
    let time = match form {
        GradNormForm::Instantiate => return product.seconds(&product.fastest()).0,
        GradNormForm::Gram => gram(positions, window(problem)) + gram(positions, problem.k),
        GradNormForm::ShiftedGram => {
            let taps = positions * (positions + 1) / 2 * problem.r * problem.s;
            let matrix = 4 * pixels * (pixels + 1) / 2;
            let shifted = taps as f64 / TAPS + matrix as f64 / L2_BYTES;
            gram(pixels, problem.c) + gram(positions, problem.k) + NORM_SAMPLES as f64 * shifted
        }
    };
    time.max(product.memory_seconds())
}

/// The form that is expected to be fastest.
pub fn form(problem: &Conv2dProblem) -> GradNormForm {
    let Some(product) = product(problem) else { return GradNormForm::Instantiate };
    let mut forms = vec![GradNormForm::Instantiate, GradNormForm::Gram];
    if problem.stride == [1, 1] {
        forms.push(GradNormForm::ShiftedGram);
    }
    let fastest = forms.into_iter().map(|form| (seconds(problem, &product, form), form));
    fastest.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(GradNormForm::Instantiate, |best| best.1)
}

/// How gradients are instantiated.
fn way(cuda: &Cuda, problem: &Conv2dProblem) -> Option<(Product, TilePlan)> {
    let product = product(problem)?;
    let way = product.choose(cuda);
    Some((product, way))
}

fn plan(cuda: &Cuda, problem: &Conv2dProblem, form: GradNormForm) -> GradNormPlan {
    let tiles = |(product, way): (Product, TilePlan)| way.tile.count(product.rows, product.columns);
    let instantiated = way(cuda, problem).map_or(0, tiles);
    GradNormPlan::new(problem, form, &Tiling { instantiated, side: SIDE, pixel_grams: PIXEL_GRAMS })
}

/// Workspace: the pixels' Gram matrices and the partial sums of the samples of one launch.
pub fn workspace(cuda: &Cuda, problem: &Conv2dProblem, form: GradNormForm) -> usize {
    plan(cuda, problem, form).workspace()
}

/// Gradient norms of operands that were checked.
pub fn grad_norm(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    operands: &GradNormOperands,
) -> Result<()> {
    let form = operands.form;
    let reduce = (2, &cuda.kernels().conv2d_grad_norm_reduce_bf16);
    let part =
        |samples: u32, args: &Conv2dGradNorm16Args| launch(cuda, form, problem, samples, args);
    // SAFETY: check_grad_norm.
    unsafe { plan(cuda, problem, form).run(cuda, memory, problem, operands, reduce, part) }
}

/// Partial sums of `samples` samples.
fn launch(
    cuda: &Cuda,
    form: GradNormForm,
    problem: &Conv2dProblem,
    samples: u32,
    args: &Conv2dGradNorm16Args,
) -> Result<()> {
    let kernels = cuda.kernels();
    let gram = |kernel, size: usize| {
        let tiles = count("gradient norms", "tiles", triangle(size, SIDE))?;
        let (grid, threads) = ([tiles, samples, 1], GRAM.threads);
        // SAFETY: the views have the problem's lengths and types, channels are
        // multiples of 8, the workspace holds the matrices and partial sums of these samples
        // (check_grad_norm).
        unsafe { cuda.launch(kernel, grid, threads, GRAM.shared_bytes as u32, args) }
    };
    let positions = problem.p() * problem.q();
    match form {
        GradNormForm::Instantiate => {
            let Some((mut product, way)) = way(cuda, problem) else { return Ok(()) };
            product.count = samples as usize;
            let gathered = [
                &kernels.conv2d_grad_norm_instantiate_wide_bf16,
                &kernels.conv2d_grad_norm_instantiate_medium_bf16,
                &kernels.conv2d_grad_norm_instantiate_narrow_bf16,
            ];
            let halo = [&kernels.conv2d_grad_norm_instantiate_halo_bf16; 3];
            // SAFETY: as above.
            unsafe { way.launch(cuda, &product, [gathered, halo], args) }
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
            ([16, 128, 128, 3, 1, 1], Instantiate),
            ([14, 256, 1024, 1, 1, 0], Instantiate),
            ([14, 256, 256, 3, 1, 1], ShiftedGram),
            ([8, 256, 256, 3, 1, 1], ShiftedGram),
            ([7, 512, 512, 3, 1, 1], ShiftedGram),
            ([4, 512, 512, 3, 1, 1], ShiftedGram),
            ([7, 512, 2048, 1, 1, 0], Gram),
            ([14, 256, 512, 3, 2, 1], Gram),
        ] {
            let (stride, pad) = ([stride; 2], [pad; 2]);
            let p = Conv2dProblem { n: 1, h, w: h, c, k, r, s: r, stride, pad };
            assert_eq!(form(&p), expected, "{p:?}");
            assert_eq!(form(&p.with_n(500)), expected, "{p:?}");
        }
    }
}
