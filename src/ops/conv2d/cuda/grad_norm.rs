//! Launches of `kernels/conv2d_grad_norm.cu`.

use bytemuck::{Pod, Zeroable};

use super::{Shape, Tile, window};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, DevicePointer, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};
use crate::ops::device::{NULL, count, offset};

/// `Conv2dGradNormArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Args {
    x: DevicePointer,
    dy: DevicePointer,
    pixels: DevicePointer,
    partials: DevicePointer,
    shape: Shape,
    first: u32,
}

/// `Conv2dGradNormReduceArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ReduceArgs {
    partials: DevicePointer,
    dy: DevicePointer,
    norms: DevicePointer,
    tiles: u32,
    positions: u32,
    k: u32,
    clamp: u32,
}

/// Most f32 values of the pixels' Gram matrices of one launch (64 MiB), unless one is larger.
const PIXEL_GRAMS: usize = 1 << 24;
/// Most samples of one launch: blocks along y or z.
const SAMPLES: usize = 65_535;

/// Tiles on and above the diagonal of a square matrix.
fn triangle(size: usize) -> usize {
    let tiles = size.div_ceil(tiles::GRAM_TILE as usize);
    tiles * (tiles + 1) / 2
}

/// How a form goes through the batch: samples at a time, and what each needs of the workspace.
struct Plan {
    samples: usize,
    /// Values of the pixels' Gram matrix.
    pixels: usize,
    /// Tiles, and so partial sums.
    tiles: usize,
}

/// f32 values of workspace that an f64 takes.
const F64: usize = 2;

impl Plan {
    fn new(problem: &Conv2dProblem, form: GradNormForm) -> Plan {
        let positions = problem.p() * problem.q();
        let most = problem.n.clamp(1, SAMPLES);
        match form {
            GradNormForm::Instantiate => {
                let [across, down] = Tile::of(problem.k).grid(window(problem), problem.k);
                let tiles = across * down;
                Plan { samples: most, pixels: 0, tiles }
            }
            GradNormForm::Gram => Plan { samples: most, pixels: 0, tiles: triangle(positions) },
            GradNormForm::ShiftedGram => {
                let pixels = (problem.h * problem.w).pow(2);
                let samples = (PIXEL_GRAMS / pixels).clamp(1, most);
                Plan { samples, pixels, tiles: triangle(positions) }
            }
        }
    }

    /// Values of all matrices, such that an f64 may follow.
    fn matrices(&self) -> usize {
        (self.samples * self.pixels).next_multiple_of(F64)
    }
}

/// Workspace: the pixels' Gram matrices and the partial sums of the samples of one launch.
pub(super) fn workspace(problem: &Conv2dProblem, form: GradNormForm) -> usize {
    let plan = Plan::new(problem, form);
    plan.matrices() + plan.samples * plan.tiles * F64
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
    let shape = Shape::new(problem)?;
    let plan = Plan::new(problem, form);
    count("gradient norms", "values of a pixel Gram matrix", plan.pixels)?;
    count("gradient norms", "partial sums", plan.samples * plan.tiles)?;
    let [x, dy, norms, work] = [x, dy, norms, workspace].map(|view| cuda.pointer(memory, view));
    let (x, dy, norms, work) = (x?, dy?, norms?, work?);
    let partials = offset(work, plan.matrices());
    let mut args = Args { x, dy, pixels: work, partials, shape, first: 0 };
    for first in (0..problem.n).step_by(plan.samples) {
        let samples = plan.samples.min(problem.n - first) as u32;
        args.first = first as u32;
        launch(cuda, form, problem, samples, &args)?;
        let positions = shape.p * shape.q;
        let of_first = offset(dy, first * (positions * shape.k) as usize);
        let reduce = ReduceArgs {
            partials,
            dy: if bias { of_first } else { NULL },
            norms: offset(norms, first),
            tiles: plan.tiles as u32,
            positions,
            k: shape.k,
            clamp: u32::from(form != GradNormForm::Instantiate),
        };
        let kernel = &cuda.kernels().conv2d_grad_norm_reduce_f32;
        let (threads, shared_bytes) = (tiles::GRAM_THREADS, tiles::GRAM_SHARED);
        // SAFETY: Conv2dGradNormReduceArgs; the views have the problem's lengths, the workspace a
        // partial sum a tile (check_grad_norm).
        unsafe { cuda.launch(kernel, [samples, 1, 1], threads, shared_bytes, &reduce)? };
    }
    Ok(())
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
        let tiles = count("gradient norms", "tiles", triangle(size))?;
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
