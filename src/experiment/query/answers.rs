//! What finished query runs tell: class recalls on validation data, and mean scores.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::experiment::counts::EvaluationCounts;
use crate::experiment::strategy::Recalls;
use crate::experiment::training::Finished;
use crate::score::Method;

/// Collects the recalls of finished runs. `pooled`: the runs are folds whose counts are added.
pub fn recalls(runs: &[&Finished], pooled: bool) -> Recalls {
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
    Recalls {
        runs: validations.iter().map(|v| crate::metrics::recalls(&v.counts())).collect(),
        validation_sizes: if pooled { total.clone() } else { one() },
        correct,
        total,
        pooled,
        given: None,
    }
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
        let pairs = sum.into_iter().zip(count);
        // Rounded as the files hold it: a ranking is the same before and after they are written.
        let rounded = |s: f64, n: u32| f64::from((s / f64::from(n)) as f32);
        pairs.map(|(s, n)| if n > 0 { rounded(s, n) } else { f64::NAN }).collect()
    };
    Ok(sums.into_iter().map(|(method, sums)| (method, mean(sums))).collect())
}
