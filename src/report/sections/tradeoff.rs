//! Average accuracy against the worst class.

use super::pairs;
use super::top::places;
use crate::experiment::comparison::summary::Spread;
use crate::report::markup::{figure, name, push, shorten};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::plane::{ACROSS, HEIGHT, PlotAxis, UP, WIDTH, axes, place_labels};
use crate::report::svg::{Scale, Svg};
use crate::report::view::{Entry, SummaryView};

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let entries: Vec<Entry> = view
        .beside()
        .into_iter()
        .chain(view.densities.iter().flat_map(|&d| view.pruned_at(d)))
        .filter(|e| e.point.headline.is_some())
        .collect();
    if entries.is_empty() {
        return None;
    }
    let text = "Each small dot is one seed; the large mark is their mean, its whiskers reach from \
                the lowest seed to the highest. Up and to the right is better.";
    let title = view.words("Average accuracy against the worst class");
    let mut body = legend(view);
    body.push_str("<div class=\"pair\">");
    body.push_str(&figure(&title, text, &scatter(view, &entries)));
    // Beside the plot stand as many figures as are about as high as it; the others stand below.
    let mut figures = pairs::figures(view);
    let beside = if view.summary.verdicts.len() > 4 * figures.len() { 1 } else { 2 };
    let below = figures.split_off(figures.len().min(beside));
    push!(body, "<div>{}</div></div>\n", figures.concat());
    if !below.is_empty() {
        push!(body, "<div class=\"pair\">{}</div>\n", below.concat());
    }
    body.push_str(&pairs::table(view));
    Some(Section { id: "tradeoff", title: "Trade-off", body })
}

/// Lists the marks and names of all strategies.
pub(super) fn legend(view: &SummaryView) -> String {
    let mut out = String::from("<p class=\"legend\">");
    for (mark, strategy) in view.with_marks() {
        push!(out, "<span>{}{}</span> ", mark.inline(), name(&strategy.label));
    }
    out + "</p>\n"
}

fn scatter(view: &SummaryView, entries: &[Entry]) -> String {
    let spreads = || {
        entries
            .iter()
            .filter_map(|e| e.point.headline.as_ref())
            .map(|h| (h.average_accuracy, h.worst_recall))
    };
    let ends = |s: Spread| [s.min, s.max];
    let x = Scale::around(spreads().flat_map(|s| ends(s.0)), (0.0, 1.0), ACROSS);
    let y = Scale::around(spreads().flat_map(|s| ends(s.1)), (0.0, 1.0), UP);
    let label = format!(
        "Scatter plot of average accuracy and {} recall of {} strategies; the values are \
         in the table above.",
        view.words("worst-class"),
        entries.len()
    );
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    let worst = view.words("recall of the worst class");
    let (x, y) = (PlotAxis::of_numbers(x, "average accuracy"), PlotAxis::of_numbers(y, &worst));
    axes(&mut svg, &x, &y);
    if let Some(h) = view.full().and_then(|f| f.point.headline.as_ref()) {
        let (fx, fy) = (x.at(h.average_accuracy.mean), y.at(h.worst_recall.mean));
        svg.line((fx, UP.1), (fx, UP.0), "guide");
        svg.line((ACROSS.0, fy), (ACROSS.1, fy), "guide");
    }
    // The densities of a strategy are joined.
    for (mark, strategy) in view.with_marks() {
        let points: Vec<(f64, f64)> = strategy
            .points
            .iter()
            .filter_map(|p| p.headline.as_ref())
            .map(|h| (x.at(h.average_accuracy.mean), y.at(h.worst_recall.mean)))
            .collect();
        if points.len() > 1 {
            svg.path(&points, false, &format!("join {}", mark.class()));
        }
    }
    for e in entries {
        for run in &e.point.runs {
            let at = (x.at(run.last.average_accuracy), y.at(run.last.worst_recall));
            let title = format!(
                "{}, seed {}: average {}, {} {}",
                e.strategy.label,
                run.seed,
                numbers::share(run.last.average_accuracy),
                view.words("worst class"),
                numbers::share(run.last.worst_recall)
            );
            svg.dot(at, 2.4, &format!("seed {}", e.mark.class()), &title);
        }
    }
    for e in entries {
        let Some(h) = &e.point.headline else { continue };
        let (a, w) = (h.average_accuracy, h.worst_recall);
        let class = format!("whisker {}", e.mark.class());
        svg.line((x.at(a.min), y.at(w.mean)), (x.at(a.max), y.at(w.mean)), &class);
        svg.line((x.at(a.mean), y.at(w.min)), (x.at(a.mean), y.at(w.max)), &class);
    }
    let mut labels = Vec::new();
    for e in entries {
        let Some(h) = &e.point.headline else { continue };
        let at = (x.at(h.average_accuracy.mean), y.at(h.worst_recall.mean));
        let title = format!(
            "{}, density {}: average {}, {} {}",
            e.strategy.label,
            numbers::digits(e.point.density, places(e.point.density)),
            numbers::spread(&h.average_accuracy),
            view.words("worst class"),
            numbers::spread(&h.worst_recall)
        );
        svg.mark(e.mark, at, 5.5, &title);
        labels.push((at, e.mark, tag(view, e)));
    }
    place_labels(&mut svg, &labels);
    svg.finish()
}

/// Returns what stands beside a mark: the density where there are several, else the strategy.
pub(super) fn tag(view: &SummaryView, e: &Entry) -> String {
    let beside_all = e.strategy.full_data || e.strategy.every_density;
    if view.densities.len() > 1 && !beside_all {
        numbers::digits(e.point.density, places(e.point.density))
    } else {
        shorten(&e.strategy.label, 22)
    }
}
