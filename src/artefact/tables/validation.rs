//! What the rows of `validation-log-probabilities.npy` are of.

use super::{COUNT, Cells, TableRow};
use serde::Serialize;

/// One row: a validation sample as one query run sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ValidationSampleRow {
    /// Row of the array, from 0.
    pub row: u64,
    /// The query run, from 0.
    pub run: u64,
    /// Position of the sample in the part of the data set that it is of.
    pub position: u64,
    /// Class index.
    pub class: u32,
}

impl TableRow for ValidationSampleRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("row", "a row from 0 to the number of rows minus 1, each once"),
        ("run", COUNT),
        ("position", COUNT),
        ("class", "a class index"),
    ];

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        Ok(ValidationSampleRow {
            row: cells.value("row")?,
            run: cells.value("run")?,
            position: cells.value("position")?,
            class: cells.value("class")?,
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        None
    }

    fn key(&self) -> (u64, bool) {
        (self.row, true)
    }
}
