//! Duplicates, side by side.

use super::page::{CheckedSet, FoundPictures, SHOWN, counted};
use crate::artefact::tables::{FindingKind, FindingRow, FoundSample};
use crate::report::markup::{esc, minus, push};
use crate::report::numbers;
use crate::report::page::Section;

/// Shows a sample with its class and its place.
pub(super) fn sample(set: &CheckedSet, of: &FoundSample, pictures: FoundPictures) -> String {
    let url = pictures(of).and_then(|picture| picture.data_url());
    let picture = url.map_or(String::new(), |url| {
        format!(
            "<img src=\"{url}\" alt=\"{} sample {}\" title=\"{}\" width=\"72\" height=\"72\">",
            of.part,
            of.index,
            esc(&of.id)
        )
    });
    format!(
        "<span class=\"one\">{picture}<span>{}</span><small>{} {}</small></span>",
        set.class(of.label),
        of.part,
        of.index
    )
}

/// Shows a pair with a line below it.
fn pair(set: &CheckedSet, row: &FindingRow, pictures: FoundPictures, note: &str) -> String {
    let other = row.other.as_ref().map_or(String::new(), |o| sample(set, o, pictures));
    let unlike = row.other.as_ref().is_some_and(|o| o.label != row.sample.label);
    let unlike = if unlike { " <b>unlike labels</b>" } else { "" };
    let mark = if row.drop { "dropped" } else { "kept" };
    format!(
        "<figure class=\"{mark}\"><div>{}{other}</div><figcaption>{note}{unlike}</figcaption></figure>",
        sample(set, &row.sample, pictures)
    )
}

/// Says how many of all are shown.
pub(super) fn shown(all: usize) -> String {
    match all > SHOWN {
        true => format!(
            " The first {SHOWN} of {} are shown; check.csv has all.",
            numbers::count(all as u64)
        ),
        false => String::new(),
    }
}

fn grid(
    set: &CheckedSet,
    rows: &[&FindingRow],
    pictures: FoundPictures,
    note: impl Fn(&FindingRow) -> String,
) -> String {
    let mut out = String::from("<div class=\"found\">\n");
    for row in rows.iter().take(SHOWN) {
        push!(out, "{}\n", pair(set, row, pictures, &note(row)));
    }
    out + "</div>\n"
}

pub(super) fn exact(set: &CheckedSet, pictures: FoundPictures) -> Option<Section> {
    let rows = set.of(FindingKind::ExactDuplicate);
    if rows.is_empty() {
        return None;
    }
    let counts = &set.found.counts;
    let body = format!(
        "<p class=\"lead\">Left a copy, right what it is a copy of: the decoded pixels are the same. {} of the \
         training part {} of a validation or test sample, which flatters every network. Where the labels \
         are unlike, at least one of them is wrong or the image shows both.{}</p>\n{}",
        counted(counts.exact_of_held_out, "sample"),
        if counts.exact_of_held_out == 1 { "is a copy" } else { "are copies" },
        shown(rows.len()),
        grid(set, &rows, pictures, |row| verb(row).to_owned())
    );
    Some(Section { id: "exact", title: "Exact duplicates", body })
}

fn verb(row: &FindingRow) -> &'static str {
    if row.drop { "left one goes" } else { "both stay" }
}

pub(super) fn near(set: &CheckedSet, pictures: FoundPictures) -> Option<Section> {
    let (rows, [near, alike]) = (set.of(FindingKind::NearDuplicate), set.near?);
    if rows.is_empty() {
        return None;
    }
    let across = match set.found.near_across_parts {
        Some(true) => "Samples of all parts were compared",
        _ => "Samples of the training part were compared with each other alone",
    };
    let body = format!(
        "<p class=\"lead\">Left a sample, right the one that it is most like: the cosine of their features is at \
         least {}, and the correlation of their pixels (mirrored or not, up to a pixel apart) at least {}. \
         {across}, most alike first.{}</p>\n{}",
        numbers::plain(near),
        numbers::plain(alike),
        shown(rows.len()),
        grid(set, &rows, pictures, |row| format!(
            "correlation {}, {}",
            minus(&numbers::digits(f64::from(row.score), 4)),
            verb(row)
        ))
    );
    Some(Section { id: "near", title: "Near-duplicates", body })
}
