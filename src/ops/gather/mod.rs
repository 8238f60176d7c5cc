//! Input pipeline: gathers a batch of u8 images, augments, normalises to f32 NHWC.
//!
//! Stored images may be larger than what the network sees: it sees their centre, or while training a
//! random box of them ([`crop`]).
//!
//! ```text
//! out[i,h,w,c] = (u8 / 255 - mean[c]) / std[c],  outside the image u8 = 0
//! ```
//!
//! A sample's augmentation is a pure function of (seed, epoch, position in the original part):
//! it does not depend on which other samples are trained on, so pruned and full runs are paired.
//! Where an epoch draws samples with replacement, a position is a draw, and its image another number:
//! two draws of one image are augmented apart.

mod cpu;
pub mod crop;
mod cuda;

use bytes::Bytes;

use crate::backend::{Backend, View};
use crate::error::{Error, Result};
use crate::ops::check_len;
use crate::rng::{Philox, Stream};
use crate::tensor::Dtype;
pub use crop::{CHANNELS, CropBox};

/// Channels of an image stored as bf16: the colours, then zeros, since a convolution in bf16 takes whole
/// groups of 8.
pub const CHANNELS_BF16: usize = 8;

/// Random changes of a training image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Augmentation {
    /// Mirror horizontally with probability one half.
    pub flip: bool,
    /// Shift by up to this many pixels in both directions; what comes in is black. Equal to
    /// padding by as much and cropping at random.
    pub translate: u32,
    /// See a random box of the image, resized to the network's input ([`crop`]), in place of shifts.
    pub resized_crop: bool,
}

impl Augmentation {
    /// No change at all.
    pub const NONE: Augmentation = Augmentation { flip: false, translate: 0, resized_crop: false };

    /// (mirrored, rows down, columns right) of one sample in one epoch.
    pub fn draw(&self, seed: u64, epoch: u32, sample: u32) -> (bool, i32, i32) {
        if *self == Augmentation::NONE {
            return (false, 0, 0);
        }
        let words = Philox::new(seed, Stream::Augment).block(u64::from(epoch), sample);
        let span = 2 * self.translate + 1;
        // Multiply-shift: biased by less than span / 2^32, and one draw a use on every device.
        let shift =
            |word: u32| ((u64::from(word) * u64::from(span)) >> 32) as i32 - self.translate as i32;
        (self.flip && words[0] & 1 == 1, shift(words[1]), shift(words[2]))
    }

    /// The box of one sample in one epoch in images of `h` x `w`, where boxes are seen.
    pub fn cut(&self, seed: u64, epoch: u32, sample: u32, [h, w]: [usize; 2]) -> Option<CropBox> {
        let philox = Philox::new(seed, Stream::Augment);
        let size = [h as u32, w as u32];
        self.resized_crop.then(|| CropBox::draw(&philox, epoch, sample, size))
    }
}

/// n / 2, halves to the even neighbour: Python's `round`, by which torchvision's `CenterCrop` begins.
pub fn half_even(n: usize) -> usize {
    n / 2 + usize::from(n % 4 == 3)
}

/// Sizes and constants of a gather: `n` images of this batch out of batches of `batch`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GatherProblem {
    pub n: usize,
    pub batch: usize,
    /// What the network sees.
    pub h: usize,
    pub w: usize,
    /// Height and width of the images; their centre is seen unless they are cropped at random.
    pub stored: [usize; 2],
    pub mean: [f32; CHANNELS],
    pub std: [f32; CHANNELS],
    pub augmentation: Augmentation,
    pub seed: u64,
}

impl GatherProblem {
    /// Bytes of one image.
    pub fn image(&self) -> usize {
        self.stored[0] * self.stored[1] * CHANNELS
    }

    /// Row and column of the images where the part that is seen starts, as torchvision's `CenterCrop`
    /// has it.
    fn corner(&self) -> [usize; 2] {
        let [h, w] = self.stored;
        [h.saturating_sub(self.h), w.saturating_sub(self.w)].map(half_even)
    }

    fn check(&self, state: View, out: View) -> Result<()> {
        check_len("gather", "state", state, 4)?;
        let ([h, w], seen) = (self.stored, [self.h, self.w]);
        if self.augmentation.resized_crop {
            crop::check(self.stored, seen)?;
        } else if h < self.h || w < self.w {
            return Err(Error::Internal(format!("gather: {seen:?} out of images of {h} x {w}")));
        }
        let channels = match out.dtype {
            Dtype::F32 => CHANNELS,
            Dtype::Bf16 => CHANNELS_BF16,
            other => {
                return Err(Error::Internal(format!("gather: {other:?}, expected F32 or Bf16")));
            }
        };
        check_len("gather", "out", out, self.n * self.h * self.w * channels)
    }
}

/// The input pipeline on a backend.
pub trait Gather: Backend {
    /// Images where the device can read them, or on the host, where batches of them are staged.
    type Images: Send + Sync;

    /// Buffers through which batches of images on the host reach the device.
    type Staging: Staging<Self>;

    /// A number that no other images of this process have, for work that was recorded with them.
    fn identity(images: &Self::Images) -> u64;

    /// Makes `images` (u8 N H W 3) readable by the device; the CPU shares them.
    fn images(&self, images: &Bytes) -> Result<Self::Images>;

    /// Bytes of the device's memory that [`Gather::images`] takes for `images`.
    fn device_bytes(images: &Bytes) -> u64;

    /// `images` left on the host; the CPU shares them either way.
    fn host_images(&self, images: &Bytes) -> Result<Self::Images>;

    /// Whether batches of `images` must be staged to be gathered.
    fn on_host(images: &Self::Images) -> bool;

    /// out (N H W 3 in f32; or N H W 8 in bf16, each value rounded to nearest, the
    /// last five 0) = the images at `order[state[0] * batch ..]`, augmented for epoch
    /// `state[1]`. Where `sources` is not empty, position i has image `sources[i]`. A batch outside the
    /// order, or an image that is not there, is a defect of the
    /// caller: an error on the CPU; NaN on a device, which does not wait to look.
    fn gather(
        &self,
        memory: &mut Self::Memory,
        problem: &GatherProblem,
        images: &Self::Images,
        order_and_sources: [View; 2],
        state: View,
        out: View,
    ) -> Result<()>;
}

/// Room for batches of images that stay on the host, on their way to the device of `B`.
pub trait Staging<B: Gather + ?Sized>: Sized + Send {
    /// Bytes of the device's memory for batches of at most `images` images of `image` bytes.
    fn bytes(image: usize, images: usize) -> u64;

    /// The room for such batches; None on a backend that reads images where they are.
    fn new(backend: &B, image: usize, images: usize) -> Result<Option<Self>>;

    /// Brings the images `numbers` to the device, unless they are there, for the next
    /// [`Staging::gather`].
    fn stage(&mut self, backend: &B, images: &B::Images, numbers: &[u32]) -> Result<()>;

    /// Starts to bring what may be staged next, while the device computes.
    fn prefetch(&mut self, backend: &B, images: &B::Images, numbers: &[u32]) -> Result<()>;

    /// Does what [`Gather::gather`] does, of the images that were staged last: those of the batch, in its
    /// order.
    fn gather(
        &mut self,
        backend: &B,
        memory: &mut B::Memory,
        problem: &GatherProblem,
        order_and_sources: [View; 2],
        state: View,
        out: View,
    ) -> Result<()>;
}
