//! Small loops over rows of values: sums of squares, dot products, transposition. Sums run in 16
//! lanes folded by a fixed tree, whatever the instruction set.

#![expect(
    clippy::needless_range_loop,
    reason = "constant bounds on every index keep sums in registers"
)]

use crate::backend::simd::Simd;

/// Lanes of a sum.
pub const COLUMNS: usize = 16;

/// # Safety
/// See [`super::MicroKernels::square_sum`].
#[inline(always)]
pub unsafe fn square_sum<S: Simd>(
    tile: *const f32,
    pitch: usize,
    rows: usize,
    groups: usize,
) -> f32 {
    let mut lanes = [0.0f32; COLUMNS];
    // SAFETY: `rows` rows of 16 * groups values are readable (caller).
    unsafe {
        for part in (0..COLUMNS).step_by(S::LANES) {
            let mut sum = S::splat(0.0);
            for i in 0..rows {
                for g in 0..groups {
                    let v = S::load(tile.add(i * pitch + g * COLUMNS + part));
                    sum = S::fma(v, v, sum);
                }
            }
            S::store(lanes.as_mut_ptr().add(part), sum);
        }
    }
    fold(lanes)
}

/// Sum of 16 lanes: halves onto each other.
#[inline(always)]
fn fold(l: [f32; COLUMNS]) -> f32 {
    let l: [f32; 8] = std::array::from_fn(|i| l[i] + l[i + 8]);
    let l: [f32; 4] = std::array::from_fn(|i| l[i] + l[i + 4]);
    (l[0] + l[2]) + (l[1] + l[3])
}

/// # Safety
/// See [`super::MicroKernels::dot`].
#[inline(always)]
pub unsafe fn dot<S: Simd>(a: *const f32, b: *const f32, len: usize) -> f32 {
    let mut lanes = [0.0f32; COLUMNS];
    let whole = len - len % COLUMNS;
    // SAFETY: `len` values of both are readable (caller).
    unsafe {
        for part in (0..COLUMNS).step_by(S::LANES) {
            let mut sum = S::splat(0.0);
            for at in (0..whole).step_by(COLUMNS) {
                sum = S::fma(S::load(a.add(at + part)), S::load(b.add(at + part)), sum);
            }
            let rest = (len - whole).saturating_sub(part).min(S::LANES);
            if rest > 0 {
                let at = whole + part;
                sum = S::fma(S::load_first(a.add(at), rest), S::load_first(b.add(at), rest), sum);
            }
            S::store(lanes.as_mut_ptr().add(part), sum);
        }
    }
    fold(lanes)
}

/// Sums of a matrix's entries along diagonals, times weights.
pub struct Diagonals {
    /// First entry, for the first tap.
    pub from: *const f32,
    /// Kernel rows and columns, and the distances between their entries.
    pub taps: [usize; 2],
    pub step: [usize; 2],
    pub weight: *const f32,
    pub len: usize,
}

/// # Safety
/// See [`super::MicroKernels::diagonals`].
#[inline(always)]
pub unsafe fn diagonals<S: Simd>(d: &Diagonals) -> f32 {
    let mut lanes = [0.0f32; COLUMNS];
    // SAFETY: each tap's `len` entries and the weights are readable (caller).
    unsafe {
        for part in (0..COLUMNS).step_by(S::LANES) {
            let mut sum = S::splat(0.0);
            let mut at = part;
            while at + 3 * COLUMNS + S::LANES <= d.len {
                let mut taps = [S::splat(0.0); 4];
                for r in 0..d.taps[0] {
                    for s in 0..d.taps[1] {
                        let from = d.from.add(r * d.step[0] + s * d.step[1] + at);
                        for i in 0..4 {
                            taps[i] = S::add(taps[i], S::load(from.add(i * COLUMNS)));
                        }
                    }
                }
                for i in 0..4 {
                    sum = S::fma(taps[i], S::load(d.weight.add(at + i * COLUMNS)), sum);
                }
                at += 4 * COLUMNS;
            }
            while at < d.len {
                let n = (d.len - at).min(S::LANES);
                let mut taps = S::splat(0.0);
                for r in 0..d.taps[0] {
                    for s in 0..d.taps[1] {
                        let from = d.from.add(r * d.step[0] + s * d.step[1] + at);
                        taps = S::add(taps, S::load_first(from, n));
                    }
                }
                sum = S::fma(taps, S::load_first(d.weight.add(at), n), sum);
                at += COLUMNS;
            }
            S::store(lanes.as_mut_ptr().add(part), sum);
        }
    }
    fold(lanes)
}

/// # Safety
/// See [`super::MicroKernels::transpose`].
#[inline(always)]
pub unsafe fn transpose<S: Simd>(rows: [*const f32; 8], len: usize, out: *mut f32, pitch: usize) {
    let whole = len - len % 8;
    // SAFETY: `len` values of the rows are readable, and `out` has a line for each (caller).
    unsafe {
        for j in (0..whole).step_by(8) {
            S::transpose8(rows.map(|row| row.add(j)), out.add(j * pitch), pitch);
        }
        for j in whole..len {
            for (i, row) in rows.iter().enumerate() {
                *out.add(j * pitch + i) = *row.add(j);
            }
        }
    }
}
