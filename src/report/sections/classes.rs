//! What pruning does class by class.

use super::class_plots;
use super::top::places;
use crate::report::markup::{self, minus, name, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::view::{Entry, SummaryView};

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    if view.summary.classes.is_empty() || view.densities.is_empty() {
        return None;
    }
    let mut body = format!(
        "<p class=\"lead\">{}</p>\n",
        view.words(
            "Classes stand in the order of their recall on full data, hardest first. A score alone \
             decides how many samples each class keeps; what it takes from a class often shows in \
             that class's recall."
        )
    );
    body.push_str(&super::tradeoff::legend(view));
    body.push_str(&by_density(view, |density| {
        let pruned = view.pruned_at(density);
        let all = view.all_at(density);
        format!(
            "<div class=\"pair\">{}{}</div>\n<h3>{}</h3>\n<p class=\"lead\">{}</p>\n{}{}{}",
            class_plots::densities(view, &all),
            class_plots::recalls(view, &all),
            view.words("Does a class that is hard keep more?"),
            view.words(
                "Each mark is a class: its recall on full data and the share of it that is kept. A \
                 negative correlation r means that hard classes keep more."
            ),
            class_plots::correlations(view, &pruned),
            least(view, &pruned),
            all_recalls(view, &all),
        )
    }));
    Some(Section { id: "classes", title: by_class(view), body })
}

fn by_class(view: &SummaryView) -> &'static str {
    if view.summary.settings.groups.is_some() { "Group by group" } else { "Class by class" }
}

/// Shows the same content for every density: in plain sight if there is one, folded if there are
/// several.
pub(super) fn by_density(view: &SummaryView, content: impl Fn(f64) -> String) -> String {
    if let [density] = view.densities[..] {
        return content(density);
    }
    let mut out = String::new();
    for (i, &density) in view.densities.iter().enumerate() {
        push!(
            out,
            "<details{}><summary>Density {}: {}</summary>\n{}</details>\n",
            if i == 0 { " open" } else { "" },
            numbers::digits(density, places(density)),
            numbers::density(density),
            content(density)
        );
    }
    out
}

/// Shows the fewest samples and the correlation of every strategy.
fn least(view: &SummaryView, entries: &[Entry]) -> String {
    let mut rows = String::new();
    for e in entries {
        let Some(h) = &e.point.headline else { continue };
        let least = match &h.least_kept {
            Some(l) => format!(
                "<td class=\"n\"><b>{}</b></td><td>{}</td>",
                numbers::count(l.kept as u64),
                view.class_html(l.class)
            ),
            None => "<td>–</td><td>–</td>".to_owned(),
        };
        push!(
            rows,
            "<tr><th scope=\"row\">{}{}</th>{least}<td>{}</td></tr>",
            e.mark.inline(),
            name(&e.strategy.label),
            markup::spread(h.density_recall_correlation.as_ref())
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    let table = format!(
        "<table><thead><tr><th scope=\"col\">Strategy</th><th scope=\"col\" class=\"n\">{}</th>\
         <th scope=\"col\">{}</th><th scope=\"col\">Correlation of \
         density and full-data recall</th></tr></thead><tbody>{rows}</tbody></table>",
        view.words("Least samples in a class"),
        view.words("Class")
    );
    markup::scrolling("Least samples and correlations", "", &table)
}

/// Shows the recalls of every class under every strategy.
fn all_recalls(view: &SummaryView, entries: &[Entry]) -> String {
    let mut head = String::new();
    for e in entries {
        push!(head, "<th scope=\"col\">{}{}</th>", e.mark.inline(), name(&e.strategy.label));
    }
    let mut rows = String::new();
    for &k in &view.hardest_first {
        push!(rows, "<tr><th scope=\"row\">{}</th>", view.class_html(k));
        for e in entries {
            push!(rows, "<td>{}</td>", markup::spread(e.recall(k).as_ref()));
        }
        rows.push_str("</tr>");
    }
    let table = format!(
        "<table><thead><tr><th scope=\"col\">{}</th>{head}</tr></thead><tbody>{rows}</tbody>\
         </table>",
        view.words("Class")
    );
    format!(
        "<details><summary>Recalls of all {} {}</summary>{}</details>\n",
        view.summary.classes.len(),
        view.words("classes"),
        markup::scrolling("Recalls by class", "tall", &table)
    )
}

/// Shows the quota table: what the query found, and what each class keeps because of it.
pub(in crate::report) fn quotas(view: &SummaryView) -> Option<Section> {
    let query = view.summary.query.as_ref();
    if view.densities.is_empty() || view.summary.classes.is_empty() {
        return None;
    }
    let mut body = String::from("<p class=\"lead\">");
    if let Some(q) = query {
        let runs = q.runs.len();
        push!(
            body,
            "Query recall is measured on validation images, over {runs} model{} trained on full \
             data; ± is the standard deviation between them. {} a density \
             in proportion to its error, 1&nbsp;−&nbsp;recall, and at most 1.",
            if runs == 1 { "" } else { "s" },
            view.words("MetriQ’s quotas give a class")
        );
        if let Some(ratio) = q.error_ratio.filter(|r| r.is_finite()) {
            push!(body, " The largest error is <b class=\"n\">{ratio:.1}</b> times the smallest.");
        }
    } else {
        body.push_str("No query model was trained: quotas that need recalls were not used.");
    }
    body.push_str(" Counts are means over seeds.</p>\n");
    body.push_str(&by_density(view, |density| quota_table(view, density)));
    Some(Section { id: "quotas", title: "Quotas", body })
}

fn quota_table(view: &SummaryView, density: f64) -> String {
    let entries = view.pruned_at(density);
    // Strategies with quotas come first, because the table is about them.
    let (with, without): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|e| e.strategy.quota != "none");
    let columns: Vec<&Entry> = with.into_iter().chain(without).collect();
    let query = view.summary.query.as_ref();
    let mut first = format!(
        "<th scope=\"col\" rowspan=\"2\">{}</th><th scope=\"col\" class=\"n\" rowspan=\"2\">Size</th>",
        view.words("Class")
    );
    if query.is_some() {
        first.push_str("<th scope=\"col\" rowspan=\"2\">Query recall</th>");
    }
    let mut second = String::new();
    for e in &columns {
        push!(
            first,
            "<th scope=\"colgroup\" colspan=\"2\" class=\"over2\">{}{}</th>",
            e.mark.inline(),
            name(&e.strategy.label)
        );
        second.push_str("<th scope=\"col\" class=\"n first\">density</th><th scope=\"col\" class=\"n\">kept</th>");
    }
    let mut rows = String::new();
    for &k in &view.hardest_first {
        let class = &view.summary.classes[k];
        push!(
            rows,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td>",
            view.class_html(k),
            numbers::count(class.train_size as u64)
        );
        if let Some(q) = query {
            let mean = q.mean.get(k).copied().flatten();
            let sd = q.sd.get(k).copied().flatten();
            let text = mean.map_or("–".to_owned(), |m| minus(&numbers::mean_sd(m, sd)));
            push!(rows, "<td>{text}</td>");
        }
        for e in &columns {
            let (d, n) = (e.density(k), e.kept(k));
            let width = d.map_or(0.0, |d| (d.mean * 100.0).clamp(0.0, 100.0));
            let dash = || "–".to_owned();
            push!(
                rows,
                "<td class=\"n first {}\"><span class=\"track\"><span class=\"fill\" \
                 style=\"width:{width:.0}%\"></span></span>{}</td><td class=\"n\">{}</td>",
                e.mark.class(),
                d.map_or_else(dash, |d| minus(&numbers::share(d.mean))),
                n.map_or_else(dash, |n| numbers::count(n.mean.round().max(0.0) as u64))
            );
        }
        rows.push_str("</tr>");
    }
    let table = format!(
        "<table class=\"quota\"><thead><tr>{first}</tr><tr>{second}</tr></thead><tbody>{rows}\
         </tbody></table>"
    );
    markup::scrolling("Quotas by class", "tall", &table)
}
