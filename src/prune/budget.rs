//! The number of samples that a density keeps, in exact decimal arithmetic.
//!
//! A density is a decimal number that somebody wrote, and .29 of 50 samples is 14.5. In binary
//! floating point `0.29 * 50.0` is 14.499999999999998, which would round to 14. The density is
//! therefore read as the shortest decimal that denotes the same `f64` (what Rust prints for it), and
//! the product and its rounding are done in integers.

use crate::error::{Error, Result};

/// Up to this many samples the `f64` shares of classes are exact to a thousandth of a sample.
const MOST_SAMPLES: usize = 1 << 40;

/// The number of samples that a density d keeps of N.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// d N rounded half up, at most N.
    pub count: usize,
    /// d N before rounding.
    pub exact: f64,
}

impl Budget {
    /// The budget of `density` on `samples`.
    ///
    /// # Errors
    /// The density is NaN or outside [0, 1], or there are more than 2^40 samples.
    pub fn new(density: f64, samples: usize) -> Result<Self> {
        let density = Decimal::in_unit_interval("density", density)?;
        if samples > MOST_SAMPLES {
            return Err(Error::invalid("samples", samples.to_string(), "at most 2^40"));
        }
        // digits < 10^17 and samples <= 2^40, so twice the product stays below 2^98.
        let Some(unit) = density.unit() else {
            return Ok(Budget { count: 0, exact: 0.0 });
        };
        let product = u128::from(density.digits) * samples as u128;
        let count = (2 * product + unit) / (2 * unit);
        let exact = (product / unit) as f64 + (product % unit) as f64 / unit as f64;
        Ok(Budget { count: count as usize, exact })
    }
}

/// The density 1 - `rate`, subtracted in decimal: a prune rate of .9 is the density .1 and not
/// .09999999999999998.
///
/// # Errors
/// The rate is NaN or outside [0, 1].
pub fn density_of_prune_rate(rate: f64) -> Result<f64> {
    let rate = Decimal::in_unit_interval("prune rate", rate)?;
    let Some(unit) = rate.unit() else { return Ok(1.0) };
    let kept = unit - u128::from(rate.digits);
    format!("{kept}e-{}", rate.places)
        .parse()
        .map_err(|_| Error::Internal(format!("{kept}e-{} is not a number", rate.places)))
}

/// The number digits x 10^-places.
struct Decimal {
    digits: u64,
    places: u32,
}

impl Decimal {
    fn in_unit_interval(what: &str, value: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::invalid(what, value.to_string(), "a number in [0, 1]"));
        }
        // Scientific form of the shortest decimal: 2.9e-1. The exponent is at most 0 here.
        let text = format!("{:e}", value.abs());
        let parsed = text.split_once('e').and_then(|(mantissa, exponent)| {
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let digits = format!("{whole}{fraction}").parse().ok()?;
            let places = fraction.len() as u32 + exponent.parse::<i32>().ok()?.unsigned_abs();
            Some(Decimal { digits, places })
        });
        parsed.ok_or_else(|| Error::Internal(format!("{text} is not in scientific form")))
    }

    /// Returns 10^places, or `None` where the number is below 10^-20, which is nothing for at most
    /// 2^40 samples.
    fn unit(&self) -> Option<u128> {
        (self.places <= 37).then(|| 10u128.pow(self.places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_sample_rounds_up_whatever_the_binary_form() {
        // The floating-point products are 4.5, 14.499999999999998, 4.499999999999999 (rounded).
        assert_eq!(Budget::new(0.1, 45).unwrap(), Budget { count: 5, exact: 4.5 });
        assert_eq!(Budget::new(0.29, 50).unwrap(), Budget { count: 15, exact: 14.5 });
        assert_eq!(Budget::new(0.7, 15).unwrap().count, 11);
        assert_eq!(Budget::new(0.57, 50).unwrap().count, 29);
        assert_eq!(Budget::new(0.285, 100).unwrap().count, 29);
        assert_eq!(Budget::new(0.2849, 100).unwrap().count, 28);
    }

    #[test]
    fn ends_of_the_range_are_exact() {
        for n in [0, 1, 7, 1_281_167, 1 << 40] {
            assert_eq!(Budget::new(0.0, n).unwrap().count, 0);
            assert_eq!(Budget::new(-0.0, n).unwrap().count, 0);
            assert_eq!(Budget::new(1.0, n).unwrap(), Budget { count: n, exact: n as f64 });
        }
        assert_eq!(Budget::new(5e-324, 1 << 40).unwrap().count, 0);
        assert_eq!(Budget::new(0.999_999_999_999, 1 << 40).unwrap().count, (1 << 40) - 1);
        assert_eq!(Budget::new(1.0 - f64::EPSILON / 2.0, 1 << 40).unwrap().count, 1 << 40);
    }

    #[test]
    fn every_percentage_of_every_small_set() {
        for percent in 0..=100usize {
            let density: f64 = format!("{percent}e-2").parse().unwrap();
            for n in 0..=400 {
                let expected = (2 * percent * n + 100) / 200;
                assert_eq!(Budget::new(density, n).unwrap().count, expected, "{percent} % of {n}");
            }
        }
    }

    #[test]
    fn a_density_outside_the_range_is_refused_with_its_value() {
        for bad in [f64::NAN, -0.1, 1.0001, f64::INFINITY] {
            let message = Budget::new(bad, 10).unwrap_err().to_string();
            assert!(message.contains("density") && message.contains(&bad.to_string()), "{message}");
        }
        assert!(Budget::new(0.5, (1 << 40) + 1).is_err());
    }

    #[test]
    fn prune_rates_are_subtracted_in_decimal() {
        for (rate, density) in [(0.9, 0.1), (0.7, 0.3), (0.71, 0.29), (0.0, 1.0), (1.0, 0.0)] {
            assert_eq!(density_of_prune_rate(rate).unwrap(), density);
        }
        assert_eq!(density_of_prune_rate(1e-300).unwrap(), 1.0);
        assert!(density_of_prune_rate(f64::NAN).is_err());
        assert!(density_of_prune_rate(1.5).unwrap_err().to_string().contains("prune rate"));
    }
}
