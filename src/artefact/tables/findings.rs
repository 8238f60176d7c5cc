//! `check.csv`: what was found in a data set, one row a finding.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Cells, TableRow};
use crate::error::{Error, Result};

/// What is wrong with a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// It has the pixels of another sample.
    ExactDuplicate,
    /// Its features and its pixels are almost those of another sample.
    NearDuplicate,
    /// Its label is suspected to be wrong.
    Label,
}

impl FindingKind {
    /// All kinds, in the order of the file.
    pub const ALL: [FindingKind; 3] =
        [FindingKind::ExactDuplicate, FindingKind::NearDuplicate, FindingKind::Label];
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FindingKind::ExactDuplicate => "exact-duplicate",
            FindingKind::NearDuplicate => "near-duplicate",
            FindingKind::Label => "label",
        })
    }
}

impl FromStr for FindingKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        FindingKind::ALL.into_iter().find(|k| k.to_string() == name).ok_or_else(|| {
            Error::invalid("kind of finding", name, "exact-duplicate, near-duplicate or label")
        })
    }
}

/// A sample that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSample {
    /// `train`, `val` or `test`.
    pub part: String,
    /// Position in its part.
    pub index: u64,
    /// Id of the sample.
    pub id: String,
    /// Class index.
    pub label: u32,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingRow {
    /// The finding's number, from 0.
    pub finding: u64,
    /// What is wrong.
    pub kind: FindingKind,
    /// The sample that it is wrong with.
    pub sample: FoundSample,
    /// The sample that it is a duplicate of.
    pub other: Option<FoundSample>,
    /// The class that a suspected label should perhaps be.
    pub suggested_label: Option<u32>,
    /// The correlation of a near-duplicate's pixels, 1 for an exact one; what a suspected label is
    /// ranked by.
    pub score: f32,
    /// Whether the sample should be left out of training. It is written as `drop` or `keep`, and
    /// decides what is left out: a person may change it.
    pub drop: bool,
}

/// The cells of a row, in the order of the columns.
#[derive(Serialize)]
struct Line<'a> {
    finding: u64,
    kind: String,
    part: &'a str,
    index: u64,
    id: &'a str,
    label: u32,
    other_part: Option<&'a str>,
    other_index: Option<u64>,
    other_id: Option<&'a str>,
    other_label: Option<u32>,
    suggested_label: Option<u32>,
    score: f32,
    suggestion: &'a str,
}

impl Serialize for FindingRow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (sample, other) = (&self.sample, self.other.as_ref());
        let line = Line {
            finding: self.finding,
            kind: self.kind.to_string(),
            part: &sample.part,
            index: sample.index,
            id: &sample.id,
            label: sample.label,
            other_part: other.map(|o| o.part.as_str()),
            other_index: other.map(|o| o.index),
            other_id: other.map(|o| o.id.as_str()),
            other_label: other.map(|o| o.label),
            suggested_label: self.suggested_label,
            score: self.score,
            suggestion: if self.drop { "drop" } else { "keep" },
        };
        line.serialize(to)
    }
}

const PARTS: [&str; 3] = ["train", "val", "test"];

impl TableRow for FindingRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("finding", "a number from 0, each at most once"),
        ("kind", "exact-duplicate, near-duplicate or label"),
        ("part", "train, val or test"),
        ("index", "a position in the part"),
        ("id", "text"),
        ("label", "a class index"),
        ("other_part", "train, val or test for a duplicate, else nothing"),
        ("other_index", "a position in the other part, or nothing"),
        ("other_id", "text"),
        ("other_label", "a class index or nothing"),
        ("suggested_label", "a class index for a label, else nothing"),
        ("score", "a number"),
        ("suggestion", "keep or drop"),
    ];
    const MAY_BE_EMPTY: bool = true;

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        let sample = FoundSample {
            part: cells.value("part")?,
            index: cells.value("index")?,
            id: cells.value("id")?,
            label: cells.value("label")?,
        };
        let other_part: Option<String> = cells.optional("other_part")?;
        let other = match other_part {
            Some(part) => Some(FoundSample {
                part,
                index: cells.value("other_index")?,
                id: cells.value("other_id")?,
                label: cells.value("other_label")?,
            }),
            None => None,
        };
        let suggestion: String = cells.value("suggestion")?;
        Ok(FindingRow {
            finding: cells.value("finding")?,
            kind: cells.value("kind")?,
            sample,
            other,
            suggested_label: cells.optional("suggested_label")?,
            score: cells.value("score")?,
            drop: match suggestion.as_str() {
                "drop" => true,
                "keep" => false,
                _ => return Err("suggestion"),
            },
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        let known = |sample: &FoundSample| PARTS.contains(&sample.part.as_str());
        let is_label = self.kind == FindingKind::Label;
        match (&self.other, self.suggested_label) {
            _ if !known(&self.sample) => Some("part"),
            (other, _) if other.is_none() != is_label => Some("other_part"),
            (Some(other), _) if !known(other) => Some("other_part"),
            (_, suggested) if suggested.is_some() != is_label => Some("suggested_label"),
            _ => (!self.score.is_finite()).then_some("score"),
        }
    }

    fn key(&self) -> (u64, bool) {
        (self.finding, false)
    }
}
