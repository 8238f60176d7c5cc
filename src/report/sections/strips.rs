//! Examples of what was kept and what was dropped.

use super::top::places;
use crate::experiment::comparison::summary::Strip;
use crate::report::markup::{esc, name, push};
use crate::report::numbers;
use crate::report::page::{Pictures, Section};
use crate::report::view::SummaryView;

/// How much a page shows at most.
pub(in crate::report) struct Most {
    /// Number of strategies; of many, the first ones and the last are shown.
    pub(in crate::report) strategies: usize,
    /// Number of classes; of many, the hardest are shown.
    pub(in crate::report) classes: usize,
    /// Number of pictures of a class on either side.
    pub(in crate::report) each: usize,
}

impl Most {
    /// What the page of one run shows.
    pub(in crate::report) const OF_A_RUN: Most = Most { strategies: 12, classes: 12, each: 10 };
    /// What a panel shows of several on one page.
    pub(in crate::report) const OF_A_PANEL: Most = Most { strategies: 3, classes: 6, each: 6 };
}

pub(in crate::report) fn section(
    view: &SummaryView,
    pictures: Pictures,
    most: &Most,
) -> Option<Section> {
    let mut groups: Vec<(&Strip, Vec<&Strip>)> = Vec::new();
    for strip in &view.summary.strips {
        let same = |s: &Strip| {
            s.strategy == strip.strategy && s.density == strip.density && s.seed == strip.seed
        };
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, strips)) => strips.push(strip),
            None => groups.push((strip, vec![strip])),
        }
    }
    if groups.len() > most.strategies {
        groups.drain(most.strategies - 1..groups.len() - 1);
    }
    let mut groups_html = String::new();
    for (i, (first, strips)) in groups.iter().enumerate() {
        let mut rows = String::new();
        let shown = view.hardest_first.iter().filter_map(|&k| strips.iter().find(|s| s.class == k));
        for strip in shown.take(most.classes) {
            let class = view.class_name(strip.class);
            push!(
                rows,
                "<div class=\"film\"><h4>{}</h4>{}{}</div>",
                view.class_html(strip.class),
                film("kept", &class, &strip.kept, pictures, most.each),
                film("dropped", &class, &strip.dropped, pictures, most.each)
            );
        }
        if rows.is_empty() {
            continue;
        }
        push!(
            groups_html,
            "<details{}><summary>{}, density {}, seed {}</summary><div class=\"film names\" aria-hidden=\"true\"><span></span>\
             <span>kept</span><span>dropped</span></div>{rows}</details>\n",
            if i == 0 { " open" } else { "" },
            name(view.label(&first.strategy)),
            numbers::digits(first.density, places(first.density)),
            first.seed
        );
    }
    if !groups_html.contains("<img") {
        return None;
    }
    let body = format!(
        "<p class=\"lead\">{}</p>\n{groups_html}",
        view.words("Some training images of each class, kept and dropped, hardest class first.")
    );
    Some(Section { id: "examples", title: "Kept and dropped", body })
}

fn film(side: &str, class: &str, positions: &[usize], pictures: Pictures, most: usize) -> String {
    let mut out = format!("<div class=\"{side}\"><small>{side}</small>");
    for &position in positions.iter().take(most) {
        let Some(url) = pictures(position).and_then(|p| p.data_url()) else { continue };
        push!(
            out,
            "<img src=\"{url}\" alt=\"{side}, {}, sample {position}\" title=\"sample {position}\" \
             width=\"44\" height=\"44\">",
            esc(class)
        );
    }
    out + "</div>"
}
