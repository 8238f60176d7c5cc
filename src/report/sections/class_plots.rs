//! Drawings of the densities and recalls of all classes.

use crate::experiment::comparison::summary::Spread;
use crate::report::classwise::{Against, Classes, Series, plot};
use crate::report::markup::{minus, name, push};
use crate::report::numbers;
use crate::report::view::{Entry, SummaryView};

fn classes(view: &SummaryView) -> Classes {
    let names = (0..view.summary.classes.len()).map(|k| view.class_name(k)).collect();
    let groups = view.summary.settings.groups.is_some();
    Classes { names, order: view.hardest_first.clone(), groups }
}

fn series(
    view: &SummaryView,
    entries: &[Entry],
    value: fn(&Entry, usize) -> Option<Spread>,
) -> Vec<Series> {
    let of = |e: &Entry| Series {
        mark: e.mark,
        label: e.strategy.label.clone(),
        values: (0..view.summary.classes.len()).map(|k| value(e, k)).collect(),
    };
    entries.iter().map(of).collect()
}

/// Draws the share of each class that is kept. Full data keeps all of everything and gets no marks,
/// but it keeps its place, because these rows stand beside those of the recalls.
pub(super) fn densities(view: &SummaryView, entries: &[Entry]) -> String {
    let share = |e: &Entry, k| if e.strategy.full_data { None } else { e.density(k) };
    plot(&classes(view), &series(view, entries, share), &view.words("Density of each class"), true)
}

/// Draws the recall of each class.
pub(super) fn recalls(view: &SummaryView, entries: &[Entry]) -> String {
    let series = series(view, entries, |e, k| e.recall(k));
    plot(&classes(view), &series, &view.words("Recall of each class"), false)
}

/// Draws a small scatter plot for each strategy: full-data recall across, density up, on common
/// scales.
pub(super) fn correlations(view: &SummaryView, entries: &[Entry]) -> String {
    let all = series(view, entries, |e, k| e.density(k));
    let recalls: Vec<Option<f64>> =
        (0..view.summary.classes.len()).map(|k| view.full_recall(k)).collect();
    let classes = classes(view);
    let against =
        Against { classes: &classes, recalls: &recalls, recall: "recall on full data", all: &all };
    let mut out = String::from("<div class=\"multiples\">");
    for (e, series) in entries.iter().zip(&all) {
        if series.values.iter().all(Option::is_none) {
            continue;
        }
        let r = e.point.headline.as_ref().and_then(|h| h.density_recall_correlation);
        let r = match r {
            Some(s) => minus(&format!("r = {}", numbers::share(s.mean))),
            None => "no correlation: constant".to_owned(),
        };
        let title = format!("{}: class density against full-data recall, {r}", e.strategy.label);
        push!(
            out,
            "<figure><figcaption>{}{} <span class=\"soft\">{r}</span></figcaption>{}</figure>",
            e.mark.inline(),
            name(&e.strategy.label),
            against.draw(series, &title)
        );
    }
    out + "</div>\n"
}
