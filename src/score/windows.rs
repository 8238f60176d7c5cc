//! Scores of recorded training dynamics that slide a window of epochs over a run.
//!
//! T epochs have T - J + 1 windows of J epochs, and all of them count. A window holds what its epochs
//! presented of the sample; one with fewer than two values is left out, and a sample without any
//! window is NaN.

use super::trajectories::{Trajectories, presented};
use crate::error::{Error, Result};

/// Refuses a window that does not fit, naming the setting.
fn check(what: &str, trajectories: Trajectories, window: usize, least: usize) -> Result<()> {
    if window < least {
        let expected = format!("at least {least} for {what}");
        return Err(Error::invalid("`window`", window.to_string(), expected));
    }
    let epochs = trajectories.epochs();
    if epochs < window {
        let found = format!("{epochs} recorded epochs");
        let expected = format!("at least {window}, the window: more epochs, or a shorter `window`");
        return Err(Error::invalid(what, found, expected));
    }
    Ok(())
}

/// Returns the mean and the unbiased standard deviation of a window's presentations; `None` for
/// fewer than two.
fn moments(window: &[f32]) -> Option<(f64, f64)> {
    let count = presented(window).count();
    if count < 2 {
        return None;
    }
    let mean = presented(window).sum::<f64>() / count as f64;
    let squares: f64 = presented(window).map(|p| (p - mean) * (p - mean)).sum();
    Some((mean, (squares / (count - 1) as f64).sqrt()))
}

/// Returns the mean of `value` over the windows that have one; NaN without any.
fn mean_over_windows(values: &[f32], window: usize, value: impl Fn(f64, f64) -> f64) -> f64 {
    let (mut sum, mut windows) = (0.0, 0u32);
    for (mean, std) in values.windows(window).filter_map(moments) {
        sum += value(mean, std);
        windows += 1;
    }
    sum / f64::from(windows)
}

/// Computes dynamic uncertainty (He et al. 2024): the mean over windows of the unbiased standard
/// deviation of p_y; high = hard.
///
/// # Errors
/// There are fewer epochs than the window has, or the window is below 2.
pub fn dynamic_uncertainty(label_probability: Trajectories, window: usize) -> Result<Vec<f32>> {
    check("dynamic uncertainty", label_probability, window, 2)?;
    Ok(label_probability.map(|p| mean_over_windows(p, window, |_, std| std)))
}

/// Computes DUAL (Cho et al. 2025): the mean over the windows of the first `epochs` epochs of 10
/// std (1 - mean) of p_y; high = hard.
///
/// # Errors
/// There are fewer epochs than that or than the window has, or the window is below 2.
pub fn dual(label_probability: Trajectories, window: usize, epochs: usize) -> Result<Vec<f32>> {
    let what = format!("DUAL over the first {epochs} epochs (`trajectory`)");
    let first = label_probability.first(epochs, &what)?;
    check("DUAL", first, window, 2)?;
    Ok(first.map(|p| mean_over_windows(p, window, |mean, std| 10.0 * std * (1.0 - mean))))
}

/// Computes TDDS (Zhang et al. 2024) over the first T = `epochs` epochs, windows of K = `window`:
/// sum over k = 0 ..= T - K of decay (1 - decay)^(T - K - k) || D - mean D ||_2, D the divergences
/// between successive presentations inside the window, K - 1 of them; high = hard. `divergence` of
/// an epoch is that from the presentation before.
///
/// # Errors
/// There are fewer epochs than T or than the window has, or the window is below 3 (one divergence
/// is its own mean).
pub fn tdds(
    divergence: Trajectories,
    window: usize,
    epochs: usize,
    decay: f64,
) -> Result<Vec<f32>> {
    let what = format!("TDDS over the first {epochs} epochs (`trajectory`)");
    let first = divergence.first(epochs, &what)?;
    check("TDDS", first, window, 3)?;
    let last = epochs - window;
    Ok(first.map(|d| {
        let mut sum = f64::NAN;
        for (k, inside) in d.windows(window).enumerate() {
            // The divergence of the window's first epoch is from an epoch before the window, so it
            // is left out.
            let between = &inside[1..];
            let count = presented(between).count();
            if count < 2 {
                continue;
            }
            let mean = presented(between).sum::<f64>() / count as f64;
            let norm = presented(between).map(|v| (v - mean) * (v - mean)).sum::<f64>().sqrt();
            let weight = decay * (1.0 - decay).powi((last - k) as i32);
            sum = if sum.is_nan() { 0.0 } else { sum } + weight * norm;
        }
        sum
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    fn one(values: &[f32]) -> Trajectories<'_> {
        Trajectories::new(values, 1).unwrap()
    }

    /// Computes the deviation as it is written in books, without shared code.
    fn std(values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    /// The values are constant but for the last epoch, or for the first. Each of these is seen by
    /// exactly one window of three, and the number of windows is 4, not 3.
    #[test]
    fn the_last_window_counts_and_the_mean_is_over_all_windows() {
        let of = |values: &[f32]| dynamic_uncertainty(one(values), 3).unwrap()[0];
        let expected = (std(&[0.5, 0.5, 0.8]) / 4.0) as f32;
        let last = of(&[0.5, 0.5, 0.5, 0.5, 0.5, 0.8]);
        assert!((last - expected).abs() < 1e-8, "{last} {expected}");
        let first = of(&[0.8, 0.5, 0.5, 0.5, 0.5, 0.5]);
        assert!((first - expected).abs() < 1e-8, "{first} {expected}");
    }

    #[test]
    fn as_many_epochs_as_the_window_make_one_window_and_fewer_an_error() {
        let values = [0.0, 0.25, 1.0];
        let expected = std(&[0.0, 0.25, 1.0]) as f32;
        assert_eq!(dynamic_uncertainty(one(&values), 3).unwrap(), [expected]);
        let message = dynamic_uncertainty(one(&values), 4).unwrap_err().to_string();
        assert!(message.contains("3 recorded epochs") && message.contains("`window`"), "{message}");
        let message = dynamic_uncertainty(one(&values), 1).unwrap_err().to_string();
        assert!(message.contains("`window`") && message.contains("at least 2"), "{message}");
    }

    #[test]
    fn a_probability_of_zero_is_seen() {
        // Values that are never anything but 0 are certain, and they were presented.
        assert_eq!(dynamic_uncertainty(one(&[0.0; 5]), 3).unwrap(), [0.0]);
        let expected = std(&[0.0, 1.0]) as f32;
        assert_eq!(dynamic_uncertainty(one(&[0.0, 1.0]), 2).unwrap(), [expected]);
    }

    #[test]
    fn missing_presentations_leave_their_windows_smaller() {
        let values = [0.0, NAN, 0.5, 1.0];
        let expected = (std(&[0.0, 0.5]) + std(&[0.5, 1.0])) / 2.0;
        assert_eq!(dynamic_uncertainty(one(&values), 3).unwrap(), [expected as f32]);
        assert!(dynamic_uncertainty(one(&[NAN, 0.5, NAN]), 3).unwrap()[0].is_nan());
    }

    #[test]
    fn dual_weighs_by_difficulty_and_looks_at_the_beginning() {
        // The two samples have the same deviation, about .75 and about .25.
        let pairs = [[0.5, 0.0], [1.0, 0.5], [0.5, 0.0], [7.0, 7.0]];
        let values: Vec<f32> = pairs.concat();
        let p = Trajectories::new(&values, 2).unwrap();
        let scores = dual(p, 2, 3).unwrap();
        let std = std(&[0.0, 0.5]);
        let expected = [10.0 * std * 0.25, 10.0 * std * 0.75].map(|v| v as f32);
        assert_eq!(scores, expected);
        assert!(dual(p, 2, 5).unwrap_err().to_string().contains("`trajectory`"));
        assert!(dual(p, 4, 3).unwrap_err().to_string().contains("`window`"));
    }

    #[test]
    fn tdds_of_one_window_and_of_two() {
        // Epoch 0 has no divergence; three epochs hold two.
        let d = [NAN, 1.0, 3.0, 7.0];
        let norm = |a: f64, b: f64| ((a - b).powi(2) / 2.0).sqrt();
        let one_window = tdds(one(&d), 3, 3, 0.9).unwrap()[0];
        assert!((f64::from(one_window) - 0.9 * norm(1.0, 3.0)).abs() < 1e-6, "{one_window}");
        // The later window weighs more; the divergence into a window's first epoch is not inside.
        let two = tdds(one(&d), 3, 4, 0.9).unwrap()[0];
        let expected = 0.9 * (0.1 * norm(1.0, 3.0) + norm(3.0, 7.0));
        assert!((f64::from(two) - expected).abs() < 1e-6, "{two} {expected}");
        assert!(tdds(one(&d), 2, 4, 0.9).unwrap_err().to_string().contains("at least 3"));
        assert!(tdds(one(&d), 3, 5, 0.9).unwrap_err().to_string().contains("`trajectory`"));
        assert!(tdds(one(&[NAN; 3]), 3, 3, 0.9).unwrap()[0].is_nan());
    }
}
