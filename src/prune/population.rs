//! The samples that a subset is taken from.

use crate::error::{Error, Result};

/// A training set and the part of it that may be kept.
#[derive(Clone, Copy, Debug)]
pub struct Population<'a> {
    /// Class, or group, of every sample of the original training set.
    pub labels: &'a [u32],
    /// Positions in the original training set that are not held out, in any order. Sizes N_k and
    /// the density count these only.
    pub eligible: &'a [usize],
    /// Number of classes; labels are below it.
    pub classes: usize,
}

impl Population<'_> {
    /// Counts the eligible samples of each class.
    ///
    /// # Errors
    /// [`Error::Invalid`]: no eligible sample, a position out of range or twice, a label not below
    /// the number of classes.
    pub fn sizes(&self) -> Result<Vec<usize>> {
        if self.eligible.is_empty() {
            return Err(Error::invalid("training samples", "none", "at least one to keep"));
        }
        let mut seen = vec![false; self.labels.len()];
        let mut sizes = vec![0; self.classes];
        for &position in self.eligible {
            let Some(&label) = self.labels.get(position) else {
                return Err(Error::invalid(
                    "eligible training sample",
                    format!("position {position}"),
                    format!("below the {} labels", self.labels.len()),
                ));
            };
            if std::mem::replace(&mut seen[position], true) {
                return Err(Error::invalid(
                    "eligible training samples",
                    format!("position {position} twice"),
                    "each position once",
                ));
            }
            let size = sizes.get_mut(label as usize).ok_or_else(|| {
                Error::invalid(
                    format!("label of training sample {position}"),
                    label.to_string(),
                    format!("below {}, the number of classes", self.classes),
                )
            })?;
            *size += 1;
        }
        Ok(sizes)
    }

    /// Returns the eligible positions of each class, in the order of `eligible`.
    ///
    /// # Errors
    /// Fails as [`Population::sizes`] does.
    pub fn members(&self) -> Result<Vec<Vec<usize>>> {
        let sizes = self.sizes()?;
        let mut members: Vec<Vec<usize>> = sizes.into_iter().map(Vec::with_capacity).collect();
        for &position in self.eligible {
            members[self.labels[position] as usize].push(position);
        }
        Ok(members)
    }
}
