//! The gain, from networks that were trained under unequal densities.

use super::prediction::predict;
use super::rows::ValidationRows;
use crate::error::{Error, Result};

/// Gains that are tried: from 0 to [`MOST`] in steps of [`STEP`].
const MOST: f64 = 4.0;
const STEP: f64 = 0.05;

/// What networks reached that were trained under some densities.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredRecalls<'a> {
    /// Density of each class.
    pub densities: &'a [f64],
    /// Recall of each class on validation samples; None where it is unknown.
    pub recalls: &'a [Option<f64>],
}

/// A gain and how well it predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GainFit {
    pub gain: f64,
    /// Root mean square of predicted minus measured recalls, the mean difference of each training
    /// removed: the level also falls because there are fewer samples.
    pub rmse: f64,
    /// The gain is the largest that was tried: the true one may be above it.
    pub at_limit: bool,
}

/// Finds the gain in [0, 4], to .05, whose predictions from `rows` are nearest to what was measured, in
/// the sense of [`GainFit::rmse`]. The smallest of several.
///
/// # Errors
/// Nothing was measured, or it does not fit the classes.
pub fn fit_gain(rows: &ValidationRows, measured: &[MeasuredRecalls<'_>]) -> Result<GainFit> {
    let error_at = |gain: f64| -> Result<f64> {
        let (mut squares, mut count) = (0.0, 0usize);
        for one in measured {
            let predicted = predict(rows, one.densities, gain)?;
            if one.recalls.len() != rows.classes() {
                let expected = format!("{}, one for each class", rows.classes());
                let found = one.recalls.len().to_string();
                return Err(Error::invalid("measured recalls", found, expected));
            }
            let pairs = predicted.recalls.iter().zip(one.recalls);
            let errors: Vec<f64> = pairs.filter_map(|(p, m)| Some((*p)? - (*m)?)).collect();
            let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
            squares += errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>();
            count += errors.len();
        }
        match count {
            0 => Err(Error::invalid("measured recalls", "none", "at least one class's")),
            _ => Ok((squares / count as f64).sqrt()),
        }
    };
    let mut best = GainFit { gain: 0.0, rmse: f64::INFINITY, at_limit: false };
    for i in 0..=(MOST / STEP).round() as u32 {
        let gain = f64::from(i) * STEP;
        let rmse = error_at(gain)?;
        if rmse < best.rmse {
            best = GainFit { gain, rmse, at_limit: gain >= MOST };
        }
    }
    Ok(best)
}
