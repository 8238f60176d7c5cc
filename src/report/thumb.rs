//! Small pictures inside the page.

use image::{RgbImage, imageops};

use crate::data::write::packed;
use crate::data::{DataSet, PartName};

/// Longest side of a picture on the page; larger pictures are reduced.
const LARGEST: u32 = 96;

/// A picture of one sample: interleaved RGB rows.
#[derive(Clone, Debug)]
pub struct Thumb {
    /// Columns of the picture.
    pub width: usize,
    /// Rows of the picture.
    pub height: usize,
    /// The pixels, `height * width * 3` values.
    pub rgb: Vec<u8>,
}

impl Thumb {
    /// The picture of a training sample; None beyond the last one.
    pub fn of(data: &DataSet, position: usize) -> Option<Thumb> {
        Thumb::of_part(data, PartName::Train, position)
    }

    /// The picture of a sample of any part; None beyond the last one.
    pub fn of_part(data: &DataSet, part: PartName, position: usize) -> Option<Thumb> {
        let part = data.part(part).filter(|part| position < part.len())?;
        let rgb = part.image(position).to_vec();
        Some(Thumb { width: data.width, height: data.height, rgb })
    }

    /// Returns the picture as a `data:` address of a PNG; `None` if its size and its values do not
    /// agree.
    pub(super) fn data_url(&self) -> Option<String> {
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        let picture = RgbImage::from_raw(width, height, self.rgb.clone())?;
        if width == 0 || height == 0 || self.rgb.len() != self.width * self.height * 3 {
            return None;
        }
        let picture = if width.max(height) > LARGEST {
            let scale = f64::from(LARGEST) / f64::from(width.max(height));
            let side = |s: u32| ((f64::from(s) * scale).round() as u32).max(1);
            imageops::thumbnail(&picture, side(width), side(height))
        } else {
            picture
        };
        let size = (picture.height() as usize, picture.width() as usize);
        let file = packed(picture.as_raw(), size, png::Compression::High).ok()?;
        Some(format!("data:image/png;base64,{}", base64(&file)))
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { digit as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_standard() {
        // The examples are those of RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn pictures_are_checked_and_reduced() {
        let thumb = |width, height, n| Thumb { width, height, rgb: vec![120; n] };
        assert!(thumb(2, 3, 18).data_url().is_some());
        for bad in [thumb(2, 3, 17), thumb(2, 3, 19), thumb(0, 3, 0), thumb(usize::MAX, 1, 3)] {
            assert!(bad.data_url().is_none());
        }
        let large = thumb(400, 200, 240_000).data_url().unwrap();
        assert!(large.len() < 2_000, "{} bytes", large.len());
    }
}
