//! Scores of logits, without a network.

use crate::backend::Cpu;
use crate::error::{Error, Result};
use crate::ops::loss_score::{FIELDS, Field, score_rows};

/// What the logits of each sample say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogitScores {
    rows: Vec<[f32; FIELDS]>,
}

impl LogitScores {
    /// One column of the score table, a value a sample.
    pub fn column(&self, field: Field) -> impl ExactSizeIterator<Item = f32> + '_ {
        self.rows.iter().map(move |row| row[field as usize])
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.rows.len()
    }
}

/// Scores logits (N x K, row after row) under their labels (N). `previous` holds ln p of each sample's
/// previous presentation (N x K, NaN where there was none) and is replaced by that of this one; it is empty
/// where no divergence is wanted.
///
/// # Errors
/// [`Error::Invalid`]: slices of other lengths, fewer than two classes, a label that is none of them, a
/// logit that is not finite.
pub fn score_logits(
    cpu: &Cpu,
    classes: usize,
    logits: &[f32],
    labels: &[u32],
    previous: &mut [f32],
) -> Result<LogitScores> {
    let n = labels.len();
    if classes < 2 || logits.len() != n * classes {
        let found = format!("{} values in rows of {classes}", logits.len());
        let expected = format!("{n} rows, one a label, of two classes or more");
        return Err(Error::invalid("logits", found, expected));
    }
    if !previous.is_empty() && previous.len() != logits.len() {
        let found = format!("{} values", previous.len());
        return Err(Error::invalid("previous presentations", found, "as many as logits, or none"));
    }
    if let Some(i) = labels.iter().position(|&l| l as usize >= classes) {
        let what = format!("label of row {i}");
        let expected = format!("below {classes}, the columns of the logits");
        return Err(Error::invalid(what, labels[i].to_string(), expected));
    }
    if let Some(at) = logits.iter().position(|v| !v.is_finite()) {
        let what = format!("logit of row {}, column {}", at / classes, at % classes);
        return Err(Error::invalid(what, logits[at].to_string(), "a finite number"));
    }
    Ok(LogitScores { rows: score_rows(cpu, classes, logits, labels, previous) })
}
