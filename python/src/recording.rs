//! Scores of logits, and recordings of a training loop.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fairprune::artefact::dynamics::Quantity;
use fairprune::error::{Error, Result};
use fairprune::experiment::arrays::{
    ArraySamples, LogitRecorder as Recorder, LogitScores, RecorderState, score_logits,
};
use fairprune::ops::loss_score::Field;
use fairprune::score::{Method, Options};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods};

use crate::arrays::{numbers, rows, with_nan};
use crate::errors::python;
use crate::pool::compute;

/// The columns of the score table, by name.
const COLUMNS: [(&str, Field); 8] = [
    ("loss", Field::Loss),
    ("el2n", Field::El2n),
    ("margin", Field::Margin),
    ("entropy", Field::Entropy),
    ("least-confidence", Field::TopProbability),
    ("label-probability", Field::LabelProbability),
    ("logit-margin", Field::Aum),
    ("prediction", Field::Prediction),
];

fn columns<'py>(py: Python<'py>, scores: &LogitScores) -> PyResult<Bound<'py, PyDict>> {
    let result = PyDict::new(py);
    for (name, field) in COLUMNS {
        let values: Vec<f32> = scores.column(field).collect();
        result.set_item(name, PyArray1::from_vec(py, values))?;
    }
    Ok(result)
}

/// Scores of logits under labels, a float32 value a row.
#[pyfunction]
pub fn loss_scores<'py>(
    py: Python<'py>,
    logits: PyReadonlyArray2<'py, f32>,
    labels: PyReadonlyArray1<'py, i64>,
) -> PyResult<Bound<'py, PyDict>> {
    let labels = numbers("labels", &labels)?;
    let (values, classes) = rows("logits", &logits)?;
    let scores = compute(py, |cpu| score_logits(cpu, classes, values, &labels, &mut []))?;
    columns(py, &scores)
}

/// A recording in the making.
#[pyclass(module = "fairprune._native", frozen)]
pub struct LogitRecorder {
    recorder: Mutex<Recorder>,
}

impl LogitRecorder {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Recorder, &fairprune::backend::Cpu) -> Result<T> + Send,
    ) -> PyResult<T> {
        let mutex = &self.recorder;
        compute(py, |cpu| {
            let mut recorder = mutex.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut recorder, cpu)
        })
    }
}

#[pymethods]
impl LogitRecorder {
    #[new]
    fn new(samples: usize, classes: usize, divergence: bool) -> PyResult<Self> {
        let recorder = Recorder::new(samples, classes, divergence).map_err(python)?;
        Ok(LogitRecorder { recorder: Mutex::new(recorder) })
    }

    /// Records a batch and returns what its logits say.
    fn update<'py>(
        &self,
        py: Python<'py>,
        indices: PyReadonlyArray1<'py, i64>,
        logits: PyReadonlyArray2<'py, f32>,
        labels: PyReadonlyArray1<'py, i64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let indices = numbers("indices", &indices)?;
        let labels = numbers("labels", &labels)?;
        let (values, classes) = rows("logits", &logits)?;
        let scores = self.with(py, |recorder, cpu| {
            check_columns(recorder, classes)?;
            recorder.update(cpu, &indices, values, &labels)
        })?;
        columns(py, &scores)
    }

    fn validate<'py>(
        &self,
        py: Python<'py>,
        logits: PyReadonlyArray2<'py, f32>,
        labels: PyReadonlyArray1<'py, i64>,
    ) -> PyResult<()> {
        let labels = numbers("labels", &labels)?;
        let (values, classes) = rows("logits", &logits)?;
        self.with(py, |recorder, cpu| {
            check_columns(recorder, classes)?;
            recorder.validate(cpu, values, &labels)
        })
    }

    fn end_epoch(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |recorder, _| recorder.end_epoch())
    }

    #[getter]
    fn epochs(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |recorder, _| Ok(recorder.epochs()))
    }

    #[getter]
    fn samples(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |recorder, _| Ok(recorder.samples()))
    }

    #[getter]
    fn classes(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |recorder, _| Ok(recorder.classes()))
    }

    fn bytes(&self, py: Python<'_>, epochs: usize) -> PyResult<u64> {
        self.with(py, |recorder, _| Ok(recorder.bytes(epochs)))
    }

    /// Scores by name, a float32 value a sample, in the order asked for.
    fn scores<'py>(
        &self,
        py: Python<'py>,
        methods: Vec<String>,
        window: Option<usize>,
        trajectory: Option<usize>,
        decay: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let methods: Result<Vec<Method>> = methods.iter().map(|m| m.parse()).collect();
        let methods = methods.map_err(python)?;
        let mut options = Options::default();
        options.window = window.unwrap_or(options.window);
        options.trajectory = trajectory.or(options.trajectory);
        options.decay = decay.unwrap_or(options.decay);
        let scores = self.with(py, |recorder, _| recorder.scores(&methods, &options))?;
        let named = PyDict::new(py);
        for (method, values) in scores {
            named.set_item(method.name(), PyArray1::from_vec(py, values))?;
        }
        Ok(named)
    }

    /// Validation recalls of the best epoch (NaN without samples) and the samples behind them.
    fn recalls<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyArray1<f64>>, Vec<u64>)> {
        let (recalls, sizes) = self.with(py, |recorder, _| {
            Ok((recorder.recalls()?, recorder.validation_sizes().unwrap_or_default()))
        })?;
        Ok((PyArray1::from_vec(py, with_nan(&recalls)), sizes))
    }

    /// One quantity of the finished epochs, epochs x samples.
    fn trajectories<'py>(
        &self,
        py: Python<'py>,
        quantity: &str,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let quantity = quantity_of(quantity)?;
        let (values, samples) = self
            .with(py, |recorder, _| Ok((recorder.trajectories(quantity)?, recorder.samples())))?;
        let epochs = values.len() / samples;
        PyArray1::from_vec(py, values).reshape([epochs, samples])
    }

    /// Writes the folder that `fairprune score --dynamics` reads.
    #[pyo3(signature = (folder, labels, ids, classes, name, augmented))]
    fn save<'py>(
        &self,
        py: Python<'py>,
        folder: PathBuf,
        labels: PyReadonlyArray1<'py, i64>,
        ids: Option<Vec<String>>,
        classes: Option<Vec<String>>,
        name: &str,
        augmented: bool,
    ) -> PyResult<()> {
        let labels = numbers("labels", &labels)?;
        let count = self.classes(py)?;
        let classes = classes.unwrap_or_else(|| (0..count).map(|k| k.to_string()).collect());
        let samples = ArraySamples::new(name, labels, ids, Some(classes)).map_err(python)?;
        self.with(py, |recorder, _| recorder.write(&folder, &samples, augmented))
    }

    /// Everything that the recorder holds, as arrays and numbers.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.with(py, |recorder, _| recorder.state())?;
        let told = PyDict::new(py);
        told.set_item("divergence", state.divergence)?;
        told.set_item("classes", state.classes)?;
        told.set_item("epochs", state.epochs)?;
        told.set_item("updates", state.updates)?;
        told.set_item("labels", PyArray1::from_vec(py, state.labels))?;
        told.set_item("rows", PyArray1::from_vec(py, state.rows))?;
        told.set_item("previous", PyArray1::from_vec(py, state.previous))?;
        told.set_item("validated", PyArray1::from_vec(py, state.validated))?;
        Ok(told)
    }

    /// A recorder that goes on from such a state.
    #[staticmethod]
    fn from_state(state: &Bound<'_, PyDict>) -> PyResult<Self> {
        let item = |name: &str| {
            state.get_item(name)?.ok_or_else(|| {
                python(Error::invalid("recorder's state", format!("no {name}"), "it"))
            })
        };
        let floats = |name: &str| -> PyResult<Vec<f32>> {
            let values: PyReadonlyArray1<f32> = item(name)?.extract()?;
            Ok(values.as_array().to_vec())
        };
        let labels: PyReadonlyArray1<u32> = item("labels")?.extract()?;
        let validated: PyReadonlyArray1<u64> = item("validated")?.extract()?;
        let state = RecorderState {
            divergence: item("divergence")?.extract()?,
            classes: item("classes")?.extract()?,
            labels: labels.as_array().to_vec(),
            epochs: item("epochs")?.extract()?,
            rows: floats("rows")?,
            previous: floats("previous")?,
            validated: validated.as_array().to_vec(),
            updates: item("updates")?.extract()?,
        };
        let recorder = Recorder::from_state(state).map_err(python)?;
        Ok(LogitRecorder { recorder: Mutex::new(recorder) })
    }
}

fn check_columns(recorder: &Recorder, columns: usize) -> Result<()> {
    let classes = recorder.classes();
    if columns == classes {
        return Ok(());
    }
    let expected = format!("{classes}, the classes of the recorder");
    Err(Error::invalid("logits", format!("{columns} columns"), expected))
}

fn quantity_of(name: &str) -> PyResult<Quantity> {
    Quantity::ALL.into_iter().find(|q| q.name() == name).ok_or_else(|| {
        let names = Quantity::ALL.map(Quantity::name).join(", ");
        python(Error::invalid("quantity", name, names))
    })
}
