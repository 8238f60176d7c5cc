//! The input pipeline by its definition, in float64 (see `ops::gather`): mirror the image, shift
//! it over black, normalise.

use crate::ops::gather::CHANNELS;

/// Returns one u8 image of `h` x `w` as the network sees it, with `draw` = (mirrored, rows down,
/// columns right): the values and the magnitudes (byte / 255 + |mean|) / std.
pub fn image(
    pixels: &[u8],
    [h, w]: [usize; 2],
    mean: [f32; CHANNELS],
    std: [f32; CHANNELS],
    draw: (bool, i32, i32),
) -> super::Sums {
    let (mirrored, down, right) = draw;
    let mut canvas = vec![0u8; h * w * CHANNELS];
    for row in 0..h {
        for column in 0..w {
            let (to_row, to_column) = (row as i32 + down, column as i32 + right);
            let inside = (0..h as i32).contains(&to_row) && (0..w as i32).contains(&to_column);
            let from_column = if mirrored { w - 1 - column } else { column };
            for c in 0..CHANNELS {
                if inside {
                    let to = (to_row as usize * w + to_column as usize) * CHANNELS + c;
                    canvas[to] = pixels[(row * w + from_column) * CHANNELS + c];
                }
            }
        }
    }
    let mut sums = super::Sums::zeros(canvas.len());
    for (i, &byte) in canvas.iter().enumerate() {
        let per = 1.0 / f64::from(std[i % CHANNELS]);
        sums.add(i, f64::from(byte) / 255.0, per);
        sums.add(i, f64::from(mean[i % CHANNELS]), -per);
    }
    sums
}

/// Returns a box (top, left, height, width) of one u8 image with rows of `w` pixels, resized to
/// `oh` x `ow` with the triangle filter widened by the scale, and mirrored. The bytes are not
/// rounded yet.
pub fn crop(
    pixels: &[u8],
    w: usize,
    [top, left, height, width]: [usize; 4],
    mirrored: bool,
    [oh, ow]: [usize; 2],
) -> Vec<f64> {
    // The weights of the pixels of a side sum to 1.
    let weights = |length: usize, size: usize, o: usize| -> Vec<f64> {
        let scale = length as f64 / size as f64;
        let centre = (o as f64 + 0.5) * scale;
        let each = (0..length).map(|x| 1.0 - ((x as f64 + 0.5 - centre) / scale.max(1.0)).abs());
        let each: Vec<f64> = each.map(|w| w.max(0.0)).collect();
        let sum: f64 = each.iter().sum();
        each.into_iter().map(|w| w / sum).collect()
    };
    let across: Vec<Vec<f64>> = (0..ow).map(|o| weights(width, ow, o)).collect();
    let mut out = vec![0.0; oh * ow * CHANNELS];
    for row in 0..oh {
        let down = weights(height, oh, row);
        for column in 0..ow {
            let from = if mirrored { ow - 1 - column } else { column };
            for c in 0..CHANNELS {
                let mut sum = 0.0;
                for (y, a) in down.iter().enumerate().filter(|(_, a)| **a > 0.0) {
                    for (x, b) in across[from].iter().enumerate().filter(|(_, b)| **b > 0.0) {
                        let at = ((top + y) * w + left + x) * CHANNELS + c;
                        sum += a * b * f64::from(pixels[at]);
                    }
                }
                out[(row * ow + column) * CHANNELS + c] = sum;
            }
        }
    }
    out
}
