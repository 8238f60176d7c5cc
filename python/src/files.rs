//! Files that the command writes and reads.

use std::path::PathBuf;

use fairprune::artefact::Provenance;
use fairprune::artefact::dynamics::{DynamicsFolder, Quantity};
use fairprune::artefact::provenance::DataIdentity;
use fairprune::artefact::tables::SamplePart;
use fairprune::error::{Error, Result};
use fairprune::experiment::arrays::{ArraySamples, ClassAnswers};
use fairprune::experiment::folder::scores::ScoresFolder;
use fairprune::experiment::folder::subset::{SubsetFile, beside};
use fairprune::score::Method;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods};

use crate::arrays::numbers;
use crate::errors::python;
use crate::pool::compute;

/// `scores.csv` of a folder with what `scores.json` says of it.
#[pyfunction]
pub fn read_scores<'py>(py: Python<'py>, folder: PathBuf) -> PyResult<Bound<'py, PyDict>> {
    let found = compute(py, |_| ScoresFolder::read(&folder))?;
    let told = PyDict::new(py);
    let parts: Vec<&str> = found.table.parts.iter().map(|p| p.name()).collect();
    let labels = found.table.labels.iter().map(|&l| i64::from(l)).collect();
    let scores = PyDict::new(py);
    for (name, values) in found.table.methods {
        scores.set_item(name, PyArray1::from_vec(py, values))?;
    }
    told.set_item("ids", found.table.ids)?;
    told.set_item("labels", PyArray1::<i64>::from_vec(py, labels))?;
    told.set_item("parts", parts)?;
    told.set_item("scores", scores)?;
    told.set_item("classes", found.names)?;
    told.set_item("fingerprint", found.stated.data.fingerprint)?;
    Ok(told)
}

/// Writes a folder of scores that `fairprune prune --scores` reads.
#[pyfunction]
#[pyo3(signature = (folder, labels, scores, ids, classes, name, variant, recalls))]
pub fn write_scores<'py>(
    py: Python<'py>,
    folder: PathBuf,
    labels: PyReadonlyArray1<'py, i64>,
    scores: Vec<(String, PyReadonlyArray1<'py, f32>)>,
    ids: Option<Vec<String>>,
    classes: Option<Vec<String>>,
    name: &str,
    variant: &str,
    recalls: Option<(Vec<u64>, Vec<u64>)>,
) -> PyResult<()> {
    let labels = numbers("labels", &labels)?;
    let samples = ArraySamples::new(name, labels, ids, classes).map_err(python)?;
    let one = |(name, values): &(String, PyReadonlyArray1<'py, f32>)| -> Result<_> {
        Ok((name.parse::<Method>()?, values.as_array().to_vec()))
    };
    let scores: Result<Vec<_>> = scores.iter().map(one).collect();
    let scores = scores.map_err(python)?;
    let answers = recalls.map(|(correct, total)| ClassAnswers { correct, total });
    compute(py, |_| samples.write_scores(&folder, scores, variant, answers.as_ref()))
}

/// A folder of recorded dynamics: each quantity as epochs x samples.
#[pyfunction]
pub fn read_dynamics<'py>(py: Python<'py>, folder: PathBuf) -> PyResult<Bound<'py, PyDict>> {
    let (found, arrays) = compute(py, |_| {
        let found = DynamicsFolder::open(&folder)?;
        let mut arrays = Vec::new();
        for quantity in Quantity::ALL.into_iter().filter(|&q| found.has(q)) {
            arrays.push((quantity.name(), found.read(quantity)?));
        }
        Ok((found, arrays))
    })?;
    let told = PyDict::new(py);
    let stated = found.description;
    let quantities = PyDict::new(py);
    for (name, values) in arrays {
        let array: Bound<'py, PyArray2<f32>> =
            PyArray1::from_vec(py, values).reshape([stated.epochs, stated.samples])?;
        quantities.set_item(name, array)?;
    }
    let labels = found.samples.labels.iter().map(|&l| i64::from(l)).collect();
    let trained = found.samples.parts.iter().map(|p| *p == SamplePart::Train).collect();
    told.set_item("ids", found.samples.ids)?;
    told.set_item("labels", PyArray1::<i64>::from_vec(py, labels))?;
    told.set_item("trained", PyArray1::<bool>::from_vec(py, trained))?;
    told.set_item("classes", stated.class_names)?;
    told.set_item("quantities", quantities)?;
    told.set_item("fingerprint", stated.data.fingerprint)?;
    Ok(told)
}

/// Positions of a subset of `samples` samples, ascending, and notes; checked against what the JSON beside
/// the file states, and against names and labels where they are given.
#[pyfunction]
#[pyo3(signature = (path, samples, labels, ids, classes))]
pub fn read_subset<'py>(
    py: Python<'py>,
    path: PathBuf,
    samples: usize,
    labels: Option<PyReadonlyArray1<'py, i64>>,
    ids: Option<Vec<String>>,
    classes: Option<Vec<String>>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Vec<String>)> {
    let path = if path.is_dir() { path.join("kept.npy") } else { path };
    let labels = labels.map(|l| numbers("labels", &l)).transpose()?;
    let known = match (labels, ids) {
        (Some(labels), Some(ids)) => {
            Some(ArraySamples::new("the caller's data set", labels, Some(ids), classes))
        }
        _ => None,
    };
    let known = known.transpose().map_err(python)?;
    let subset = compute(py, |_| {
        let identity = match known {
            Some(known) => known.identity(),
            None => stated_or_unknown(&path, samples)?,
        };
        SubsetFile::read_for(&path, &identity)
    })?;
    let positions = subset.positions.iter().map(|&i| i as i64).collect();
    Ok((PyArray1::from_vec(py, positions), subset.notes))
}

/// The identity that the JSON beside a subset states, if it is of as many samples.
fn stated_or_unknown(path: &std::path::Path, samples: usize) -> Result<DataIdentity> {
    let beside = beside(path);
    if !beside.is_file() {
        return Ok(ArraySamples::new("unknown", vec![0; samples.max(1)], None, None)?.identity());
    }
    let stated = Provenance::read(&beside)?.data;
    if stated.samples != samples {
        let found = format!("a subset of {} samples of {:?}", stated.samples, stated.name);
        let expected = format!("one of the {samples} samples of the data set at hand");
        return Err(Error::invalid(path.display().to_string(), found, expected));
    }
    Ok(stated)
}
