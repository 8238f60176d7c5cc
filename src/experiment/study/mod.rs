//! A study: panels (a data set and a network each), their cells as rows, and claims about them.
//!
//! A panel is what `fairprune run` does, over blocks of strategies, densities and seeds; runs that
//! blocks share are done once. Everything here is made from the panels' summaries, without times, so
//! that a study that was interrupted ends with the same bytes.

mod claims;
mod rows;

use serde::{Deserialize, Serialize};

use super::comparison::summary::RunSummary;

pub use claims::{Claim, ClaimResult, Direction, judge};
pub use rows::{
    CELL_COLUMNS, CLASS_COLUMNS, CellRow, ClassRow, FAILURE_COLUMNS, FailureRow, cell_rows,
    class_rows,
};

/// One data set and network, with everything that was run on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// Unique in the study: `shapes-resnet8`.
    pub name: String,
    pub summary: RunSummary,
    /// Runs that failed: what, and why.
    pub failures: Vec<(String, String)>,
}

/// Everything a study found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudySummary {
    pub format_version: u32,
    pub title: String,
    /// The command that repeats or continues it.
    pub command: String,
    pub panels: Vec<Panel>,
    /// Panels that could not be run at all: name, and why.
    pub unusable: Vec<(String, String)>,
    pub claims: Vec<ClaimResult>,
}

impl StudySummary {
    /// The version that this program writes.
    pub const FORMAT_VERSION: u32 = 1;
}
