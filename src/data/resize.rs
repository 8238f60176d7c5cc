//! Resizes the short side to S and crops the centre S x S, as torchvision's `Resize(S)` and
//! `CenterCrop(S)` do with a PIL image.

use crate::ops::gather::half_even;

/// Most pixels of a resized image before its crop. A thin one would grow without bound.
const MOST_PIXELS: usize = 100_000_000;

/// Resizes images to one size.
pub(super) struct Square {
    size: usize,
}

impl Square {
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
        let to = resize(source, (height, width), (tall, wide));
        crop(&to, (tall, wide), size, target);
        Ok(())
    }
}

/// Bilinear resizing with antialiasing of `height width 3` bytes: rows first, in float32, then
/// columns, rounded to the nearest byte.
fn resize(source: &[u8], (height, width): (usize, usize), (tall, wide): (usize, usize)) -> Vec<u8> {
    let mut rows = vec![0f32; tall * width * 3];
    for (row, (top, weights)) in rows.chunks_exact_mut(width * 3).zip(triangles(height, tall)) {
        for (y, w) in weights.into_iter().enumerate() {
            let from = &source[(top + y) * width * 3..][..width * 3];
            for (sum, &v) in row.iter_mut().zip(from) {
                *sum += f32::from(v) * w;
            }
        }
    }
    let columns = triangles(width, wide);
    let mut out = vec![0; tall * wide * 3];
    for (out, row) in out.chunks_exact_mut(wide * 3).zip(rows.chunks_exact(width * 3)) {
        for (pixel, (left, weights)) in out.chunks_exact_mut(3).zip(&columns) {
            let mut sums = [0f32; 3];
            for (from, w) in row[left * 3..].chunks_exact(3).zip(weights) {
                for c in 0..3 {
                    sums[c] += from[c] * w;
                }
            }
            pixel.copy_from_slice(&sums.map(|sum| sum.clamp(0.0, 255.0).round() as u8));
        }
    }
    out
}

/// For each of `to` places that divide `from` samples evenly: the first sample that it takes and the
/// weights of that and the next ones, which sum to 1. A weight falls linearly with the distance between
/// centres, to nothing at the larger of a sample and a place.
fn triangles(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let ratio = from as f32 / to as f32;
    let support = ratio.max(1.0);
    let place = |i: usize| {
        let centre = (i as f32 + 0.5) * ratio;
        let first = ((centre - support).floor() as i64).clamp(0, from as i64 - 1);
        let end = ((centre + support).ceil() as i64).clamp(first + 1, from as i64);
        // From here on a sample's centre has its own number.
        let centre = centre - 0.5;
        let weight = |j: i64| (1.0 - ((j as f32 - centre) / support).abs()).max(0.0);
        let mut weights: Vec<f32> = (first..end).map(weight).collect();
        let sum: f32 = weights.iter().sum();
        for w in &mut weights {
            *w /= sum;
        }
        (first as usize, weights)
    };
    (0..to).map(place).collect()
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
