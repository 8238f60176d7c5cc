//! The headline table.

use super::top::places;
use crate::experiment::comparison::summary::{ClassRecall, Headline, Spread};
use crate::report::markup::{self, minus, name, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::svg::Scale;
use crate::report::view::{Entry, SummaryView};

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let worst = view.words("Worst class");
    let (unit, units) = (view.words("class"), view.words("classes"));
    let mut body = format!(
        "<p class=\"lead\">Means over seeds with [lowest, highest], on images that took no part in \
         training, after the last step. <i>{worst}</i> is the mean of each seed's lowest \
         recall; beside it stands the {unit} whose recall averaged over seeds is lowest, and that \
         average. <i>Gap</i> is the highest minus the lowest recall, <i>std</i> their standard \
         deviation over {units}. All bars share one scale.</p>\n",
    );
    let beside = view.beside();
    if let Some(attribute) = &view.summary.settings.groups {
        push!(
            body,
            "<p class=\"lead\">Groups are class × {}; the networks learned classes. <i>Weighted</i> is the \
             mean of the group recalls, weighted by their training samples before pruning.</p>\n",
            name(attribute)
        );
    }
    let mut groups: Vec<(String, Vec<Entry>)> = Vec::new();
    if !beside.is_empty() {
        groups.push((String::new(), beside));
    }
    for &density in &view.densities {
        let digits = numbers::digits(density, places(density));
        let text = format!("Density {digits}: {}", numbers::density(density));
        groups.push((text, view.pruned_at(density)));
    }
    if groups.is_empty() {
        return None;
    }
    body.push_str(&table(view, &groups));
    body.push_str(&best_epochs(view));
    Some(Section { id: "results", title: "Results", body })
}

/// The columns that the table has beside the usual ones, and the scale of its bars.
struct ResultColumns<'v> {
    view: &'v SummaryView<'v>,
    balanced: bool,
    weighted: bool,
    /// The worst class on full data.
    reference: Option<usize>,
    worst_share: bool,
    scale: Scale,
}

fn table(view: &SummaryView, groups: &[(String, Vec<Entry>)]) -> String {
    let columns = ResultColumns::of(view, groups);
    let mut out = columns.head();
    for (heading, entries) in groups {
        out.push_str("<tbody>");
        if !heading.is_empty() {
            push!(
                out,
                "<tr class=\"group\"><th colspan=\"{}\" scope=\"rowgroup\">{heading}</th></tr>",
                columns.count()
            );
        }
        for entry in entries {
            out.push_str(&columns.row(entry));
        }
        out.push_str("</tbody>\n");
    }
    out + "</table>\n"
}

impl<'v> ResultColumns<'v> {
    fn of(view: &'v SummaryView, groups: &[(String, Vec<Entry>)]) -> Self {
        let entries = || groups.iter().flat_map(|g| &g.1);
        let headlines = || entries().filter_map(|e| e.point.headline.as_ref());
        let differ = |h: &Headline| h.balanced_accuracy.mean - h.average_accuracy.mean;
        let worst_on_full =
            |f: Entry| Some(f.point.headline.as_ref()?.worst_of_means.as_ref()?.class);
        // Both accuracies share one scale, so that their bars compare.
        let ends = |s: Spread| [s.min, s.max];
        let all = headlines().flat_map(|h| [h.average_accuracy, h.worst_recall]).flat_map(ends);
        ResultColumns {
            view,
            balanced: headlines().any(|h| differ(h).abs() > 0.002),
            weighted: headlines().any(|h| h.weighted_accuracy.is_some()),
            reference: view.full().and_then(worst_on_full),
            worst_share: headlines().any(|h| h.worst_5_percent.is_some()),
            scale: Scale::around(all, (0.0, 1.0), (0.0, 100.0)),
        }
    }

    /// Returns the number of columns.
    fn count(&self) -> usize {
        let optional = [self.balanced, self.weighted, self.reference.is_some(), self.worst_share];
        6 + optional.iter().filter(|c| **c).count()
    }

    fn head(&self) -> String {
        let mut out = String::from(
            "<table role=\"table\" class=\"cards results\"><thead><tr>\
             <th scope=\"col\">Strategy</th><th scope=\"col\">Average</th>",
        );
        if self.balanced {
            out.push_str("<th scope=\"col\">Balanced</th>");
        }
        if self.weighted {
            out.push_str("<th scope=\"col\">Weighted</th>");
        }
        let worst = self.view.words("Worst class");
        push!(out, "<th scope=\"col\">{worst}</th><th scope=\"col\">Lowest mean recall</th>");
        if let Some(class) = self.reference {
            push!(
                out,
                "<th scope=\"col\">{} <small>worst on full data</small></th>",
                self.view.class_html(class)
            );
        }
        if self.worst_share {
            push!(out, "<th scope=\"col\">{}</th>", self.view.words("Worst 5 % of classes"));
        }
        out + "<th scope=\"col\">Gap</th><th scope=\"col\">Std</th></tr></thead>\n"
    }

    /// Shows the numbers of a strategy, and in a row of its own how many runs are missing.
    fn row(&self, entry: &Entry) -> String {
        let label = name(&entry.strategy.label);
        let mut out = format!(
            "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}{label}</th>",
            entry.mark.inline()
        );
        let Some(h) = &entry.point.headline else {
            let others = self.count() - 1;
            return out
                + &format!("<td colspan=\"{others}\" class=\"soft\">no finished run</td></tr>");
        };
        for (label, content) in self.cells(h) {
            push!(out, "<td role=\"cell\" data-label=\"{label}\"><span>{content}</span></td>");
        }
        out.push_str("</tr>");
        let runs = entry.point.runs.len();
        let missing = entry.point.planned.saturating_sub(runs);
        if missing > 0 {
            push!(
                out,
                "<tr class=\"note\"><td colspan=\"{}\">{label}: {missing} of {} runs did not \
                 finish and are not in these numbers.</td></tr>",
                self.count(),
                runs + missing
            );
        }
        out
    }

    /// Returns the label and the content of each cell.
    fn cells(&self, h: &Headline) -> Vec<(String, String)> {
        let accuracy = |s: &Spread| markup::spread(Some(s)) + &self.bar(s);
        let mut cells = vec![("Average".to_owned(), accuracy(&h.average_accuracy))];
        let mut cell = |label: &str, content: String| cells.push((label.to_owned(), content));
        if self.balanced {
            cell("Balanced", markup::spread(Some(&h.balanced_accuracy)));
        }
        if self.weighted {
            cell("Weighted", markup::spread(h.weighted_accuracy.as_ref()));
        }
        cell(&self.view.words("Worst class"), accuracy(&h.worst_recall));
        cell("Lowest mean recall", self.class_recall(h.worst_of_means.as_ref(), true));
        if self.reference.is_some() {
            cell("Full data's worst", self.class_recall(h.worst_on_full.as_ref(), false));
        }
        if self.worst_share {
            let label = self.view.words("Worst 5 % of classes");
            cell(&label, markup::spread(h.worst_5_percent.as_ref()));
        }
        cell("Gap", markup::spread(Some(&h.gap)));
        cell("Std", markup::spread(Some(&h.std)));
        cells
    }

    fn bar(&self, s: &Spread) -> String {
        let at = |value| self.scale.at(value);
        let (left, right, mean) = (at(s.min), at(s.max), at(s.mean));
        format!(
            "<span class=\"bar\" aria-hidden=\"true\"><i style=\"left:{left:.1}%;width:{:.1}%\">\
             </i><u style=\"left:{mean:.1}%\"></u></span>",
            right - left
        )
    }

    fn class_recall(&self, recall: Option<&ClassRecall>, with_name: bool) -> String {
        match recall {
            None => "<span class=\"soft\">–</span>".to_owned(),
            Some(c) if with_name => format!(
                "<b>{}</b> <span class=\"cname\">{}</span>",
                minus(&numbers::share(c.recall.mean)),
                self.view.class_html(c.class)
            ),
            Some(c) => markup::spread(Some(&c.recall)),
        }
    }
}

/// Shows the numbers at the epoch of best validation accuracy, folded away because they are no
/// result.
fn best_epochs(view: &SummaryView) -> String {
    let mut rows = String::new();
    for &density in &view.densities {
        for entry in view.all_at(density) {
            let best = || entry.point.runs.iter().filter_map(|r| r.best.as_ref());
            let over = |value: fn(&crate::experiment::comparison::summary::BestEpoch) -> f64| {
                markup::spread(Spread::of(best().map(value)).as_ref())
            };
            let beside = entry.strategy.full_data || entry.strategy.every_density;
            let again = beside && view.densities.first() != Some(&density);
            if best().next().is_none() || again {
                continue;
            }
            let density = entry.point.density;
            push!(
                rows,
                "<tr><th scope=\"row\">{}{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                entry.mark.inline(),
                name(&entry.strategy.label),
                numbers::digits(density, places(density)),
                match (best().map(|b| b.epoch).min(), best().map(|b| b.epoch).max()) {
                    (Some(first), Some(last)) if first < last => format!("{first} to {last}"),
                    (first, _) => first.unwrap_or_default().to_string(),
                },
                over(|b| b.evaluation.average_accuracy),
                over(|b| b.evaluation.worst_recall),
            );
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let table = format!(
        "<table><thead><tr><th scope=\"col\">Strategy</th><th scope=\"col\">Density</th>\
         <th scope=\"col\">Epoch</th><th scope=\"col\">Average</th>\
         <th scope=\"col\">{}</th></tr></thead><tbody>{rows}</tbody></table>",
        view.words("Worst class")
    );
    format!(
        "<details><summary>At the epoch of best validation accuracy</summary><p>Shown for \
         comparison with work that reports it; choosing an epoch by its accuracy flatters every \
         strategy.</p>{}</details>\n",
        markup::scrolling("Results at the best epoch", "", &table)
    )
}
