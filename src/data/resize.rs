//! Resizes the short side to S and crops the centre S x S, as torchvision's `Resize(S)` and
//! `CenterCrop(S)` do with a PIL image: bit for bit.
//!
//! Pillow's bilinear resampling is a triangle filter whose support grows with the scale when an image
//! shrinks. Weights are computed in float64 and rounded to 22 fractional bits; rows are filtered first,
//! then columns, and each pass rounds to whole bytes.

use crate::ops::gather::half_even;

/// Most pixels of a resized image before its crop. A thin one would grow without bound.
const MOST_PIXELS: usize = 100_000_000;

/// Fractional bits of a weight: products with bytes and their sums fit 32 bits.
const FRACTION: u32 = 22;

const CHANNELS: usize = 3;

/// Resizes images to one size.
pub(super) struct Square {
    size: usize,
}

impl Square {
    /// To `size` pixels by `size`.
    pub fn new(size: usize) -> Self {
        Square { size }
    }

    /// Resizes `source` (`height width 3`) bilinearly with antialiasing, so that the short side is S and
    /// the long side is rounded down, and writes the centre S x S to `target`.
    pub fn square(
        &self,
        source: &[u8],
        (height, width): (usize, usize),
        target: &mut [u8],
    ) -> Result<(), String> {
        let size = self.size;
        let short = height.min(width);
        let (tall, wide) = (size * height / short, size * width / short);
        if tall.saturating_mul(wide) > MOST_PIXELS {
            return Err(format!("too thin for a short side of {size}"));
        }
        // Only what the crop shows is computed.
        let columns = Filter::new(width, wide, half_even(wide - size), size);
        let rows = Filter::new(height, tall, half_even(tall - size), size);
        let (first, count) = rows.reach();
        let source = &source[first * width * CHANNELS..(first + count) * width * CHANNELS];
        let mut narrow = vec![0; count * size * CHANNELS];
        for (from, to) in
            source.chunks_exact(width * CHANNELS).zip(narrow.chunks_exact_mut(size * CHANNELS))
        {
            columns.filter_row(from, to);
        }
        let mut sums = vec![0; size * CHANNELS];
        for (i, to) in target.chunks_exact_mut(size * CHANNELS).enumerate() {
            let (start, weights) = rows.taps(i);
            sums.fill(HALF);
            let from = narrow[(start - first) * size * CHANNELS..].chunks_exact(size * CHANNELS);
            for (from, &weight) in from.zip(weights) {
                sums.iter_mut().zip(from).for_each(|(sum, &v)| *sum += i32::from(v) * weight);
            }
            to.iter_mut().zip(&sums).for_each(|(to, &sum)| *to = byte(sum));
        }
        Ok(())
    }
}

/// What rounds a sum to the nearest byte.
const HALF: i32 = 1 << (FRACTION - 1);

fn byte(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

/// The weights of a range of output positions along one side.
struct Filter {
    /// First input position of each output position, and how many there are.
    spans: Vec<(usize, usize)>,
    weights: Vec<i32>,
    /// Weights that each output position has room for.
    room: usize,
}

impl Filter {
    /// From `from` positions to `to`, of which `count` from `first` on are wanted.
    fn new(from: usize, to: usize, first: usize, count: usize) -> Filter {
        if from == to {
            let spans = (first..first + count).map(|i| (i, 1)).collect();
            return Filter { spans, weights: vec![1 << FRACTION; count], room: 1 };
        }
        let scale = from as f64 / to as f64;
        // The triangle reaches one position on either side, and one of the input when it is shrunk.
        let support = scale.max(1.0);
        let room = support.ceil() as usize * 2 + 1;
        let mut filter =
            Filter { spans: Vec::with_capacity(count), weights: vec![0; count * room], room };
        let mut exact = vec![0.0; room];
        for (i, weights) in filter.weights.chunks_exact_mut(room).enumerate() {
            let center = ((first + i) as f64 + 0.5) * scale;
            // Towards 0, which is where negative numbers end as well.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            let exact = &mut exact[..end - start];
            for (j, weight) in exact.iter_mut().enumerate() {
                let distance = ((j + start) as f64 - center + 0.5) * (1.0 / support);
                *weight = (1.0 - distance.abs()).max(0.0);
            }
            let sum: f64 = exact.iter().sum();
            for (weight, exact) in weights.iter_mut().zip(exact.iter()) {
                *weight = (0.5 + exact / sum * f64::from(1 << FRACTION)) as i32;
            }
            filter.spans.push((start, exact.len()));
        }
        filter
    }

    /// The first input position that is read, and how many are from there on.
    fn reach(&self) -> (usize, usize) {
        let first = self.spans.first().map_or(0, |s| s.0);
        let end = self.spans.last().map_or(0, |s| s.0 + s.1);
        (first, end - first)
    }

    /// First input position and weights of an output position.
    fn taps(&self, i: usize) -> (usize, &[i32]) {
        let (start, count) = self.spans[i];
        (start, &self.weights[i * self.room..][..count])
    }

    /// Filters one row of pixels.
    fn filter_row(&self, from: &[u8], to: &mut [u8]) {
        for (i, to) in to.chunks_exact_mut(CHANNELS).enumerate() {
            let (start, weights) = self.taps(i);
            let mut sums = [HALF; CHANNELS];
            let pixels = from[start * CHANNELS..].chunks_exact(CHANNELS);
            for (pixel, &weight) in pixels.zip(weights) {
                for (sum, &v) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(v) * weight;
                }
            }
            to.iter_mut().zip(sums).for_each(|(to, sum)| *to = byte(sum));
        }
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
