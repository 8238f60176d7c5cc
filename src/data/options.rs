//! How a data set is read: the caller's choices, and what is reported on the way.

use std::path::PathBuf;

use super::format::Format;

/// A progress callback, which gets the images done and the images in all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Bounds that are checked before anything is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest side of a stored image, in pixels.
    pub side: usize,
    /// Most pixels of a stored image.
    pub pixels: usize,
    /// Most bytes of one image file.
    pub file_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits { side: 16_384, pixels: 100_000_000, file_bytes: 1 << 29 }
    }
}

/// How to read a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The format; `None` looks at the path.
    pub format: Option<Format>,
    /// Side S of the images in memory: the short side is resized to S, the centre S x S is kept.
    /// `None` keeps the stored size, which must then be the same for all images.
    pub image_size: Option<usize>,
    /// Data seed of the built-in sets; without effect on stored ones.
    pub seed: u64,
    /// Bounds on what is decoded.
    pub limits: DecodeLimits,
    /// A folder where decoded images lie in a mapped file without a name, for sets beyond memory;
    /// `None` keeps them in memory. It has no effect on the built-in sets and CIFAR, which fit.
    pub scratch: Option<PathBuf>,
}
