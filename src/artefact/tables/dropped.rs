//! `dropped.csv`: every sample of the training part that is not kept, and why.

use std::str::FromStr;

use serde::Serialize;

use super::{Cells, SamplePart, TableRow};

/// Why a sample is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The split, or a list of the user's, holds it out.
    HeldOut,
    /// A long tail removed it, or what a check of the data found leaves it out.
    LeftOut,
    /// It would be kept if classes had no quotas; its class keeps fewer.
    Quota,
    /// Others come first by their scores.
    Score,
    /// The random draw chose others.
    Draw,
    /// The method of selection picked others.
    Picks,
}

impl Reason {
    /// Every reason, in the order of tables.
    pub const ALL: [Reason; 6] = [
        Reason::HeldOut,
        Reason::LeftOut,
        Reason::Quota,
        Reason::Score,
        Reason::Draw,
        Reason::Picks,
    ];

    /// Returns the word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Reason::HeldOut => "held out",
            Reason::LeftOut => "left out",
            Reason::Quota => "quota",
            Reason::Score => "score",
            Reason::Draw => "draw",
            Reason::Picks => "picks",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl FromStr for Reason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Reason::ALL.into_iter().find(|reason| reason.name() == text).ok_or(())
    }
}

/// One sample that is not kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DroppedRow {
    /// Position in the original training set.
    pub index: u64,
    /// Id of the sample.
    pub id: String,
    /// Class index.
    pub label: u32,
    /// What the sample is there for.
    pub part: SamplePart,
    /// The score that ranks samples; `None` where there is none.
    pub score: Option<f32>,
    /// Why it is not kept.
    pub reason: Reason,
}

impl TableRow for DroppedRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("index", "a position in the training set, each at most once"),
        ("id", "text"),
        ("label", "a class index"),
        ("part", SamplePart::NAMES),
        ("score", "a number or nothing"),
        ("reason", "held out, left out, quota, score, draw or picks"),
    ];
    /// Everything may be kept.
    const MAY_BE_EMPTY: bool = true;

    fn parse(cells: &Cells) -> Result<Self, &'static str> {
        Ok(DroppedRow {
            index: cells.value("index")?,
            id: cells.value("id")?,
            label: cells.value("label")?,
            part: cells.value("part")?,
            score: cells.optional("score")?,
            reason: cells.value("reason")?,
        })
    }

    fn unusable(&self) -> Option<&'static str> {
        self.score.is_some_and(f32::is_nan).then_some("score")
    }

    fn key(&self) -> (u64, bool) {
        (self.index, false)
    }
}
