//! What finished query runs tell: class recalls on validation data, and mean scores.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::experiment::counts::EvaluationCounts;
use crate::experiment::strategy::Recalls;
use crate::experiment::training::{Finished, ValidationPredictions};
use crate::prune::{ValidationRows, ValidationRun};
use crate::score::Method;

/// Collects the recalls of finished runs. `pooled`: the runs are folds whose counts are added.
pub fn recalls(runs: &[&Finished], pooled: bool) -> Result<Recalls> {
    let validations: Vec<&EvaluationCounts> =
        runs.iter().filter_map(|r| r.result.validation.as_ref()).collect();
    let sum = |pick: fn(&EvaluationCounts) -> &Vec<u64>| -> Option<Vec<u64>> {
        let first = pick(validations.first()?).clone();
        Some(validations[1..].iter().fold(first, |mut sums, v| {
            sums.iter_mut().zip(pick(v)).for_each(|(s, n)| *s += n);
            sums
        }))
    };
    let (correct, total) = (sum(|v| &v.correct), sum(|v| &v.total));
    let one = || validations.first().map(|v| v.total.clone());
    Ok(Recalls {
        runs: validations.iter().map(|v| crate::metrics::recalls(&v.counts())).collect(),
        validation_sizes: if pooled { total.clone() } else { one() },
        correct,
        total,
        pooled,
        given: None,
        rows: rows(runs)?.map(Arc::new),
        gain: None,
    })
}

/// What the runs say of each validation sample; None where one of them kept nothing.
fn rows(runs: &[&Finished]) -> Result<Option<ValidationRows>> {
    let said: Option<Vec<&ValidationPredictions>> =
        runs.iter().map(|run| run.predictions.as_ref()).collect();
    let Some(said) = said.filter(|said| said.iter().any(|s| !s.labels.is_empty())) else {
        return Ok(None);
    };
    let classes = said.iter().map(|s| s.log_probabilities.len() / s.labels.len().max(1)).max();
    let runs: Vec<ValidationRun> = said.iter().map(|said| said.run(None)).collect();
    ValidationRows::new(classes.unwrap_or(0), &runs).map(Some)
}

/// Mean over the runs that scored a sample: query runs that were trained on folds have no dynamics of
/// the fold that they are evaluated on.
pub fn mean_scores(runs: &[&Finished]) -> Result<BTreeMap<Method, Vec<f64>>> {
    let mut sums: BTreeMap<Method, (Vec<f64>, Vec<u32>)> = BTreeMap::new();
    for run in runs {
        for (method, values) in &run.scores {
            let empty = || (vec![0.0; values.len()], vec![0; values.len()]);
            let (sum, count) = sums.entry(*method).or_insert_with(empty);
            if sum.len() != values.len() {
                return Err(Error::Internal(format!("{method} scores of different lengths")));
            }
            for ((sum, count), &v) in sum.iter_mut().zip(count).zip(values) {
                if !v.is_nan() {
                    *sum += f64::from(v);
                    *count += 1;
                }
            }
        }
    }
    let mean = |(sum, count): (Vec<f64>, Vec<u32>)| {
        sum.into_iter().zip(count).map(|(sum, count)| mean_as_written(sum, count)).collect()
    };
    Ok(sums.into_iter().map(|(method, sums)| (method, mean(sums))).collect())
}

/// The mean of `count` scores as files hold it, so that a ranking is the same before and after it is written;
/// NaN where there is no score.
fn mean_as_written(sum: f64, count: u32) -> f64 {
    if count > 0 { f64::from((sum / f64::from(count)) as f32) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::strategy::{Choice, QueryData, Strategy};
    use crate::prune::Population;

    /// Means over several runs that differ by less than a float32 shows are ties, as in scores.csv.
    #[test]
    fn near_ties_rank_alike_before_and_after_they_are_written() {
        // 0.1 + 0.2 is not 0.3 in float64; a third of both is the same float32.
        let sums = [0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3];
        assert!(sums[0] > sums[1]);
        let computed: Vec<f64> = sums.iter().map(|&sum| mean_as_written(sum, 3)).collect();
        let written: Vec<f64> = sums.iter().map(|&s| f64::from((s / 3.0) as f32)).collect();
        let kept = |values: &[f64]| {
            let scores = BTreeMap::from([(Method::El2n, values.to_vec())]);
            let query = QueryData { scores, ..QueryData::default() };
            let (labels, eligible) = ([0; 6], [0, 1, 2, 3, 4, 5]);
            let population = Population { labels: &labels, eligible: &eligible, classes: 1 };
            let strategy: Strategy = "el2n".parse().unwrap();
            let choice = Choice::default();
            let of = |seed| strategy.subset(population, 0.5, seed, &query, &choice).unwrap().kept;
            (0..20).map(of).collect::<Vec<_>>()
        };
        assert_eq!(kept(&computed), kept(&written));
        // Unrounded, the larger sums would always be kept.
        assert_ne!(kept(&sums.map(|sum| sum / 3.0)), kept(&written));
        assert!(mean_as_written(0.0, 0).is_nan());
    }
}
