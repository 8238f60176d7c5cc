//! Penultimate features of all samples, and the scores that are made from them.
//!
//! A method that picks samples one after the other gives a score, too: the place of the pick, low
//! first. Its subsets therefore nest, and quotas and ties are handled as for any score.

use super::method::Method;
use super::options::{CAL_NEIGHBOURS, Options, SspForm};
use crate::data::DataSet;
use crate::error::{Error, Result};
use crate::exec::{EvaluationSet, Executor, Mode, run_pass_from};
use crate::ops::Operators;
use crate::prune::{self, KMeans, Population, Probabilities};
use crate::requests::Requests;

/// Penultimate features, one row for each sample of the whole training part, in data-set order.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMatrix {
    /// D, the number of features of a sample.
    pub width: usize,
    /// The features, N x D.
    pub values: Vec<f32>,
}

impl FeatureMatrix {
    /// Returns N, the number of samples.
    pub fn samples(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Returns the features of one sample.
    pub fn row(&self, sample: usize) -> &[f32] {
        &self.values[sample * self.width..][..self.width]
    }
}

/// What a network makes of all samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// Penultimate features, N x D.
    pub features: FeatureMatrix,
    /// Softmax of the logits, N x K.
    pub probabilities: Vec<f32>,
}

/// Runs the executor's network over the set (eval mode, no augmentation), batch by batch. There is
/// one row for each position of the set, in its order.
///
/// # Errors
/// A feature or a logit is not finite; its sample is named.
pub fn extract<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
    requests: &Requests,
) -> Result<Extracted> {
    let (width, classes) = (executor.network().feature_count(), executor.network().classes);
    let (batch, samples) = (executor.batch(Mode::Score), set.positions.len());
    let mut features = Vec::with_capacity(samples * width);
    let mut probabilities = Vec::with_capacity(samples * classes);
    run_pass_from(executor, Mode::Score, set, 0, &mut |executor, done| {
        let n = batch.min(samples - (done - 1) * batch);
        features.extend(executor.features(n)?);
        let logits = executor.logits(Mode::Score, n)?;
        logits.chunks(classes).for_each(|z| probabilities.extend(softmax(z)));
        if requests.stop() { Err(Error::Interrupted) } else { Ok(()) }
    })?;
    for (what, values, width) in
        [("feature", &features, width), ("probability", &probabilities, classes)]
    {
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            let found = format!("{} for sample {}", values[i], set.positions[i / width]);
            return Err(Error::invalid(format!("{what} {}", i % width), found, "a finite network"));
        }
    }
    Ok(Extracted { features: FeatureMatrix { width, values: features }, probabilities })
}

/// Natural logarithms of the probabilities that the network gives the samples of `set`, in its order: V x K.
///
/// # Errors
/// A logit is not finite; its sample is named.
pub fn log_probabilities<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
    requests: &Requests,
) -> Result<Vec<f32>> {
    let classes = executor.network().classes;
    let (batch, samples) = (executor.batch(Mode::Score), set.positions.len());
    let mut logs = Vec::with_capacity(samples * classes);
    run_pass_from(executor, Mode::Score, set, 0, &mut |executor, done| {
        let n = batch.min(samples - (done - 1) * batch);
        let logits = executor.logits(Mode::Score, n)?;
        logits.chunks(classes).for_each(|z| logs.extend(log_softmax(z)));
        if requests.stop() { Err(Error::Interrupted) } else { Ok(()) }
    })?;
    match logs.iter().position(|v| !v.is_finite()) {
        None => Ok(logs),
        Some(i) => {
            let found = format!("{} for sample {}", logs[i], set.positions[i / classes]);
            Err(Error::invalid(format!("logit {}", i % classes), found, "a finite network"))
        }
    }
}

/// Returns log softmax(z), computed in f64 and rounded once.
fn log_softmax(z: &[f32]) -> impl Iterator<Item = f32> + '_ {
    let top = f64::from(z.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = z.iter().map(|&v| libm::exp(f64::from(v) - top)).sum();
    let log = libm::log(sum);
    z.iter().map(move |&v| (f64::from(v) - top - log) as f32)
}

/// Returns softmax(z), computed in f64 and rounded once.
fn softmax(z: &[f32]) -> impl Iterator<Item = f32> + '_ {
    let top = f64::from(z.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = z.iter().map(|&v| libm::exp(f64::from(v) - top)).sum();
    z.iter().map(move |&v| (libm::exp(f64::from(v) - top) / sum) as f32)
}

/// What a score of [`Kind::Features`](super::Kind::Features) may look at.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Penultimate features of all samples.
    pub features: &'a FeatureMatrix,
    /// Probabilities, N x K, of the network whose features they are.
    pub probabilities: Option<&'a [f32]>,
    /// Class of every sample.
    pub labels: &'a [u32],
    /// Positions that are not held out, ascending.
    pub eligible: &'a [usize],
    /// Number of classes.
    pub classes: usize,
    /// Seed of the prototypes' starts and of ties between neighbours.
    pub seed: u64,
}

impl<'a> Evidence<'a> {
    /// Takes what the training part of `data` says beside `features`; `eligible` are not held out.
    pub fn of(
        data: &'a DataSet,
        eligible: &'a [usize],
        features: &'a FeatureMatrix,
        probabilities: Option<&'a [f32]>,
        seed: u64,
    ) -> Self {
        let (labels, classes) = (&data.train.labels, data.classes.len());
        Evidence { features, probabilities, labels, eligible, classes, seed }
    }
}

/// Computes the score of every sample; NaN for held-out ones that a method has no score for.
///
/// # Errors
/// The features are of another number of samples, a method lacks the predictions that it looks at,
/// there are more prototypes than samples, or the method is of another kind.
pub fn score(method: Method, options: &Options, evidence: Evidence) -> Result<Vec<f32>> {
    let (found, samples) = (evidence.features.samples(), evidence.labels.len());
    if found != samples {
        let expected = format!("{samples}, one a training sample");
        return Err(Error::invalid("features", format!("{found} rows"), expected));
    }
    let Evidence { features, labels, eligible, classes, seed, .. } = evidence;
    let population = Population { labels, eligible, classes };
    let table = || prune::Features::new(&features.values, features.width);
    let scores = match method {
        Method::Ssp if options.ssp == SspForm::Labels => {
            return Ok(distance_to_class_mean(evidence));
        }
        Method::Ssp => {
            let clusters = KMeans::new(options.prototypes.unwrap_or(classes));
            prune::prototype_distances(population, table()?, clusters, seed)?
        }
        Method::Cal => {
            let p = evidence.probabilities.ok_or_else(|| {
                let found = "features without predictions";
                let expected = "a network of whose both it looks at: leave `features` out";
                Error::invalid("score cal", found, expected)
            })?;
            let neighbours = options.cal_neighbours.unwrap_or(CAL_NEIGHBOURS);
            let p = Probabilities::new(p, classes)?;
            prune::cal(population, table()?, p, neighbours, seed)?
        }
        other => return Err(Error::Internal(format!("{other} is not made from features"))),
    };
    Ok(scores.values.into_iter().map(|v| v as f32).collect())
}

/// Scores by SSP with labels: || h - mean of h over the eligible samples of its class ||_2; high =
/// hard.
fn distance_to_class_mean(evidence: Evidence) -> Vec<f32> {
    let Evidence { features, labels, eligible, classes, .. } = evidence;
    let width = features.width;
    let (mut sums, mut counts) = (vec![0.0f64; classes * width], vec![0u64; classes]);
    for &i in eligible {
        let class = labels[i] as usize;
        counts[class] += 1;
        let sum = &mut sums[class * width..][..width];
        sum.iter_mut().zip(features.row(i)).for_each(|(s, &v)| *s += f64::from(v));
    }
    labels
        .iter()
        .enumerate()
        .map(|(i, &label)| {
            let (count, sum) = (counts[label as usize], &sums[label as usize * width..][..width]);
            if count == 0 {
                return f32::NAN;
            }
            let squares = features.row(i).iter().zip(sum).map(|(&v, s)| {
                let apart = f64::from(v) - s / count as f64;
                apart * apart
            });
            squares.sum::<f64>().sqrt() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_to_the_mean_of_the_own_eligible_samples() {
        let values = vec![0.0, 0.0, 4.0, 0.0, 100.0, 1.0, 1.0, 4.0, 9.0, 9.0];
        let features = FeatureMatrix { width: 2, values };
        // Sample 2 is held out, so it moves no mean. Class 2 has a held-out sample only.
        let evidence = Evidence {
            features: &features,
            probabilities: None,
            labels: &[0, 0, 0, 1, 2],
            eligible: &[0, 1, 3],
            classes: 3,
            seed: 0,
        };
        let scores = score(Method::Ssp, &Options::default(), evidence).unwrap();
        assert_eq!(scores[..2], [2.0, 2.0]);
        assert_eq!(scores[2], (98.0f64 * 98.0 + 1.0).sqrt() as f32);
        assert_eq!(scores[3], 0.0);
        assert!(scores[4].is_nan());
    }

    #[test]
    fn unfit_features_and_methods_are_refused() {
        let features = FeatureMatrix { width: 2, values: vec![0.0; 4] };
        let evidence = Evidence {
            features: &features,
            probabilities: None,
            labels: &[0, 0, 0],
            eligible: &[0],
            classes: 1,
            seed: 0,
        };
        let options = Options::default();
        let message = score(Method::Ssp, &options, evidence).unwrap_err().to_string();
        assert!(message.contains("2 rows") && message.contains('3'), "{message}");
        let evidence = Evidence { labels: &[0, 0], ..evidence };
        assert!(score(Method::El2n, &options, evidence).is_err());
        let message = score(Method::Cal, &options, evidence).unwrap_err().to_string();
        assert!(message.contains("without predictions"), "{message}");
        let options = Options { ssp: SspForm::Prototypes, prototypes: Some(2), ..options };
        let message = score(Method::Ssp, &options, evidence).unwrap_err().to_string();
        assert!(message.contains("clusters") && message.contains('2'), "{message}");
    }

    /// There are two tight clusters under two centroids, so that only what lies between them is
    /// far.
    #[test]
    fn prototypes_do_not_look_at_labels() {
        let values = vec![1.0, 0.0, 1.0, 0.1, 0.0, 1.0, 0.1, 1.0, 1.0, 0.8, 5.0, 5.0];
        let features = FeatureMatrix { width: 2, values };
        let of = |labels: &[u32]| {
            let evidence = Evidence {
                features: &features,
                probabilities: None,
                labels,
                eligible: &[0, 1, 2, 3, 4],
                classes: 2,
                seed: 3,
            };
            let form = SspForm::Prototypes;
            score(Method::Ssp, &Options { ssp: form, ..Options::default() }, evidence).unwrap()
        };
        let scores = of(&[0, 0, 0, 0, 0, 1]);
        assert_eq!(scores[..5], of(&[0, 1, 0, 1, 0, 1])[..5]);
        assert!((0..4).all(|i| scores[i] < scores[4]), "{scores:?}");
        assert!(scores[5].is_nan());
    }

    #[test]
    fn probabilities_of_large_logits() {
        let p: Vec<f32> = softmax(&[1e4, 1e4, -1e4]).collect();
        assert_eq!(p, [0.5, 0.5, 0.0]);
    }
}
