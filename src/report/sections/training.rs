//! How training went: loss and accuracy over the steps of each run.

use super::classes::by_density;
use crate::experiment::comparison::summary::{CurvePoint, SeedRun};
use crate::report::markup::{figure, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::svg::{Anchor, Scale, Svg};
use crate::report::view::{Entry, SummaryView};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

type ValueOf = fn(&CurvePoint) -> Option<f64>;

const PLOTS: [(&str, &str, ValueOf); 3] = [
    ("Training loss", "of the presented images", |p| Some(p.train_loss)),
    ("Training accuracy", "of the presented images", |p| Some(p.train_accuracy)),
    ("Validation accuracy", "", |p| p.val_accuracy),
];

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let runs = view.summary.strategies.iter().flat_map(|s| &s.points).flat_map(|p| &p.runs);
    if runs.clone().all(|run| run.curve.len() < 2) {
        return None;
    }
    let mut body = super::tradeoff::legend(view);
    body.push_str(
        "<p class=\"lead\">Means over seeds after each epoch. A curve that still rises at its end asks \
         for more epochs; a training accuracy far above the validation's says that images are \
         remembered.</p>\n",
    );
    body.push_str(&by_density(view, |density| {
        let entries: Vec<Entry> = view.full().into_iter().chain(view.pruned_at(density)).collect();
        plots(&entries)
    }));
    Some(Section { id: "training", title: "Training", body })
}

fn plots(entries: &[Entry]) -> String {
    let mut out = String::from("<div class=\"pair\">");
    for (title, text, value) in PLOTS {
        let curves: Vec<(&Entry, Vec<(f64, f64)>)> =
            entries.iter().map(|e| (e, means(&e.point.runs, value))).collect();
        if curves.iter().any(|(_, curve)| curve.len() > 1) {
            out.push_str(&figure(title, text, &drawing(title, &curves)));
        }
    }
    out + "</div>\n"
}

/// Mean over runs by epoch: steps and value. Runs of one strategy and density have the same epochs; those
/// that stopped early end the curve.
fn means(runs: &[SeedRun], value: ValueOf) -> Vec<(f64, f64)> {
    let epochs = runs.iter().map(|run| run.curve.len()).min().unwrap_or(0);
    let at = |epoch: usize| {
        let values: Option<Vec<f64>> = runs.iter().map(|run| value(&run.curve[epoch])).collect();
        let values = values?;
        let steps = runs[0].curve[epoch].steps as f64;
        Some((steps, values.iter().sum::<f64>() / values.len() as f64))
    };
    (0..epochs).filter_map(at).collect()
}

fn drawing(title: &str, curves: &[(&Entry, Vec<(f64, f64)>)]) -> String {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let points = || curves.iter().flat_map(|(_, curve)| curve.iter().copied());
    let most = points().map(|p| p.1).fold(1.0, f64::max);
    let y = Scale::around(points().map(|p| p.1), (0.0, most), (bottom, TOP));
    let steps = points().map(|p| p.0).fold(1.0, f64::max);
    let x = Scale::around(points().map(|p| p.0), (0.0, steps), (LEFT, right));
    let mut label = format!("{title} against steps; at the end ");
    for (i, (entry, curve)) in curves.iter().enumerate() {
        let end = curve.last().map_or(numbers::MISSING.to_owned(), |p| numbers::share(p.1));
        push!(label, "{}{} {end}", if i == 0 { "" } else { ", " }, entry.strategy.label);
    }
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    let (ticks, digits) = y.ticks(4);
    for t in ticks {
        svg.line((LEFT, y.at(t)), (right, y.at(t)), "grid");
        svg.text(LEFT - 7.0, y.at(t) + 4.0, Anchor::End, "tick", &numbers::digits(t, digits));
    }
    let (ticks, _) = x.ticks(4);
    for t in ticks {
        svg.line((x.at(t), bottom), (x.at(t), bottom + 4.0), "zero");
        let text = numbers::count(t.max(0.0) as u64);
        svg.text(x.at(t), bottom + 17.0, Anchor::Middle, "tick", &text);
    }
    svg.text((LEFT + right) / 2.0, HEIGHT - 4.0, Anchor::Middle, "axis", "steps");
    for (entry, curve) in curves {
        let line: Vec<(f64, f64)> = curve.iter().map(|p| (x.at(p.0), y.at(p.1))).collect();
        if line.len() > 1 {
            svg.path(&line, false, &format!("curve {}", entry.mark.class()));
        }
        if let (Some(&end), Some(last)) = (line.last(), curve.last()) {
            let title = format!("{}: {}", entry.strategy.label, numbers::share(last.1));
            svg.mark(entry.mark, end, 4.2, &title);
        }
    }
    svg.finish()
}
