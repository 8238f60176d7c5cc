//! Sums of outer products over pixels: tiles of weight gradients and of Gram matrices.

#![expect(
    clippy::needless_range_loop,
    reason = "constant bounds on every index keep sums in registers"
)]

use crate::backend::simd::Simd;

/// Sum of outer products over `count` = images x rows x columns pixels:
/// `out[i][j] (+)= sum over pixels of a[pixel][i] * b[pixel][j]`.
pub struct OuterTile {
    pub a: *const f32,
    pub b: *const f32,
    /// Elements from one image, row, column to the next.
    pub a_step: [usize; 3],
    pub b_step: [usize; 3],
    pub count: [usize; 3],
    /// Valid columns, at most the kernel's width; `b` is not read beyond them.
    pub columns: usize,
    /// Written for the kernel's whole width, with zeros beyond the valid columns.
    pub out: *mut f32,
    /// Elements from one row of `out` to the next.
    pub out_pitch: usize,
    /// Continue the sums in `out` instead of starting from 0.
    pub resume: bool,
}

/// An outer kernel for tiles of one width.
pub struct OuterKernel {
    pub width: usize,
    /// By rows; tiles of all columns, then tiles of fewer.
    pub whole: &'static [unsafe fn(&OuterTile)],
    pub part: &'static [unsafe fn(&OuterTile)],
}

impl OuterKernel {
    /// Rows to take next of `left`: as many as there are kernels for, but evenly.
    pub fn rows(&self, left: usize) -> usize {
        left.div_ceil(left.div_ceil(self.whole.len()))
    }

    /// Runs a tile of `rows` rows.
    ///
    /// # Safety
    /// The instruction set of the table; `a` readable for the rows and `b` for the valid columns
    /// at every pixel, `out` writable for rows x width, and not touched by others meanwhile.
    pub unsafe fn run(&self, rows: usize, tile: &OuterTile) {
        let kernels = if tile.columns == self.width { self.whole } else { self.part };
        // SAFETY: passed on to the caller.
        unsafe { kernels[rows - 1](tile) }
    }
}

/// `M` rows times `V` vectors of an outer tile; the last vector is not whole if `PART`.
///
/// # Safety
/// See [`OuterKernel::run`].
#[inline(always)]
pub unsafe fn outer<S: Simd, const M: usize, const V: usize, const PART: bool>(t: &OuterTile) {
    // SAFETY: the tile describes valid memory (caller).
    unsafe {
        let last = t.columns - (V - 1) * S::LANES;
        let load = |p: *const f32, v: usize| {
            if PART && v == V - 1 { S::load_first(p, last) } else { S::load(p) }
        };
        let mut acc = [[S::splat(0.0); V]; M];
        if t.resume {
            for i in 0..M {
                for v in 0..V {
                    acc[i][v] = S::load(t.out.add(i * t.out_pitch + v * S::LANES));
                }
            }
        }
        for n in 0..t.count[0] {
            for p in 0..t.count[1] {
                let mut a = t.a.add(n * t.a_step[0] + p * t.a_step[1]);
                let mut b = t.b.add(n * t.b_step[0] + p * t.b_step[1]);
                for _ in 0..t.count[2] {
                    let row: [S::V; V] = std::array::from_fn(|v| load(b.add(v * S::LANES), v));
                    for i in 0..M {
                        let value = S::splat(*a.add(i));
                        for v in 0..V {
                            acc[i][v] = S::fma(value, row[v], acc[i][v]);
                        }
                    }
                    a = a.wrapping_add(t.a_step[2]);
                    b = b.wrapping_add(t.b_step[2]);
                }
            }
        }
        for i in 0..M {
            for v in 0..V {
                S::store(t.out.add(i * t.out_pitch + v * S::LANES), acc[i][v]);
            }
        }
    }
}
