//! The page of a study: its claims first, then every panel as the page of a run shows it.

use super::markup::{esc, minus, name, push};
use super::numbers;
use super::page::{PagePart, page};
use super::sections::{
    classes, costs, densities, recipe, results, strips, timing, top, tradeoff, training,
};
use super::thumb::Thumb;
use super::view::SummaryView;
use crate::experiment::study::{ClaimResult, Panel, StudySummary};

/// Renders the page, which is self-contained. The same summary and pictures give the same bytes.
/// `pictures` gives a picture by the place of the panel and the position of the training sample,
/// for the sample strips.
pub fn render_study(
    summary: &StudySummary,
    pictures: Option<&dyn Fn(usize, usize) -> Option<Thumb>>,
) -> String {
    let mut parts = Vec::new();
    if !summary.claims.is_empty() {
        parts.push(part("short", "In short", in_short(&summary.claims)));
        parts.push(part("claims", "Claims", claims(&summary.claims)));
    }
    let failures = failures(summary);
    if !failures.is_empty() {
        parts.push(part("failures", "Failed runs", failures));
    }
    for (i, panel) in summary.panels.iter().enumerate() {
        let id = format!("panel-{}", i + 1);
        parts.push(PagePart { id, title: name(&panel.name), body: body(panel, i, pictures) });
    }
    let repeat = format!(
        "<p>This command repeats the study, or continues it.</p>\n<pre><code>{}</code></pre>\n",
        esc(&summary.command)
    );
    parts.push(part("repeat", "Recipe", repeat));
    let settings = summary.panels.first().map(|p| &p.summary.settings);
    let stamp = settings.map_or(["", ""], |s| [s.version.as_str(), s.commit.as_str()]);
    page(&summary.title, stamp, &header(summary), &parts)
}

fn part(id: &str, title: &str, body: String) -> PagePart {
    PagePart { id: id.to_owned(), title: title.to_owned(), body }
}

fn header(summary: &StudySummary) -> String {
    let cells: usize = summary
        .panels
        .iter()
        .flat_map(|p| &p.summary.strategies)
        .flat_map(|s| &s.points)
        .map(|p| p.runs.len())
        .sum();
    let count = |outcome: &str| summary.claims.iter().filter(|c| c.outcome == outcome).count();
    let mut out = format!(
        "<header>\n<p class=\"over\">fairprune study</p>\n<h1>{}</h1>\n",
        name(&summary.title)
    );
    if !summary.claims.is_empty() {
        push!(
            out,
            "<div class=\"verdict open\"><p>Of {} comparisons that were claimed before the runs, \
             <b>{}</b> are seen, <b>{}</b> reversed, <b>{}</b> undecided.</p></div>\n",
            summary.claims.len(),
            count("seen"),
            count("reversed"),
            count("undecided")
        );
    }
    push!(
        out,
        "<dl class=\"facts\"><div><dt>Panels</dt><dd>{}</dd></div><div><dt>Runs</dt><dd>{}</dd>\
         </div></dl>\n</header>\n",
        numbers::count(summary.panels.len() as u64),
        numbers::count(cells as u64)
    );
    out
}

/// Says of each claim, in a sentence, where it held.
fn in_short(list: &[ClaimResult]) -> String {
    let mut texts: Vec<&str> = list.iter().map(|r| r.claim.text.as_str()).collect();
    texts.dedup();
    let mut out = String::from("<ul class=\"short\">");
    for text in texts {
        let of = || list.iter().filter(|r| r.claim.text == text);
        let count = |outcome: &str| of().filter(|r| r.outcome == outcome).count();
        let (all, seen, reversed) = (of().count(), count("seen"), count("reversed"));
        let (class, word) = match (seen, reversed) {
            (n, 0) if n == all => ("improved", "holds"),
            (n, 0) if n > 0 => ("improved", "holds in part"),
            (0, n) if n == all => ("worsened", "does not hold"),
            (0, 0) => ("open", "not decided"),
            _ => ("worsened", "depends on the data"),
        };
        let places = if all == 1 { "comparison" } else { "comparisons" };
        push!(
            out,
            "<li><span class=\"badge {class}\">{word}</span> {}: seen in {seen} of {all} {places}, \
             the reverse in {reversed}, nothing decided in {}.</li>",
            esc(text),
            all - seen - reversed
        );
    }
    out + "</ul>\n<p class=\"lead\">A comparison is one data set and network at one density, over paired \
           seeds. Details and numbers follow.</p>\n"
}

/// Shows a row for each claim, panel and density.
fn claims(list: &[ClaimResult]) -> String {
    let one = list.iter().all(|r| r.panel == list[0].panel);
    let mut out = format!(
        "<p>Each line is the mean paired difference of a metric over seeds and its 95 % interval. \
         A claim is <i>seen</i> where the interval excludes 0 in its direction, <i>reversed</i> in \
         the other, else <i>undecided</i>.</p>\n<div class=\"scroll\"><table class=\"claims{}\">\n<thead><tr>\
         <th scope=\"col\">Panel</th><th scope=\"col\" class=\"n\">Density</th>\
         <th scope=\"col\" class=\"n\">Difference</th><th scope=\"col\" class=\"n\">Seeds</th>\
         <th scope=\"col\">Outcome</th></tr></thead>\n<tbody>\n",
        if one { " one" } else { "" }
    );
    let mut before = None;
    for result in list {
        if before != Some(&result.claim) {
            before = Some(&result.claim);
            push!(
                out,
                "<tr class=\"group\"><th scope=\"colgroup\" colspan=\"5\">{}: {}, {} − {}</th></tr>\n",
                esc(&result.claim.text),
                result.claim.metric.label(),
                esc(&result.claim.method),
                esc(&result.claim.baseline)
            );
        }
        let interval = result.interval.map(|[low, high]| (low, high));
        let class = match result.outcome.as_str() {
            "seen" => "improved",
            "reversed" => "worsened",
            _ => "open",
        };
        push!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n seeds\">{}</td><td><span class=\"badge {class}\">{}</span></td></tr>\n",
            name(&result.panel),
            numbers::digits(result.density, top::places(result.density)),
            minus(&numbers::difference(result.mean, interval.map(|(l, h)| [l, h]))),
            result.seeds,
            esc(&result.outcome)
        );
    }
    out + "</tbody></table></div>\n"
}

fn failures(summary: &StudySummary) -> String {
    let mut rows = String::new();
    for (panel, error) in &summary.unusable {
        push!(rows, "<li>{}: {}</li>", name(panel), name(error));
    }
    for panel in &summary.panels {
        for (task, error) in &panel.failures {
            push!(rows, "<li>{}, {}: {}</li>", name(&panel.name), name(task), name(error));
        }
    }
    if rows.is_empty() { rows } else { format!("<ul>{rows}</ul>\n") }
}

/// Shows the sections of a run, of which the first is open.
fn body(
    panel: &Panel,
    place: usize,
    pictures: Option<&dyn Fn(usize, usize) -> Option<Thumb>>,
) -> String {
    let view = SummaryView::new(&panel.summary);
    let sections = [
        results::section(&view),
        densities::section(&view),
        tradeoff::section(&view),
        timing::section(&view),
        classes::section(&view),
        classes::quotas(&view),
        training::section(&view),
        pictures.and_then(|p| {
            strips::section(&view, &|position| p(place, position), &strips::Most::OF_A_PANEL)
        }),
        costs::section(&view),
        recipe::section(&view),
    ];
    let mut out = String::new();
    for (i, section) in sections.into_iter().flatten().enumerate() {
        let open = if i < 2 { " open" } else { "" };
        push!(
            out,
            "<details{open}><summary>{}</summary>\n{}</details>\n",
            section.title,
            section.body
        );
    }
    out
}
