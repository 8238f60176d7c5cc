//! Results against density, where there are several densities.

use crate::experiment::comparison::summary::{Headline, Spread, StrategySummary};
use crate::report::markup::{figure, name, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::svg::{Anchor, Scale, Svg};
use crate::report::view::SummaryView;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// The most curves that can be told apart in one plot. With more of them each gets a plot of its
/// own.
const TOGETHER: usize = 6;

type MeasureOf = fn(&Headline) -> Spread;

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    if view.densities.len() < 2 {
        return None;
    }
    let plots: [(&str, &str, MeasureOf); 4] = [
        ("Average accuracy", "", |h| h.average_accuracy),
        ("Worst class", "", |h| h.worst_recall),
        ("Gap", "highest minus lowest recall", |h| h.gap),
        ("Standard deviation of recalls", "", |h| h.std),
    ];
    let strategies = view.with_marks().filter(|(_, s)| !s.full_data).count();
    let body = if strategies > TOGETHER { apart(view, &plots) } else { together(view, &plots) };
    Some(Section { id: "densities", title: "Against density", body })
}

/// Draws a plot for each measure.
fn together(view: &SummaryView, plots: &[(&str, &str, MeasureOf)]) -> String {
    let mut body = super::tradeoff::legend(view);
    push!(
        body,
        "<p class=\"lead\">Means over seeds; the bands reach from the lowest seed to the highest. \
         The dotted line is full data.</p>\n<div class=\"pair\">"
    );
    for (title, text, value) in plots {
        let title = view.words(title);
        body.push_str(&figure(&title, text, &curves(view, &title, *value, None)));
    }
    body + "</div>\n"
}

/// Draws a plot for each measure and strategy, with the other strategies behind it; those of the
/// worst class are open.
fn apart(view: &SummaryView, plots: &[(&str, &str, MeasureOf)]) -> String {
    let mut body = String::from(
        "<p class=\"lead\">One strategy a plot, in front of all others: means over seeds; the band \
         reaches from the lowest seed to the highest. The dotted line is full data.</p>\n",
    );
    for (title, text, value) in plots {
        let open = if *title == "Worst class" { " open" } else { "" };
        let title = view.words(title);
        push!(
            body,
            "<details{open}><summary>{title} <span class=\"soft\">{text}</span></summary>\
             <div class=\"multiples\">"
        );
        for (mark, strategy) in view.with_marks().filter(|(_, s)| !s.full_data) {
            let title = format!("{title} of {}", strategy.label);
            push!(
                body,
                "<figure><figcaption>{}{}</figcaption>{}</figure>",
                mark.inline(),
                name(&strategy.label),
                curves(view, &title, *value, Some(&strategy.name))
            );
        }
        body.push_str("</div></details>\n");
    }
    body
}

/// Draws the curves of all strategies, or of one (by its name) with the others as thin lines behind
/// it.
fn curves(view: &SummaryView, title: &str, value: MeasureOf, front: Option<&str>) -> String {
    let headlines = view
        .summary
        .strategies
        .iter()
        .flat_map(|s| &s.points)
        .filter_map(|p| p.headline.as_ref().map(value));
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let y = Scale::around(headlines.flat_map(|s| [s.min, s.max]), (0.0, 1.0), (bottom, TOP));
    let x = Scale::around(view.densities.iter().copied(), (0.0, 1.0), (LEFT, right));
    let label = format!("{title} against density; the values are in the results table.");
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    let (ticks, digits) = y.ticks(4);
    for t in ticks {
        svg.line((LEFT, y.at(t)), (right, y.at(t)), "grid");
        svg.text(LEFT - 7.0, y.at(t) + 4.0, Anchor::End, "tick", &numbers::digits(t, digits));
    }
    for &d in &view.densities {
        svg.line((x.at(d), bottom), (x.at(d), bottom + 4.0), "zero");
        let text = numbers::digits(d, super::top::places(d));
        svg.text(x.at(d), bottom + 17.0, Anchor::Middle, "tick", &text);
    }
    svg.text((LEFT + right) / 2.0, HEIGHT - 5.0, Anchor::Middle, "axis", "density");
    if let Some(h) = view.full().and_then(|f| f.point.headline.as_ref()) {
        let full = y.at(value(h).mean);
        svg.line((LEFT, full), (right, full), "guide");
    }
    let points = |s: &StrategySummary| -> Vec<(f64, Spread)> {
        let points = s.points.iter().filter_map(|p| Some((p.density, value(p.headline.as_ref()?))));
        if s.every_density {
            // One value beside every density gives a line, and a mark at each density.
            points.flat_map(|(_, v)| view.densities.iter().map(move |&d| (d, v))).collect()
        } else {
            points.collect()
        }
    };
    let means = |points: &[(f64, Spread)]| -> Vec<(f64, f64)> {
        points.iter().map(|(d, s)| (x.at(*d), y.at(s.mean))).collect()
    };
    let series = || view.with_marks().filter(|(_, s)| !s.full_data);
    let shown = || series().filter(|(_, s)| front.is_none_or(|name| s.name == name));
    for (_, strategy) in series().filter(|(_, s)| front.is_some_and(|name| s.name != name)) {
        svg.path(&means(&points(strategy)), false, "ghost");
    }
    for (mark, strategy) in shown().filter(|(_, s)| !s.every_density || front.is_some()) {
        let points = points(strategy);
        let upper = points.iter().map(|(d, s)| (x.at(*d), y.at(s.max)));
        let lower = points.iter().rev().map(|(d, s)| (x.at(*d), y.at(s.min)));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        if points.len() > 1 {
            svg.path(&outline, true, &format!("band {}", mark.class()));
        }
    }
    for (mark, strategy) in shown() {
        let points = points(strategy);
        let line = means(&points);
        if line.len() > 1 {
            svg.path(&line, false, &format!("curve {}", mark.class()));
        }
        for (d, s) in &points {
            let title = format!(
                "{}, density {}: {}",
                strategy.label,
                numbers::digits(*d, super::top::places(*d)),
                numbers::spread(s)
            );
            svg.mark(mark, (x.at(*d), y.at(s.mean)), 4.2, &title);
        }
    }
    svg.finish()
}
