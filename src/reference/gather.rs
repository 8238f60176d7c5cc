//! The input pipeline by its definition, in float64 (see `ops::gather`): mirror the image, shift
//! it over black, normalise.

use crate::ops::gather::CHANNELS;

/// One u8 image of `h` x `w` as the network sees it; `draw` = (mirrored, rows down, columns
/// right). Returns values and the magnitudes (byte / 255 + |mean|) / std.
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
