//! Input rows of a group of images with the images side by side: `[column][image][channel]`.
//!
//! So a left factor (images at one pixel, channels) has rows at a constant distance, at any stride and for any
//! tap, and taps beyond the border are left out instead of multiplied by zero.

use super::products::BLOCK;

/// Images of a group.
pub const GROUP: usize = BLOCK;

/// Values between two columns: all images' channels, and a cache line that keeps columns of powers of two
/// apart in the cache.
pub fn column_pitch(channels: usize) -> usize {
    GROUP * channels + 32
}

/// Places one input row of a group.
///
/// # Safety
/// `row` is the row of the first image, readable for `used.len()` columns of `channels` values, and so are the
/// other images' rows, `image` values apart; `out` is writable for as many columns.
pub unsafe fn interleave(
    row: *const u16,
    image: usize,
    images: usize,
    used: &[bool],
    channels: usize,
    out: *mut u16,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        if channels.is_multiple_of(32) {
            interleave_in::<32>(row, image, images, used, channels, out);
        } else if channels.is_multiple_of(16) {
            interleave_in::<16>(row, image, images, used, channels, out);
        } else {
            interleave_in::<8>(row, image, images, used, channels, out);
        }
    }
}

/// See [`interleave`]; copies `N` values at a time.
unsafe fn interleave_in<const N: usize>(
    row: *const u16,
    image: usize,
    images: usize,
    used: &[bool],
    channels: usize,
    out: *mut u16,
) {
    let pitch = column_pitch(channels);
    // Few images at a time, so that their rows and the columns written stay in the nearest cache.
    for first in (0..images).step_by(4) {
        for (column, _) in used.iter().enumerate().filter(|(_, used)| **used) {
            for i in first..(first + 4).min(images) {
                for c in (0..channels).step_by(N) {
                    // SAFETY: inside the rows and the columns (caller).
                    unsafe {
                        let from = row.add(i * image + column * channels + c);
                        let to = out.add(column * pitch + i * channels + c);
                        to.cast::<[u16; N]>().write_unaligned(from.cast::<[u16; N]>().read_unaligned());
                    }
                }
            }
        }
    }
}
