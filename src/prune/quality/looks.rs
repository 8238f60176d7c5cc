//! How alike two images look: the correlation of their pixels, whatever brightness and contrast, mirrored
//! or not, and up to a pixel apart.
//!
//! Networks take images for alike that are of one class, and the more so the better they are trained, so
//! that near features alone say little about copies. A copy also has the pixels of its original, up to
//! what changed it.

use rayon::prelude::*;

/// Longest side of an image in pixels as it is compared; larger ones are reduced.
const SIDE: usize = 32;
/// Colours.
const CHANNELS: usize = 3;
/// How far apart images are compared, in pixels of the reduced size, in both directions.
const SHIFT: usize = 1;
/// Number of windows of an image that are compared with the inner one of another.
const WINDOWS: usize = (2 * SHIFT + 1) * (2 * SHIFT + 1);

/// Images as they are compared. Memory is N x 3 H W bytes for H, W <= 32, and N x 216 bytes.
pub struct Looks {
    height: usize,
    width: usize,
    /// The border that windows leave: 0 where images are too small to be shifted.
    margin: usize,
    /// N x channel x row x column.
    planes: Vec<u8>,
    windows: Vec<[Window; WINDOWS]>,
}

/// What the correlation needs of one window, by itself.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// The sum of each channel.
    sums: [u32; CHANNELS],
    /// The square root of the sum of squared differences from the channels' means.
    spread: f64,
}

impl Looks {
    /// Takes images of `height` x `width` x 3 bytes each, which must be at least one pixel.
    pub fn of(images: &[&[u8]], [height, width]: [usize; 2]) -> Looks {
        let longest = height.max(width).max(1);
        let reduced = |side: usize| match longest <= SIDE {
            true => side,
            false => ((side * SIDE + longest / 2) / longest).max(1),
        };
        let [h, w] = [height, width].map(reduced);
        let margin = if h.min(w) >= 8 * SHIFT { SHIFT } else { 0 };
        let mut planes = vec![0; images.len() * CHANNELS * h * w];
        let each = planes.par_chunks_mut((CHANNELS * h * w).max(1)).zip(images);
        each.for_each(|(planes, image)| reduce(image, [height, width], planes, [h, w]));
        let mut looks = Looks { height: h, width: w, margin, planes, windows: Vec::new() };
        looks.windows = (0..images.len()).into_par_iter().map(|i| looks.windows_of(i)).collect();
        looks
    }

    fn image(&self, i: usize) -> &[u8] {
        let size = CHANNELS * self.height * self.width;
        &self.planes[i * size..(i + 1) * size]
    }

    /// Height and width of a window.
    fn window_size(&self) -> [usize; 2] {
        [self.height - 2 * self.margin, self.width - 2 * self.margin]
    }

    /// Row and column of a window's corner, by its number.
    fn corner(&self, window: usize) -> [usize; 2] {
        let side = 2 * SHIFT + 1;
        if self.margin == 0 { [0, 0] } else { [window / side, window % side] }
    }

    /// The number of the window that a mirrored image has in the place of `window`.
    fn mirrored(window: usize) -> usize {
        let side = 2 * SHIFT + 1;
        window / side * side + (side - 1 - window % side)
    }

    /// The row of a window, `row` counted inside it.
    fn row<'a>(&self, image: &'a [u8], channel: usize, window: usize, row: usize) -> &'a [u8] {
        let ([y, x], [_, w]) = (self.corner(window), self.window_size());
        let start = (channel * self.height + y + row) * self.width + x;
        &image[start..start + w]
    }

    fn windows_of(&self, i: usize) -> [Window; WINDOWS] {
        let (image, [h, w]) = (self.image(i), self.window_size());
        std::array::from_fn(|window| {
            let (mut sums, mut spread) = ([0; CHANNELS], 0.0);
            for channel in 0..CHANNELS {
                let mut squares = 0u64;
                for row in 0..h {
                    for &v in self.row(image, channel, window, row) {
                        sums[channel] += u32::from(v);
                        squares += u64::from(v) * u64::from(v);
                    }
                }
                let sum = f64::from(sums[channel]);
                spread += squares as f64 - sum * sum / (h * w) as f64;
            }
            Window { sums, spread: spread.max(0.0).sqrt() }
        })
    }

    /// Returns the correlation of image `a` with image `b`, in [-1, 1]: of the inner window of `a`
    /// with that window of `b`, as it is or mirrored, that gives the largest value, each channel less
    /// its mean; 0 for an image of one colour. Sums are of whole numbers, so that the value is the same
    /// in any order.
    pub fn correlation(&self, a: usize, b: usize) -> f64 {
        let (first, second) = (self.image(a), self.image(b));
        let flipped: Vec<u8> =
            second.chunks(self.width).flat_map(|r| r.iter().rev()).copied().collect();
        let centre = if self.margin == 0 { 0 } else { WINDOWS / 2 };
        let inner = self.windows[a][centre];
        let mut best = f64::NEG_INFINITY;
        for window in 0..if self.margin == 0 { 1 } else { WINDOWS } {
            let plain = self.windows[b][window];
            // The mirrored image has the pixels of another window in this place.
            let turned = self.windows[b][match self.margin {
                0 => 0,
                _ => Looks::mirrored(window),
            }];
            for (image, of) in [(second, plain), (&flipped, turned)] {
                let product = self.product(first, centre, image, window);
                best = best.max(self.correlate(product, inner, of));
            }
        }
        best
    }

    /// The sums of products of two windows, a channel each.
    fn product(&self, a: &[u8], of_a: usize, b: &[u8], of_b: usize) -> [u32; CHANNELS] {
        let [h, _] = self.window_size();
        std::array::from_fn(|channel| {
            let mut sum = 0;
            for row in 0..h {
                let (a, b) = (self.row(a, channel, of_a, row), self.row(b, channel, of_b, row));
                sum += a.iter().zip(b).map(|(&a, &b)| u32::from(a) * u32::from(b)).sum::<u32>();
            }
            sum
        })
    }

    fn correlate(&self, product: [u32; CHANNELS], a: Window, b: Window) -> f64 {
        if a.spread == 0.0 || b.spread == 0.0 {
            return 0.0;
        }
        let [h, w] = self.window_size();
        let pixels = (h * w) as f64;
        let together: f64 = (0..CHANNELS)
            .map(|c| f64::from(product[c]) - f64::from(a.sums[c]) * f64::from(b.sums[c]) / pixels)
            .sum();
        together / (a.spread * b.spread)
    }
}

/// Writes an image, rows of interleaved colours, as planes of means over boxes.
fn reduce(image: &[u8], [height, width]: [usize; 2], planes: &mut [u8], [h, w]: [usize; 2]) {
    for row in 0..h {
        let rows = row * height / h..(row + 1) * height / h;
        for column in 0..w {
            let columns = column * width / w..(column + 1) * width / w;
            let mut sums = [0usize; CHANNELS];
            for y in rows.clone() {
                for x in columns.clone() {
                    let pixel = &image[(y * width + x) * CHANNELS..][..CHANNELS];
                    sums.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += usize::from(v));
                }
            }
            let count = (rows.len() * columns.len()).max(1);
            for (channel, sum) in sums.into_iter().enumerate() {
                planes[(channel * h + row) * w + column] = ((sum + count / 2) / count) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Image = Vec<u8>;

    fn image([height, width]: [usize; 2], value: impl Fn(i32, i32, usize) -> u8) -> Image {
        let pixels = (0..height as i32).flat_map(|y| (0..width as i32).map(move |x| (y, x)));
        pixels.flat_map(|(y, x)| [0, 1, 2].map(|c| value(y, x, c))).collect()
    }

    /// A pattern without any period.
    fn pattern(y: i32, x: i32, c: usize) -> u8 {
        let at = y.wrapping_mul(73_856_093) ^ x.wrapping_mul(19_349_663) ^ (c as i32 * 83_492_791);
        (40 + (at.wrapping_mul(265_443_576) >> 16).rem_euclid(80)) as u8
    }

    fn correlation(size: [usize; 2], a: &Image, b: &Image) -> f64 {
        Looks::of(&[a, b], size).correlation(0, 1)
    }

    #[test]
    fn light_mirrors_and_steps_change_nothing() {
        let size = [12, 17];
        let plain = image(size, pattern);
        let light = image(size, |y, x, c| 2 * (pattern(y, x, c) - 30));
        let mirrored = image(size, |y, x, c| pattern(y, 16 - x, c));
        let moved = image(size, |y, x, c| pattern(y + 1, x - 1, c));
        let both = image(size, |y, x, c| pattern(y - 1, 16 - x - 1, c));
        for other in [&plain, &light, &mirrored, &moved, &both] {
            let found = correlation(size, &plain, other);
            assert!((found - 1.0).abs() < 1e-12, "{found}");
        }
        let far = image(size, |y, x, c| pattern(y + 3, x - 4, c));
        assert!(correlation(size, &plain, &far) < 0.5);
        let negative = image(size, |y, x, c| 255 - pattern(y, x, c));
        assert!(correlation(size, &plain, &negative) < 0.5);
        let flat = image(size, |_, _, _| 9);
        assert_eq!(correlation(size, &plain, &flat), 0.0);
    }

    /// Against the plain formula, in f64, of images too small to be shifted.
    #[test]
    fn it_is_pearsons_with_a_mean_for_each_channel() {
        let size = [4, 6];
        let a = image(size, pattern);
        let b = image(size, |y, x, c| pattern(y, x, c) ^ (5 * x as u8));
        let plain = |a: &Image, b: &Image| {
            let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
            for c in 0..3 {
                let of = |v: &Image| -> Vec<f64> {
                    let all: Vec<f64> =
                        v.iter().skip(c).step_by(3).map(|&v| f64::from(v)).collect();
                    let mean = all.iter().sum::<f64>() / 24.0;
                    all.iter().map(|v| v - mean).collect()
                };
                for (x, y) in of(a).into_iter().zip(of(b)) {
                    (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
                }
            }
            ab / f64::sqrt(aa * bb)
        };
        let turned = image(size, |y, x, c| b[((y * 6 + 5 - x) * 3) as usize + c]);
        let expected = plain(&a, &b).max(plain(&a, &turned));
        assert!((correlation(size, &a, &b) - expected).abs() < 1e-12);
    }

    #[test]
    fn large_images_are_means_over_boxes() {
        let large = image([96, 64], |y, x, c| pattern(y / 3, x / 3, c));
        let looks = Looks::of(&[&large], [96, 64]);
        assert_eq!([looks.height, looks.width, looks.margin], [32, 21, 1]);
        assert_eq!(looks.image(0)[0], pattern(0, 0, 0));
        assert_eq!(looks.image(0)[31 * 21], pattern(31, 0, 0));
        assert!((looks.correlation(0, 0) - 1.0).abs() < 1e-12);
        assert_eq!(Looks::of(&[], [5, 5]).windows.len(), 0);
    }
}
