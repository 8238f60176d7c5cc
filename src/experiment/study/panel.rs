//! What a study found, panel by panel.

use serde::{Deserialize, Serialize};

use super::claim::ClaimResult;
use crate::experiment::comparison::summary::RunSummary;

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
