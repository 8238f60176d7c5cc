//! bf16 values in memory as vectors of f32.
//!
//! Widening is exact. Narrowing rounds to nearest, ties to even, subnormals included; NaN stays NaN. Every
//! instruction set gives the same bits.

use super::simd::{Portable8, Simd};

/// A bf16 value as f32.
#[inline(always)]
pub fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The nearest bf16 value.
#[inline(always)]
pub fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// In which order products of bf16 values are summed in f32: that of one of two instructions, which give
/// different bits. Without its instruction an order is computed from others, more slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bf16Form {
    /// `TDPBF16PS` (AMX): of up to 32 products the even and the odd ones apart, then both, then the sum so far.
    Tiles,
    /// `VDPBF16PS` (AVX-512 BF16): one chain, of every pair the odd one first.
    Pairs,
}

impl Bf16Form {
    /// The order of the processor's fastest instruction.
    pub fn detect() -> Self {
        if super::tiles::available() { Bf16Form::Tiles } else { Bf16Form::Pairs }
    }

    /// Whether the processor has the instruction.
    pub fn is_native(self) -> bool {
        match self {
            Bf16Form::Tiles => super::tiles::available(),
            #[cfg(target_arch = "x86_64")]
            Bf16Form::Pairs => is_x86_feature_detected!("avx512bf16"),
            #[cfg(not(target_arch = "x86_64"))]
            Bf16Form::Pairs => false,
        }
    }

    /// What computes it here, for people.
    pub fn means(self) -> &'static str {
        match (self, self.is_native()) {
            (Bf16Form::Tiles, true) => "AMX tiles",
            (Bf16Form::Pairs, true) => "AVX-512 BF16",
            (_, false) => "in software, slower than float32: neither AMX nor AVX-512 BF16 here",
        }
    }

    /// `amx` or `pairs`.
    pub fn name(self) -> &'static str {
        match self {
            Bf16Form::Tiles => "amx",
            Bf16Form::Pairs => "pairs",
        }
    }
}

/// Loads and stores of bf16 values as vectors of f32.
pub trait SimdBf16: Simd {
    /// The first `n <= LANES` values from memory, the others 0.
    ///
    /// # Safety
    /// The processor has the instruction set, and `p` is readable for `n` values.
    unsafe fn load_bf16(p: *const u16, n: usize) -> Self::V;
    /// Stores the first `n <= LANES` values, rounded.
    ///
    /// # Safety
    /// The processor has the instruction set, and `p` is writable for `n` values.
    unsafe fn store_bf16(p: *mut u16, v: Self::V, n: usize);
    /// What storing and loading make of a vector.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn round_bf16(v: Self::V) -> Self::V;
    /// `v` where `by` > 0, else 0.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn where_positive(v: Self::V, by: Self::V) -> Self::V;
}

impl SimdBf16 for Portable8 {
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16, n: usize) -> [f32; 8] {
        let mut bits = [0; 8];
        // SAFETY: readable for n <= 8 values (caller).
        unsafe { std::ptr::copy_nonoverlapping(p, bits.as_mut_ptr(), n) };
        bits.map(widen)
    }
    #[inline(always)]
    unsafe fn store_bf16(p: *mut u16, v: [f32; 8], n: usize) {
        let bits = v.map(narrow);
        // SAFETY: writable for n <= 8 values (caller).
        unsafe { std::ptr::copy_nonoverlapping(bits.as_ptr(), p, n) };
    }
    #[inline(always)]
    unsafe fn round_bf16(v: [f32; 8]) -> [f32; 8] {
        v.map(|x| widen(narrow(x)))
    }
    #[inline(always)]
    unsafe fn where_positive(v: [f32; 8], by: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if by[i] > 0.0 { v[i] } else { 0.0 })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::SimdBf16;
    use crate::isa::simd::{Avx2x8, Avx512x16};

    /// Rounded values in the upper halves of their lanes; the lower halves are of no account.
    #[inline(always)]
    unsafe fn upper8(v: __m256) -> __m256i {
        // SAFETY: AVX2 is there (callers' contract).
        unsafe {
            let bits = _mm256_castps_si256(v);
            let odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
            let bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
            let nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
            _mm256_blendv_epi8(_mm256_add_epi32(bits, bias), quiet, nan)
        }
    }

    // SAFETY of every body: the caller guarantees the instruction set and the memory ranges, as the trait's
    // methods state.
    impl SimdBf16 for Avx2x8 {
        #[inline(always)]
        unsafe fn load_bf16(p: *const u16, n: usize) -> __m256 {
            unsafe {
                let bits = if n == 8 {
                    _mm_loadu_si128(p.cast())
                } else {
                    let mut some = [0u16; 8];
                    std::ptr::copy_nonoverlapping(p, some.as_mut_ptr(), n);
                    _mm_loadu_si128(some.as_ptr().cast())
                };
                _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))
            }
        }
        #[inline(always)]
        unsafe fn store_bf16(p: *mut u16, v: __m256, n: usize) {
            unsafe {
                let low = _mm256_srli_epi32(upper8(v), 16);
                let pairs = _mm256_packus_epi32(low, low);
                let bits = _mm256_castsi256_si128(_mm256_permute4x64_epi64(pairs, 0b1000));
                if n == 8 {
                    _mm_storeu_si128(p.cast(), bits);
                } else {
                    let mut some = [0u16; 8];
                    _mm_storeu_si128(some.as_mut_ptr().cast(), bits);
                    std::ptr::copy_nonoverlapping(some.as_ptr(), p, n);
                }
            }
        }
        #[inline(always)]
        unsafe fn round_bf16(v: __m256) -> __m256 {
            unsafe {
                let mask = _mm256_set1_epi32(0xffff_0000u32 as i32);
                _mm256_castsi256_ps(_mm256_and_si256(upper8(v), mask))
            }
        }
        #[inline(always)]
        unsafe fn where_positive(v: __m256, by: __m256) -> __m256 {
            unsafe { _mm256_and_ps(v, _mm256_cmp_ps(by, _mm256_setzero_ps(), _CMP_GT_OQ)) }
        }
    }

    #[inline(always)]
    fn mask(n: usize) -> __mmask16 {
        ((1u32 << n) - 1) as __mmask16
    }

    /// As [`upper8`].
    #[inline(always)]
    unsafe fn upper16(v: __m512) -> __m512i {
        // SAFETY: AVX-512 is there (callers' contract).
        unsafe {
            let bits = _mm512_castps_si512(v);
            let odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
            let bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
            let rounded = _mm512_add_epi32(bits, bias);
            _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x40_0000))
        }
    }

    // SAFETY of every body: as above.
    impl SimdBf16 for Avx512x16 {
        #[inline(always)]
        unsafe fn load_bf16(p: *const u16, n: usize) -> __m512 {
            unsafe {
                let bits = if n == 16 {
                    _mm256_loadu_si256(p.cast())
                } else {
                    _mm256_maskz_loadu_epi16(mask(n), p.cast())
                };
                _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))
            }
        }
        #[inline(always)]
        unsafe fn store_bf16(p: *mut u16, v: __m512, n: usize) {
            unsafe {
                let bits = _mm512_cvtepi32_epi16(_mm512_srli_epi32(upper16(v), 16));
                if n == 16 {
                    _mm256_storeu_si256(p.cast(), bits);
                } else {
                    _mm256_mask_storeu_epi16(p.cast(), mask(n), bits);
                }
            }
        }
        #[inline(always)]
        unsafe fn round_bf16(v: __m512) -> __m512 {
            unsafe {
                let mask = _mm512_set1_epi32(0xffff_0000u32 as i32);
                _mm512_castsi512_ps(_mm512_and_si512(upper16(v), mask))
            }
        }
        #[inline(always)]
        unsafe fn where_positive(v: __m512, by: __m512) -> __m512 {
            unsafe {
                let positive = _mm512_cmp_ps_mask(by, _mm512_setzero_ps(), _CMP_GT_OQ);
                _mm512_maskz_mov_ps(positive, v)
            }
        }
    }
}

/// Declares `fn name(isa, args...)`, unsafe, whose body is generic over a [`SimdBf16`] and compiled for every
/// instruction set.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident<$s:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[expect(clippy::allow_attributes, reason = "the lint depends on the argument count")]
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) {
            #[inline(always)]
            unsafe fn body<$s: $crate::isa::bf16::SimdBf16>($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::isa::simd::{Avx2x8, Avx512x16};
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                unsafe fn avx512($($arg: $ty),*) {
                    // SAFETY: passed on to the caller.
                    unsafe { body::<Avx512x16>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2($($arg: $ty),*) {
                    // SAFETY: passed on to the caller.
                    unsafe { body::<Avx2x8>($($arg),*) }
                }
                match isa {
                    // SAFETY: callers pass an `Isa` that this processor has; the rest is passed on.
                    $crate::isa::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::isa::Isa::Portable => {}
                }
            }
            let _ = isa;
            // SAFETY: passed on to the caller.
            unsafe { body::<$crate::isa::simd::Portable8>($($arg),*) }
        }
    };
}

pub(crate) use vectorised;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    vectorised! {
        unsafe fn through<S>(from: &[f32], to: &mut [u16], back: &mut [f32]) {
            // SAFETY: within the slices.
            unsafe {
                let mut i = 0;
                while i < from.len() {
                    let n = (from.len() - i).min(S::LANES);
                    let v = S::load_first(from.as_ptr().add(i), n);
                    S::store_bf16(to.as_mut_ptr().add(i), v, n);
                    let again = S::load_bf16(to.as_ptr().add(i), n);
                    let rounded = S::round_bf16(v);
                    S::store_first(back.as_mut_ptr().add(i), S::add(again, S::sub(rounded, again)), n);
                    i += n;
                }
            }
        }
    }

    #[test]
    fn every_set_rounds_as_the_reference_does() {
        let ordinary = (0..40_000u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761)));
        let edges = [0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-40, -1e-40, 1.003_906_3];
        let values: Vec<f32> = ordinary.chain(edges).filter(|v| v.is_finite()).collect();
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            if isa > Isa::detect() {
                continue;
            }
            let (mut bits, mut back) = (vec![0; values.len()], vec![0.0; values.len()]);
            // SAFETY: the processor has the set.
            unsafe { through(isa, &values, &mut bits, &mut back) };
            for ((v, b), r) in values.iter().zip(&bits).zip(&back) {
                assert_eq!(*b, half::bf16::from_f32(*v).to_bits(), "{v:e} in {isa:?}");
                let infinite = widen(*b).is_infinite();
                assert!(
                    infinite || r.to_bits() == widen(*b).to_bits() || *r == 0.0,
                    "{v:e}: {r:e}"
                );
            }
            let mut nan = [0; 1];
            // SAFETY: as above.
            unsafe { through(isa, &[f32::from_bits(0x7f80_0001)], &mut nan, &mut [0.0]) };
            assert!(widen(nan[0]).is_nan(), "{isa:?}");
        }
    }
}
