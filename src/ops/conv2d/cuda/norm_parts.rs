//! Gradient norms go through a batch some samples at a time: what the f32 and the bf16 kernels share.

use crate::cuda::args::{Conv2dGradNormArgs, Conv2dGradNormReduceArgs, Conv2dShape};
use crate::cuda::{Cuda, CudaMemory, DevicePointer, Kernel, tiles};
use crate::error::Result;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm, GradNormOperands};
use crate::ops::device::{NULL, count, offset};

/// Most samples of one launch: blocks along y or z.
const SAMPLES: usize = 65_535;
/// f32 values of workspace that an f64 takes.
const F64: usize = 2;

/// Tiles of `side` on and above the diagonal of a square matrix.
pub(super) fn triangle(size: usize, side: usize) -> usize {
    let tiles = size.div_ceil(side);
    tiles * (tiles + 1) / 2
}

/// How kernels cut a problem.
pub(super) struct Tiling {
    /// Tiles of the instantiated gradient.
    pub instantiated: usize,
    /// Rows and columns of a tile of a Gram matrix.
    pub side: usize,
    /// Most f32 values of the pixels' Gram matrices of one launch, unless one is larger.
    pub pixel_grams: usize,
}

/// How a form goes through the batch: samples at a time, and what each needs of the workspace.
pub(super) struct GradNormPlan {
    form: GradNormForm,
    samples: usize,
    /// Values of the pixels' Gram matrix.
    pixels: usize,
    /// Tiles, and so partial sums.
    tiles: usize,
}

impl GradNormPlan {
    /// How `form` goes through the problem's batch with kernels that cut it by `tiling`.
    pub fn new(problem: &Conv2dProblem, form: GradNormForm, tiling: &Tiling) -> GradNormPlan {
        let most = problem.n.clamp(1, SAMPLES);
        let gram = triangle(problem.p() * problem.q(), tiling.side);
        match form {
            GradNormForm::Instantiate => {
                GradNormPlan { form, samples: most, pixels: 0, tiles: tiling.instantiated }
            }
            GradNormForm::Gram => GradNormPlan { form, samples: most, pixels: 0, tiles: gram },
            GradNormForm::ShiftedGram => {
                let pixels = (problem.h * problem.w).pow(2);
                let samples = (tiling.pixel_grams / pixels).clamp(1, most);
                GradNormPlan { form, samples, pixels, tiles: gram }
            }
        }
    }

    /// Values of all matrices, such that an f64 may follow.
    fn matrices(&self) -> usize {
        (self.samples * self.pixels).next_multiple_of(F64)
    }

    /// f32 values: the pixels' Gram matrices and the partial sums of the samples of one launch.
    pub fn workspace(&self) -> usize {
        self.matrices() + self.samples * self.tiles * F64
    }

    /// Launches the batch's parts and, behind each, the sum of its tiles. `value` is the bytes of a value of dy, `reduce` the kernel that sums.
    ///
    /// # Safety
    /// The views have the problem's lengths and the kernels' types, the workspace that of
    /// [`GradNormPlan::workspace`].
    pub unsafe fn run(
        &self,
        cuda: &Cuda,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        operands: &GradNormOperands,
        (value, reduce): (u64, &Kernel<Conv2dGradNormReduceArgs>),
        launch: impl Fn(u32, &Conv2dGradNormArgs) -> Result<()>,
    ) -> Result<()> {
        let shape = Conv2dShape::new(problem)?;
        count("gradient norms", "values of a pixel Gram matrix", self.pixels)?;
        count("gradient norms", "partial sums", self.samples * self.tiles)?;
        let GradNormOperands { x, dy, bias, norms, workspace, .. } = *operands;
        let [x, dy, norms, work] = [x, dy, norms, workspace].map(|view| cuda.pointer(memory, view));
        let (x, dy, norms, work) = (x?, dy?, norms?, work?);
        let partials = offset(work, self.matrices());
        let positions = shape.p * shape.q;
        let mut args = Conv2dGradNormArgs { x, dy, pixels: work, partials, shape, first: 0 };
        for first in (0..problem.n).step_by(self.samples) {
            let samples = self.samples.min(problem.n - first) as u32;
            args.first = first as u32;
            launch(samples, &args)?;
            let of_first = first as u64 * u64::from(positions * shape.k);
            let reduce_args = Conv2dGradNormReduceArgs {
                partials,
                dy: if bias { DevicePointer(dy.0 + value * of_first) } else { NULL },
                norms: offset(norms, first),
                tiles: self.tiles as u32,
                positions,
                k: shape.k,
                clamp: u32::from(self.form != GradNormForm::Instantiate),
            };
            let (threads, shared_bytes) = (tiles::GRAM_THREADS, tiles::GRAM_SHARED);
            // SAFETY: the caller's; the workspace has a partial sum a tile.
            unsafe { cuda.launch(reduce, [samples, 1, 1], threads, shared_bytes, &reduce_args)? };
        }
        Ok(())
    }
}
