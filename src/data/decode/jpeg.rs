//! JPEG files, by libjpeg-turbo-rs: pixels are those of libjpeg-turbo, bit for bit. What it cannot read
//! (chroma of higher resolution than luma, baseline scans of two of three components, subsampled CMYK) is
//! refused.

use libjpeg_turbo_rs::{
    DecodeLimits as JpegLimits, DecodeWarning, Decoder as JpegDecoder, PixelFormat,
};

/// Most scans of a progressive JPEG file. Real ones have about a dozen; each costs a walk over all
/// coefficients, however small the file is.
const MOST_SCANS: usize = 200;

/// Bytes that decoding may take for each pixel: coefficients, planes and output of the costliest kind; and
/// in any case.
const BYTES_PER_PIXEL: usize = 16;
const LEAST_BYTES: usize = 1 << 20;

/// A file whose segments up to the first scan have been read.
pub(super) struct Jpeg<'a>(Box<JpegDecoder<'a>>);

impl<'a> Jpeg<'a> {
    /// Reads the segments of a whole file. The decoder is kept, since small images take as long to open as
    /// to decode.
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let limits = JpegLimits { max_scans: MOST_SCANS, ..JpegLimits::default() };
        let mut decoder = JpegDecoder::new_with_limits(bytes, limits).map_err(|e| e.to_string())?;
        let parts = &decoder.header().components;
        let mut sampling = parts.iter().map(|c| (c.horizontal_sampling, c.vertical_sampling));
        let first = sampling.next();
        // Its decoder panics on them.
        if parts.len() == 4 && sampling.any(|s| Some(s) != first) {
            return Err("four components of unlike sampling, which cannot be read".to_owned());
        }
        // libjpeg fills in what is missing. Inside coded data ff is followed by 00, so that ff d9 is the end.
        if !bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
            return Err("truncated: no end-of-image marker".to_owned());
        }
        decoder.set_output_format(PixelFormat::Rgb);
        // As libjpeg does where the scans of a progressive file leave coefficients out.
        decoder.set_block_smoothing(true);
        Ok(Jpeg(Box::new(decoder)))
    }

    /// Returns width and height from the frame header.
    pub fn size(&self) -> (usize, usize) {
        let header = self.0.header();
        (usize::from(header.width), usize::from(header.height))
    }

    /// Decodes to `height width 3` bytes, the length of `rgb`.
    pub fn decode(&mut self, rgb: &mut [u8]) -> Result<(), String> {
        let pixels = rgb.len() / 3;
        self.0.set_max_memory((pixels * BYTES_PER_PIXEL).max(LEAST_BYTES));
        let needed = self.0.output_buffer_size().map_err(|e| e.to_string())?;
        if needed != rgb.len() {
            return Err("two frame headers".to_owned());
        }
        let decoded = self.0.decode_image_into(rgb).map_err(|e| e.to_string())?;
        // libjpeg goes on with grey where coded data are damaged. Bytes between segments lose nothing.
        let harmless = |w: &&DecodeWarning| matches!(w, DecodeWarning::ExtraneousData { .. });
        match decoded.warnings.iter().find(|w| !harmless(w)) {
            None => Ok(()),
            Some(warning) => Err(warning.to_string()),
        }
    }
}
