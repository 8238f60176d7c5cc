//! Random-resized crops (Szegedy et al. 2015, as torchvision's `RandomResizedCrop` draws them): a box of
//! a random area and shape of the stored image, resized to the network's input.
//!
//! ```text
//! area  = H W (.08 + .92 u0),  ratio = exp(ln 3/4 + (ln 4/3 - ln 3/4) u1)
//! width = round(sqrt(area ratio)),  height = round(sqrt(area / ratio)),  ten tries
//! ```
//! Boxes come out of additions, multiplications, divisions and square roots of f64 alone, which all
//! devices round alike; pixels out of whole numbers. So every device cuts the same bytes.

use crate::error::{Error, Result};
use crate::rng::Philox;

/// Colour channels of an image.
pub const CHANNELS: usize = 3;

/// Share of the image's area that a box has at least, and the widest and narrowest shapes.
const LEAST_AREA: f64 = 0.08;
const RATIOS: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// ln 4/3, which is -ln 3/4.
const LN_RATIO: f64 = 0.287_682_072_451_780_9;
/// Boxes drawn until one lies inside; then the centre.
const TRIES: u64 = 10;
/// 2^-32.
const UNIT: f64 = 1.0 / 4_294_967_296.0;

/// Longest side of a stored image and of an output.
pub const MOST_SIDE: usize = 16_384;

/// A part of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropBox {
    pub top: u32,
    pub left: u32,
    pub height: u32,
    pub width: u32,
}

/// e^x for |x| <= ln(4/3) / 2: Taylor's first terms, within 3e-15.
fn exp(x: f64) -> f64 {
    let mut sum = 1.0;
    for k in [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        sum = 1.0 + sum * x / k;
    }
    sum
}

/// To the nearest whole number, halves up; `x` is not negative.
fn round(x: f64) -> u32 {
    (x + 0.5) as u32
}

impl CropBox {
    /// The box of one sample in one epoch inside an image of `h` x `w`. Try t takes the words of block
    /// (t + 1, epoch): those of block (0, epoch) are the mirror's.
    pub fn draw(philox: &Philox, epoch: u32, sample: u32, [h, w]: [u32; 2]) -> CropBox {
        let pixels = f64::from(h) * f64::from(w);
        let below = |word: u32, n: u32| ((u64::from(word) * u64::from(n)) >> 32) as u32;
        for attempt in 1..=TRIES {
            let words = philox.block(attempt << 32 | u64::from(epoch), sample);
            let share = LEAST_AREA + (1.0 - LEAST_AREA) * (f64::from(words[0]) * UNIT);
            let side = (pixels * share).sqrt();
            let stretch = exp(LN_RATIO * (f64::from(words[1]) * UNIT) - 0.5 * LN_RATIO);
            let (width, height) = (round(side * stretch), round(side / stretch));
            if width >= 1 && width <= w && height >= 1 && height <= h {
                let (top, left) = (below(words[2], h - height + 1), below(words[3], w - width + 1));
                return CropBox { top, left, height, width };
            }
        }
        let ratio = f64::from(w) / f64::from(h);
        let (mut height, mut width) = (h, w);
        if ratio < RATIOS[0] {
            height = round(f64::from(w) / RATIOS[0]).min(h);
        } else if ratio > RATIOS[1] {
            width = round(f64::from(h) * RATIOS[1]).min(w);
        }
        CropBox { top: (h - height) / 2, left: (w - width) / 2, height, width }
    }
}

/// Weights of the pixels of a side of `length` for output `o` of `size`: bilinear with antialiasing, the
/// triangle filter widened by the scale (as Pillow has it, whose resize torchvision's transform is),
/// times 2 max(length, size), which makes them whole:
/// weight of pixel x = 2 max(length, size) - |(2x + 1) size - (2o + 1) length|, where that is positive.
///
/// Returns the first such pixel; the weights go to `weights`.
fn taps(length: usize, size: usize, o: usize, weights: &mut Vec<u64>) -> usize {
    let [l, s, o] = [length, size, o].map(|n| n as i64);
    let reach = 2 * l.max(s);
    let centre = (2 * o + 1) * l;
    let before = centre - reach - s;
    let first = if before < 0 { 0 } else { before / (2 * s) + 1 };
    weights.clear();
    let each = (first..l).map(|x| reach - ((2 * x + 1) * s - centre).abs());
    weights.extend(each.take_while(|&w| w > 0).map(|w| w as u64));
    first as usize
}

/// Refuses sizes whose sums would leave 64 bits.
pub(super) fn check([h, w]: [usize; 2], [oh, ow]: [usize; 2]) -> Result<()> {
    let sum = |l: usize, s: usize| {
        let reach = 2 * l.max(s) as u128;
        reach * (2 * l.max(s).div_ceil(s.max(1)) as u128 + 1)
    };
    let sides = [h, w, oh, ow];
    let fits = sides.iter().all(|s| (1..=MOST_SIDE).contains(s))
        && 511 * sum(h, oh) * sum(w, ow) < 1 << 63;
    if fits {
        return Ok(());
    }
    let expected =
        format!("sides of 1 to {MOST_SIDE} pixels, and an input that is not far smaller");
    Err(Error::invalid("random-resized crop", format!("{w}x{h} to {ow}x{oh}"), expected))
}

/// Cuts `cut` out of `image` (rows of `w` pixels) and resizes it to `out` (`oh` x `ow`), mirrored if
/// `flip`; each byte is the weighted mean rounded to nearest, halves up. `rows` is scratch.
pub(super) fn resize(
    image: &[u8],
    w: usize,
    cut: CropBox,
    flip: bool,
    [oh, ow]: [usize; 2],
    rows: &mut Vec<u64>,
    out: &mut [u8],
) {
    let [top, left, height, width] = [cut.top, cut.left, cut.height, cut.width].map(|n| n as usize);
    let mut weights = Vec::new();
    // Every row of the box to the output's width.
    rows.clear();
    rows.resize(height * ow * CHANNELS, 0);
    let mut totals = vec![0; ow];
    for o in 0..ow {
        let first = taps(width, ow, o, &mut weights);
        totals[o] = weights.iter().sum();
        for y in 0..height {
            let from = &image[((top + y) * w + left + first) * CHANNELS..];
            let to = &mut rows[(y * ow + o) * CHANNELS..][..CHANNELS];
            for (pixel, &weight) in from.chunks_exact(CHANNELS).zip(&weights) {
                (0..CHANNELS).for_each(|c| to[c] += weight * u64::from(pixel[c]));
            }
        }
    }
    for (o, line) in out.chunks_exact_mut(ow * CHANNELS).enumerate().take(oh) {
        let first = taps(height, oh, o, &mut weights);
        let down: u64 = weights.iter().sum();
        for x in 0..ow {
            let to = if flip { ow - 1 - x } else { x };
            let all = down * totals[x];
            for c in 0..CHANNELS {
                let column = rows[(first * ow + x) * CHANNELS + c..].iter().step_by(ow * CHANNELS);
                let sum: u64 = column.zip(&weights).map(|(value, weight)| value * weight).sum();
                line[to * CHANNELS + c] = ((2 * sum + all) / (2 * all)) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_one() {
        for i in -1000..=1000 {
            let x = f64::from(i) / 1000.0 * LN_RATIO / 2.0;
            assert!((exp(x) - libm::exp(x)).abs() < 1e-15 * 4.0, "{x}");
        }
        assert_eq!(LN_RATIO, libm::log(4.0 / 3.0));
    }

    #[test]
    fn weights_are_those_of_the_triangle() {
        let mut weights = Vec::new();
        for (length, size) in [(5, 8), (8, 5), (1, 7), (7, 1), (224, 224), (100, 3), (3, 100)] {
            for o in 0..size {
                let first = taps(length, size, o, &mut weights);
                let scale = length as f64 / size as f64;
                let wide = scale.max(1.0);
                let centre = (o as f64 + 0.5) * scale;
                let unit = 2.0 * length.max(size) as f64;
                for x in 0..length {
                    let expected = 1.0 - ((x as f64 + 0.5 - centre) / wide).abs();
                    let own = x.checked_sub(first).and_then(|i| weights.get(i)).copied();
                    let own = own.unwrap_or(0) as f64 / unit;
                    assert!((own - expected.max(0.0)).abs() < 1e-12, "{length} {size} {o} {x}");
                }
            }
        }
    }

    #[test]
    fn a_whole_image_of_its_own_size_stays() {
        let image: Vec<u8> = (0..6 * 5 * 3).map(|v| (v * 37 % 256) as u8).collect();
        let whole = CropBox { top: 0, left: 0, height: 6, width: 5 };
        let mut out = vec![0; image.len()];
        resize(&image, 5, whole, false, [6, 5], &mut Vec::new(), &mut out);
        assert_eq!(out, image);
    }
}
