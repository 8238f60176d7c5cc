//! What the quotas were predicted to do, beside what was measured.

use super::classes::by_density;
use crate::experiment::comparison::summary::{ForecastSummary, class_means};
use crate::report::forecasts::{choice_of_rule, predicted_changes};
use crate::report::markup::{self, minus, name, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::view::{Entry, SummaryView};

/// Classes that are shown at most: those whose recall is predicted to change most.
const MOST_CLASSES: usize = 60;

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let predicted = |density: f64| -> Vec<Entry> {
        let with = |e: &Entry| e.point.runs.iter().any(|r| r.forecast.is_some());
        view.pruned_at(density).into_iter().filter(with).collect()
    };
    if view.densities.iter().all(|&d| predicted(d).is_empty()) {
        return None;
    }
    let mut body = String::from(
        "<p class=\"lead\">Before anything is trained on a pruned set, what the networks of full data say \
         of the validation images tells what unequal class densities will do: like a shift of class \
         priors, log&nbsp;p<sub>k</sub>&nbsp;+&nbsp;g&nbsp;log&nbsp;d<sub>k</sub>. <i>Without</i> is \
         predicted for equal densities. All classes also lose with the number of samples; that is not in \
         the prediction, so that differences between classes count, not the level.</p>\n",
    );
    body.push_str(&by_density(view, |density| {
        predicted(density).iter().map(|e| strategy(view, e)).collect()
    }));
    Some(Section { id: "forecast", title: "Predicted and measured", body })
}

/// One strategy: a sentence and a table over the classes.
fn strategy(view: &SummaryView, entry: &Entry) -> String {
    let forecasts: Vec<&ForecastSummary> =
        entry.point.runs.iter().filter_map(|r| r.forecast.as_ref()).collect();
    let Some(first) = forecasts.first() else { return String::new() };
    let equal = class_means(forecasts.iter().map(|f| f.equal.as_slice()));
    let quotas = class_means(forecasts.iter().map(|f| f.quotas.as_slice()));
    let mut shown: Vec<(usize, f64, f64)> = view
        .hardest_first
        .iter()
        .filter_map(|&k| Some((k, equal.get(k).copied()??, quotas.get(k).copied()??)))
        .collect();
    let all = shown.len();
    if all > MOST_CLASSES {
        let change = |c: &(usize, f64, f64)| (c.2 - c.1).abs();
        shown.sort_by(|a, b| change(b).total_cmp(&change(a)).then(a.0.cmp(&b.0)));
        shown.truncate(MOST_CLASSES);
    }
    let mut rows = String::new();
    for (k, before, after) in shown {
        let interval = first.intervals.get(k).copied().flatten();
        let range = interval.map_or(String::new(), |[low, high]| minus(&numbers::range(low, high)));
        push!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td><b>{}</b> <span class=\"range\">{range}</span></td>\
             <td>{}</td><td>{}</td></tr>",
            view.class_html(k),
            minus(&numbers::share(before)),
            minus(&numbers::share(after)),
            minus(&numbers::signed(after - before, 2)),
            markup::spread(entry.recall(k).as_ref())
        );
    }
    let table = format!(
        "<table><thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Without quotas, predicted</th>\
         <th scope=\"col\">With them, predicted</th><th scope=\"col\">Change</th>\
         <th scope=\"col\">Measured</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    format!(
        "<h3>{}{}</h3>\n<p class=\"lead\">{}</p>\n{}",
        entry.mark.inline(),
        name(&entry.strategy.label),
        sentence(entry, first, forecasts.len()),
        markup::scrolling("Predicted and measured recalls", "tall", &table)
    )
}

fn sentence(entry: &Entry, first: &ForecastSummary, runs: usize) -> String {
    let mut text = predicted_changes(first);
    if runs > 1 {
        text.push_str(" Intervals are those of the first seed.");
    }
    if let Some(fit) = &entry.point.forecast_fit {
        let of = |r: Option<f64>| r.map_or("–".to_owned(), |r| minus(&numbers::signed(r, 2)));
        push!(
            text,
            " Predicted and measured recalls correlate with <span class=\"n\">{}</span>, and differ by \
             <span class=\"n\">{:.3}</span> (root mean square, the common level removed)",
            of(fit.recalls.correlation),
            fit.recalls.rmse
        );
        if let Some(changes) = &fit.changes {
            push!(
                text,
                "; predicted changes correlate with the differences from random subsets with \
                 <span class=\"n\">{}</span>",
                of(changes.correlation)
            );
        }
        text.push('.');
    }
    text.push_str(&choice_of_rule(first));
    text
}
