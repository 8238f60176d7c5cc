//! Input pipeline: gathers a batch of u8 images, augments, normalises to f32 NHWC.
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
mod cuda;

use bytes::Bytes;

use crate::backend::{Backend, View};
use crate::error::{Error, Result};
use crate::ops::check_len;
use crate::rng::{Philox, Stream};
use crate::tensor::Dtype;

/// Colour channels of an image.
pub const CHANNELS: usize = 3;

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
}

impl Augmentation {
    /// No change at all.
    pub const NONE: Augmentation = Augmentation { flip: false, translate: 0 };

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
}

/// Sizes and constants of a gather: `n` images of this batch out of batches of `batch`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GatherProblem {
    pub n: usize,
    pub batch: usize,
    pub h: usize,
    pub w: usize,
    pub mean: [f32; CHANNELS],
    pub std: [f32; CHANNELS],
    pub augmentation: Augmentation,
    pub seed: u64,
}

impl GatherProblem {
    /// Values of one image.
    fn image(&self) -> usize {
        self.h * self.w * CHANNELS
    }

    fn check(&self, state: View, out: View) -> Result<()> {
        check_len("gather", "state", state, 4)?;
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
    /// Images where the device can read them.
    type Images: Send + Sync;

    /// A number that no other images of this process have, for work that was recorded with them.
    fn identity(images: &Self::Images) -> u64;

    /// Makes `images` (u8 N H W 3) readable by the device; the CPU shares them.
    fn images(&self, images: &Bytes) -> Result<Self::Images>;

    /// out (N H W 3 in f32; where the backend stores bf16 also N H W 8, each value rounded to nearest, the
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
