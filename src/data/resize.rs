//! Resizes the short side to S and crops the centre S x S, as torchvision's `Resize(S)` and
//! `CenterCrop(S)` do with a PIL image.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Rgb};

use crate::ops::gather::half_even;

/// Most pixels of a resized image before its crop. A thin one would grow without bound.
const MOST_PIXELS: usize = 100_000_000;

/// Resizes images to one size.
pub(super) struct Square {
    size: usize,
}

impl Square {
    /// To `size` pixels by `size`.
    pub fn new(size: usize) -> Self {
        Square { size }
    }

    /// Resizes `source` (`height width 3`) bilinearly with antialiasing (the triangle filter widened
    /// by the scale, as Pillow has it), so that the short side is S and the long side is rounded
    /// down, and writes the centre S x S to `target`.
    pub fn square(
        &self,
        source: &[u8],
        (height, width): (usize, usize),
        target: &mut [u8],
    ) -> Result<(), String> {
        let size = self.size;
        let short = height.min(width);
        if short == size {
            crop(source, (height, width), size, target);
            return Ok(());
        }
        let (tall, wide) = (size * height / short, size * width / short);
        if tall.saturating_mul(wide) > MOST_PIXELS {
            return Err(format!("too thin for a short side of {size}"));
        }
        let side = |n: usize| u32::try_from(n).map_err(|_| format!("a side of {n} pixels"));
        let from: ImageBuffer<Rgb<u8>, &[u8]> =
            ImageBuffer::from_raw(side(width)?, side(height)?, source)
                .ok_or_else(|| format!("{} bytes for {width} x {height}", source.len()))?;
        let to = imageops::resize(&from, side(wide)?, side(tall)?, FilterType::Triangle);
        crop(to.as_raw(), (tall, wide), size, target);
        Ok(())
    }
}

/// Copies the centre `size` x `size`.
fn crop(source: &[u8], (height, width): (usize, usize), size: usize, target: &mut [u8]) {
    let (top, left) = (half_even(height - size), half_even(width - size));
    for (y, row) in target.chunks_exact_mut(size * 3).enumerate() {
        let start = ((top + y) * width + left) * 3;
        row.copy_from_slice(&source[start..start + size * 3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(half_even), [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn equal_short_side_is_only_cropped() {
        let source: Vec<u8> = (0..2 * 5 * 3).map(|v| v as u8).collect();
        let mut target = [0; 12];
        Square::new(2).square(&source, (2, 5), &mut target).unwrap();
        // The left edge is round(3 / 2) = 2.
        assert_eq!(target, [6, 7, 8, 9, 10, 11, 21, 22, 23, 24, 25, 26]);
    }

    #[test]
    fn a_pixel_fills_the_square_and_a_flat_image_stays_flat() {
        let mut target = [0; 5 * 5 * 3];
        Square::new(5).square(&[9, 80, 200], (1, 1), &mut target).unwrap();
        assert_eq!(target.to_vec(), [9, 80, 200].repeat(25));
        Square::new(5).square(&[9, 80, 200].repeat(77 * 13), (77, 13), &mut target).unwrap();
        assert_eq!(target.to_vec(), [9, 80, 200].repeat(25));
    }
}
