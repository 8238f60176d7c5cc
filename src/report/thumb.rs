//! Small pictures inside the page.

use std::borrow::Cow;

use crate::data::write::packed;

/// Longest side of a picture on the page; larger pictures are reduced.
const LARGEST: usize = 96;

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
    /// Returns the picture as a `data:` address of a PNG; `None` if its size and its values do not
    /// agree.
    pub(super) fn data_url(&self) -> Option<String> {
        let (width, height) = (self.width, self.height);
        let values = width.checked_mul(height)?.checked_mul(3)?;
        if values == 0 || self.rgb.len() != values {
            return None;
        }
        let longest = width.max(height);
        let (size, rgb) = if longest > LARGEST {
            let scale = LARGEST as f64 / longest as f64;
            let side = |s: usize| ((s as f64 * scale).round() as usize).max(1);
            let size = (side(height), side(width));
            (size, Cow::Owned(reduced(&self.rgb, (height, width), size)))
        } else {
            ((height, width), Cow::Borrowed(&self.rgb))
        };
        let file = packed(&rgb, size, png::Compression::High).ok()?;
        Some(format!("data:image/png;base64,{}", base64(&file)))
    }
}

/// A picture (`height width 3`) of no more pixels a side: each is the mean of a block of the old ones,
/// rounded to the nearest.
fn reduced(rgb: &[u8], (height, width): (usize, usize), (tall, wide): (usize, usize)) -> Vec<u8> {
    let (rows, columns) = (blocks(height, tall), blocks(width, wide));
    let mut out = Vec::with_capacity(tall * wide * 3);
    for &(top, bottom) in &rows {
        for &(left, right) in &columns {
            let count = (bottom - top) * (right - left);
            for c in 0..3 {
                let row = |y: usize| (left..right).map(move |x| (y * width + x) * 3 + c);
                let sum: usize = (top..bottom).flat_map(row).map(|i| usize::from(rgb[i])).sum();
                out.push(((sum + count / 2) / count) as u8);
            }
        }
    }
    out
}

/// `from` samples in `to` blocks of almost one length: first, and one past the last.
fn blocks(from: usize, to: usize) -> Vec<(usize, usize)> {
    let ratio = from as f32 / to as f32;
    let block = |i: usize| {
        let start = i as f32 * ratio;
        let first = (start.ceil() as usize).min(from - 1);
        (first, ((start + ratio).ceil() as usize).clamp(first + 1, from))
    };
    (0..to).map(block).collect()
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
