//! numpy's arrays as the library's slices.

use fairprune::error::{Error, Result};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::errors::python;

/// Class numbers, or positions, as the library holds them.
pub fn numbers(what: &str, values: &PyReadonlyArray1<'_, i64>) -> PyResult<Vec<u32>> {
    let number = |(i, &v): (usize, &i64)| {
        u32::try_from(v).ok().filter(|&v| v < u32::MAX).ok_or_else(|| {
            let expected = "a whole number of 0 or more";
            Error::invalid(format!("{what}, position {i}"), v.to_string(), expected)
        })
    };
    let values: Result<Vec<u32>> = values.as_array().iter().enumerate().map(number).collect();
    values.map_err(python)
}

/// A contiguous row-major matrix as one slice, with its number of columns.
pub fn rows<'a>(what: &str, values: &'a PyReadonlyArray2<'_, f32>) -> PyResult<(&'a [f32], usize)> {
    let columns = values.as_array().ncols();
    let slice = values.as_slice().map_err(|_| {
        python(Error::invalid(what, "an array that is not contiguous", "rows one after another"))
    })?;
    Ok((slice, columns))
}

/// Recalls, where NaN stands for a class without validation samples.
pub fn recalls(values: &PyReadonlyArray1<'_, f64>) -> Vec<Option<f64>> {
    values.as_array().iter().map(|&v| (!v.is_nan()).then_some(v)).collect()
}

/// The same the other way round.
pub fn with_nan(values: &[Option<f64>]) -> Vec<f64> {
    values.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
}
