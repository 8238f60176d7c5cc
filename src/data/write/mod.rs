//! Data sets as files: the built-in sets in other people's formats, and what a subset keeps of a set.

pub mod make;
pub mod shards;
pub mod tree;

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use crate::error::{Error, Result};

/// Encodes pixels (`H W 3`) as a PNG file, quickly packed. The same pixels give the same bytes.
fn png(pixels: &[u8], size: (usize, usize)) -> Result<Vec<u8>> {
    packed(pixels, size, Compression::Fast)
}

/// Encodes pixels (`H W 3`) as a PNG file, packed with this effort.
pub(crate) fn packed(
    pixels: &[u8],
    (height, width): (usize, usize),
    effort: Compression,
) -> Result<Vec<u8>> {
    let side = |n: usize| {
        u32::try_from(n).map_err(|_| Error::Internal(format!("an image of {n} pixels a side")))
    };
    let failed = |e| Error::Internal(format!("an image could not be packed: {e}"));
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, side(width)?, side(height)?);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(effort);
    encoder.set_filter(Filter::Adaptive);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}
