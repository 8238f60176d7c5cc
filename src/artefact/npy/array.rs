//! What an array that was read may be taken for: positions, scores, features.

use super::{Array, ArrayValues};
use crate::error::{Error, Result};

impl Array {
    /// Takes one axis of integers as positions in a data set of `n` samples, in the file's order,
    /// or a boolean mask of length `n` as the positions that are true. Ranges are checked; the
    /// caller judges duplicates.
    pub fn into_positions(self, n: usize, name: &str) -> Result<Vec<usize>> {
        self.one_axis(name)?;
        match self.values {
            ArrayValues::Int(values) => values
                .iter()
                .enumerate()
                .map(|(i, &v)| {
                    usize::try_from(v).ok().filter(|&v| v < n).ok_or_else(|| {
                        let expected = format!("0 to {} (a data set of {n} samples)", n as i64 - 1);
                        Error::invalid(format!("{name}, position {i}"), v.to_string(), expected)
                    })
                })
                .collect(),
            ArrayValues::Bool(mask) if mask.len() == n => {
                Ok(mask.iter().enumerate().filter(|(_, kept)| **kept).map(|(i, _)| i).collect())
            }
            ArrayValues::Bool(mask) => {
                let found = format!("a mask of {} values", mask.len());
                Err(Error::invalid(name, found, format!("{n}, one a sample")))
            }
            other => Err(Error::invalid(
                name,
                other.kind(),
                "integer positions or a boolean mask: array.astype('int64')",
            )),
        }
    }

    /// Takes one axis of numbers as [`Array::into_column`] does, none of which may be NaN.
    pub fn into_scores(self, n: usize, name: &str) -> Result<Vec<f32>> {
        let scores = self.into_column(n, name)?;
        match scores.iter().position(|x| x.is_nan()) {
            Some(i) => Err(Error::invalid(format!("{name}, position {i}"), "NaN", "a number")),
            None => Ok(scores),
        }
    }

    /// Takes one axis of `n` numbers, one for each sample, NaN for those without one. Doubles are
    /// rounded to f32.
    pub fn into_column(self, n: usize, name: &str) -> Result<Vec<f32>> {
        self.one_axis(name)?;
        let scores: Vec<f32> = match self.values {
            ArrayValues::F32(v) => v,
            ArrayValues::F64(v) => v.into_iter().map(|x| x as f32).collect(),
            ArrayValues::Int(v) => v.into_iter().map(|x| x as f32).collect(),
            ArrayValues::Bool(_) => {
                return Err(Error::invalid(name, "booleans", "scores (numbers)"));
            }
        };
        if scores.len() != n {
            let found = format!("{} scores", scores.len());
            return Err(Error::invalid(name, found, format!("{n}, one a sample of the data set")));
        }
        Ok(scores)
    }

    /// Takes two axes of finite numbers: `n` rows of at least one value, one for each sample in
    /// data-set order. Doubles are rounded to f32. Returns the length of a row and the values, row
    /// after row.
    pub fn into_features(self, n: usize, name: &str) -> Result<(usize, Vec<f32>)> {
        let &[rows, width] = &self.shape[..] else {
            let found = format!("an array of shape {:?}", self.shape);
            let expected = format!("two axes, ({n}, D): a row of D features a training sample");
            return Err(Error::invalid(name, found, expected));
        };
        if rows != n || width == 0 {
            let found = format!("{rows} rows of {width} features");
            let turned = if width == n { ": array.T.copy()" } else { "" };
            let expected = format!("{n} rows, one a training sample in data-set order{turned}");
            return Err(Error::invalid(name, found, expected));
        }
        let at = |i: usize| format!("{name}, row {}, column {}", i / width, i % width);
        let values = match self.values {
            ArrayValues::F32(v) => v,
            ArrayValues::F64(v) => {
                let narrow = |(i, x): (usize, f64)| match x as f32 {
                    y if x.is_finite() && y.is_infinite() => {
                        Err(Error::invalid(at(i), x.to_string(), "a number that f32 can hold"))
                    }
                    y => Ok(y),
                };
                v.into_iter().enumerate().map(narrow).collect::<Result<_>>()?
            }
            other => {
                let expected = "floating-point numbers: array.astype('float32')";
                return Err(Error::invalid(name, other.kind(), expected));
            }
        };
        match values.iter().position(|x| !x.is_finite()) {
            Some(i) => Err(Error::invalid(at(i), values[i].to_string(), "a finite number")),
            None => Ok((width, values)),
        }
    }

    fn one_axis(&self, name: &str) -> Result<()> {
        if self.shape.len() == 1 {
            return Ok(());
        }
        Err(Error::invalid(name, format!("an array of shape {:?}", self.shape), "one axis"))
    }
}
