//! Vectors of f32 behind one trait, so that a kernel is written once and compiled for each
//! instruction set.
//!
//! A kernel is a generic `#[inline(always)]` function over [`Simd`], instantiated inside a
//! function with the matching `#[target_feature]`; the methods then inline to single
//! instructions. Kernels keep every output's order of operations independent of the lane
//! count, so all instruction sets give the same bits.

/// Operations on vectors of `LANES` f32 values.
pub trait Simd: Copy {
    /// f32 values in a vector.
    const LANES: usize;
    /// A vector.
    type V: Copy;

    /// # Safety
    /// The processor has the instruction set; so for all methods here.
    unsafe fn splat(x: f32) -> Self::V;
    /// # Safety
    /// `p` is readable for `LANES` values; no alignment needed.
    unsafe fn load(p: *const f32) -> Self::V;
    /// # Safety
    /// `p` is writable for `LANES` values; no alignment needed.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `n <= LANES` values from memory, the others 0.
    /// # Safety
    /// `p` is readable for `n` values.
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V;
    /// Stores the first `n <= LANES` values.
    /// # Safety
    /// `p` is writable for `n` values.
    unsafe fn store_first(p: *mut f32, v: Self::V, n: usize);
    /// # Safety
    /// See [`Simd::splat`].
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// # Safety
    /// See [`Simd::splat`].
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// # Safety
    /// See [`Simd::splat`].
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c with one rounding.
    /// # Safety
    /// See [`Simd::splat`].
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// 0 where 0 > v, else v; NaN stays NaN.
    /// # Safety
    /// See [`Simd::splat`].
    unsafe fn relu(v: Self::V) -> Self::V;
    /// Transposes the first 8 values of 8 rows: `out[j * pitch + i] = rows[i][j]`.
    /// # Safety
    /// Each row is readable for 8 values, `out` writable for 8 values at 8 multiples of `pitch`.
    unsafe fn transpose8(rows: [*const f32; 8], out: *mut f32, pitch: usize);
}

/// Asks for the cache line at `p`, which may be any address.
#[inline(always)]
pub fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and a prefetch never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Plain Rust: arrays of 8. `mul_add` is exact everywhere and fast where the target has an FMA.
#[derive(Clone, Copy)]
pub struct Portable8;

impl Simd for Portable8 {
    const LANES: usize = 8;
    type V = [f32; 8];

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 8] {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 8] {
        // SAFETY: readable for 8 values (caller).
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 8]) {
        // SAFETY: writable for 8 values (caller).
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> [f32; 8] {
        let mut v = [0.0; 8];
        // SAFETY: readable for n <= 8 values (caller).
        unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n) };
        v
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: [f32; 8], n: usize) {
        // SAFETY: writable for n <= 8 values (caller).
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, n) };
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn relu(v: [f32; 8]) -> [f32; 8] {
        v.map(|x| if 0.0 > x { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn transpose8(rows: [*const f32; 8], out: *mut f32, pitch: usize) {
        for (i, row) in rows.into_iter().enumerate() {
            for j in 0..8 {
                // SAFETY: within the ranges the caller vouches for.
                unsafe { *out.add(j * pitch + i) = *row.add(j) };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2x8, Avx512x16};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    /// AVX2 and FMA: 8 lanes.
    #[derive(Clone, Copy)]
    pub struct Avx2x8;

    /// The first n of 8 lanes selected, for masked loads and stores.
    #[inline(always)]
    unsafe fn mask8(n: usize) -> __m256i {
        // SAFETY: AVX2 is there (callers' contract).
        unsafe {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane)
        }
    }

    // SAFETY of every body: the caller guarantees the instruction set and the memory ranges, as
    // the trait's methods state.
    impl Simd for Avx2x8 {
        const LANES: usize = 8;
        type V = __m256;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> __m256 {
            unsafe { _mm256_maskload_ps(p, mask8(n)) }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, v: __m256, n: usize) {
            unsafe { _mm256_maskstore_ps(p, mask8(n), v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn relu(v: __m256) -> __m256 {
            // max returns its second operand when either is NaN or both are zero.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), v) }
        }
        #[inline(always)]
        unsafe fn transpose8(rows: [*const f32; 8], out: *mut f32, pitch: usize) {
            unsafe {
                let r: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(rows[i]));
                // Pairs of rows interleaved, then pairs of pairs, then the two halves.
                let lo = |i: usize| _mm256_unpacklo_ps(r[i], r[i + 1]);
                let hi = |i: usize| _mm256_unpackhi_ps(r[i], r[i + 1]);
                let quads = |a, b| (_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xEE));
                let ((a0, a1), (a2, a3)) = (quads(lo(0), lo(2)), quads(hi(0), hi(2)));
                let ((b0, b1), (b2, b3)) = (quads(lo(4), lo(6)), quads(hi(4), hi(6)));
                for (j, (a, b)) in [(a0, b0), (a1, b1), (a2, b2), (a3, b3)].into_iter().enumerate()
                {
                    let low = _mm256_permute2f128_ps(a, b, 0x20);
                    let high = _mm256_permute2f128_ps(a, b, 0x31);
                    _mm256_storeu_ps(out.add(j * pitch), low);
                    _mm256_storeu_ps(out.add((j + 4) * pitch), high);
                }
            }
        }
    }

    /// AVX-512 F: 16 lanes.
    #[derive(Clone, Copy)]
    pub struct Avx512x16;

    #[inline(always)]
    fn mask16(n: usize) -> __mmask16 {
        ((1u32 << n) - 1) as __mmask16
    }

    // SAFETY of every body: as above.
    impl Simd for Avx512x16 {
        const LANES: usize = 16;
        type V = __m512;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> __m512 {
            unsafe { _mm512_maskz_loadu_ps(mask16(n), p) }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, v: __m512, n: usize) {
            unsafe { _mm512_mask_storeu_ps(p, mask16(n), v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn relu(v: __m512) -> __m512 {
            // max returns its second operand when either is NaN or both are zero.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), v) }
        }
        #[inline(always)]
        unsafe fn transpose8(rows: [*const f32; 8], out: *mut f32, pitch: usize) {
            unsafe { Avx2x8::transpose8(rows, out, pitch) }
        }
    }
}
