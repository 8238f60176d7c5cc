//! Quantiles, and the rates of a row's repeats.

use serde::{Deserialize, Serialize};

/// The p-quantile of `values` (linear between order statistics). NaN without values.
pub fn quantile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = p * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Images a second over the repeats of one row. p10 is the slow end, p90 the fast end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    pub median: f64,
    pub p10: f64,
    pub p90: f64,
}

impl Rates {
    /// Quantiles of a list of rates, which must not be empty.
    pub fn of(rates: &[f64]) -> Rates {
        let at = |p| quantile(rates, p);
        Rates { median: at(0.5), p10: at(0.1), p90: at(0.9) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&values), 2.5);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert!((quantile(&values, 0.9) - 3.7).abs() < 1e-12);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn quantiles_of_rates() {
        let rates: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(Rates::of(&rates), Rates { median: 50.0, p10: 10.0, p90: 90.0 });
        assert_eq!(Rates::of(&[7.0]), Rates { median: 7.0, p10: 7.0, p90: 7.0 });
    }
}
