//! Data sets as files: the built-in sets in other people's formats, and what a subset keeps of a set.

pub mod make;
pub mod shards;
pub mod tree;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::{Error, Result};

/// Encodes pixels (`H W 3`) as a PNG file. The same pixels give the same bytes.
fn png(pixels: &[u8], (height, width): (usize, usize)) -> Result<Vec<u8>> {
    let side = |n: usize| {
        u32::try_from(n).map_err(|_| Error::Internal(format!("an image of {n} pixels a side")))
    };
    let mut out = Vec::new();
    PngEncoder::new(&mut out)
        .write_image(pixels, side(width)?, side(height)?, ExtendedColorType::Rgb8)
        .map_err(|e| Error::Internal(format!("an image could not be packed: {e}")))?;
    Ok(out)
}
