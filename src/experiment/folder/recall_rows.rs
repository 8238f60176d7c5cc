//! Rows of class recalls, and the files that they go to.

use std::path::Path;

use crate::artefact::tables::{self, GroupRecallRow, RecallRow};
use crate::data::Partition;
use crate::error::Result;
use crate::experiment::counts::EvaluationCounts;

/// Recalls that quotas use.
pub const RECALLS: &str = "recalls.csv";
/// Recalls of the recorded run, where other query runs gave those that quotas use.
pub const RECALLS_OF_DYNAMICS: &str = "recalls-dynamics.csv";
/// Recalls of groups, where the samples have an attribute.
pub const GROUP_RECALLS: &str = "recalls-groups.csv";
/// Recalls of groups in the recorded run.
pub const GROUP_RECALLS_OF_DYNAMICS: &str = "recalls-dynamics-groups.csv";

/// What one row a class or group is made of.
pub struct RecallCounts<'a> {
    pub names: &'a [String],
    /// Training samples of each.
    pub sizes: &'a [usize],
    /// Correct and total validation samples of each.
    pub correct: &'a [u64],
    pub total: &'a [u64],
}

impl RecallCounts<'_> {
    /// A row for each that has validation samples: correct / total.
    pub fn rows(&self) -> Vec<RecallRow> {
        let recall =
            |k: usize| (self.total[k] > 0).then(|| self.correct[k] as f64 / self.total[k] as f64);
        self.rows_with(recall, |_| None)
    }

    /// A row for each that has a recall, with its standard deviation between runs.
    pub fn rows_with(
        &self,
        recall: impl Fn(usize) -> Option<f64>,
        sd: impl Fn(usize) -> Option<f64>,
    ) -> Vec<RecallRow> {
        let row = |k: usize| {
            Some(RecallRow {
                class: k as u32,
                name: self.names[k].clone(),
                train_size: self.sizes[k] as u64,
                val_correct: Some(self.correct[k]),
                val_total: Some(self.total[k]),
                recall: recall(k)?,
                recall_sd: sd(k),
            })
        };
        (0..self.names.len()).filter_map(row).collect()
    }
}

/// Rows of one evaluation over `partition`; `sizes` are its training samples.
pub fn rows_of(
    partition: &Partition,
    sizes: &[usize],
    validation: &EvaluationCounts,
) -> Result<Vec<RecallRow>> {
    let validation = validation.by(partition)?;
    let (correct, total) = (&validation.correct, &validation.total);
    Ok(RecallCounts { names: &partition.names, sizes, correct, total }.rows())
}

/// Writes recalls of groups, whose rows name the class and the attribute's value.
pub fn write_group_recalls(path: &Path, rows: &[RecallRow]) -> Result<()> {
    let rows: Vec<_> = rows.iter().cloned().map(GroupRecallRow::of_class).collect();
    tables::write(path, &rows)
}
