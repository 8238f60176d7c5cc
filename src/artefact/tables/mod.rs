//! The CSV files as typed rows, with checks that name file, line and column.
//!
//! | file | columns |
//! |---|---|
//! | `scores.csv` | index, id, label, part, attribute where there is one, one column a method: [`ScoreTable`] |
//! | `recalls.csv` | class, name, train_size, val_correct, val_total, recall, recall_sd: [`RecallRow`] |
//! | `recalls-groups.csv` | the same with `group` for `class`: [`GroupRecallRow`] |
//! | `kept.csv` | index, id, label, part, score, kept: [`KeptRow`] |
//! | `dropped.csv` | index, id, label, part, score, reason: [`DroppedRow`] |
//! | `picks.csv` | pick, index, id, label, weight: [`PickRow`] |
//! | `check.csv` | finding, kind, part, index, id, label, other_part, other_index, other_id, other_label, suggested_label, score, suggestion: [`FindingRow`] |
//! | `validation-rows.csv` | row, run, position, class: [`ValidationSampleRow`] |
//! | `classes.csv` | class, name, size, recall, density, kept: [`KeptClassRow`] |
//!
//! A text that a spreadsheet would compute has an apostrophe in front, which reading takes away
//! again (`cells.rs`). Numbers are written with the fewest digits that read back to the same value. Columns may come in
//! any order; a missing, repeated or unknown one is an error. Empty cells are allowed where a field
//! is an `Option`.

mod cells;
mod dropped;
mod findings;
mod read;
mod scores;
mod validation;

pub use cells::RowWriter;
pub use dropped::{DroppedRow, Reason};
pub use findings::{FindingKind, FindingRow, FoundSample};
pub use read::{Cells, TableRow};
pub use scores::{ATTRIBUTE, FIXED as SCORE_TABLE_COLUMNS, SamplePart, ScoreTable};
pub use validation::ValidationSampleRow;

use super::atomic;
use crate::error::{Error, Result};
use serde::Serialize;
use std::path::Path;

const SHARE: &str = "a number from 0 to 1";
const RECALL: &str = "a number from 0 to 1 that can be val_correct of val_total";
const COUNT: &str = "a whole number";

fn is_share(x: f64) -> bool {
    (0.0..=1.0).contains(&x)
}

/// Whether a mean recall over runs can be that of so many correct samples of so many. Runs may have
/// different numbers of samples, so that the mean of their shares is not the share of their sums; but all are
/// wrong, or all are right, in every run or in none, and there is no share of nothing.
fn agree(recall: f64, correct: u64, total: u64) -> bool {
    match correct {
        _ if total == 0 => false,
        0 => recall == 0.0,
        _ if correct == total => recall == 1.0,
        _ => recall > 0.0 && recall < 1.0,
    }
}

/// How a query model recalls one class of the validation data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecallRow {
    /// Class index, from 0.
    pub class: u32,
    /// Name of the class.
    pub name: String,
    /// Samples of the class that training may use.
    pub train_size: u64,
    /// Correct validation samples of the class, summed over the query runs.
    pub val_correct: Option<u64>,
    /// Validation samples of the class, summed over the query runs.
    pub val_total: Option<u64>,
    /// Mean recall over the query runs, in [0, 1].
    pub recall: f64,
    /// Standard deviation of the recall between query runs; `None` with one run.
    pub recall_sd: Option<f64>,
}

impl TableRow for RecallRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("class", "a class index from 0 to the number of classes minus 1, each once"),
        ("name", "text"),
        ("train_size", COUNT),
        ("val_correct", "a whole number, at most val_total, or nothing"),
        ("val_total", "a whole number or nothing"),
        ("recall", RECALL),
        ("recall_sd", "a number from 0 to 1 or nothing"),
    ];

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        Ok(RecallRow {
            class: cells.value("class")?,
            name: cells.value("name")?,
            train_size: cells.value("train_size")?,
            val_correct: cells.optional("val_correct")?,
            val_total: cells.optional("val_total")?,
            recall: cells.value("recall")?,
            recall_sd: cells.optional("recall_sd")?,
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        if !is_share(self.recall) {
            return Some("recall");
        }
        if !self.recall_sd.is_none_or(is_share) {
            return Some("recall_sd");
        }
        let (Some(correct), Some(total)) = (self.val_correct, self.val_total) else { return None };
        if correct > total {
            return Some("val_correct");
        }
        (!agree(self.recall, correct, total)).then_some("recall")
    }

    fn key(&self) -> (u64, bool) {
        (u64::from(self.class), true)
    }
}

/// How a query model recalls one group, class x attribute. Groups without validation samples have
/// no row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupRecallRow {
    /// Group index, from 0. Groups are ordered by class and then by the attribute's values.
    pub group: u32,
    /// The group's name, such as `waterbird / land`.
    pub name: String,
    /// Samples of the group that training may use.
    pub train_size: u64,
    /// Correct validation samples of the group, summed over the query runs.
    pub val_correct: Option<u64>,
    /// Validation samples of the group, summed over the query runs.
    pub val_total: Option<u64>,
    /// Mean recall over the query runs, in [0, 1].
    pub recall: f64,
    /// Standard deviation of the recall between query runs; `None` with one run.
    pub recall_sd: Option<f64>,
}

impl GroupRecallRow {
    /// Returns the row as one of a class.
    pub fn to_class(&self) -> RecallRow {
        let GroupRecallRow { group, train_size, val_correct, val_total, recall, recall_sd, .. } =
            *self;
        let name = self.name.clone();
        RecallRow { class: group, name, train_size, val_correct, val_total, recall, recall_sd }
    }

    /// Makes the row of a group out of that of a class.
    pub fn of_class(row: RecallRow) -> GroupRecallRow {
        let RecallRow { class, name, train_size, val_correct, val_total, recall, recall_sd } = row;
        GroupRecallRow { group: class, name, train_size, val_correct, val_total, recall, recall_sd }
    }
}

impl TableRow for GroupRecallRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("group", "a group index, each at most once"),
        ("name", "text"),
        ("train_size", COUNT),
        ("val_correct", "a whole number, at most val_total, or nothing"),
        ("val_total", "a whole number or nothing"),
        ("recall", RECALL),
        ("recall_sd", "a number from 0 to 1 or nothing"),
    ];

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        Ok(GroupRecallRow {
            group: cells.value("group")?,
            name: cells.value("name")?,
            train_size: cells.value("train_size")?,
            val_correct: cells.optional("val_correct")?,
            val_total: cells.optional("val_total")?,
            recall: cells.value("recall")?,
            recall_sd: cells.optional("recall_sd")?,
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        self.to_class().unusable()
    }

    fn key(&self) -> (u64, bool) {
        (u64::from(self.group), false)
    }
}

/// Opens a table of any columns.
pub(super) fn open(path: &Path) -> Result<read::OpenTable> {
    read::OpenTable::open(path)
}

/// Tells whether the file's first column is `group`, so that its recalls are of groups and not of
/// classes.
pub fn is_of_groups(path: &Path) -> Result<bool> {
    Ok(read::OpenTable::open(path)?.header.iter().any(|h| h == "group"))
}

/// What happened to one sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptRow {
    /// Position in the original training set.
    pub index: u64,
    /// Id of the sample.
    pub id: String,
    /// Class index.
    pub label: u32,
    /// What the sample is there for: only samples of the part `train` may be kept.
    pub part: SamplePart,
    /// The score that ranked the sample; `None` for random draws.
    pub score: Option<f32>,
    /// Whether the sample is kept. It is written as 1 or 0; `true` and `false` are read too.
    #[serde(serialize_with = "as_digit")]
    pub kept: bool,
}

impl TableRow for KeptRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("index", "a position in the training set, each at most once"),
        ("id", "text"),
        ("label", "a class index"),
        ("part", SamplePart::NAMES),
        ("score", "a number or nothing"),
        ("kept", "0 or 1"),
    ];

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        let kept: String = cells.value("kept")?;
        Ok(KeptRow {
            index: cells.value("index")?,
            id: cells.value("id")?,
            label: cells.value("label")?,
            part: cells.value("part")?,
            score: cells.optional("score")?,
            kept: match kept.to_ascii_lowercase().as_str() {
                "1" | "true" => true,
                "0" | "false" => false,
                _ => return Err("kept"),
            },
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        self.score.is_some_and(f32::is_nan).then_some("score")
    }

    fn key(&self) -> (u64, bool) {
        (self.index, false)
    }
}

/// One pick of a method that picks samples one after another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PickRow {
    /// The number of the pick, from 0, in the order of picking.
    pub pick: u64,
    /// Position in the original training set.
    pub index: u64,
    /// Id of the sample.
    pub id: String,
    /// Class index.
    pub label: u32,
    /// What the pick stands for in training, where the method says so.
    pub weight: Option<f64>,
}

impl TableRow for PickRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("pick", "a number from 0, each at most once"),
        ("index", "a position in the training set"),
        ("id", "text"),
        ("label", "a class index"),
        ("weight", "a number or nothing"),
    ];

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        Ok(PickRow {
            pick: cells.value("pick")?,
            index: cells.value("index")?,
            id: cells.value("id")?,
            label: cells.value("label")?,
            weight: cells.optional("weight")?,
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        self.weight.is_some_and(f64::is_nan).then_some("weight")
    }

    fn key(&self) -> (u64, bool) {
        (self.pick, false)
    }
}

/// What one class keeps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptClassRow {
    /// Class index, from 0.
    pub class: u32,
    /// Name of the class.
    pub name: String,
    /// Training samples before pruning.
    pub size: u64,
    /// Validation recall of the query models; `None` where there is none.
    pub recall: Option<f64>,
    /// kept / size; 0 for an empty class.
    pub density: f64,
    /// Number of training samples after pruning.
    pub kept: u64,
}

impl TableRow for KeptClassRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("class", "a class index from 0 to the number of classes minus 1, each once"),
        ("name", "text"),
        ("size", COUNT),
        ("recall", "a number from 0 to 1 or nothing"),
        ("density", SHARE),
        ("kept", "a whole number, at most size"),
    ];

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        Ok(KeptClassRow {
            class: cells.value("class")?,
            name: cells.value("name")?,
            size: cells.value("size")?,
            recall: cells.optional("recall")?,
            density: cells.value("density")?,
            kept: cells.value("kept")?,
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        if !self.recall.is_none_or(is_share) {
            return Some("recall");
        }
        if !is_share(self.density) {
            return Some("density");
        }
        (self.kept > self.size).then_some("kept")
    }

    fn key(&self) -> (u64, bool) {
        (u64::from(self.class), true)
    }
}

/// Writes `rows` under their header, or the header alone where there are no rows.
///
/// # Errors
/// A row is one that [`read`] would refuse, or [`atomic::write`] fails.
pub fn write<T: TableRow>(path: &Path, rows: &[T]) -> Result<()> {
    for row in rows {
        if let Some(column) = row.unusable() {
            let what = format!("{}, {} {}", path.display(), T::COLUMNS[0].0, row.key().0);
            let expected = T::COLUMNS.iter().find(|c| c.0 == column).map_or("a value", |c| c.1);
            return Err(Error::invalid(what, format!("an unusable {column}"), expected));
        }
    }
    atomic::write(path, |out| {
        let mut table = RowWriter::new(out);
        table.texts(T::COLUMNS.iter().map(|c| c.0))?;
        rows.iter().try_for_each(|row| table.row(row))?;
        table.flush()
    })
}

/// Writes a table that this program does not read. The fields are in the order of `columns`, which
/// are written even where there are no rows.
pub fn write_listing<T: Serialize>(path: &Path, columns: &[&str], rows: &[T]) -> Result<()> {
    atomic::write(path, |out| {
        let mut table = RowWriter::new(out);
        table.texts(columns.iter().copied())?;
        rows.iter().try_for_each(|row| table.row(row))?;
        table.flush()
    })
}

/// Reads rows, sorted by class or position whatever their order in the file.
///
/// # Errors
/// [`Error::Invalid`] naming line and column: wrong columns, a
/// cell that does not parse or is out of range, a class missing or named twice, no rows at all where
/// there must be some.
pub fn read<T: TableRow>(path: &Path) -> Result<Vec<T>> {
    read::rows(path)
}

fn as_digit<S: serde::Serializer>(flag: &bool, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u8(u8::from(*flag))
}
