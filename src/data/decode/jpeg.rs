//! JPEG files, by libjpeg-turbo-rs: pixels are those of libjpeg-turbo, bit for bit. What it cannot read
//! (chroma of higher resolution than luma, baseline scans of two of three components, subsampled CMYK) is
//! refused.

use std::panic::catch_unwind;

use libjpeg_turbo_rs::{
    DecodeLimits as JpegLimits, DecodeWarning, Decoder as JpegDecoder, PixelFormat,
};

use super::unusable::Unusable;
use crate::data::options::DecodeLimits;

/// Most scans of a progressive JPEG file. Real ones have up to a dozen; each costs a walk over all
/// coefficients, so that thousands would take hours for one small file.
const MOST_SCANS: usize = 200;

/// Bytes that decoding may take for each pixel: coefficients, planes and output of the costliest kind.
const BYTES_PER_PIXEL: u64 = 16;

/// A decoder that has read the segments up to the first scan.
fn decoder<'a>(bytes: &'a [u8], limits: JpegLimits) -> Result<JpegDecoder<'a>, String> {
    let decoder =
        JpegDecoder::new_with_limits(bytes, JpegLimits { max_scans: MOST_SCANS, ..limits });
    decoder.map_err(|e| e.to_string())
}

/// Returns width and height from the frame header.
pub(super) fn size(bytes: &[u8]) -> Result<(usize, usize), Unusable> {
    let damaged =
        |what: &str| Unusable::new(format!("a damaged JPEG file ({what})"), "a valid JPEG file");
    // The decoder is meant not to panic, here as below.
    let size = catch_unwind(|| {
        let decoder = decoder(bytes, JpegLimits::default())?;
        let header = decoder.header();
        let mut sampling =
            header.components.iter().map(|c| (c.horizontal_sampling, c.vertical_sampling));
        let first = sampling.next();
        if header.components.len() == 4 && sampling.any(|s| Some(s) != first) {
            return Err("four components of unlike sampling, which cannot be read".to_owned());
        }
        Ok((usize::from(header.width), usize::from(header.height)))
    });
    let size = size.unwrap_or_else(|_| Err("its decoder failed".to_owned()));
    let size = size.map_err(|reason| damaged(&reason))?;
    // libjpeg fills in what is missing. Inside coded data ff is followed by 00, so that ff d9 is the end.
    if !bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
        return Err(damaged("truncated: no end-of-image marker"));
    }
    Ok(size)
}

/// Decodes to `height width 3` bytes, the length of `rgb`.
pub(super) fn decode(bytes: &[u8], limits: DecodeLimits, rgb: &mut [u8]) -> Result<(), String> {
    let pixels = rgb.len() as u64 / 3;
    let mut decoder = decoder(
        bytes,
        JpegLimits {
            max_width: limits.side,
            max_height: limits.side,
            max_pixels: limits.pixels as u64,
            max_memory: Some((pixels * BYTES_PER_PIXEL).max(1 << 20)),
            ..JpegLimits::default()
        },
    )?;
    decoder.set_output_format(PixelFormat::Rgb);
    // As libjpeg does where the scans of a progressive file leave coefficients out.
    decoder.set_block_smoothing(true);
    let needed = decoder.output_buffer_size().map_err(|e| e.to_string())?;
    if needed != rgb.len() {
        return Err("two frame headers".to_owned());
    }
    let decoded = decoder.decode_image_into(rgb).map_err(|e| e.to_string())?;
    // libjpeg goes on with grey where coded data are damaged. Bytes between segments lose nothing.
    let harmless = |w: &&DecodeWarning| matches!(w, DecodeWarning::ExtraneousData { .. });
    match decoded.warnings.iter().find(|w| !harmless(w)) {
        None => Ok(()),
        Some(warning) => Err(warning.to_string()),
    }
}
