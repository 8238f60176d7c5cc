//! The exponentials of a row of logits, all at once.
//!
//! They have the bits of `libm::exp`, whose steps they take (FreeBSD's e_exp.c: x = k ln 2 + r, a rational
//! function of r, times 2^k), without its branches, so that a compiler makes vectors of them.

use crate::isa::multiversion;

const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const INVERSE_LN2: f64 = std::f64::consts::LOG2_E;
const P1: f64 = 1.666_666_666_666_660_2e-1;
const P2: f64 = -2.777_777_777_701_559_3e-3;
const P3: f64 = 6.613_756_321_437_934e-5;
const P4: f64 = -1.653_390_220_546_525_2e-6;
const P5: f64 = 4.138_136_797_057_238_5e-8;

/// From this magnitude on a multiple of ln 2 is taken off: a little more than half of it.
const REDUCED: f64 = f64::from_bits(0x3fd6_2e43_0000_0000);
/// Below this magnitude the exponential is 1 + x.
const TINY: f64 = f64::from_bits(0x3e30_0001_0000_0000);
/// Below this the result may be less than the least normal number.
const LOWEST: f64 = -690.0;
/// Adding it moves a whole number from 0 to 2^11 to the lowest bits.
const TO_BITS: f64 = 4_503_599_627_370_496.0;

/// `p[k] = exp(z[k] - top)`, where `top` is the largest of `z`.
pub fn exponentials(isa: crate::isa::Isa, z: &[f32], top: f64, p: &mut [f64]) {
    if !below_normal(isa, z, top, p) {
        return;
    }
    for (p, &z) in p.iter_mut().zip(z) {
        *p = libm::exp(f64::from(z) - top);
    }
}

multiversion! {
    /// The exponentials, and whether one of them may be less than the least normal number: then they are not
    /// to be used.
    fn below_normal(z: &[f32], top: f64, p: &mut [f64]) -> bool {
        let mut low = 0u64;
        for (p, &z) in p.iter_mut().zip(z) {
            let x = f64::from(z) - top;
            low |= u64::from(x < LOWEST);
            let size = x.abs();
            let k = if size >= REDUCED { (INVERSE_LN2 * x - 0.5).trunc() } else { 0.0 };
            let (high, rest) = (x - k * LN2_HIGH, k * LN2_LOW);
            let r = high - rest;
            let rr = r * r;
            let c = r - rr * (P1 + rr * (P2 + rr * (P3 + rr * (P4 + rr * P5))));
            let y = 1.0 + (r * c / (2.0 - c) - rest + high);
            let scale = f64::from_bits((k + 1023.0 + TO_BITS).to_bits() << 52);
            *p = if size >= TINY { y * scale } else { 1.0 + x };
        }
        low != 0
    }
}

multiversion! {
    /// `p[k] /= sum`.
    pub fn divide(p: &mut [f64], sum: f64) {
        p.iter_mut().for_each(|p| *p /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// Bits of `libm::exp`, in steps that hit every range and its ends.
    #[test]
    fn exponentials_have_the_bits_of_the_library() {
        let ends = [REDUCED, TINY, 1.5 * std::f64::consts::LN_2, 0.5 * std::f64::consts::LN_2];
        let near = ends.iter().flat_map(|&e| {
            let bits = (e as f32).to_bits();
            (0..40).map(move |i| -f32::from_bits(bits - 20 + i))
        });
        let steps = (0..200_000).map(|i| -(i as f32) * 0.003_517);
        let powers = (0..300).map(|i| -(2.0f32.powi(i / 2 - 140)) * (1.0 + (i % 2) as f32 * 0.37));
        let special = [0.0, -0.0, f32::NEG_INFINITY, f32::NAN, -745.2, -708.5];
        let all: Vec<f32> = near.chain(steps).chain(powers).chain(special).collect();
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            if isa > Isa::detect() {
                continue;
            }
            for top in [0.0f64, 1.25] {
                // One at a time, so that a low one does not send the others to the library.
                for &z in &all {
                    let mut p = [f64::NAN];
                    exponentials(isa, &[z], top, &mut p);
                    let expected = libm::exp(f64::from(z) - top);
                    let same = p[0].to_bits() == expected.to_bits();
                    assert!(same || (p[0].is_nan() && expected.is_nan()), "{isa:?} {z} {top}");
                }
                let mut p = vec![0.0; all.len()];
                exponentials(isa, &all, top, &mut p);
                assert!(p.iter().zip(&all).all(|(&p, &z)| {
                    let expected = libm::exp(f64::from(z) - top);
                    p.to_bits() == expected.to_bits() || (p.is_nan() && expected.is_nan())
                }));
            }
        }
    }
}
