//! Decodes one image file to RGB bytes: JPEG or PNG, recognised by content.
//!
//! Colours follow Pillow's `convert("RGB")`, which torchvision's loader uses: alpha is dropped,
//! grey and palettes are expanded, 16 bits keep the high byte, CMYK is taken as Adobe's inverted
//! form. One difference is deliberate: Pillow keeps min(v, 255) of 16-bit grey, which is almost all
//! white, and this decoder keeps the high byte there too. EXIF orientation is ignored, as it is by
//! the loader. JPEG pixels may differ from libjpeg's by a few units where chroma is subsampled or
//! the transform rounds.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use png::{ColorType, DecodingError};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::DecodeLimits;
use crate::artefact::sniff::FileKind;
use crate::error::{Error, Result};

/// Decodes one JPEG or PNG file to its height, its width and `height width 3` bytes; `what` names
/// the file in errors.
pub fn decode_image(
    bytes: &[u8],
    limits: DecodeLimits,
    what: &str,
) -> Result<(usize, usize, Vec<u8>)> {
    let unusable = |u: Unusable| Error::invalid(what, u.found, u.expected);
    let image = Encoded::new(bytes, limits).map_err(unusable)?;
    let mut rgb = vec![0; image.width * image.height * 3];
    image.decode(&mut rgb).map_err(unusable)?;
    Ok((image.height, image.width, rgb))
}

/// Why a file is not an image that can be used: what was found, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub found: String,
    pub expected: String,
}

impl Unusable {
    fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Unusable { found: found.into(), expected: expected.into() }
    }
}

/// An image file in memory whose size is known and within the limits.
pub(super) struct Encoded<'a> {
    bytes: &'a [u8],
    kind: ImageKind,
    pub width: usize,
    pub height: usize,
    limits: DecodeLimits,
}

#[derive(Clone, Copy)]
enum ImageKind {
    Jpeg { stray: bool },
    Png,
}

impl<'a> Encoded<'a> {
    /// Reads the header and checks kind, size and limits; nothing is decoded yet.
    pub fn new(bytes: &'a [u8], limits: DecodeLimits) -> Result<Self, Unusable> {
        let (kind, width, height) = if bytes.starts_with(&[0xff, 0xd8]) {
            let header = JpegHeader::read(bytes)?;
            (ImageKind::Jpeg { stray: header.stray }, header.width, header.height)
        } else if bytes.starts_with(PNG_SIGNATURE) {
            let (width, height) = png_size(bytes)?;
            (ImageKind::Png, width, height)
        } else {
            let expected = "a JPEG or PNG image";
            return Err(FileKind::of(bytes).map_or_else(
                || Unusable::new(describe(bytes), expected),
                |kind| Unusable::new(kind.name(), kind.expecting(expected)),
            ));
        };
        if width == 0 || height == 0 {
            return Err(Unusable::new(format!("{width}x{height} pixels"), "at least 1x1 pixels"));
        }
        if width.max(height) > limits.side || width.saturating_mul(height) > limits.pixels {
            return Err(Unusable::new(
                format!("{width}x{height} pixels"),
                format!(
                    "at most {} pixels a side and {} million in all",
                    limits.side,
                    limits.pixels / 1_000_000
                ),
            ));
        }
        Ok(Encoded { bytes, kind, width, height, limits })
    }

    /// Decodes to `height width 3` bytes, which must be the length of `rgb`.
    pub fn decode(&self, rgb: &mut [u8]) -> Result<(), Unusable> {
        if rgb.len() != self.width * self.height * 3 {
            return Err(Unusable::new(format!("{} bytes", rgb.len()), "width * height * 3"));
        }
        // The decoders are meant not to panic. A hostile file that finds a hole in one is still
        // reported by name instead of ending the program.
        let decoded = catch_unwind(AssertUnwindSafe(|| match self.kind {
            ImageKind::Jpeg { stray } => decode_jpeg(self.bytes, self.limits, stray, rgb),
            ImageKind::Png => decode_png(self.bytes, self.limits, rgb),
        }));
        let kind = match self.kind {
            ImageKind::Jpeg { .. } => "JPEG",
            ImageKind::Png => "PNG",
        };
        decoded.unwrap_or_else(|_| Err("its decoder failed".to_owned())).map_err(|reason| {
            Unusable::new(
                format!("a damaged {kind} file ({reason})"),
                format!("a valid {kind} file"),
            )
        })
    }
}

/// Says what some bytes look like that are neither JPEG nor PNG.
fn describe(bytes: &[u8]) -> String {
    let known: [(&[u8], &str); 8] = [
        (b"GIF8", "a GIF image"),
        (b"BM", "a BMP image"),
        (b"RIFF", "a RIFF (perhaps WebP) file"),
        (b"II*\0", "a TIFF image"),
        (b"MM\0*", "a TIFF image"),
        (b"<", "a text file (perhaps HTML)"),
        (b"P5", "a PGM image"),
        (b"P6", "a PPM image"),
    ];
    match known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, name)) => (*name).to_owned(),
        None => {
            let start: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
            format!("a file of {} bytes that starts with {}", bytes.len(), start.join(" "))
        }
    }
}

/// What the segments before the first scan say.
struct JpegHeader {
    width: usize,
    height: usize,
    /// Whether there are bytes that belong to no segment. libjpeg skips them, but the strict
    /// decoder would not.
    stray: bool,
}

impl JpegHeader {
    /// Walks the segments up to the first scan, and looks for the end marker behind it.
    fn read(bytes: &[u8]) -> Result<JpegHeader, Unusable> {
        let damaged = |what: &str| {
            Unusable::new(format!("a damaged JPEG file ({what})"), "a valid JPEG file")
        };
        let word = |at: usize| {
            let pair = bytes.get(at..at + 2)?;
            Some(usize::from(u16::from_be_bytes([pair[0], pair[1]])))
        };
        let (mut at, mut stray, mut frame) = (2, false, None);
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let skipped = rest.iter().position(|&b| b == 0xff);
            let skipped = skipped.ok_or_else(|| damaged("it ends in its header"))?;
            stray |= skipped > 0;
            at += skipped;
            // Fill bytes before a marker are legal.
            let fill = bytes[at..].iter().take_while(|&&b| b == 0xff).count();
            at += fill;
            let marker = *bytes.get(at).ok_or_else(|| damaged("it ends in its header"))?;
            at += 1;
            if marker == 0 {
                stray = true;
                continue;
            }
            let length = word(at).ok_or_else(|| damaged("it ends in its header"))?;
            match marker {
                0xc0..=0xc2 => {
                    let (height, width) = (word(at + 3), word(at + 5));
                    let parts = bytes.get(at + 7).copied().unwrap_or(0);
                    if !matches!(parts, 1 | 3 | 4) {
                        return Err(damaged(&format!("{parts} colour components")));
                    }
                    frame = width.zip(height);
                }
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(Unusable::new(
                        format!("a JPEG file of process {}", marker - 0xc0),
                        "a baseline or progressive Huffman-coded JPEG file",
                    ));
                }
                0xd9 => return Err(damaged("it ends before its image")),
                0xda => break,
                _ => {}
            }
            at += length.max(2);
        }
        // Inside coded data ff is followed by 00, so that ff d9 behind the header is the end
        // marker.
        let scans = bytes.get(at..).unwrap_or_default();
        if !scans.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
            return Err(damaged("truncated: no end-of-image marker"));
        }
        let (width, height) = frame.ok_or_else(|| damaged("no frame header"))?;
        Ok(JpegHeader { width, height, stray })
    }
}

fn decode_jpeg(
    bytes: &[u8],
    limits: DecodeLimits,
    stray: bool,
    rgb: &mut [u8],
) -> Result<(), String> {
    let options = DecoderOptions::default()
        .set_strict_mode(!stray)
        .set_max_width(limits.side)
        .set_max_height(limits.side)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    if decoder.output_buffer_size() != Some(rgb.len()) {
        return Err("two frame headers".to_owned());
    }
    decoder.decode_into(rgb).map_err(|e| e.to_string())
}

const PNG_SIGNATURE: &[u8] = &[0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// Returns width and height from the first chunk.
fn png_size(bytes: &[u8]) -> Result<(usize, usize), Unusable> {
    let damaged =
        |what: &str| Err(Unusable::new(format!("a damaged PNG file ({what})"), "a valid PNG file"));
    if !bytes.windows(4).rev().any(|name| name == b"IEND") {
        return damaged("truncated: no end chunk");
    }
    match bytes.get(12..24) {
        Some([b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3]) => Ok((
            u32::from_be_bytes([*w0, *w1, *w2, *w3]) as usize,
            u32::from_be_bytes([*h0, *h1, *h2, *h3]) as usize,
        )),
        _ => damaged("no header chunk"),
    }
}

fn decode_png(bytes: &[u8], limits: DecodeLimits, rgb: &mut [u8]) -> Result<(), String> {
    // There is room for rows, palette and text, but compressed text chunks must not blow up.
    let room = usize::try_from(limits.file_bytes.max(1 << 20)).unwrap_or(usize::MAX);
    let mut decoder =
        png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: room });
    // Palettes and grey of few bits become whole bytes, and 16 bits stay.
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(png_reason)?;
    let (color, depth) = reader.output_color_type();
    // Samples of 16 bits start with their high byte, which is the one that is kept.
    let bytes = if depth == png::BitDepth::Sixteen { 2 } else { 1 };
    if (color, bytes) == (ColorType::Rgb, 1) {
        return reader.next_frame(rgb).map(drop).map_err(png_reason);
    }
    let picks = match color {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => [0; 3],
        ColorType::Rgb | ColorType::Rgba => [0, bytes, 2 * bytes],
        ColorType::Indexed => return Err(format!("pixel format {color:?}")),
    };
    let pixel = color.samples() * bytes;
    let mut raw = vec![0; rgb.len() / 3 * pixel];
    reader.next_frame(&mut raw).map_err(png_reason)?;
    for (out, raw) in rgb.chunks_exact_mut(3).zip(raw.chunks_exact(pixel)) {
        out.copy_from_slice(&picks.map(|p| raw[p]));
    }
    Ok(())
}

/// What the PNG decoder met, for people.
fn png_reason(error: DecodingError) -> String {
    match error {
        DecodingError::IoError(error) => error.to_string(),
        DecodingError::Format(_) => format!("Format error decoding Png: {error}"),
        DecodingError::Parameter(_) => format!("The parameter is malformed: {error}"),
        DecodingError::LimitsExceeded => "Memory limit exceeded".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Philox, Stream};

    struct Case {
        name: String,
        file: Vec<u8>,
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    fn cases() -> Vec<Case> {
        let text = include_str!("../../tests/golden/readers/pixels.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        cases
            .iter()
            .map(|c| Case {
                name: c["name"].as_str().unwrap().to_owned(),
                file: bytes(c["file"].as_str().unwrap()),
            })
            .collect()
    }

    /// Decodes within tight limits; `Ok` holds the pixels.
    fn decode(file: &[u8]) -> Result<Vec<u8>, Unusable> {
        let limits = DecodeLimits { side: 256, pixels: 1 << 16, file_bytes: 1 << 20 };
        let image = Encoded::new(file, limits)?;
        let mut rgb = vec![0; image.width * image.height * 3];
        image.decode(&mut rgb)?;
        Ok(rgb)
    }

    #[test]
    fn every_truncation_is_an_error() {
        for case in cases() {
            decode(&case.file).unwrap_or_else(|e| panic!("{}: {e:?}", case.name));
            for length in 0..case.file.len() {
                // If only the checksum of a PNG's last chunk is cut off, nothing of the image is
                // lost.
                let is_png = case.file.starts_with(PNG_SIGNATURE);
                if is_png && length >= case.file.len() - 4 {
                    continue;
                }
                let result = decode(&case.file[..length]);
                assert!(result.is_err(), "{} cut to {length} bytes", case.name);
            }
        }
    }

    #[test]
    fn mutated_bytes_never_panic_and_never_pass_the_limits() {
        let philox = Philox::new(5, Stream::Ties);
        for (c, case) in cases().iter().enumerate() {
            let mut random = philox.sequence(c as u64);
            for _ in 0..400 {
                let mut file = case.file.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(file.len() as u32) as usize;
                    file[at] = random.next_u32() as u8;
                }
                match decode(&file) {
                    Ok(rgb) => assert!(rgb.len() <= 3 << 16),
                    Err(e) => assert!(
                        !e.found.contains("its decoder failed"),
                        "{}: the decoder panicked",
                        case.name
                    ),
                }
            }
        }
    }

    #[test]
    fn bytes_behind_the_end_and_between_segments_do_no_harm() {
        let jpeg = &cases().into_iter().find(|c| c.name == "grey.jpg").unwrap().file;
        let expected = decode(jpeg).unwrap();
        assert_eq!(decode(&[jpeg.as_slice(), b"more"].concat()).unwrap(), expected);
        let length = usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
        let (head, tail) = jpeg.split_at(4 + length);
        assert_eq!(decode(&[head, b"stray bytes", tail].concat()).unwrap(), expected);
    }

    #[test]
    fn sizes_beyond_the_limits_are_refused_before_decoding() {
        let mut png = cases().into_iter().find(|c| c.name == "rgb.png").unwrap().file;
        png[16..20].copy_from_slice(&300u32.to_be_bytes());
        let error = decode(&png).unwrap_err();
        assert_eq!(error.found, "300x11 pixels");
        assert!(error.expected.contains("256"), "{error:?}");
        png[16..24].fill(0xff);
        assert!(decode(&png).unwrap_err().found.contains("4294967295x4294967295"));
        png[16..24].fill(0);
        assert!(decode(&png).unwrap_err().found.contains("0x0"));
    }

    #[test]
    fn what_is_no_image_is_described() {
        for (bytes, expected) in [
            (&b""[..], "an empty file"),
            (b"GIF89a", "a GIF image"),
            (b"<!DOCTYPE html>", "an HTML page"),
            (b"\x01\x02", "2 bytes that starts with 01 02"),
        ] {
            assert!(decode(bytes).unwrap_err().found.contains(expected), "{bytes:?}");
        }
    }
}
