//! Differences between strategies over paired runs.

use super::top::{outcome_class, places};
use crate::experiment::comparison::summary::{Metric, Verdict};
use crate::report::markup::{self, figure, minus, name, push, shorten};
use crate::report::numbers;
use crate::report::svg::{Anchor, Scale, Svg};
use crate::report::view::SummaryView;

const WIDTH: f64 = 400.0;
const ROW: f64 = 46.0;
const SIDE: f64 = 8.0;

fn metrics(view: &SummaryView) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = view.summary.verdicts.iter().map(|v| v.metric).collect();
    metrics.sort();
    metrics.dedup();
    metrics
}

fn of<'a>(view: &SummaryView<'a>, metric: Metric) -> Vec<&'a Verdict> {
    view.summary.verdicts.iter().filter(|v| v.metric == metric).collect()
}

/// Draws one figure for each metric, with a row for each comparison.
pub(super) fn figures(view: &SummaryView) -> Vec<String> {
    let mut out = Vec::new();
    for (i, metric) in metrics(view).into_iter().enumerate() {
        let text = if i == 0 {
            "Each dot is one seed, trained with the same initialisation, order and augmentation on \
             both sides; the bar is the interval of the mean. A bar that crosses 0 decides \
             nothing."
        } else {
            ""
        };
        let better = if metric.higher_is_better() { "right is better" } else { "left is better" };
        let title = format!(
            "Paired differences: {} <span class=\"soft\">({better})</span>",
            metric.label()
        );
        out.push(figure(&title, text, &forest(view, metric)));
    }
    out
}

fn forest(view: &SummaryView, metric: Metric) -> String {
    let rows = of(view, metric);
    let several = view.densities.len() > 1;
    let values = rows.iter().flat_map(|v| {
        let interval = v.interval.into_iter().flatten();
        v.differences.iter().map(|d| d.difference).chain(interval).chain([0.0, v.mean])
    });
    let x = Scale::around(values, (-1.0, 1.0), (SIDE, WIDTH - SIDE));
    let height = ROW * rows.len() as f64 + 26.0;
    let texts: Vec<&str> = rows.iter().map(|v| v.text.as_str()).collect();
    let mut svg = Svg::new(WIDTH, height, texts.join("; "));
    let bottom = height - 22.0;
    let (ticks, digits) = x.ticks(6);
    for t in ticks {
        svg.line((x.at(t), 4.0), (x.at(t), bottom), "grid");
        let text = if t.abs() < 1e-9 { "0".to_owned() } else { minus(&numbers::signed(t, digits)) };
        svg.text(x.at(t), height - 6.0, Anchor::Middle, "tick", &text);
    }
    if x.contains(0.0) {
        svg.line((x.at(0.0), 4.0), (x.at(0.0), bottom), "zero");
    }
    for (i, v) in rows.iter().enumerate() {
        let top = ROW * i as f64;
        let y = top + 33.0;
        let class = outcome_class(v.outcome);
        let density = if several {
            format!(" at {}", numbers::digits(v.density, places(v.density)))
        } else {
            String::new()
        };
        let (a, b) = fit(view.label(&v.strategy), view.label(&v.baseline), 32 - density.len());
        let label = format!("{a} − {b}{density}");
        svg.text(SIDE, top + 17.0, Anchor::Start, "row", &label);
        let text = minus(&numbers::difference(v.mean, v.interval));
        svg.text(WIDTH - SIDE, top + 17.0, Anchor::End, "value", &text);
        if let Some([low, high]) = v.interval {
            // A t interval of two seeds may reach beyond what a difference of shares can be.
            let [low, high] = [low, high].map(|end| end.clamp(-1.0, 1.0));
            svg.line((x.at(low), y), (x.at(high), y), &format!("interval {class}"));
        }
        for d in &v.differences {
            let title = format!("seed {}: {}", d.seed, numbers::signed(d.difference, 3));
            svg.dot((x.at(d.difference), y), 2.6, "pairdot", &title);
        }
        let m = x.at(v.mean);
        svg.line((m, y - 7.0), (m, y + 7.0), &format!("mean {class}"));
    }
    svg.finish()
}

/// Cuts two names so that both together have at most `letters`: each may have half, and what the
/// other leaves.
fn fit(a: &str, b: &str, letters: usize) -> (String, String) {
    let half = letters / 2;
    let length = |name: &str| name.chars().count().min(half);
    (shorten(a, letters - length(b)), shorten(b, letters - length(a)))
}

/// Shows all comparisons with their numbers.
pub(super) fn table(view: &SummaryView) -> String {
    if view.summary.verdicts.is_empty() {
        return String::new();
    }
    let several = |cell: &str| match view.densities.len() {
        0 | 1 => String::new(),
        _ => cell.to_owned(),
    };
    let mut rows = String::new();
    for metric in metrics(view) {
        for v in of(view, metric) {
            let seeds: Vec<String> =
                v.differences.iter().map(|d| minus(&numbers::signed(d.difference, 3))).collect();
            let interval = match v.interval {
                Some(i) => {
                    let text = numbers::difference(v.mean, Some(i));
                    minus(text.split_once(' ').map_or("", |t| t.1))
                }
                None => "–".to_owned(),
            };
            push!(
                rows,
                "<tr><td>{}</td><th scope=\"row\">{} − {}</th>{}<td><b>{}</b></td>\
                 <td>{interval}</td><td><span class=\"badge {}\">{}</span></td>\
                 <td class=\"seeds\">{}</td></tr>",
                metric.label(),
                name(view.label(&v.strategy)),
                name(view.label(&v.baseline)),
                several(&format!("<td>{}</td>", numbers::digits(v.density, places(v.density)))),
                minus(numbers::difference(v.mean, v.interval).split(' ').next().unwrap_or("")),
                outcome_class(v.outcome),
                v.outcome.label(),
                seeds.join(" ")
            );
        }
    }
    let table = format!(
        "<table role=\"table\" class=\"pairs{}\"><thead><tr><th scope=\"col\">Measure</th><th scope=\"col\">Difference</th>\
         {}<th scope=\"col\">Mean</th><th scope=\"col\">Interval</th>\
         <th scope=\"col\">Verdict</th><th scope=\"col\">By seed</th></tr></thead>\
         <tbody>{rows}</tbody></table>",
        if view.densities.len() > 1 { "" } else { " one" },
        several("<th scope=\"col\">Density</th>")
    );
    markup::scrolling("Paired differences", "tall", &table)
}
