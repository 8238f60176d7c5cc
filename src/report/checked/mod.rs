//! What was found in a data set as one self-contained page: pairs of duplicates side by side, labels that
//! are suspected with what they should perhaps be, and how to go on.

mod labels;
mod pairs;
mod parts;

use super::markup::{name, push};
use super::numbers;
use super::page::{Section, frame};
use super::thumb::Thumb;
use crate::artefact::tables::{FindingKind, FindingRow, FoundSample};
use crate::experiment::quality::Checked;

/// Number of findings of a kind that the page shows; the others are in check.csv.
const SHOWN: usize = 60;

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
    fn of(&self, kind: FindingKind) -> Vec<&FindingRow> {
        self.found.rows.iter().filter(|row| row.kind == kind).collect()
    }

    /// The name of a class as HTML.
    fn class(&self, class: u32) -> String {
        match self.classes.get(class as usize).filter(|n| !n.trim().is_empty()) {
            Some(text) => name(text),
            None => format!("class {class}"),
        }
    }

    fn looks_for(&self, kind: FindingKind) -> bool {
        self.looked_for.contains(&kind)
    }
}

/// Renders the page. The same findings and pictures give the same bytes.
pub fn render_checked(set: &CheckedSet, pictures: FoundPictures) -> String {
    let sections: Vec<Section> = [
        pairs::exact(set, pictures),
        pairs::near(set, pictures),
        labels::section(set, pictures),
        labels::pairs(set),
        Some(parts::next(set)),
        Some(parts::how_to_read(set)),
        Some(parts::recipe(set)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = format!("What was found in {}", set.data);
    frame(&title, [&set.version, &set.commit], &header(set), sections)
}

/// Says `1 sample` or `1,200 samples`.
fn counted(n: usize, what: &str) -> String {
    format!("{} {what}{}", numbers::count(n as u64), if n == 1 { "" } else { "s" })
}

fn header(set: &CheckedSet) -> String {
    let counts = &set.found.counts;
    let mut out = format!(
        "<header>\n<p class=\"over\">fairprune data check</p>\n<h1>What was found in {}</h1>\n\
         <div class=\"verdict open\"><p>{} of the training part should be left out.</p></div>\n",
        name(&set.data),
        counted(counts.dropped, "sample")
    );
    let not = || "not looked for".to_owned();
    let exact = format!(
        "{} of another, in {}; {} with unlike labels",
        counted(counts.exact, "copy").replace("copys", "copies"),
        counted(counts.exact_groups, "group"),
        counted(counts.exact_groups_of_unlike_labels, "group")
    );
    let near = || format!("{} near another", counted(counts.near, "sample"));
    let labels = match &set.found.labels {
        Some(l) => format!(
            "{}; {} of all labels estimated to be wrong",
            counted(counts.suspects, "suspect"),
            numbers::percent(l.wrong)
        ),
        None => not(),
    };
    let parts: Vec<String> =
        set.parts.iter().map(|(part, n)| format!("{} {part}", numbers::count(*n as u64))).collect();
    let facts = [
        ("Data", format!("{}, {} classes", name(&set.data), set.classes.len())),
        ("Samples", parts.join(", ")),
        (
            "Exact duplicates",
            if set.looks_for(FindingKind::ExactDuplicate) { exact } else { not() },
        ),
        ("Near-duplicates", if set.looks_for(FindingKind::NearDuplicate) { near() } else { not() }),
        ("Labels", labels),
    ];
    out.push_str("<dl class=\"facts\">");
    for (term, text) in facts {
        push!(out, "<div><dt>{term}</dt><dd>{text}</dd></div>");
    }
    out + "</dl>\n</header>\n"
}
