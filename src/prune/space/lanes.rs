//! Squared differences and inner products of many pairs of vectors.
//!
//! Element k of a vector goes to lane k mod 16; the lanes of a slab of 512 elements are summed in
//! f32 by fused multiply-adds and folded in a fixed tree, and the slabs are added in f64. Each pair
//! is therefore one fixed sequence of roundings, whatever the tile it is computed in, the thread
//! or the instruction set: a distance is the same number each time it is asked for.
//!
//! Error, with u = 2^-24: at most 38 u times the sum of |terms| (32 additions in a lane, 4 in the
//! tree, 2 in the difference), 2.3e-6, for every length. Squared differences have no cancellation,
//! so for them that is the relative error, and equal vectors are at exactly 0.

use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::simd::Avx2x8;
use crate::isa::simd::{Portable8, Simd};

/// Number of partial sums of a pair, which are two vectors of 8.
const LANES: usize = 16;
const HALF: usize = LANES / 2;
/// Number of elements that are summed in f32.
const SLAB: usize = 512;
/// Queries and rows in a tile of pairs, which keeps its partial sums in registers.
const TILE: usize = 2;
/// Rows in a tile of a single query.
const LONG: usize = 4;

/// The sum that a pair of vectors gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairSum {
    /// || q - r ||^2.
    SquaredDifference,
    /// < q, r >.
    InnerProduct,
}

/// Writes the pair sum of `queries[q]` and `rows[r]` to `out[q * rows.len() + r]`.
///
/// All slices have the same length, and `out` has a place for every pair: anything else is a defect
/// of the caller, on which this panics.
pub(crate) fn pairs(isa: Isa, pair: PairSum, queries: &[&[f32]], rows: &[&[f32]], out: &mut [f64]) {
    let Some(dims) = queries.first().map(|q| q.len()) else { return };
    assert!(queries.iter().chain(rows).all(|v| v.len() == dims), "vectors of one length");
    assert_eq!(out.len(), queries.len() * rows.len(), "a place for every pair");
    // SAFETY: the lengths were checked here; callers pass an `Isa` that this processor has, and
    // AVX-512, which has AVX2, gains nothing over it here.
    unsafe {
        match (isa, pair) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2 | Isa::Avx512, PairSum::SquaredDifference) => {
                avx2::<true>(dims, queries, rows, out);
            }
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2 | Isa::Avx512, PairSum::InnerProduct) => {
                avx2::<false>(dims, queries, rows, out);
            }
            (_, PairSum::SquaredDifference) => block::<Portable8, true>(dims, queries, rows, out),
            (_, PairSum::InnerProduct) => block::<Portable8, false>(dims, queries, rows, out),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const DIFF: bool>(d: usize, q: &[&[f32]], r: &[&[f32]], out: &mut [f64]) {
    // SAFETY: passed on to the caller.
    unsafe { block::<Avx2x8, DIFF>(d, q, r, out) }
}

/// Computes square tiles of pairs (a single query takes a longer one), then what is left over.
///
/// # Safety
/// The processor has the instruction set of `S`, and the lengths are those that [`pairs`] asks for.
#[inline(always)]
unsafe fn block<S: Simd, const DIFF: bool>(
    dims: usize,
    queries: &[&[f32]],
    rows: &[&[f32]],
    out: &mut [f64],
) {
    let width = rows.len();
    let mut first = 0;
    if queries.len() == 1 {
        while first + LONG <= width {
            // SAFETY: the tile is whole; the rest is the caller's.
            unsafe {
                let out = out.as_mut_ptr().add(first);
                tile::<S, 1, LONG, DIFF>(dims, queries, &rows[first..], out, width);
            }
            first += LONG;
        }
    }
    for r in (first..width).step_by(TILE) {
        let whole = r + TILE <= width;
        let mut q = 0;
        while q < queries.len() {
            // SAFETY: a tile is whole where it is used as such; the rest is the caller's.
            unsafe {
                let out = out.as_mut_ptr().add(q * width + r);
                if whole && q + TILE <= queries.len() {
                    tile::<S, TILE, TILE, DIFF>(dims, &queries[q..], &rows[r..], out, width);
                    q += TILE;
                } else if whole {
                    tile::<S, 1, TILE, DIFF>(dims, &queries[q..], &rows[r..], out, width);
                    q += 1;
                } else {
                    tile::<S, 1, 1, DIFF>(dims, &queries[q..], &rows[r..], out, width);
                    q += 1;
                }
            }
        }
    }
}

/// Computes one tile of pairs.
///
/// # Safety
/// The processor has the instruction set of `S`, which has 8 lanes. There are at least Q queries
/// and R rows of `dims` values, and `out` is writable at `i * pitch + j` for i < Q and j < R.
#[inline(always)]
unsafe fn tile<S: Simd, const Q: usize, const R: usize, const DIFF: bool>(
    dims: usize,
    queries: &[&[f32]],
    rows: &[&[f32]],
    out: *mut f64,
    pitch: usize,
) {
    const { assert!(S::LANES == HALF) };
    // SAFETY: every index is below `dims` (the last loads read what is left), and the rest is
    // passed on to the caller.
    unsafe {
        let q: [*const f32; Q] = std::array::from_fn(|i| queries[i].as_ptr());
        let r: [*const f32; R] = std::array::from_fn(|j| rows[j].as_ptr());
        let mut totals = [[0.0f64; R]; Q];
        for start in (0..dims).step_by(SLAB) {
            let end = (start + SLAB).min(dims);
            let mut sums = [[[S::splat(0.0); 2]; R]; Q];
            let mut k = start;
            while k + LANES <= end {
                for half in 0..2 {
                    let at = k + half * HALF;
                    let query: [S::V; Q] = std::array::from_fn(|i| S::load(q[i].add(at)));
                    let row: [S::V; R] = std::array::from_fn(|j| S::load(r[j].add(at)));
                    for i in 0..Q {
                        for j in 0..R {
                            let sum = sums[i][j][half];
                            sums[i][j][half] = add_term::<S, DIFF>(query[i], row[j], sum);
                        }
                    }
                }
                k += LANES;
            }
            for half in 0..2 {
                let at = k + half * HALF;
                if at < end {
                    let left = (end - at).min(HALF);
                    for i in 0..Q {
                        for j in 0..R {
                            let (a, b) = (q[i].add(at), r[j].add(at));
                            let (a, b) = (S::load_first(a, left), S::load_first(b, left));
                            sums[i][j][half] = add_term::<S, DIFF>(a, b, sums[i][j][half]);
                        }
                    }
                }
            }
            for i in 0..Q {
                for j in 0..R {
                    totals[i][j] += f64::from(fold::<S>(sums[i][j]));
                }
            }
        }
        for i in 0..Q {
            for j in 0..R {
                *out.add(i * pitch + j) = totals[i][j];
            }
        }
    }
}

/// Adds one term to a partial sum.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
unsafe fn add_term<S: Simd, const DIFF: bool>(q: S::V, r: S::V, sum: S::V) -> S::V {
    // SAFETY: passed on to the caller.
    unsafe {
        if DIFF {
            let d = S::sub(q, r);
            S::fma(d, d, sum)
        } else {
            S::fma(q, r, sum)
        }
    }
}

/// Folds the 16 lanes in halves: 8, 4, 2, 1.
///
/// # Safety
/// The processor has the instruction set of `S`, which has 8 lanes.
#[inline(always)]
unsafe fn fold<S: Simd>(sums: [S::V; 2]) -> f32 {
    let mut lanes = [0.0f32; HALF];
    // SAFETY: as many lanes as places; the rest is passed on to the caller.
    unsafe { S::store(lanes.as_mut_ptr(), S::add(sums[0], sums[1])) };
    for half in [4, 2, 1] {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Philox, Stream};

    fn rows(count: usize, dims: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut draw = Philox::new(seed, Stream::Init).sequence(0);
        (0..count).map(|_| (0..dims).map(|_| draw.normal()).collect()).collect()
    }

    fn slices(rows: &[Vec<f32>]) -> Vec<&[f32]> {
        rows.iter().map(Vec::as_slice).collect()
    }

    fn sets() -> impl Iterator<Item = Isa> {
        [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| isa <= Isa::detect())
    }

    fn term(pair: PairSum, a: f32, b: f32) -> f64 {
        let (a, b) = (f64::from(a), f64::from(b));
        match pair {
            PairSum::SquaredDifference => (a - b) * (a - b),
            PairSum::InnerProduct => a * b,
        }
    }

    #[test]
    fn within_the_stated_error_of_float64() {
        for dims in [1, 7, 8, 15, 16, 17, 31, 64, 511, 512, 513, 1029] {
            let (q, r) = (rows(3, dims, 1), rows(5, dims, 2));
            for pair in [PairSum::SquaredDifference, PairSum::InnerProduct] {
                let mut out = vec![f64::NAN; 15];
                pairs(Isa::detect(), pair, &slices(&q), &slices(&r), &mut out);
                for (i, q) in q.iter().enumerate() {
                    for (j, r) in r.iter().enumerate() {
                        let terms = || q.iter().zip(r).map(|(&a, &b)| term(pair, a, b));
                        let exact: f64 = terms().sum();
                        let bound = 38.0 * terms().map(f64::abs).sum::<f64>() / 16_777_216.0;
                        let error = (out[i * 5 + j] - exact).abs();
                        assert!(error <= bound, "{dims} {pair:?}: {error} > {bound}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_bits_in_every_tile_and_instruction_set() {
        for dims in [5, 16, 40, 700] {
            let (q, r) = (rows(5, dims, 3), rows(7, dims, 4));
            for pair in [PairSum::SquaredDifference, PairSum::InnerProduct] {
                let mut expected = vec![0.0; 35];
                for i in 0..5 {
                    for j in 0..7 {
                        let mut one = [0.0];
                        pairs(Isa::Portable, pair, &[&q[i]], &[&r[j]], &mut one);
                        expected[i * 7 + j] = one[0];
                    }
                }
                for isa in sets() {
                    let mut out = vec![f64::NAN; 35];
                    pairs(isa, pair, &slices(&q), &slices(&r), &mut out);
                    assert_eq!(out, expected, "{dims} {pair:?} {}", isa.name());
                }
            }
        }
    }

    #[test]
    fn whole_numbers_are_exact_and_equal_vectors_at_zero() {
        let a: Vec<f32> = (0..600).map(|i| (i % 23) as f32).collect();
        let b: Vec<f32> = (0..600).map(|i| (i % 7) as f32).collect();
        for isa in sets() {
            let mut out = [f64::NAN; 2];
            pairs(isa, PairSum::SquaredDifference, &[&a], &[&a, &b], &mut out);
            let exact = a.iter().zip(&b).map(|(&a, &b)| term(PairSum::SquaredDifference, a, b));
            assert_eq!(out, [0.0, exact.sum()]);
        }
    }

    #[test]
    fn no_query_row_or_element_is_no_work() {
        pairs(Isa::detect(), PairSum::InnerProduct, &[], &[], &mut []);
        pairs(Isa::detect(), PairSum::InnerProduct, &[&[1.0]], &[], &mut []);
        let mut out = [f64::NAN];
        pairs(Isa::detect(), PairSum::InnerProduct, &[&[]], &[&[]], &mut out);
        assert_eq!(out, [0.0]);
    }
}
