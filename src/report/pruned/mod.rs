//! A pruned set as one self-contained page: what is kept of each class, what decided it, and how to
//! go on.

mod classes;
mod forecast;
mod page;
mod parts;
mod samples;
mod scores;

use super::markup::{esc, name, push};
use super::numbers;
use super::page::{Pictures, Section, frame};
use super::sections::top::{places, warnings};
pub use page::{PrunedClass, PrunedSet, ShownPicks, ShownScore};
use page::{PrunedPage, percent};

/// Renders the page. `pictures` supplies the samples; the same set and pictures give the same bytes.
pub fn render_pruned(set: &PrunedSet, pictures: Option<Pictures>) -> String {
    let page = PrunedPage::new(set);
    let sections: Vec<Section> = [
        classes::section(&page),
        classes::quotas(&page),
        forecast::section(&page),
        scores::section(&page),
        samples::picks(&page, pictures),
        samples::section(&page, pictures),
        parts::dropped(&page),
        parts::next(&page),
        parts::how_to_read(&page),
        parts::recipe(&page),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = format!("{} of {}", numbers::percent(set.density), set.data);
    frame(&title, [&set.version, &set.commit], &header(&page), sections)
}

fn header(page: &PrunedPage) -> String {
    let set = page.set;
    let mut out = format!(
        "<header>\n<p class=\"over\">fairprune prune</p>\n<h1>{} of {}</h1>\n",
        numbers::percent(set.density),
        name(&set.data)
    );
    out.push_str(&summary(page));
    let held_out = set.labels.len().saturating_sub(set.eligible.len() + set.left_out);
    let mut data = format!(
        "{}, {} {}, {} training samples",
        name(&set.data),
        numbers::count(set.classes.len() as u64),
        page.words("classes"),
        numbers::count(set.eligible.len() as u64)
    );
    if held_out > 0 {
        push!(data, " and {} held out", numbers::count(held_out as u64));
    }
    if set.left_out > 0 {
        push!(data, "; {} left out by a check", numbers::count(set.left_out as u64));
    }
    let places = places(set.density);
    let count = page.words("How many of each class");
    let facts = [
        ("Data", data),
        ("Which samples", name(&set.strategy)),
        (count.as_str(), quota_name(&set.quota)),
        (
            "Density",
            format!("{}: {}", numbers::digits(set.density, places), numbers::density(set.density)),
        ),
        ("Kept", format!("{} samples", numbers::count(set.kept.len() as u64))),
    ];
    out.push_str("<dl class=\"facts\">");
    for (term, text) in facts {
        push!(out, "<div><dt>{term}</dt><dd>{text}</dd></div>");
    }
    out.push_str("</dl>\n");
    out.push_str(&warnings(set.warnings));
    out + "</header>\n"
}

/// Returns a quota rule as a phrase.
fn quota_name(quota: &str) -> String {
    match quota {
        "none" => "whatever the ranking of the whole set leaves".to_owned(),
        "metriq" => "MetriQ: in proportion to size and error".to_owned(),
        "metriq-released" => "MetriQ as released: in proportion to error".to_owned(),
        "uniform" => "uniform: the same share of each".to_owned(),
        "balanced" => "balanced: the same number of each".to_owned(),
        name if name.starts_with("predicted") => {
            format!("{}: the best predicted worst class", esc(name))
        }
        name if name.starts_with("nucs") => {
            format!("{}: in proportion to size and difficulty", esc(name))
        }
        other => esc(other),
    }
}

/// Describes the densest and the thinnest class in a sentence.
fn summary(page: &PrunedPage) -> String {
    let full = |k: &&usize| page.set.classes[**k].size > 0;
    let by = |a: &&usize, b: &&usize| {
        page.set.classes[**a].density.total_cmp(&page.set.classes[**b].density)
    };
    let (Some(&low), Some(&high)) =
        (page.order.iter().filter(full).min_by(by), page.order.iter().filter(full).max_by(by))
    else {
        return String::new();
    };
    let of = |k: usize| {
        let c = &page.set.classes[k];
        format!(
            "<b class=\"n\">{}</b>: {} ({} of {})",
            percent(c.density),
            name(&page.class_name(k)),
            numbers::count(c.kept as u64),
            numbers::count(c.size as u64)
        )
    };
    let sentence = if page.set.classes[high].density - page.set.classes[low].density < 5e-4 {
        page.words(&format!("{} of every class.", percent(page.set.classes[low].density)))
    } else {
        format!(
            "The densest {} keeps {}. The thinnest keeps {}.",
            page.words("class"),
            of(high),
            of(low)
        )
    };
    format!("<div class=\"verdict open\"><p>{sentence}</p></div>\n")
}
