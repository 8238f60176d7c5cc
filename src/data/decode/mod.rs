//! Decodes one image file to RGB bytes: JPEG, PNG, WebP, BMP, GIF, TIFF or a portable map, recognised by content.
//!
//! Pixels are those of Pillow's `convert("RGB")`, which torchvision's loader uses, bit for bit: alpha is
//! dropped, grey and palettes are expanded, 16 bits keep the high byte, CMYK is taken as Adobe's inverted
//! form. One difference is deliberate: Pillow keeps min(v, 255) of 16-bit grey, which is almost all
//! white, and this decoder keeps the high byte there too. EXIF orientation is ignored, as it is by
//! the loader.

mod containers;
mod jpeg;
mod others;
mod png;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageFormat;

use self::jpeg::Jpeg;
use super::options::DecodeLimits;
use crate::artefact::sniff::FileKind;
use crate::error::{Error, Result};
use crate::memory;

/// Decodes one image file to its height, its width and `height width 3` bytes; `what` names
/// the file in errors.
pub fn decode_image(
    bytes: &[u8],
    limits: DecodeLimits,
    what: &str,
) -> Result<(usize, usize, Vec<u8>)> {
    let unusable = |u: Unusable| Error::invalid(what, u.found, u.expected);
    let image = Encoded::new(bytes, limits).map_err(unusable)?;
    let (height, width) = (image.height, image.width);
    let mut rgb = memory::filled(0, height * width * 3)?;
    image.decode(&mut rgb).map_err(unusable)?;
    Ok((height, width, rgb))
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
    kind: ImageKind<'a>,
    pub width: usize,
    pub height: usize,
    limits: DecodeLimits,
}

enum ImageKind<'a> {
    Jpeg(Jpeg<'a>),
    Png,
    Other(ImageFormat),
}

impl<'a> Encoded<'a> {
    /// Reads the header and checks kind, size and limits; nothing is decoded yet.
    pub fn new(bytes: &'a [u8], limits: DecodeLimits) -> Result<Self, Unusable> {
        let (kind, (width, height)) = if bytes.starts_with(&[0xff, 0xd8]) {
            let jpeg = guarded("JPEG", || Jpeg::open(bytes))?;
            let size = jpeg.size();
            (ImageKind::Jpeg(jpeg), size)
        } else if bytes.starts_with(png::SIGNATURE) {
            (ImageKind::Png, guarded("PNG", || png::size(bytes))?)
        } else if let Some(format) = others::format_of(bytes) {
            let size = guarded(others::name(format), || others::size(bytes, format))?;
            (ImageKind::Other(format), size)
        } else {
            let expected = "a JPEG, PNG, WebP, BMP, GIF or TIFF image";
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
    pub fn decode(self, rgb: &mut [u8]) -> Result<(), Unusable> {
        if rgb.len() != self.width * self.height * 3 {
            return Err(Unusable::new(format!("{} bytes", rgb.len()), "width * height * 3"));
        }
        let (bytes, limits) = (self.bytes, self.limits);
        match self.kind {
            ImageKind::Jpeg(mut jpeg) => guarded("JPEG", || jpeg.decode(rgb)),
            ImageKind::Png => guarded("PNG", || png::decode(bytes, rgb)),
            ImageKind::Other(format) => {
                guarded(others::name(format), || others::decode(bytes, format, limits, rgb))
            }
        }
    }
}

/// Does what a decoder of `kind` does. Decoders are meant not to panic; a hostile file that finds a hole in
/// one is still reported by name instead of ending the program.
fn guarded<T>(kind: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, Unusable> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err("its decoder failed".to_owned())).map_err(|reason| {
        Unusable::new(format!("a damaged {kind} file ({reason})"), format!("a valid {kind} file"))
    })
}

/// Says what some bytes look like that are no image which is read.
fn describe(bytes: &[u8]) -> String {
    let known: [(&[u8], &str); 2] =
        [(b"RIFF", "a RIFF file that is no WebP image"), (b"<", "a text file (perhaps HTML)")];
    if bytes.get(4..8) == Some(b"ftyp") {
        return "an image or film in a box format (perhaps AVIF or HEIC)".to_owned();
    }
    match known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, name)) => (*name).to_owned(),
        None => {
            let start: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
            format!("a file of {} bytes that starts with {}", bytes.len(), start.join(" "))
        }
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
        let text = include_str!("../../../tests/golden/readers/pixels.json");
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
                let is_png = case.file.starts_with(png::SIGNATURE);
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
            (b"GIF89a", "a damaged GIF file"),
            (b"\0\0\0\x1cftypavif", "perhaps AVIF"),
            (b"<!DOCTYPE html>", "an HTML page"),
            (b"\x01\x02", "2 bytes that starts with 01 02"),
        ] {
            assert!(decode(bytes).unwrap_err().found.contains(expected), "{bytes:?}");
        }
    }
}
