//! Scores of recorded training dynamics that look at each presentation on its own, or at pairs.
//!
//! All of them skip epochs that did not present a sample (NaN), and are NaN for a sample without
//! any presentation. A value of 0 counts like any other.

use super::options::NeverLearned;
use crate::error::{Error, Result};

/// One quantity of a recorded run: T epochs x N samples, epoch after epoch; NaN where an epoch did
/// not present the sample.
#[derive(Clone, Copy, Debug)]
pub struct Trajectories<'a> {
    values: &'a [f32],
    samples: usize,
}

impl<'a> Trajectories<'a> {
    /// Takes the `values` of `samples` samples.
    ///
    /// # Errors
    /// There is no sample or no epoch, or the last epoch is cut.
    pub fn new(values: &'a [f32], samples: usize) -> Result<Self> {
        if samples == 0 || values.is_empty() || !values.len().is_multiple_of(samples) {
            let found = format!("{} values of {samples} samples", values.len());
            return Err(Error::invalid("training dynamics", found, "whole epochs, at least one"));
        }
        Ok(Trajectories { values, samples })
    }

    /// Returns T, the number of epochs.
    pub fn epochs(&self) -> usize {
        self.values.len() / self.samples
    }

    /// Returns N, the number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Returns the first `epochs` epochs, or an error saying that `what` needs them if there are
    /// fewer.
    pub fn first(self, epochs: usize, what: &str) -> Result<Self> {
        if self.epochs() < epochs {
            let found = format!("{} recorded epochs", self.epochs());
            return Err(Error::invalid(what, found, format!("at least {epochs}")));
        }
        Ok(Trajectories { values: &self.values[..epochs * self.samples], ..self })
    }

    /// Returns `score` of every sample, computed from its values epoch by epoch.
    pub fn map(&self, mut score: impl FnMut(&[f32]) -> f64) -> Vec<f32> {
        let mut own = vec![0.0; self.epochs()];
        (0..self.samples)
            .map(|sample| {
                let column = self.values[sample..].iter().step_by(self.samples);
                own.iter_mut().zip(column).for_each(|(value, &v)| *value = v);
                let score = score(&own) as f32;
                // Every NaN is written as the same one, whatever the arithmetic made of its sign.
                if score.is_nan() { f32::NAN } else { score }
            })
            .collect()
    }
}

/// Returns the values of the epochs that presented the sample.
pub(super) fn presented(values: &[f32]) -> impl Iterator<Item = f64> + Clone + '_ {
    values.iter().filter(|v| !v.is_nan()).map(|&v| f64::from(v))
}

/// Returns the mean over the presentations; NaN without any.
fn mean(values: &[f32]) -> f64 {
    presented(values).sum::<f64>() / presented(values).count() as f64
}

/// Computes forgetting (Toneva et al. 2019): transitions from correct to wrong between consecutive
/// presentations; high = hard. `correct` holds 1 and 0.
pub fn forgetting(correct: Trajectories, never_learned: NeverLearned) -> Vec<f32> {
    let epochs = correct.epochs();
    correct.map(|values| {
        let presentations = presented(values).count();
        if presentations == 0 {
            return f64::NAN;
        }
        if presented(values).all(|v| v == 0.0) {
            return match never_learned {
                NeverLearned::Hardest => epochs as f64,
                NeverLearned::Zero => 0.0,
                NeverLearned::Presentations => presentations as f64,
            };
        }
        let pairs = presented(values).zip(presented(values).skip(1));
        pairs.filter(|(before, after)| before > after).count() as f64
    })
}

/// Computes the area under the margin (Pleiss et al. 2020): the mean over presentations of z_y -
/// max_{k != y} z_k; low = hard.
pub fn area_under_margin(logit_margin: Trajectories) -> Vec<f32> {
    logit_margin.map(mean)
}

/// Computes confidence (Swayamdipta et al. 2020): the mean over presentations of p_y; low = hard.
pub fn confidence(label_probability: Trajectories) -> Vec<f32> {
    label_probability.map(mean)
}

/// Computes the mean of p_y over the presentations of the first `epochs` epochs (Cho et al. 2025,
/// where Beta sampling goes by it); low = hard.
///
/// # Errors
/// There are fewer epochs than that.
pub fn early_confidence(label_probability: Trajectories, epochs: usize) -> Result<Vec<f32>> {
    Ok(label_probability.first(epochs, "early confidence")?.map(mean))
}

/// Computes variability (Swayamdipta et al. 2020): the deviation of p_y over presentations, divided by their
/// number; high = ambiguous.
pub fn variability(label_probability: Trajectories) -> Vec<f32> {
    label_probability.map(|values| {
        let mean = mean(values);
        let squares: f64 = presented(values).map(|p| (p - mean) * (p - mean)).sum();
        (squares / presented(values).count() as f64).sqrt()
    })
}

/// Computes EL2N as the sum over the first `epochs` epochs; high = hard. An epoch without the
/// sample counts as the mean of the others.
///
/// # Errors
/// There are fewer epochs than that.
pub fn el2n_sum(el2n: Trajectories, epochs: usize) -> Result<Vec<f32>> {
    let first = el2n.first(epochs, "EL2N summed over epochs")?;
    Ok(first.map(|values| mean(values) * epochs as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    /// Three epochs of these samples: learned and forgotten, never learned, always right, learned
    /// late, not presented once, never presented.
    const CORRECT: [f32; 18] = [
        1.0, 0.0, 1.0, 0.0, 1.0, NAN, //
        0.0, 0.0, 1.0, 0.0, NAN, NAN, //
        1.0, 0.0, 1.0, 1.0, 0.0, NAN,
    ];

    #[test]
    fn forgetting_counts_falls_between_consecutive_presentations() {
        let correct = Trajectories::new(&CORRECT, 6).unwrap();
        let of = |never| bits(&forgetting(correct, never));
        assert_eq!(of(NeverLearned::Hardest), bits(&[1.0, 3.0, 0.0, 0.0, 1.0, NAN]));
        assert_eq!(of(NeverLearned::Zero), bits(&[1.0, 0.0, 0.0, 0.0, 1.0, NAN]));
        assert_eq!(of(NeverLearned::Presentations), bits(&[1.0, 3.0, 0.0, 0.0, 1.0, NAN]));
        // The two forms of "hard" differ where an epoch is missing.
        let values = [0.0, NAN, 0.0];
        let one = Trajectories::new(&values, 1).unwrap();
        assert_eq!(forgetting(one, NeverLearned::Hardest), [3.0]);
        assert_eq!(forgetting(one, NeverLearned::Presentations), [2.0]);
    }

    #[test]
    fn never_learned_samples_are_the_hardest_and_not_the_easiest() {
        // A sample that was never learned stays the hardest, however often others are forgotten.
        let epochs = 9;
        let values: Vec<f32> =
            (0..epochs).flat_map(|t| [f32::from(u8::from(t % 2 == 0)), 0.0]).collect();
        let correct = Trajectories::new(&values, 2).unwrap();
        let scores = forgetting(correct, NeverLearned::default());
        assert_eq!(scores, [4.0, 9.0]);
    }

    #[test]
    fn means_skip_missing_presentations_and_count_zeros() {
        let values = [0.0, 1.0, 0.5, NAN, 1.0, NAN, 0.0, NAN];
        let p = Trajectories::new(&values, 2).unwrap();
        assert_eq!(confidence(p), [0.375, 1.0]);
        assert_eq!(area_under_margin(p), [0.375, 1.0]);
        assert_eq!(early_confidence(p, 2).unwrap(), [0.25, 1.0]);
        assert_eq!(early_confidence(p, 4).unwrap(), confidence(p));
        let message = early_confidence(p, 5).unwrap_err().to_string();
        assert!(message.contains("4 recorded epochs") && message.contains("at least 5"));
        // The squares are .375^2 twice, .125^2 and .625^2, over 4.
        let expected = ((2.0 * 0.140_625 + 0.015_625 + 0.390_625f64) / 4.0).sqrt() as f32;
        assert_eq!(variability(p), [expected, 0.0]);
    }

    #[test]
    fn a_probability_of_zero_is_not_a_missing_one() {
        let zeros = [0.0; 4];
        assert_eq!(confidence(Trajectories::new(&zeros, 1).unwrap()), [0.0]);
        assert_eq!(variability(Trajectories::new(&[0.0, 1.0], 1).unwrap()), [0.5]);
    }

    #[test]
    fn el2n_is_summed_over_the_first_epochs_only() {
        let values: Vec<f32> =
            (0..12).flat_map(|t| [t as f32, if t == 3 { NAN } else { 2.0 }]).collect();
        let el2n = Trajectories::new(&values, 2).unwrap();
        assert_eq!(el2n_sum(el2n, 10).unwrap(), [45.0, 20.0]);
        let message = el2n_sum(el2n, 13).unwrap_err().to_string();
        assert!(message.contains("12 recorded epochs") && message.contains("at least 13"));
    }

    #[test]
    fn a_cut_epoch_is_refused() {
        assert!(Trajectories::new(&[1.0; 5], 2).is_err());
        assert!(Trajectories::new(&[], 2).is_err());
        assert!(Trajectories::new(&[1.0], 0).is_err());
    }
}
