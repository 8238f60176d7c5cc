//! What query networks say of each validation sample, on disk: the array beside `recalls.csv`, and a table
//! that says what its rows are of. Predictions of what quotas do are made from it.

use std::path::Path;

use crate::artefact::tables::{self, ValidationSampleRow};
use crate::artefact::{OutputDir, npy};
use crate::error::{Error, Result};
use crate::prune::{ValidationRows, ValidationRun};

/// Natural logarithms of probabilities, M x K, and what the M rows are of.
pub const VALIDATION_ROWS: [&str; 2] = ["validation-log-probabilities.npy", "validation-rows.csv"];

/// Writes both files.
pub fn write(rows: &ValidationRows, dir: &OutputDir) -> Result<()> {
    let [array, table] = VALIDATION_ROWS;
    let samples: Vec<ValidationSampleRow> = rows
        .samples()
        .enumerate()
        .map(|(row, (run, position, class))| ValidationSampleRow {
            row: row as u64,
            run: run as u64,
            position: position as u64,
            class,
        })
        .collect();
    let logs = rows.log_probabilities();
    npy::write(&dir.file(array)?, &[samples.len(), rows.classes()], logs)?;
    tables::write(&dir.file(table)?, &samples)
}

/// Reads what lies in `folder` of `classes` classes; None where nothing does.
///
/// # Errors
/// One file without the other, rows of other classes, runs whose rows do not follow each other.
pub fn read(folder: &Path, classes: usize) -> Result<Option<ValidationRows>> {
    let [array, table] = VALIDATION_ROWS.map(|name| folder.join(name));
    match (array.is_file(), table.is_file()) {
        (false, false) => return Ok(None),
        (true, true) => {}
        (true, false) => return Err(lacks(&array, &table)),
        (false, true) => return Err(lacks(&table, &array)),
    }
    let samples: Vec<ValidationSampleRow> = tables::read(&table)?;
    let name = array.display().to_string();
    let (width, values) = npy::read(&array)?.into_features(samples.len(), &name)?;
    if width != classes {
        let expected = format!("{classes}, the classes of the data set");
        return Err(Error::invalid(name, format!("{width} columns"), expected));
    }
    let labels: Vec<u32> = samples.iter().map(|s| s.class).collect();
    let positions: Vec<usize> = samples.iter().map(|s| s.position as usize).collect();
    let mut runs = Vec::new();
    let mut start = 0;
    for of_run in samples.chunk_by(|a, b| a.run == b.run) {
        let expected = runs.len() as u64;
        if of_run[0].run != expected {
            let what = format!("{}, row {start}, column run", table.display());
            let expected = format!("{expected}: runs follow each other from 0");
            return Err(Error::invalid(what, of_run[0].run.to_string(), expected));
        }
        let range = start..start + of_run.len();
        runs.push(ValidationRun {
            log_probabilities: &values[range.start * classes..range.end * classes],
            labels: &labels[range.clone()],
            samples: Some(&positions[range.clone()]),
            densities: None,
        });
        start = range.end;
    }
    let rows = ValidationRows::new(classes, &runs);
    rows.map(Some)
        .map_err(|e| Error::invalid(name, e.to_string(), "rows that `fairprune score` wrote"))
}

fn lacks(there: &Path, missing: &Path) -> Error {
    let found =
        format!("no {} beside it", missing.file_name().unwrap_or_default().to_string_lossy());
    Error::invalid(there.display().to_string(), found, "both files that `fairprune score` wrote")
}
