//! Float64 oracles of the operators, and the comparers that judge an operator against them.
//!
//! An oracle returns every output's value together with the sum of the absolute values of its
//! terms, since only that says how much error correct f32 arithmetic may show: a dot product that
//! nearly cancels has a large relative error and is still right. Only tests, benches and
//! `selftest` use this module.

pub mod batch_norm;
pub mod conv2d;
pub mod gather;
pub mod loss_score;
pub mod pool;
pub mod sgd;

use half::bf16;

/// Unit roundoff of f32: half the distance from 1 to the next value.
pub const U: f64 = 1.0 / (1u64 << 24) as f64;

/// Unit roundoff of bf16.
pub const U16: f64 = 1.0 / (1u64 << 8) as f64;

/// Outputs in float64, each with the sum of |a||b| over its terms.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// The outputs.
    pub value: Vec<f64>,
    /// Sum of |a||b| over the terms of each output.
    pub magnitude: Vec<f64>,
}

impl Sums {
    /// Returns `len` empty sums.
    pub fn zeros(len: usize) -> Self {
        Sums { value: vec![0.0; len], magnitude: vec![0.0; len] }
    }

    /// Adds the term a * b to output `i`.
    pub fn add(&mut self, i: usize, a: f64, b: f64) {
        self.value[i] += a * b;
        self.magnitude[i] += (a * b).abs();
    }
}

/// Checks that every output equals the oracle's value bit for bit after one rounding to f32. This
/// is for inputs of small integers, whose sums f32 holds exactly. NaN equals nothing.
pub fn equal(what: &str, out: &[f32], reference: &[f64]) -> Result<(), String> {
    let rounded: Vec<f64> = reference.iter().map(|&r| f64::from(r as f32)).collect();
    judge(what, out, &rounded, |_| 0.0)
}

/// Checks that every output equals the oracle's value bit for bit after one rounding to bf16.
pub fn equal16(what: &str, out: &[f32], reference: &[f64]) -> Result<(), String> {
    let rounded: Vec<f64> = reference.iter().map(|&r| bf16::from_f64(r).to_f64()).collect();
    judge(what, out, &rounded, |_| 0.0)
}

/// Checks |out - ref| <= (2 chain + 8) u magnitude + u_out |ref| for every output, where `chain` is
/// the longest chain of dependent f32 accumulations behind an output and `u_out` the unit roundoff
/// of the output's type. NaN is outside every bound.
pub fn within(
    what: &str,
    out: &[f32],
    reference: &Sums,
    chain: usize,
    u_out: f64,
) -> Result<(), String> {
    let Sums { value, magnitude } = reference;
    judge(what, out, value, |i| (2 * chain + 8) as f64 * U * magnitude[i] + u_out * value[i].abs())
}

/// Checks |out - ref| <= bound(i) for every output; fails on NaN in any place and on a wrong
/// length.
pub fn judge(
    what: &str,
    out: &[f32],
    reference: &[f64],
    bound: impl Fn(usize) -> f64,
) -> Result<(), String> {
    if out.len() != reference.len() {
        return Err(format!("{what}: {} values, the oracle has {}", out.len(), reference.len()));
    }
    let mut worst: Option<(f64, usize)> = None;
    let mut wrong = 0;
    for (i, (&o, &r)) in out.iter().zip(reference).enumerate() {
        let error = (f64::from(o) - r).abs();
        let limit = bound(i);
        let passes = error <= limit;
        if !passes {
            wrong += 1;
            if worst.is_none_or(|(e, _)| error > e || error.is_nan()) {
                worst = Some((error, i));
            }
        }
    }
    match worst {
        None => Ok(()),
        Some((error, i)) => Err(format!(
            "{what}: {wrong} of {} values wrong; [{i}] is {}, oracle {}, error {error:.3e}, \
             bound {:.3e}",
            out.len(),
            out[i],
            reference[i],
            bound(i)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_fails_every_comparison() {
        assert!(equal("nan", &[f32::NAN], &[0.0]).is_err());
        assert!(equal("nan", &[0.0], &[f64::NAN]).is_err());
        let mut sums = Sums::zeros(1);
        sums.add(0, 1.0, 1.0);
        assert!(within("nan", &[f32::NAN], &sums, 1, U).is_err());
        sums.magnitude[0] = f64::NAN;
        assert!(within("nan", &[1.0], &sums, 1, U).is_err());
    }

    #[test]
    fn bounds_are_tight_where_they_should_be() {
        assert!(equal("one", &[1.0, 2.0], &[1.0, 2.0]).is_ok());
        assert!(equal("off by one unit", &[1.0f32.next_up()], &[1.0]).is_err());
        assert!(equal("too short", &[1.0], &[1.0, 2.0]).is_err());
        let mut sums = Sums::zeros(1);
        sums.add(0, 1.0, 1.0);
        sums.add(0, -1.0, 1.0);
        let limit = 12.0 * U * 2.0;
        assert!(within("at", &[limit as f32], &sums, 2, U).is_ok());
        assert!(within("above", &[(1.01 * limit) as f32], &sums, 2, U).is_err());
    }
}
