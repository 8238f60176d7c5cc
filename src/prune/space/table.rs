//! Features and predictions of the samples, borrowed: N rows in data-set order.

use crate::error::{Error, Result};

/// Greatest usable magnitude: the squares of any 10^8 differences of this size still fit an f32.
const MOST: f32 = 1e15;
/// A row of probabilities must sum to 1 within this, as a softmax in f32 does.
const SUM: f64 = 1e-3;

/// Features of the samples, N x D, row-major: one row for each sample of the original training
/// set. Rows of samples that are not eligible are never read. Differences below 10^-19, whose
/// squares no f32 holds, count as none.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    values: &'a [f32],
    dims: usize,
}

/// Predicted probabilities of the samples, N x K, row-major, with one row for each sample as in
/// [`Features`].
#[derive(Clone, Copy, Debug)]
pub struct Probabilities<'a> {
    values: &'a [f32],
    classes: usize,
}

impl<'a> Features<'a> {
    /// Takes features of `dims` dimensions.
    ///
    /// # Errors
    /// `dims` is 0, or the number of values is no multiple of it.
    pub fn new(values: &'a [f32], dims: usize) -> Result<Self> {
        check_shape("features", values.len(), dims)?;
        Ok(Features { values, dims })
    }

    /// Returns D, the number of dimensions.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Returns N, the number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dims
    }

    /// Checks what a method will read.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the position: one that has no row, a value that is NaN, infinite or
    /// beyond 10^15.
    pub fn check(&self, positions: &[usize]) -> Result<()> {
        for &position in positions {
            let row = row_of("features", self.values, self.dims, position)?;
            if let Some(k) = row.iter().position(|v| !(v.abs() <= MOST)) {
                return Err(Error::invalid(
                    format!("features of training sample {position}"),
                    format!("{} in dimension {k}", row[k]),
                    "finite values of magnitude at most 1e15",
                ));
            }
        }
        Ok(())
    }

    /// Returns the features at `position`, which was checked.
    pub(crate) fn row(&self, position: usize) -> &'a [f32] {
        &self.values[position * self.dims..][..self.dims]
    }
}

impl<'a> Probabilities<'a> {
    /// Takes probabilities of `classes` classes.
    ///
    /// # Errors
    /// `classes` is 0, or the number of values is no multiple of it.
    pub fn new(values: &'a [f32], classes: usize) -> Result<Self> {
        check_shape("probabilities", values.len(), classes)?;
        Ok(Probabilities { values, classes })
    }

    /// Returns K, the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns N, the number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.classes
    }

    /// Checks what a method will read.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the position: one that has no row, a value outside [0, 1], a row
    /// whose sum is not 1 within .001.
    pub fn check(&self, positions: &[usize]) -> Result<()> {
        for &position in positions {
            let row = row_of("probabilities", self.values, self.classes, position)?;
            let what = || format!("probabilities of training sample {position}");
            if let Some(k) = row.iter().position(|v| !(0.0..=1.0).contains(v)) {
                let found = format!("{} for class {k}", row[k]);
                return Err(Error::invalid(what(), found, "numbers in [0, 1]"));
            }
            let sum: f64 = row.iter().map(|&v| f64::from(v)).sum();
            if !((sum - 1.0).abs() <= SUM) {
                return Err(Error::invalid(what(), format!("a sum of {sum}"), "a sum of 1"));
            }
        }
        Ok(())
    }

    /// Returns the probabilities at `position`, which was checked.
    pub(crate) fn row(&self, position: usize) -> &'a [f32] {
        &self.values[position * self.classes..][..self.classes]
    }
}

/// Checks that every label at `positions` is a class of the predictions.
pub(crate) fn check_labels(labels: &[u32], positions: &[usize], classes: usize) -> Result<()> {
    for &position in positions {
        match labels.get(position) {
            Some(&label) if (label as usize) < classes => {}
            found => {
                return Err(Error::invalid(
                    format!("label of training sample {position}"),
                    found.map_or("none".to_owned(), |l| l.to_string()),
                    format!("below {classes}, the number of classes"),
                ));
            }
        }
    }
    Ok(())
}

fn check_shape(what: &str, len: usize, width: usize) -> Result<()> {
    if width == 0 || !len.is_multiple_of(width) {
        return Err(Error::invalid(
            what,
            format!("{len} values in rows of {width}"),
            "whole rows of at least one value",
        ));
    }
    Ok(())
}

fn row_of<'a>(what: &str, values: &'a [f32], width: usize, position: usize) -> Result<&'a [f32]> {
    let row = position.checked_mul(width).and_then(|at| values.get(at..)?.get(..width));
    row.ok_or_else(|| {
        Error::invalid(
            what,
            format!("{} rows", values.len() / width),
            format!("one for each training sample, position {position} included"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
        let message = result.unwrap_err().to_string();
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
    }

    #[test]
    fn shapes_are_checked() {
        assert_eq!(Features::new(&[0.0; 6], 3).unwrap().rows(), 2);
        assert_eq!(Features::new(&[], 3).unwrap().rows(), 0);
        says(Features::new(&[0.0; 6], 0), &["6 values", "rows of 0"]);
        says(Features::new(&[0.0; 7], 3), &["7 values", "rows of 3"]);
        says(Probabilities::new(&[0.0; 7], 3), &["probabilities"]);
    }

    #[test]
    fn only_rows_that_will_be_read_are_checked() {
        let values = [1.0, 2.0, f32::NAN, 0.0, 3.0, -2e15];
        let features = Features::new(&values, 2).unwrap();
        features.check(&[0]).unwrap();
        says(features.check(&[0, 1]), &["sample 1", "NaN in dimension 0"]);
        says(features.check(&[2]), &["sample 2", "dimension 1"]);
        says(features.check(&[3]), &["3 rows", "position 3"]);
        says(features.check(&[usize::MAX]), &["3 rows"]);
    }

    #[test]
    fn probabilities_are_distributions() {
        let values = [0.25, 0.75, 0.5, 0.6, 1.5, -0.5, f32::NAN, 1.0];
        let probabilities = Probabilities::new(&values, 2).unwrap();
        probabilities.check(&[0]).unwrap();
        says(probabilities.check(&[1]), &["sample 1", "sum"]);
        says(probabilities.check(&[2]), &["sample 2", "1.5 for class 0"]);
        says(probabilities.check(&[3]), &["sample 3", "NaN for class 0"]);
    }

    #[test]
    fn labels_have_a_class() {
        check_labels(&[0, 9, 1], &[0, 2], 2).unwrap();
        says(check_labels(&[0, 9], &[1], 2), &["sample 1", "found 9"]);
        says(check_labels(&[0], &[1], 2), &["sample 1", "none"]);
    }
}
