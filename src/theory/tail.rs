//! Tails of the standard normal distribution, including its far ends.

use std::f64::consts::{LN_2, PI, SQRT_2};

/// The continued fraction below is exact to rounding from this z on.
const FAR: f64 = 5.0;
/// Number of terms of the fraction that [`FAR`] needs; fewer would do further out.
const TERMS: u32 = 80;

/// Returns P(Z > z). The relative error is some z^2 units in the last place; the value is 0 above z
/// = 38.5.
pub fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

/// Returns ln P(Z > z), finite for every finite z with z^2 below the largest number.
pub fn ln_upper_tail(z: f64) -> f64 {
    if z > FAR {
        -0.5 * z * z - 0.5 * (LN_2 + PI.ln()) + ln_mills(z)
    } else if z < -1.0 {
        libm::log1p(-upper_tail(-z))
    } else {
        libm::log(upper_tail(z))
    }
}

/// Returns ln of the Mills ratio P(Z > z) / phi(z), with phi the density; it is near -ln z for
/// large z.
pub fn ln_mills(z: f64) -> f64 {
    if z <= FAR {
        return ln_upper_tail(z) + 0.5 * z * z + 0.5 * (LN_2 + PI.ln());
    }
    // The fraction 1 / (z + 1 / (z + 2 / (z + 3 / ...))) of Abramowitz and Stegun 26.2.14 is
    // evaluated from its far end.
    let mut denominator = z;
    for k in (1..=TERMS).rev() {
        denominator = z + f64::from(k) / denominator;
    }
    -libm::log(denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (z, ln P(Z > z), ln Mills ratio) at 50 digits.
    #[expect(clippy::excessive_precision, clippy::approx_constant, reason = "rounded from exact")]
    const EXACT: [(f64, f64, f64); 18] = [
        (-60.0, 0.0, 1800.9189385332047),
        (-38.0, 0.0, 722.91893853320467),
        (-9.5, -1.0494515075362607e-21, 46.043938533204673),
        (-1.5, -0.069143455612233983, 1.9747950775924388),
        (-1.0, -0.17275377902344989, 1.2461847541812229),
        (-0.75, -0.25699426683836524, 0.94319426636630751),
        (0.0, -0.69314718055994531, 0.22579135264472743),
        (0.5, -1.1759117615936186, -0.13197322838894587),
        (3.0, -6.6077262215103495, -1.1887876883056768),
        (4.75, -13.798571593147467, -1.5983830599427939),
        (5.0, -15.064998393988726, -1.646059860784053),
        (5.25, -16.391880010037793, -1.6916914768331204),
        (7.5, -31.075890902890001, -2.0319523696853285),
        (13.0, -87.98971997102252, -2.5707814378178469),
        (37.5, -707.66898931750719, -3.6250507843025183),
        (150.0, -11255.929618266808, -5.010679733603511),
        (1e8, -5000000000000019.3, -18.420680743952366),
        (1e100, -5.0e199, -230.25850929940457),
    ];

    #[test]
    fn against_fifty_digits() {
        for (z, tail, mills) in EXACT {
            let close = |found: f64, expected: f64| {
                let error = (found - expected).abs() / expected.abs().max(1.0);
                assert!(error < 5e-15, "at {z}: {found:e}, expected {expected:e}");
            };
            close(ln_upper_tail(z), tail);
            close(ln_mills(z), mills);
        }
    }

    #[test]
    fn small_tails_keep_their_digits() {
        // The expected values are P(Z > 10), P(Z > 37.5), and ln P(Z > -9.5) = -P(Z > 9.5).
        for (found, expected) in [
            (upper_tail(10.0), 7.619853024160526e-24),
            (upper_tail(37.5), 4.605353009581955e-308),
            (ln_upper_tail(-9.5), -1.0494515075362607e-21),
        ] {
            assert!((found / expected - 1.0).abs() < 1e-12, "{found:e}, expected {expected:e}");
        }
        assert_eq!((upper_tail(40.0), upper_tail(-40.0)), (0.0, 1.0));
        assert_eq!(ln_upper_tail(f64::INFINITY), f64::NEG_INFINITY);
        assert_eq!(ln_upper_tail(f64::NEG_INFINITY), 0.0);
    }
}
