//! The headline table.

use super::top::places;
use crate::experiment::summary::{ClassRecall, Spread};
use crate::report::html::Section;
use crate::report::markup::{self, minus, name, push};
use crate::report::numbers;
use crate::report::view::{Entry, View};

pub(in crate::report) fn section(view: &View) -> Option<Section> {
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

fn table(view: &View, groups: &[(String, Vec<Entry>)]) -> String {
    let headlines = || groups.iter().flat_map(|g| &g.1).filter_map(|e| e.point.headline.as_ref());
    let balanced =
        headlines().any(|h| (h.balanced_accuracy.mean - h.average_accuracy.mean).abs() > 0.002);
    let weighted = headlines().any(|h| h.weighted_accuracy.is_some());
    let hundred = headlines().any(|h| h.worst_5_percent.is_some());
    let reference = view
        .full()
        .and_then(|f| f.point.headline.as_ref()?.worst_of_means.as_ref().map(|c| c.class));
    // Both accuracies share one scale, so that their bars compare.
    let ends = |s: Spread| [s.min, s.max];
    let all = headlines().flat_map(|h| [h.average_accuracy, h.worst_recall]).flat_map(ends);
    let scale = crate::report::svg::Scale::around(all, (0.0, 1.0), (0.0, 100.0));
    let bar = |s: &Spread| {
        let (left, right, mean) = (scale.at(s.min), scale.at(s.max), scale.at(s.mean));
        format!(
            "<span class=\"bar\" aria-hidden=\"true\"><i style=\"left:{left:.1}%;width:{:.1}%\">\
             </i><u style=\"left:{mean:.1}%\"></u></span>",
            right - left
        )
    };
    let mut out = String::from(
        "<table role=\"table\" class=\"cards results\"><thead><tr><th scope=\"col\">Strategy</th>\
         <th scope=\"col\">Average</th>",
    );
    if balanced {
        out.push_str("<th scope=\"col\">Balanced</th>");
    }
    if weighted {
        out.push_str("<th scope=\"col\">Weighted</th>");
    }
    let worst = view.words("Worst class");
    push!(out, "<th scope=\"col\">{worst}</th><th scope=\"col\">Lowest mean recall</th>");
    if let Some(class) = reference {
        push!(
            out,
            "<th scope=\"col\">{} <small>worst on full data</small></th>",
            view.class_html(class)
        );
    }
    if hundred {
        push!(out, "<th scope=\"col\">{}</th>", view.words("Worst 5 % of classes"));
    }
    out.push_str("<th scope=\"col\">Gap</th><th scope=\"col\">Std</th></tr></thead>\n");
    let optional = [balanced, weighted, reference.is_some(), hundred];
    let columns = 6 + optional.iter().filter(|c| **c).count();
    let class_cell = |c: &Option<ClassRecall>, with_name: bool| match c {
        None => "<span class=\"soft\">–</span>".to_owned(),
        Some(c) if with_name => format!(
            "<b>{}</b> <span class=\"cname\">{}</span>",
            minus(&numbers::share(c.recall.mean)),
            view.class_html(c.class)
        ),
        Some(c) => markup::spread(Some(&c.recall)),
    };
    for (heading, entries) in groups {
        out.push_str("<tbody>");
        if !heading.is_empty() {
            push!(
                out,
                "<tr class=\"group\"><th colspan=\"{columns}\" scope=\"rowgroup\">{heading}</th></tr>"
            );
        }
        for entry in entries {
            push!(
                out,
                "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}{}</th>",
                entry.mark.inline(),
                name(&entry.strategy.label)
            );
            let Some(h) = &entry.point.headline else {
                push!(
                    out,
                    "<td colspan=\"{}\" class=\"soft\">no finished run</td></tr>",
                    columns - 1
                );
                continue;
            };
            let runs = entry.point.runs.len();
            let mut cell = |label: &str, content: String| {
                push!(out, "<td role=\"cell\" data-label=\"{label}\"><span>{content}</span></td>");
            };
            let accuracy = |s: &Spread| markup::spread(Some(s)) + &bar(s);
            cell("Average", accuracy(&h.average_accuracy));
            if balanced {
                cell("Balanced", markup::spread(Some(&h.balanced_accuracy)));
            }
            if weighted {
                cell("Weighted", markup::spread(h.weighted_accuracy.as_ref()));
            }
            cell(&worst, accuracy(&h.worst_recall));
            cell("Lowest mean recall", class_cell(&h.worst_of_means, true));
            if reference.is_some() {
                cell("Full data's worst", class_cell(&h.worst_on_full, false));
            }
            if hundred {
                cell(
                    &view.words("Worst 5 % of classes"),
                    markup::spread(h.worst_5_percent.as_ref()),
                );
            }
            cell("Gap", markup::spread(Some(&h.gap)));
            cell("Std", markup::spread(Some(&h.std)));
            let missing = entry.point.planned.saturating_sub(runs);
            out.push_str("</tr>");
            if missing > 0 {
                push!(
                    out,
                    "<tr class=\"note\"><td colspan=\"{columns}\">{}: {missing} of {} runs did not \
                     finish and are not in these numbers.</td></tr>",
                    name(&entry.strategy.label),
                    runs + missing
                );
            }
        }
        out.push_str("</tbody>\n");
    }
    out + "</table>\n"
}

/// Shows the numbers at the epoch of best validation accuracy, folded away because they are no
/// result.
fn best_epochs(view: &View) -> String {
    let mut rows = String::new();
    for &density in &view.densities {
        for entry in view.all_at(density) {
            let best = || entry.point.runs.iter().filter_map(|r| r.best.as_ref());
            let over = |value: fn(&crate::experiment::summary::BestEpoch) -> f64| {
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
