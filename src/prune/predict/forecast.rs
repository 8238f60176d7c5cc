//! Quotas against equal densities, with bootstrap intervals.

use rayon::prelude::*;

use super::prediction::{Prediction, predict};
use super::rows::ValidationRows;
use crate::error::Result;
use crate::rng::{Philox, Stream};

/// Resamplings behind an interval.
const RESAMPLINGS: u64 = 500;

/// The middle 95 % of the resamplings.
const TAILS: f64 = 0.025;

/// What quotas are predicted to do, compared with the same number of samples without quotas.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaForecast {
    pub gain: f64,
    /// Under equal densities.
    pub equal: Prediction,
    /// Under the densities of the quotas.
    pub quotas: Prediction,
    /// 95 % interval of each predicted recall under the quotas.
    pub intervals: Vec<Option<(f64, f64)>>,
    /// The change of the lowest recall (quotas - equal) with its 95 % interval.
    pub worst_change: f64,
    pub worst_interval: (f64, f64),
    /// The change of the mean recall with its 95 % interval.
    pub average_change: f64,
    pub average_interval: (f64, f64),
}

impl QuotaForecast {
    /// Whether the lowest recall is predicted to fall: the whole interval is below 0.
    pub fn lowers_worst(&self) -> bool {
        self.worst_interval.1 < 0.0
    }
}

/// Predicts what `densities` do, compared with equal ones. Intervals are percentiles of resamplings of
/// the validation samples of each class and of the query runs (of one run: of the samples alone), which
/// `seed` decides.
///
/// # Errors
/// Fails as [`predict`] does.
pub fn forecast(
    rows: &ValidationRows,
    densities: &[f64],
    gain: f64,
    seed: u64,
) -> Result<QuotaForecast> {
    let quotas = predict(rows, densities, gain)?;
    let equal = predict(rows, &vec![1.0; rows.classes()], gain)?;
    let hits = Hits::of(rows, [&equal, &quotas]);
    let philox = Philox::new(seed, Stream::Bootstrap);
    let drawn: Vec<Resampling> =
        (0..RESAMPLINGS).into_par_iter().map(|i| hits.resample(&philox, i)).collect();
    let interval = |of: &dyn Fn(&Resampling) -> Option<f64>| {
        let mut values: Vec<f64> = drawn.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values.get((q * (values.len().max(1) - 1) as f64).round() as usize);
        Some((*at(TAILS)?, *at(1.0 - TAILS)?))
    };
    let change =
        |of: fn(&[Option<f64>]) -> Option<f64>, [a, b]: [&[Option<f64>]; 2]| Some(of(b)? - of(a)?);
    let point = |of| change(of, [&equal.recalls, &quotas.recalls]).unwrap_or(0.0);
    let spread = |of| {
        let drawn = |r: &Resampling| change(of, [&r.recalls[0], &r.recalls[1]]);
        interval(&drawn).unwrap_or((0.0, 0.0))
    };
    Ok(QuotaForecast {
        gain,
        intervals: (0..rows.classes()).map(|k| interval(&|r| r.recalls[1][k])).collect(),
        worst_change: point(lowest),
        worst_interval: spread(lowest),
        average_change: point(mean),
        average_interval: spread(mean),
        equal,
        quotas,
    })
}

fn lowest(recalls: &[Option<f64>]) -> Option<f64> {
    recalls.iter().copied().flatten().min_by(f64::total_cmp)
}

fn mean(recalls: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = recalls.iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// Whether a run is right about a sample under equal densities and under the quotas.
type Hit = (u32, [bool; 2]);

/// The hits of each sample, class by class.
struct Hits {
    runs: usize,
    classes: Vec<Vec<Vec<Hit>>>,
}

/// Recalls of one resampling, under equal densities and under the quotas.
struct Resampling {
    recalls: [Vec<Option<f64>>; 2],
}

impl Hits {
    fn of(rows: &ValidationRows, predictions: [&Prediction; 2]) -> Hits {
        let samples = rows.samples.iter().max().map_or(0, |&last| last as usize + 1);
        let mut of_sample: Vec<(u32, Vec<Hit>)> = vec![(0, Vec::new()); samples];
        for (i, &label) in rows.labels.iter().enumerate() {
            let (of, hits) = &mut of_sample[rows.samples[i] as usize];
            *of = label;
            hits.push((rows.runs[i], predictions.map(|p| p.answers[i] == label)));
        }
        let mut classes = vec![Vec::new(); rows.classes()];
        of_sample.into_iter().for_each(|(label, hits)| classes[label as usize].push(hits));
        Hits { runs: rows.runs(), classes }
    }

    fn resample(&self, philox: &Philox, number: u64) -> Resampling {
        let mut random = philox.sequence(number);
        let mut times = vec![u64::from(self.runs == 1); self.runs];
        if self.runs > 1 {
            (0..self.runs).for_each(|_| times[random.below(self.runs as u32) as usize] += 1);
        }
        let mut recalls = [Vec::new(), Vec::new()];
        for samples in &self.classes {
            let (mut right, mut total) = ([0; 2], 0);
            for _ in 0..samples.len() {
                for (run, hits) in &samples[random.below(samples.len() as u32) as usize] {
                    let times = times[*run as usize];
                    total += times;
                    for (right, &hit) in right.iter_mut().zip(hits) {
                        *right += times * u64::from(hit);
                    }
                }
            }
            for (recalls, right) in recalls.iter_mut().zip(right) {
                recalls.push((total > 0).then(|| right as f64 / total as f64));
            }
        }
        Resampling { recalls }
    }
}
