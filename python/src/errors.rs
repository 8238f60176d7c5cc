//! The library's errors as Python's.

use fairprune::error::Error;
use pyo3::PyErr;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};

/// Unusable input is a ValueError, what the system refuses an OSError, missing memory a MemoryError.
pub fn python(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Invalid { .. } | Error::Damaged { .. } => PyValueError::new_err(text),
        Error::Io { .. } | Error::Busy { .. } => PyOSError::new_err(text),
        Error::OutOfMemory { .. } => PyMemoryError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}
