//! Average accuracy against the worst class.

use super::pairs;
use super::top::places;
use crate::experiment::summary::Spread;
use crate::report::html::Section;
use crate::report::markup::{figure, name, push, shorten};
use crate::report::numbers;
use crate::report::svg::{Anchor, Scale, Svg};
use crate::report::view::{Entry, View};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 350.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

pub(in crate::report) fn section(view: &View) -> Option<Section> {
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
    // Beside the plot as many figures as are about as high as it, the others below.
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

/// Marks and names of all strategies.
pub(super) fn legend(view: &View) -> String {
    let mut out = String::from("<p class=\"legend\">");
    for (mark, strategy) in view.with_marks() {
        push!(out, "<span>{}{}</span> ", mark.inline(), name(&strategy.label));
    }
    out + "</p>\n"
}

fn scatter(view: &View, entries: &[Entry]) -> String {
    let spreads = || {
        entries
            .iter()
            .filter_map(|e| e.point.headline.as_ref())
            .map(|h| (h.average_accuracy, h.worst_recall))
    };
    let ends = |s: Spread| [s.min, s.max];
    let x = Scale::around(spreads().flat_map(|s| ends(s.0)), (0.0, 1.0), (LEFT, WIDTH - RIGHT));
    let y = Scale::around(spreads().flat_map(|s| ends(s.1)), (0.0, 1.0), (HEIGHT - BOTTOM, TOP));
    let label = format!(
        "Scatter plot of average accuracy and {} recall of {} strategies; the values are \
         in the table above.",
        view.words("worst-class"),
        entries.len()
    );
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    axes(&mut svg, &x, &y, "average accuracy", &view.words("recall of the worst class"));
    if let Some(h) = view.full().and_then(|f| f.point.headline.as_ref()) {
        let (fx, fy) = (x.at(h.average_accuracy.mean), y.at(h.worst_recall.mean));
        svg.line((fx, TOP), (fx, HEIGHT - BOTTOM), "guide");
        svg.line((LEFT, fy), (WIDTH - RIGHT, fy), "guide");
    }
    // A strategy's densities, joined.
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
        labels.push((at, e));
    }
    place_labels(view, &mut svg, labels);
    svg.finish()
}

/// Names beside the marks: the density where there are several, else the strategy if there is room.
fn place_labels(view: &View, svg: &mut Svg, labels: Vec<((f64, f64), &Entry)>) {
    const LINE: f64 = 13.0;
    const LETTER: f64 = 6.6;
    let several = view.densities.len() > 1;
    // Boxes already taken: marks first, then each label placed.
    let mut taken: Vec<[f64; 4]> =
        labels.iter().map(|((x, y), _)| [x - 6.0, y - 6.0, x + 6.0, y + 6.0]).collect();
    for ((x, y), e) in labels {
        let text = if several && !e.strategy.full_data && !e.strategy.every_density {
            numbers::digits(e.point.density, places(e.point.density))
        } else {
            shorten(&e.strategy.label, 22)
        };
        let width = text.chars().count() as f64 * LETTER;
        // Right, left, above, below, and the four corners, in this order of taste.
        let places = [
            (x + 10.0, y + 4.0, Anchor::Start),
            (x - 10.0, y + 4.0, Anchor::End),
            (x + 9.0, y - 8.0, Anchor::Start),
            (x + 9.0, y + 16.0, Anchor::Start),
            (x - 9.0, y - 8.0, Anchor::End),
            (x - 9.0, y + 16.0, Anchor::End),
        ];
        let free = places.into_iter().find_map(|(tx, ty, anchor)| {
            let left = if matches!(anchor, Anchor::End) { tx - width } else { tx };
            let area = [left, ty - LINE + 3.0, left + width, ty + 3.0];
            let inside = area[0] >= LEFT
                && area[2] <= WIDTH - 2.0
                && area[1] >= 0.0
                && area[3] <= HEIGHT - BOTTOM;
            let clear = taken
                .iter()
                .all(|t| area[2] <= t[0] || area[0] >= t[2] || area[3] <= t[1] || area[1] >= t[3]);
            (inside && clear).then_some((tx, ty, anchor, area))
        });
        if let Some((tx, ty, anchor, area)) = free {
            svg.text(tx, ty, anchor, &format!("tag {}", e.mark.class()), &text);
            taken.push(area);
        }
    }
}

/// Grid, ticks and names of both axes, for a plot of this file's frame.
fn axes(svg: &mut Svg, x: &Scale, y: &Scale, x_name: &str, y_name: &str) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let (ticks, digits) = x.ticks(5);
    for t in ticks {
        svg.line((x.at(t), TOP), (x.at(t), bottom), "grid");
        svg.text(x.at(t), bottom + 16.0, Anchor::Middle, "tick", &numbers::digits(t, digits));
    }
    let (ticks, digits) = y.ticks(5);
    for t in ticks {
        svg.line((LEFT, y.at(t)), (right, y.at(t)), "grid");
        svg.text(LEFT - 7.0, y.at(t) + 4.0, Anchor::End, "tick", &numbers::digits(t, digits));
    }
    svg.text((LEFT + right) / 2.0, HEIGHT - 6.0, Anchor::Middle, "axis", x_name);
    svg.upright_text(12.0, (TOP + bottom) / 2.0, "axis", y_name);
}
