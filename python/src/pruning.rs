//! Quotas, subsets, recalls and comparisons.

use std::collections::BTreeMap;

use fairprune::error::Error;
use fairprune::experiment::arrays::ArrayPruning;
use fairprune::experiment::strategy::{Picker, PickerOptions, Quota, Ranking};
use fairprune::metrics::{ClassCounts, PairedDifference, PairedVerdict, tally};
use fairprune::prune::{
    Direction, QuotaOptions, QuotaRule, Smoothing, ValidationRows, ValidationRun, Warning,
};
use fairprune::score::Method;
use fairprune::score::features::FeatureMatrix;
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods};

use crate::arrays::{self, numbers, rows, with_nan};
use crate::errors::python;
use crate::pool::{compute, compute_long};

/// The kind of a finding, as people write it, and its message.
fn finding(warning: &Warning, names: &[String]) -> (&'static str, String) {
    let kind = match warning {
        Warning::Smoothed => "smoothed",
        Warning::NoErrors => "no-errors",
        Warning::ErrorRatio { .. } => "error-ratio",
        Warning::KeepsNothing { .. } => "keeps-nothing",
        Warning::DoubtfulRecall { .. } => "doubtful-recall",
        Warning::LowersWorst { .. } => "lowers-worst",
        Warning::FewSamples { .. } => "few-samples",
    };
    (kind, warning.describe(names))
}

fn findings(warnings: &[Warning], names: &[String]) -> Vec<(&'static str, String)> {
    warnings.iter().map(|w| finding(w, names)).collect()
}

fn counts_of(what: &str, values: &[i64]) -> PyResult<Vec<usize>> {
    let count = |(i, &v): (usize, &i64)| {
        usize::try_from(v)
            .map_err(|_| python(Error::invalid(format!("{what} {i}"), v.to_string(), "0 or more")))
    };
    values.iter().enumerate().map(count).collect()
}

fn array<'py, T: numpy::Element>(py: Python<'py>, values: Vec<T>) -> Bound<'py, PyArray1<T>> {
    PyArray1::from_vec(py, values)
}

fn int64(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&v| v as i64).collect()
}

/// Class quotas: counts, densities before rounding, findings.
#[pyfunction]
#[pyo3(signature = (sizes, density, rule, recalls, validation_sizes, values, min_per_class, laplace, seed, names))]
pub fn quotas<'py>(
    py: Python<'py>,
    sizes: Vec<i64>,
    density: f64,
    rule: &str,
    recalls: Option<PyReadonlyArray1<'py, f64>>,
    validation_sizes: Option<Vec<u64>>,
    values: Option<Vec<f64>>,
    min_per_class: Option<usize>,
    laplace: bool,
    seed: u64,
    names: Vec<String>,
) -> PyResult<Bound<'py, PyDict>> {
    let sizes = counts_of("size of class", &sizes)?;
    let needs = |what: &str| {
        let expected = format!("`{what}`, one number a class");
        python(Error::invalid(format!("rule {rule}"), "none", expected))
    };
    let given = values.is_some();
    let rule = match (rule, values) {
        ("metriq" | "drop", None) => QuotaRule::Metriq,
        ("metriq-released", None) => QuotaRule::MetriqReleased,
        ("uniform", None) => QuotaRule::Uniform,
        ("balanced", None) => QuotaRule::Balanced,
        ("nucs", Some(difficulties)) => QuotaRule::Nucs(difficulties),
        ("nucs", None) => return Err(needs("difficulties")),
        ("densities", Some(densities)) => QuotaRule::Densities(densities),
        ("densities", None) => return Err(needs("densities")),
        (name, _) => {
            let expected = if given {
                "nucs with difficulties, or densities"
            } else {
                "metriq, metriq-released, uniform, balanced, nucs or densities"
            };
            return Err(python(Error::invalid("rule", name, expected)));
        }
    };
    let recalls = recalls.as_ref().map(arrays::recalls).unwrap_or_default();
    let options = QuotaOptions {
        rule,
        recalls: &recalls,
        validation_sizes: validation_sizes.as_deref(),
        smoothing: if laplace { Smoothing::Laplace } else { Smoothing::None },
        min_per_class,
    };
    let quotas = compute(py, |_| fairprune::prune::quotas(&sizes, density, &options, seed))?;
    let result = PyDict::new(py);
    result.set_item("counts", array(py, int64(&quotas.counts)))?;
    result.set_item("densities", array(py, quotas.densities))?;
    result.set_item("warnings", findings(&quotas.warnings, &names))?;
    Ok(result)
}

/// The options of selection methods, by the names that they have in `docs/scores/selection.md`.
fn picker_options(options: &Bound<'_, PyDict>) -> PyResult<PickerOptions> {
    let mut set = PickerOptions::default();
    for (key, value) in options {
        let key: String = key.extract()?;
        let text = || -> PyResult<String> { value.extract() };
        match key.as_str() {
            "start" => set.start = Some(text()?.parse().map_err(python)?),
            "centre" => set.centre = Some(text()?.parse().map_err(python)?),
            "space" => set.space = Some(text()?.parse().map_err(python)?),
            "scope" => set.scope = Some(text()?.parse().map_err(python)?),
            "base" => set.base = Some(text()?.parse().map_err(python)?),
            "lambda" | "lambda_" => set.lambda = Some(value.extract()?),
            "beta" => set.beta = Some(value.extract()?),
            "exponent" => set.exponent = Some(value.extract()?),
            "endpoint" => set.endpoint = Some(value.extract()?),
            "forward" => set.forward = Some(value.extract()?),
            "reverse" => set.reverse = Some(value.extract()?),
            "step" => set.step = Some(value.extract()?),
            "strata" => set.strata = Some(value.extract()?),
            "neighbours" => set.neighbours = Some(value.extract()?),
            "refresh" => set.refresh = Some(value.extract()?),
            "memory" => set.memory = value.extract()?,
            _ => {
                let expected = format!("an option of a selection method ({})", Picker::names());
                return Err(python(Error::invalid("option", key, expected)));
            }
        }
    }
    Ok(set)
}

/// What validation says: log-probabilities (V x K) and labels of each query run.
type ValidationRuns<'py> = Vec<(PyReadonlyArray2<'py, f32>, PyReadonlyArray1<'py, i64>)>;

/// The samples that a strategy keeps.
#[pyfunction]
#[pyo3(signature = (labels, classes, density, strategy, quota, scores, keep_lowest, named_scores, recalls,
    validation_sizes, validation_rows, features, probabilities, eligible, min_per_class, laplace, winsor,
    options, seed, names))]
pub fn prune<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'py, i64>,
    classes: usize,
    density: f64,
    strategy: &str,
    quota: &str,
    scores: Option<PyReadonlyArray1<'py, f64>>,
    keep_lowest: bool,
    named_scores: BTreeMap<String, PyReadonlyArray1<'py, f64>>,
    recalls: Option<PyReadonlyArray1<'py, f64>>,
    validation_sizes: Option<Vec<u64>>,
    validation_rows: ValidationRuns<'py>,
    features: Option<PyReadonlyArray2<'py, f32>>,
    probabilities: Option<PyReadonlyArray2<'py, f32>>,
    eligible: Option<PyReadonlyArray1<'py, i64>>,
    min_per_class: Option<usize>,
    laplace: bool,
    winsor: Option<f64>,
    options: &Bound<'py, PyDict>,
    seed: u64,
    names: Vec<String>,
) -> PyResult<Bound<'py, PyDict>> {
    let labels = numbers("labels", &labels)?;
    let ranking: Ranking = strategy.parse().map_err(python)?;
    let quota: Quota = quota.parse().map_err(python)?;
    let pickers = picker_options(options)?;
    let eligible = match eligible {
        Some(values) => Some(numbers("eligible", &values)?.iter().map(|&i| i as usize).collect()),
        None => None,
    };
    let mut by_name = BTreeMap::new();
    for (name, values) in &named_scores {
        let method: Method = name.parse().map_err(python)?;
        by_name.insert(method, values.as_array().to_vec());
    }
    let end = if keep_lowest { Direction::KeepLowest } else { Direction::KeepHighest };
    let given = scores.map(|values| (values.as_array().to_vec(), end));
    let matrix = |what: &str, values: &Option<PyReadonlyArray2<'py, f32>>| -> PyResult<_> {
        let Some(values) = values else { return Ok(None) };
        let (slice, width) = rows(what, values)?;
        Ok(Some((slice.to_vec(), width)))
    };
    let features =
        matrix("features", &features)?.map(|(values, width)| FeatureMatrix { width, values });
    let probabilities = match matrix("probabilities", &probabilities)? {
        Some((_, width)) if width != classes => {
            let found = format!("{width} columns");
            let expected = format!("{classes}, the number of classes");
            return Err(python(Error::invalid("probabilities", found, expected)));
        }
        other => other.map(|(values, _)| values),
    };
    let mut runs = Vec::new();
    for (logs, labels) in &validation_rows {
        let (values, _) = rows("validation log-probabilities", logs)?;
        runs.push((values.to_vec(), numbers("validation labels", labels)?));
    }
    let recalls = recalls.as_ref().map(arrays::recalls);
    let subset = compute_long(py, move |_| {
        let runs: Vec<ValidationRun> = runs
            .iter()
            .map(|(log_probabilities, labels)| ValidationRun {
                log_probabilities,
                labels,
                samples: None,
                densities: None,
            })
            .collect();
        let rows = (!runs.is_empty()).then(|| ValidationRows::new(classes, &runs)).transpose()?;
        let mut pruning = ArrayPruning::new(&labels, classes, density);
        pruning.ranking = ranking;
        pruning.quota = quota;
        pruning.eligible = eligible;
        pruning.seed = seed;
        pruning.given = given;
        pruning.scores = by_name;
        pruning.recalls = recalls;
        pruning.validation_sizes = validation_sizes;
        pruning.rows = rows;
        pruning.features = features;
        pruning.probabilities = probabilities;
        pruning.choice.pickers = pickers;
        pruning.choice.quotas.laplace = laplace;
        pruning.choice.quotas.min_per_class = min_per_class;
        pruning.choice.quotas.winsor = winsor;
        pruning.subset()
    })?;
    let result = PyDict::new(py);
    result.set_item("indices", array(py, int64(&subset.kept)))?;
    result.set_item("sizes", array(py, int64(&subset.sizes)))?;
    result.set_item("counts", array(py, int64(&subset.counts)))?;
    result.set_item("densities", array(py, subset.densities))?;
    result.set_item("quota_densities", subset.quota_densities.map(|d| array(py, d)))?;
    let picks = subset.picks;
    let weights = picks.as_ref().and_then(|p| p.weights.clone());
    result.set_item("order", picks.map(|p| array(py, int64(&p.order))))?;
    result.set_item("weights", weights.map(|w| array(py, w)))?;
    result.set_item("warnings", findings(&subset.warnings, &names))?;
    let forecast = subset.forecast.map(|f| -> PyResult<_> {
        let told = PyDict::new(py);
        told.set_item("before", array(py, with_nan(&f.equal.recalls)))?;
        told.set_item("worst_interval", f.worst_interval)?;
        told.set_item("after", array(py, with_nan(&f.quotas.recalls)))?;
        Ok(told)
    });
    result.set_item("forecast", forecast.transpose()?)?;
    Ok(result)
}

/// Recall of each class, NaN without samples.
#[pyfunction]
pub fn class_recalls<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'py, i64>,
    predictions: PyReadonlyArray1<'py, i64>,
    classes: usize,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let labels = numbers("labels", &labels)?;
    let predictions = numbers("predictions", &predictions)?;
    let counts = compute(py, |_| tally(&labels, &predictions, classes))?;
    let recalls: Vec<Option<f64>> = counts.iter().map(ClassCounts::recall).collect();
    Ok(array(py, with_nan(&recalls)))
}

/// The mean paired difference, its 95 % interval and the verdict.
#[pyfunction]
pub fn paired_difference<'py>(
    py: Python<'py>,
    method: Vec<f64>,
    baseline: Vec<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let difference = PairedDifference::new(&method, &baseline).map_err(python)?;
    let verdict = match difference.verdict() {
        PairedVerdict::Improved => "improved",
        PairedVerdict::Worsened => "worsened",
        PairedVerdict::NotDecided => "not decided",
    };
    let told = PyDict::new(py);
    told.set_item("mean", difference.mean)?;
    told.set_item("sd", difference.sd)?;
    told.set_item("interval", difference.interval)?;
    told.set_item("seeds", difference.n)?;
    told.set_item("verdict", verdict)?;
    Ok(told)
}
