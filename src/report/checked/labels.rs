//! Labels that are suspected, and the pairs of classes that they are of.

use super::page::{CheckedSet, FoundPictures, SHOWN};
use super::pairs::{sample, shown};
use crate::artefact::tables::FindingKind;
use crate::report::markup::{minus, push, scrolling};
use crate::report::numbers;
use crate::report::page::Section;

/// Number of pairs of classes in the table.
const PAIRS: usize = 40;

pub(super) fn section(set: &CheckedSet, pictures: FoundPictures) -> Option<Section> {
    let rows = set.of(FindingKind::Label);
    if rows.is_empty() {
        return None;
    }
    let ranking = set.ranking.as_deref().unwrap_or_default().replace('-', " ");
    let mut grid = String::from("<div class=\"found\">\n");
    for row in rows.iter().take(SHOWN) {
        let suggested = row.suggested_label.map_or(String::new(), |k| set.class(k));
        push!(
            grid,
            "<figure class=\"{}\"><div>{}</div><figcaption>perhaps <b>{suggested}</b><br>{ranking} {}, \
             {}</figcaption></figure>\n",
            if row.drop { "dropped" } else { "kept" },
            sample(set, &row.sample, pictures),
            minus(&numbers::digits(f64::from(row.score), 3)),
            if row.drop { "goes" } else { "stays" }
        );
    }
    let body = format!(
        "<p class=\"lead\">Below each picture its label, and the class that networks which did not train on it \
         are confident of; most suspect first. A hard sample with a right label looks like this, too: the \
         pictures decide.{}</p>\n{grid}</div>\n",
        shown(rows.len())
    );
    Some(Section { id: "labels", title: "Suspected labels", body })
}

pub(super) fn pairs(set: &CheckedSet) -> Option<Section> {
    let labels = set.found.labels.as_ref().filter(|l| !l.pairs.is_empty())?;
    let mut table = String::from(
        "<table><thead><tr><th scope=\"col\">Label</th><th scope=\"col\">Perhaps</th><th scope=\"col\" \
         class=\"n\">Suspects</th><th scope=\"col\" class=\"n\">Of this label</th><th scope=\"col\" \
         class=\"n\">Of all</th></tr></thead><tbody>",
    );
    for pair in labels.pairs.iter().take(PAIRS) {
        push!(
            table,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            set.class(pair.label),
            set.class(pair.suggested),
            numbers::count(pair.suspects),
            numbers::percent(pair.of_label),
            numbers::percent(pair.of_all)
        );
    }
    let more = match labels.pairs.len() > PAIRS {
        true => {
            format!(" The {PAIRS} largest of {} pairs; check.json has all.", labels.pairs.len())
        }
        false => String::new(),
    };
    let body = format!(
        "<p class=\"lead\">The estimated share of samples that have one label and are of another class: counts \
         of suspects, scaled to the sizes of the labels. All pairs together: {} of {} labels.{more}</p>\n{}",
        numbers::percent(labels.wrong),
        numbers::count(labels.samples as u64),
        scrolling("Label errors by pair of classes", "", &(table + "</tbody></table>"))
    );
    Some(Section { id: "pairs", title: "Which classes are mixed up", body })
}
