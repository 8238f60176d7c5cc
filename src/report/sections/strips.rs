//! Examples of what was kept and what was dropped.

use super::top::places;
use crate::experiment::summary::Strip;
use crate::report::html::{Pictures, Section};
use crate::report::markup::{esc, name, push};
use crate::report::numbers;
use crate::report::view::View;

/// Of many classes, those that the page shows: the hardest.
const CLASSES: usize = 12;
/// Pictures a class on either side.
const EACH: usize = 10;

pub(in crate::report) fn section(view: &View, pictures: Pictures) -> Option<Section> {
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
    let mut groups_html = String::new();
    for (i, (first, strips)) in groups.iter().enumerate() {
        let mut rows = String::new();
        let shown = view.hardest_first.iter().filter_map(|&k| strips.iter().find(|s| s.class == k));
        for strip in shown.take(CLASSES) {
            let class = view.class_name(strip.class);
            push!(
                rows,
                "<div class=\"film\"><h4>{}</h4>{}{}</div>",
                view.class_html(strip.class),
                film("kept", &class, &strip.kept, pictures),
                film("dropped", &class, &strip.dropped, pictures)
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

fn film(side: &str, class: &str, positions: &[usize], pictures: Pictures) -> String {
    let mut out = format!("<div class=\"{side}\"><small>{side}</small>");
    for &position in positions.iter().take(EACH) {
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
