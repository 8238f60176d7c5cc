//! One file of images or labels: a header of sizes, then a byte a value, gzipped or not.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use rayon::prelude::*;

use crate::data::pixels::DecodedPixels;
use crate::data::resize::Square;
use crate::data::{DecodeLimits, LoadOptions};
use crate::error::{Error, Result};

/// Most bytes of a file.
pub(super) const MOST_BYTES: u64 = 1 << 32;

/// Most that a deflate stream can grow.
const MOST_GROWTH: u64 = 1032;

/// Grey images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub count: usize,
    /// Height of each image.
    pub rows: usize,
    /// Width of each image.
    pub columns: usize,
    /// The pixels, `count rows columns` bytes.
    pub pixels: Vec<u8>,
}

impl IdxImages {
    /// Reads an images file, gzipped or not; `what` names it in errors.
    ///
    /// # Errors
    /// It is another kind of file, the sizes are beyond the limits or beyond what the file can
    /// hold, or the length is not what the sizes say. Nothing is unpacked before the sizes are
    /// checked.
    pub fn parse(bytes: &[u8], limits: DecodeLimits, what: &str) -> Result<IdxImages> {
        let mut file =
            ByteStream::open(bytes, what, [0, 0, 8, 3], "images (unsigned bytes, 3 axes)")?;
        let [count, rows, columns] = [file.axis()?, file.axis()?, file.axis()?];
        if rows.min(columns) == 0
            || rows.max(columns) > limits.side
            || rows * columns > limits.pixels
        {
            return Err(Error::invalid(
                what,
                format!("images of {columns}x{rows} pixels"),
                format!(
                    "1 to {} pixels a side and at most {} million in all",
                    limits.side,
                    limits.pixels / 1_000_000
                ),
            ));
        }
        let pixels = file.rest(count as u64 * (rows * columns) as u64)?;
        Ok(IdxImages { count, rows, columns, pixels })
    }

    /// Returns three equal channels, at the stored size or as squares of `side`.
    pub(in crate::data) fn to_rgb(&self, options: &LoadOptions) -> Result<DecodedPixels> {
        let (h, w) = (self.rows, self.columns);
        let triple = |grey: &[u8], rgb: &mut [u8]| {
            for (pixel, g) in rgb.chunks_exact_mut(3).zip(grey) {
                pixel.fill(*g);
            }
        };
        let side = options.image_size;
        let image = side.map_or(h * w * 3, |s| s * s * 3);
        let mut out = DecodedPixels::zeroed(image, self.count, options.scratch.as_deref())?;
        let each = out.par_chunks_exact_mut(image).zip(self.pixels.par_chunks_exact(h * w));
        let Some(side) = side else {
            each.for_each(|(target, grey)| triple(grey, target));
            return Ok(out);
        };
        each.try_for_each_init(
            || (Square::new(side), vec![0; h * w * 3]),
            |(square, buffer), (target, grey)| {
                triple(grey, buffer);
                square.square(buffer, (h, w), target).map_err(|reason| {
                    let found = format!("{w}x{h} pixels: {reason}");
                    Error::invalid("IDX images", found, "images that can be resized")
                })
            },
        )?;
        Ok(out)
    }
}

/// Reads a labels file, gzipped or not.
pub fn labels(bytes: &[u8], what: &str) -> Result<Vec<u8>> {
    let mut file = ByteStream::open(bytes, what, [0, 0, 8, 1], "labels (unsigned bytes, 1 axis)")?;
    let count = file.axis()?;
    file.rest(count as u64)
}

/// The content of a file, unpacked as it is read.
struct ByteStream<'a> {
    reader: Box<dyn Read + 'a>,
    /// Most bytes that the file can hold.
    most: u64,
    what: &'a str,
}

impl<'a> ByteStream<'a> {
    fn open(bytes: &'a [u8], what: &'a str, magic: [u8; 4], kind: &str) -> Result<Self> {
        let stored = bytes.len() as u64;
        let gzipped = bytes.starts_with(&[0x1f, 0x8b]);
        let (reader, most): (Box<dyn Read>, u64) = if gzipped {
            (Box::new(MultiGzDecoder::new(bytes)), stored.saturating_mul(MOST_GROWTH))
        } else {
            (Box::new(bytes), stored)
        };
        let mut stream = ByteStream { reader, most, what };
        let found = stream.word()?;
        if found != magic {
            let expected = format!("{:02x?}: {kind}", magic);
            return Err(Error::invalid(what, format!("a start of {found:02x?}"), expected));
        }
        Ok(stream)
    }

    fn word(&mut self) -> Result<[u8; 4]> {
        let mut word = [0; 4];
        self.reader.read_exact(&mut word).map_err(|e| self.damaged(&e.to_string()))?;
        Ok(word)
    }

    fn damaged(&self, reason: &str) -> Error {
        let found = format!("a damaged or truncated file ({reason})");
        Error::invalid(self.what, found, "a complete IDX file")
    }

    fn axis(&mut self) -> Result<usize> {
        Ok(u32::from_be_bytes(self.word()?) as usize)
    }

    /// Reads the `count` bytes that must be all that is left.
    fn rest(&mut self, count: u64) -> Result<Vec<u8>> {
        if count > self.most || count > MOST_BYTES {
            return Err(Error::invalid(
                self.what,
                format!("a header that announces {count} bytes"),
                format!(
                    "at most {}, which is all that the file can hold",
                    self.most.min(MOST_BYTES)
                ),
            ));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(count + 1).read_to_end(&mut bytes);
        let read = read.map_err(|e| self.damaged(&e.to_string()))? as u64;
        if read != count {
            let found = match read < count {
                true => format!("{read} bytes after the header"),
                false => format!("more than {count} bytes after the header"),
            };
            return Err(Error::invalid(self.what, found, format!("{count}, as the header says")));
        }
        Ok(bytes)
    }
}
