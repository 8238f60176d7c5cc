//! What was found in a data set as one self-contained page: pairs of duplicates side by side, labels that
//! are suspected with what they should perhaps be, and how to go on.

mod labels;
mod page;
mod pairs;
mod parts;

use super::markup::{name, push};
use super::numbers;
use super::page::{Section, frame};
use crate::artefact::tables::FindingKind;
use page::counted;
pub use page::{CheckedSet, FoundPictures};

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

fn header(set: &CheckedSet) -> String {
    let counts = &set.found.counts;
    let mut out = format!(
        "<header>\n<p class=\"over\">fairprune data check</p>\n<h1>What was found in {}</h1>\n\
         <div class=\"verdict open\"><p>{} of the training part marked to be left out: look before you drop.</p></div>\n",
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
            "{}; networks answer {} otherwise than their labels; {} estimated to be wrong",
            counted(counts.suspects, "suspect"),
            numbers::percent(l.disagreeing),
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
