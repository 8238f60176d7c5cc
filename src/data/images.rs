//! Decodes many images to the pixels of one part: in parallel, in their order, and to one size.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use bytes::Bytes;
use rayon::prelude::*;

use super::decode::{Encoded, Unusable};
use super::pixels::DecodedPixels;
use super::resize::Square;
use super::{DecodeLimits, LoadOptions, Progress};
use crate::artefact::input;
use crate::artefact::sniff::{FileKind, check};
use crate::error::{Error, Result};
use crate::memory;

/// Pixels from which on an image counts in [`PixelBudget`].
const COUNTED_PIXELS: usize = 1 << 20;

/// Most bytes that a thread keeps from one image to the next.
const MOST_KEPT: usize = 1 << 24;

/// Number of images between two progress calls.
const PROGRESS_STEP: usize = 256;

/// A source of encoded images by number.
pub(super) trait Store: Sync {
    /// Puts the bytes of image `i` into `bytes`, or says why they cannot be used.
    fn read(&self, i: usize, limits: DecodeLimits, bytes: &mut Vec<u8>) -> Result<()>;

    /// Tells where image `i` lies, for messages.
    fn place(&self, i: usize) -> String;
}

/// Image files below a root.
pub(super) struct Files<'a> {
    pub root: &'a Path,
    /// Paths relative to the root.
    pub ids: &'a [String],
}

impl Files<'_> {
    fn path(&self, i: usize) -> PathBuf {
        self.root.join(&self.ids[i])
    }
}

impl Store for Files<'_> {
    fn read(&self, i: usize, limits: DecodeLimits, bytes: &mut Vec<u8>) -> Result<()> {
        input::read_into(&self.path(i), limits.file_bytes, "an image file", bytes)
    }

    fn place(&self, i: usize) -> String {
        self.path(i).display().to_string()
    }
}

/// Reads a small text file in UTF-8, of at most `most` bytes.
pub(super) fn read_text(path: &Path, most: u64) -> Result<String> {
    let mut bytes = Vec::new();
    input::read_into(path, most, "a text file", &mut bytes)?;
    check(&bytes, &path.display().to_string(), "a text file", &[FileKind::Empty])?;
    String::from_utf8(bytes).map_err(|e| {
        Error::invalid(
            path.display().to_string(),
            format!("bytes that are not UTF-8 at {}", e.utf8_error().valid_up_to()),
            "a text file in UTF-8",
        )
    })
}

/// Counts decoded images and reports every few of them.
pub(super) struct Counter<'a> {
    done: AtomicUsize,
    total: usize,
    progress: Progress<'a>,
}

impl<'a> Counter<'a> {
    /// None of `total` images is done.
    pub fn new(total: usize, progress: Progress<'a>) -> Self {
        Counter { done: AtomicUsize::new(0), total, progress }
    }

    fn one(&self) {
        let n = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if n.is_multiple_of(PROGRESS_STEP) || n == self.total {
            (self.progress)(n, self.total);
        }
    }
}

/// Decodes images to one size.
pub(super) struct Decoder<'a> {
    /// Height and width of every image in memory.
    size: (usize, usize),
    square: Option<usize>,
    limits: DecodeLimits,
    /// The folder where decoded images go, if not to memory.
    scratch: Option<PathBuf>,
    /// The image whose size all images must have.
    first: String,
    counter: Counter<'a>,
    budget: PixelBudget,
}

/// Pixels that all threads together may be decoding: as many as the largest image may have.
struct PixelBudget {
    all: usize,
    left: Mutex<usize>,
    given_back: Condvar,
}

/// Pixels of an image that is being decoded.
struct TakenPixels<'a> {
    budget: &'a PixelBudget,
    pixels: usize,
}

impl PixelBudget {
    fn new(all: usize) -> Self {
        PixelBudget { all, left: Mutex::new(all), given_back: Condvar::new() }
    }

    /// Waits until there is room for an image. Images that are small anyway are not counted.
    fn take(&self, pixels: usize) -> Option<TakenPixels<'_>> {
        if pixels < COUNTED_PIXELS {
            return None;
        }
        let pixels = pixels.min(self.all);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self
            .given_back
            .wait_while(left, |left| *left < pixels)
            .unwrap_or_else(PoisonError::into_inner);
        *left -= pixels;
        Some(TakenPixels { budget: self, pixels })
    }
}

impl Drop for TakenPixels<'_> {
    fn drop(&mut self) {
        *self.budget.left.lock().unwrap_or_else(PoisonError::into_inner) += self.pixels;
        self.budget.given_back.notify_all();
    }
}

/// What a thread reuses from one image to the next.
struct DecodeScratch {
    file: Vec<u8>,
    rgb: Vec<u8>,
    square: Option<Square>,
}

impl DecodeScratch {
    /// Gives back what a large image needed: the next ones, on all threads, may be small.
    fn forget_large(&mut self) {
        for bytes in [&mut self.file, &mut self.rgb] {
            if bytes.capacity() > MOST_KEPT {
                *bytes = Vec::new();
            }
        }
    }
}

impl<'a> Decoder<'a> {
    /// Makes a decoder for the size that `options` ask for, or else for that of the first image of
    /// `store`.
    pub fn new(store: &dyn Store, options: &LoadOptions, counter: Counter<'a>) -> Result<Self> {
        let first = store.place(0);
        let size = match options.image_size {
            Some(side) => (side, side),
            None => {
                let mut bytes = Vec::new();
                store.read(0, options.limits, &mut bytes)?;
                let image = Encoded::new(&bytes, options.limits)
                    .map_err(|u| Error::invalid(&first, u.found, u.expected))?;
                (image.height, image.width)
            }
        };
        Ok(Decoder { first, ..Self::of_size(size, options, counter) })
    }

    /// Makes a decoder for a size that is known.
    pub fn of_size(size: (usize, usize), options: &LoadOptions, counter: Counter<'a>) -> Self {
        let (square, limits) = (options.image_size, options.limits);
        let scratch = options.scratch.clone();
        let (first, budget) = ("the data set".to_owned(), PixelBudget::new(limits.pixels));
        Decoder { size, square, limits, scratch, first, counter, budget }
    }

    /// Returns height and width of every image in memory.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Returns the number of bytes of an image in memory.
    pub fn bytes(&self) -> usize {
        self.size.0 * self.size.1 * 3
    }

    /// Returns the pixels of images 0..count of `store`, or the first failure in their order,
    /// whatever thread met it.
    pub fn all(&self, store: &dyn Store, count: usize) -> Result<Bytes> {
        let mut images = self.room(count)?;
        self.fill(store, &mut images)?;
        images.freeze()
    }

    /// Makes room for `count` images.
    pub fn room(&self, count: usize) -> Result<DecodedPixels> {
        DecodedPixels::zeroed(self.bytes(), count, self.scratch.as_deref())
    }

    /// Decodes into `images`, which has room for as many images as are to be decoded.
    pub fn fill(&self, store: &dyn Store, images: &mut [u8]) -> Result<()> {
        let scratch = || DecodeScratch {
            file: Vec::new(),
            rgb: Vec::new(),
            square: self.square.map(Square::new),
        };
        let failure = images
            .par_chunks_exact_mut(self.bytes())
            .enumerate()
            .map_init(scratch, |scratch, (i, slot)| {
                let result = self.one(store, i, scratch, slot);
                scratch.forget_large();
                self.counter.one();
                result.err()
            })
            .find_map_first(|failure| failure);
        failure.map_or(Ok(()), Err)
    }

    fn one(
        &self,
        store: &dyn Store,
        i: usize,
        scratch: &mut DecodeScratch,
        slot: &mut [u8],
    ) -> Result<()> {
        store.read(i, self.limits, &mut scratch.file)?;
        let unusable = |u: Unusable| Error::invalid(store.place(i), u.found, u.expected);
        let image = Encoded::new(&scratch.file, self.limits).map_err(unusable)?;
        let size = (image.height, image.width);
        let _room = self.budget.take(size.0 * size.1);
        let Some(square) = &mut scratch.square else {
            if size != self.size {
                return Err(Error::invalid(
                    store.place(i),
                    format!("{}x{} pixels", size.1, size.0),
                    format!(
                        "{}x{} as in {}; `image_size` S brings images of several sizes to S x S",
                        self.size.1, self.size.0, self.first
                    ),
                ));
            }
            return image.decode(slot).map_err(unusable);
        };
        let bytes = size.0 * size.1 * 3;
        scratch.rgb.clear();
        memory::reserve(&mut scratch.rgb, bytes)?;
        scratch.rgb.resize(bytes, 0);
        image.decode(&mut scratch.rgb).map_err(unusable)?;
        square.square(&scratch.rgb, size, slot).map_err(|reason| {
            let found = format!("{}x{} pixels: {reason}", size.1, size.0);
            Error::invalid(store.place(i), found, "an image that can be resized")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_the_pixels_of_one_large_image() {
        let budget = PixelBudget::new(3 * COUNTED_PIXELS);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for i in 0..8 {
                let (budget, now, most) = (&budget, &now, &most);
                scope.spawn(move || {
                    for n in 0..20 {
                        let pixels = (1 + (i + n) % 3) * COUNTED_PIXELS;
                        let _room = budget.take(pixels);
                        most.fetch_max(
                            now.fetch_add(pixels, Ordering::SeqCst) + pixels,
                            Ordering::SeqCst,
                        );
                        std::thread::yield_now();
                        now.fetch_sub(pixels, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3 * COUNTED_PIXELS);
        assert!(
            budget.take(usize::MAX).is_some(),
            "one image beyond the limit waits for nothing else"
        );
        assert!(budget.take(COUNTED_PIXELS - 1).is_none());
    }
}
