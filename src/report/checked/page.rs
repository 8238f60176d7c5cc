//! What the page of findings shows, and what its sections need of it.

use crate::artefact::tables::{FindingKind, FindingRow, FoundSample};
use crate::experiment::quality::Checked;
use crate::report::markup::name;
use crate::report::numbers;
use crate::report::thumb::Thumb;

/// Number of findings of a kind that the page shows; the others are in check.csv.
pub(super) const SHOWN: usize = 60;

/// Gives the picture of a sample of any part.
pub type FoundPictures<'a> = &'a dyn Fn(&FoundSample) -> Option<Thumb>;

/// What the page shows.
#[derive(Clone, Debug)]
pub struct CheckedSet<'a> {
    /// The data set as the user named it.
    pub data: String,
    /// Fingerprint of the data set's content.
    pub fingerprint: String,
    /// Names of the classes.
    pub classes: &'a [String],
    /// Parts and their sizes, the training part first.
    pub parts: Vec<(String, usize)>,
    /// Kinds that were looked for.
    pub looked_for: Vec<FindingKind>,
    /// The cosine from which on features count as near, and the correlation from which on pixels do.
    pub near: Option<[f64; 2]>,
    /// What suspected labels are ranked by.
    pub ranking: Option<String>,
    /// The findings.
    pub found: &'a Checked,
    /// Everything that decides the result, in display order.
    pub recipe: Vec<(String, String)>,
    /// The command that repeats the check.
    pub command: String,
    /// The command that prunes without what was found.
    pub next: String,
    /// Version of the program.
    pub version: String,
    /// Commit that the program was built from.
    pub commit: String,
}

impl CheckedSet<'_> {
    /// The findings of one kind, in their order.
    pub(super) fn of(&self, kind: FindingKind) -> Vec<&FindingRow> {
        self.found.rows.iter().filter(|row| row.kind == kind).collect()
    }

    /// The name of a class as HTML.
    pub(super) fn class(&self, class: u32) -> String {
        match self.classes.get(class as usize).filter(|n| !n.trim().is_empty()) {
            Some(text) => name(text),
            None => format!("class {class}"),
        }
    }

    /// Tells whether a kind was looked for.
    pub(super) fn looks_for(&self, kind: FindingKind) -> bool {
        self.looked_for.contains(&kind)
    }
}

/// Says `1 sample` or `1,200 samples`.
pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{} {what}{}", numbers::count(n as u64), if n == 1 { "" } else { "s" })
}
