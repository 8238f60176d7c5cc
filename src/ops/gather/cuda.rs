//! Launches of `kernels/gather.cu`.

use bytemuck::{Pod, Zeroable};
use bytes::Bytes;

use super::{Augmentation, CHANNELS, Gather, GatherProblem};
use crate::backend::View;
use crate::cuda::{Cuda, CudaImages, CudaMemory, DevicePointer, tiles};
use crate::error::Result;
use crate::ops::device::{Divisor, count};
use crate::rng::{Philox, Stream};
use crate::tensor::Dtype;

/// `GatherArgs`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Args {
    images: DevicePointer,
    order: DevicePointer,
    sources: DevicePointer,
    state: DevicePointer,
    out: DevicePointer,
    image_count: u32,
    order_length: u32,
    batch: u32,
    h: u32,
    w: u32,
    by_blocks: Divisor,
    by_row: Divisor,
    mean: [f32; CHANNELS],
    std: [f32; CHANNELS],
    key: [u32; 2],
    stream: u32,
    flip: u32,
    translate: u32,
    augment: u32,
    source_count: u32,
}

impl Gather for Cuda {
    type Images = CudaImages;

    fn identity(images: &CudaImages) -> u64 {
        images.identity()
    }

    fn images(&self, images: &Bytes) -> Result<CudaImages> {
        self.upload_images(images)
    }

    fn gather(
        &self,
        memory: &mut CudaMemory,
        problem: &GatherProblem,
        images: &CudaImages,
        [order, sources]: [View; 2],
        state: View,
        out: View,
    ) -> Result<()> {
        problem.check(state, out)?;
        let size = |what: &str, size: usize| count("gather", what, size);
        size("output values", out.len)?;
        let image = size("values of an image", problem.image())?;
        let threads = tiles::ELEMENTWISE_THREADS;
        // A thread a value, or all of a pixel.
        let each = if out.dtype == Dtype::Bf16 { CHANNELS } else { 1 };
        let blocks = (image / each as u32).div_ceil(threads);
        let augmentation = problem.augmentation;
        let args = Args {
            images: images.pointer(),
            order: self.pointer(memory, order)?,
            sources: self.pointer(memory, sources)?,
            state: self.pointer(memory, state)?,
            out: self.pointer(memory, out)?,
            image_count: size("images", images.len() / problem.image().max(1))?,
            order_length: size("samples", order.len)?,
            batch: size("samples of a batch", problem.batch)?,
            h: size("rows", problem.h)?,
            w: size("columns", problem.w)?,
            by_blocks: Divisor::new(blocks),
            by_row: Divisor::new(size("values of a row", problem.w * CHANNELS / each)?),
            mean: problem.mean,
            std: problem.std,
            key: Philox::new(problem.seed, Stream::Augment).key(),
            stream: Stream::Augment as u32,
            flip: u32::from(augmentation.flip),
            translate: augmentation.translate,
            augment: u32::from(augmentation != Augmentation::NONE),
            source_count: size("sources", sources.len)?,
        };
        let grid = [size("blocks", problem.n * blocks as usize)?, 1, 1];
        let kernels = self.kernels();
        let kernel = if each == 1 { &kernels.gather_f32 } else { &kernels.gather_bf16 };
        // SAFETY: GatherArgs; out has the problem's length, and what lies outside order, sources or
        // images is not read.
        unsafe { self.launch(kernel, grid, threads, 0, &args) }
    }
}
