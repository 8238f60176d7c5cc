//! Launches of `kernels/gather.cu`.

use bytes::Bytes;

use super::{Augmentation, CHANNELS, Gather, GatherProblem, Staging};
use crate::backend::View;
use crate::cuda::args::{Divisor, GatherArgs};
use crate::cuda::{Cuda, CudaImages, CudaMemory, DevicePointer, HostImages, StagingBuffers, tiles};
use crate::error::{Error, Result};
use crate::ops::device::{NULL, count};
use crate::ops::enums::flag;
use crate::rng::{Philox, Stream};
use crate::tensor::Dtype;

/// Where a gather finds pixels: images by their numbers, or those of the batch with their numbers.
struct PixelSource {
    images: DevicePointer,
    staged: DevicePointer,
    count: usize,
}

impl Cuda {
    fn gather_from(
        &self,
        memory: &mut CudaMemory,
        problem: &GatherProblem,
        pixels: PixelSource,
        [order, sources]: [View; 2],
        state: View,
        out: View,
    ) -> Result<()> {
        problem.check(state, out)?;
        let size = |what: &str, size: usize| count("gather", what, size);
        size("output values", out.len)?;
        let seen = size("values of an image", problem.h * problem.w * CHANNELS)?;
        let threads = tiles::ELEMENTWISE_THREADS;
        let augmentation = problem.augmentation;
        // A thread a value, or all of a pixel.
        let of_pixels = out.dtype == Dtype::Bf16 || augmentation.resized_crop;
        let each = if of_pixels { CHANNELS } else { 1 };
        let blocks = (seen / each as u32).div_ceil(threads);
        let [top, left] = problem.corner();
        let flip = if augmentation.flip { flag::FLIP } else { 0 };
        let augment = if augmentation == Augmentation::NONE { 0 } else { flag::AUGMENT };
        let [key_low, key_high] = Philox::new(problem.seed, Stream::Augment).key();
        let args = GatherArgs {
            images: pixels.images,
            staged: pixels.staged,
            order: self.pointer(memory, order)?,
            sources: self.pointer(memory, sources)?,
            state: self.pointer(memory, state)?,
            out: self.pointer(memory, out)?,
            image_count: size("images", pixels.count)?,
            order_length: size("samples", order.len)?,
            batch: size("samples of a batch", problem.batch)?,
            h: size("rows", problem.h)?,
            w: size("columns", problem.w)?,
            stored_h: size("rows", problem.stored[0])?,
            stored_w: size("columns", problem.stored[1])?,
            stored_bytes: size("bytes of an image", problem.image())?,
            top: size("rows", top)?,
            left: size("columns", left)?,
            by_blocks: Divisor::new(blocks),
            by_row: Divisor::new(size("values of a row", problem.w * CHANNELS / each)?),
            mean: problem.mean,
            std: problem.std,
            key_low,
            key_high,
            stream: Stream::Augment as u32,
            flags: flip | augment,
            translate: augmentation.translate,
            source_count: size("sources", sources.len)?,
        };
        let grid = [size("blocks", problem.n * blocks as usize)?, 1, 1];
        let kernels = self.kernels();
        let (kernel, shared) = match (augmentation.resized_crop, out.dtype == Dtype::Bf16) {
            (false, false) => (&kernels.gather_f32, 0),
            (false, true) => (&kernels.gather_bf16, 0),
            (true, false) => (&kernels.gather_crop_f32, tiles::CROP_SHARED),
            (true, true) => (&kernels.gather_crop_bf16, tiles::CROP_SHARED),
        };
        // SAFETY: out has the problem's length, and what lies outside order, sources or
        // images is not read.
        unsafe { self.launch(kernel, grid, threads, shared, &args) }
    }
}

impl Gather for Cuda {
    type Images = CudaImages;
    type Staging = StagingBuffers;

    fn identity(images: &CudaImages) -> u64 {
        match images {
            CudaImages::Device(images) => images.identity(),
            // Work is recorded without them.
            CudaImages::Host(_) => u64::MAX,
        }
    }

    fn images(&self, images: &Bytes) -> Result<CudaImages> {
        self.upload_images(images).map(CudaImages::Device)
    }

    fn device_bytes(images: &Bytes) -> u64 {
        images.len() as u64
    }

    fn host_images(&self, images: &Bytes) -> Result<CudaImages> {
        Ok(CudaImages::Host(HostImages::new(images)))
    }

    fn on_host(images: &CudaImages) -> bool {
        matches!(images, CudaImages::Host(_))
    }

    fn gather(
        &self,
        memory: &mut CudaMemory,
        problem: &GatherProblem,
        images: &CudaImages,
        order_and_sources: [View; 2],
        state: View,
        out: View,
    ) -> Result<()> {
        let CudaImages::Device(images) = images else {
            return Err(Error::Internal(
                "gather: images on the host that were not staged".to_owned(),
            ));
        };
        let count = images.len() / problem.image().max(1);
        let pixels = PixelSource { images: images.pointer(), staged: NULL, count };
        self.gather_from(memory, problem, pixels, order_and_sources, state, out)
    }
}

impl Staging<Cuda> for StagingBuffers {
    fn bytes(image: usize, images: usize) -> u64 {
        2 * Cuda::slot_bytes(image, images) as u64
    }

    fn new(cuda: &Cuda, image: usize, images: usize) -> Result<Option<Self>> {
        cuda.new_staging(image, images).map(Some)
    }

    fn stage(&mut self, cuda: &Cuda, images: &CudaImages, numbers: &[u32]) -> Result<()> {
        cuda.stage_batch(self, host(images)?, numbers)
    }

    fn prefetch(&mut self, cuda: &Cuda, images: &CudaImages, numbers: &[u32]) -> Result<()> {
        cuda.prefetch_batch(self, host(images)?, numbers)
    }

    fn gather(
        &mut self,
        cuda: &Cuda,
        memory: &mut CudaMemory,
        problem: &GatherProblem,
        order_and_sources: [View; 2],
        state: View,
        out: View,
    ) -> Result<()> {
        let staged = cuda.staged(self);
        let (images, count) = (staged.images, staged.count);
        let pixels = PixelSource { images, staged: staged.numbers, count };
        cuda.gather_from(memory, problem, pixels, order_and_sources, state, out)?;
        cuda.gathered(self)
    }
}

fn host(images: &CudaImages) -> Result<&HostImages> {
    match images {
        CudaImages::Host(images) => Ok(images),
        CudaImages::Device(_) => {
            Err(Error::Internal("gather: images on the device cannot be staged".to_owned()))
        }
    }
}
