//! bf16 values from rows of channels to rows of positions, and to pairs of positions.

use super::block::{BLOCK, DEPTH, TILE};
use super::pack::tiles;

/// Transposes `count` pixels of `channels` values (a multiple of 8), which lie `pixel` values apart, to rows of
/// pixels that lie `pitch` values apart.
pub fn transpose(
    from: &[u16],
    [count, channels]: [usize; 2],
    pixel: usize,
    out: &mut [u16],
    pitch: usize,
) {
    assert!(count > 0 && from.len() >= (count - 1) * pixel + channels);
    assert!(out.len() >= (channels - 1) * pitch + count);
    let whole = count - count % 8;
    for first in (0..whole).step_by(8) {
        for channel in (0..channels).step_by(8) {
            // SAFETY: eight pixels of eight channels, inside both slices (asserted).
            unsafe {
                let from = from.as_ptr().add(first * pixel + channel);
                transpose8(from, pixel, out.as_mut_ptr().add(channel * pitch + first), pitch);
            }
        }
    }
    for i in whole..count {
        for (channel, &value) in from[i * pixel..][..channels].iter().enumerate() {
            out[channel * pitch + i] = value;
        }
    }
}

/// Eight rows of eight values.
///
/// # Safety
/// The rows are readable `from_pitch` values apart, and writable `to_pitch` values apart.
#[inline(always)]
unsafe fn transpose8(from: *const u16, from_pitch: usize, to: *mut u16, to_pitch: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; the rows are the caller's.
    unsafe {
        use std::arch::x86_64::*;
        let row = |i: usize| _mm_loadu_si128(from.add(i * from_pitch).cast());
        let r: [__m128i; 8] = std::array::from_fn(row);
        // Pairs of rows, then fours, then all eight.
        let a: [__m128i; 8] = std::array::from_fn(|i| {
            let (x, y) = (r[i / 2 * 2], r[i / 2 * 2 + 1]);
            if i % 2 == 0 { _mm_unpacklo_epi16(x, y) } else { _mm_unpackhi_epi16(x, y) }
        });
        let four =
            |lo: __m128i, hi: __m128i| (_mm_unpacklo_epi32(lo, hi), _mm_unpackhi_epi32(lo, hi));
        let ((b0, b1), (b2, b3)) = (four(a[0], a[2]), four(a[1], a[3]));
        let ((c0, c1), (c2, c3)) = (four(a[4], a[6]), four(a[5], a[7]));
        for (i, (b, c)) in [(b0, c0), (b1, c1), (b2, c2), (b3, c3)].into_iter().enumerate() {
            _mm_storeu_si128(to.add(2 * i * to_pitch).cast(), _mm_unpacklo_epi64(b, c));
            _mm_storeu_si128(to.add((2 * i + 1) * to_pitch).cast(), _mm_unpackhi_epi64(b, c));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..8 {
        for j in 0..8 {
            // SAFETY: inside the rows (caller).
            unsafe { *to.add(j * to_pitch + i) = *from.add(i * from_pitch + j) };
        }
    }
}

/// Pairs of two positions' values in one block of channels: 16 in each of the block's tiles, which lie a step of
/// [`DEPTH`] values of d apart. A position that is missing counts as 0.
pub fn interleave_block(two: [Option<&[u16]>; 2], block: usize, out: &mut [u16]) {
    let channels = two[0].map_or(0, <[u16]>::len);
    for tile in 0..tiles(channels, block) {
        let from = block * BLOCK + tile * TILE;
        let count = (channels - from).min(TILE);
        let [first, second] = two.map(|values| values.map_or(&[][..], |v| &v[from..][..count]));
        interleave_pairs(first, second, &mut out[tile * TILE * DEPTH..]);
    }
}

/// The pairs of two positions' values; a missing second position counts as 0.
fn interleave_pairs(first: &[u16], second: &[u16], out: &mut [u16]) {
    let out = &mut out[..2 * first.len()];
    if second.is_empty() {
        for (two, &a) in out.chunks_exact_mut(2).zip(first) {
            two.copy_from_slice(&[a, 0]);
        }
        return;
    }
    for ((two, a), b) in
        out.chunks_exact_mut(16).zip(first.chunks_exact(8)).zip(second.chunks_exact(8))
    {
        for i in 0..8 {
            two[2 * i] = a[i];
            two[2 * i + 1] = b[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_finds_its_place() {
        for (count, channels, pixel, pitch) in [(1, 8, 8, 3), (13, 16, 20, 40), (16, 24, 24, 17)] {
            let from: Vec<u16> = (0..(count * pixel + channels) as u16).collect();
            let mut out = vec![u16::MAX; channels * pitch + count];
            transpose(&from, [count, channels], pixel, &mut out, pitch);
            for i in 0..count {
                for c in 0..channels {
                    assert_eq!(out[c * pitch + i], from[i * pixel + c], "{i} {c} of {count}");
                }
            }
        }
        let mut out = [9; 16];
        interleave_pairs(&[1, 2, 3, 4, 5, 6, 7, 8], &[11, 12, 13, 14, 15, 16, 17, 18], &mut out);
        assert_eq!(out[..4], [1, 11, 2, 12]);
        interleave_pairs(&[1, 2, 3, 4, 5, 6, 7, 8], &[], &mut out);
        assert_eq!(out[..4], [1, 0, 2, 0]);
    }
}
