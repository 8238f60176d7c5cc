//! Blocks of sums on AVX-512 BF16: a pair of the left factor broadcast, times 16 pairs of the right one.

use std::arch::x86_64::*;

use super::block::{BLOCK, Shape, TILE, Tap};

/// Rows whose sums are in registers at a time.
const ROWS: usize = 8;

/// See [`Products::add`](super::products::Products::add).
///
/// # Safety
/// As there, on a processor with AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bf16,avx512vl,avx512bw,avx512dq")]
pub unsafe fn add(
    shape: &Shape,
    factors: [*const u16; 2],
    taps: &[Tap],
    resume: bool,
    sums: *mut f32,
) {
    let [rows, columns] = shape.tiles;
    for row in (0..rows * TILE).step_by(ROWS) {
        // SAFETY: rows of the block (caller).
        unsafe {
            if columns == 2 {
                strip::<2>(shape, factors, taps, resume, row, sums);
            } else {
                strip::<1>(shape, factors, taps, resume, row, sums);
            }
        }
    }
}

/// Eight rows from `row`.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16,avx512vl,avx512bw,avx512dq")]
unsafe fn strip<const COLUMNS: usize>(
    shape: &Shape,
    [left, right]: [*const u16; 2],
    taps: &[Tap],
    resume: bool,
    row: usize,
    sums: *mut f32,
) {
    // SAFETY: all factors and sums are those that the caller of `add` vouches for.
    unsafe {
        let place = |i: usize, j: usize| sums.add((row + i) * BLOCK + j * TILE);
        let mut acc = [[_mm512_setzero_ps(); COLUMNS]; ROWS];
        if resume {
            for (i, acc) in acc.iter_mut().enumerate() {
                for (j, acc) in acc.iter_mut().enumerate() {
                    *acc = _mm512_loadu_ps(place(i, j));
                }
            }
        }
        let tile = shape.depth * TILE;
        for tap in taps {
            let a = left.add(tap.left + row * shape.pitch);
            let b = right.add(tap.right);
            for step in 0..shape.steps {
                let (a, b) = (a.add(step * shape.depth), b.add(step * tile * COLUMNS));
                for pair in 0..shape.depth / 2 {
                    let b: [__m512bh; COLUMNS] = std::array::from_fn(|j| {
                        let at = b.add(j * tile + pair * 2 * TILE);
                        std::mem::transmute(_mm512_loadu_si512(at.cast()))
                    });
                    for (i, acc) in acc.iter_mut().enumerate() {
                        let two = a.add(i * shape.pitch + 2 * pair).cast::<i32>().read_unaligned();
                        let a: __m512bh = std::mem::transmute(_mm512_set1_epi32(two));
                        for (acc, &b) in acc.iter_mut().zip(&b) {
                            *acc = _mm512_dpbf16_ps(*acc, a, b);
                        }
                    }
                }
            }
        }
        for (i, acc) in acc.iter().enumerate() {
            for (j, &acc) in acc.iter().enumerate() {
                _mm512_storeu_ps(place(i, j), acc);
            }
        }
    }
}
