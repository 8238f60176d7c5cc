//! What each class keeps.

use super::page::{PrunedClass, PrunedPage, percent};
use crate::metrics::Spread;
use crate::report::classwise::{Against, Classes, Series, plot};
use crate::report::markup::{self, figure, minus, name, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::svg::Mark;

const MARK: Mark = Mark::Series(0);

pub(super) fn section(page: &PrunedPage) -> Option<Section> {
    let set = page.set;
    if set.classes.is_empty() {
        return None;
    }
    let classes = Classes {
        names: (0..set.classes.len()).map(|k| page.class_name(k)).collect(),
        order: page.order.clone(),
        groups: set.groups.is_some(),
    };
    let one = |value: f64| Spread::of([value]);
    let series =
        |values: Vec<Option<Spread>>| Series { mark: MARK, label: set.strategy.clone(), values };
    let density = |c: &PrunedClass| (c.size > 0).then_some(c.density);
    let densities = [series(set.classes.iter().map(|c| one(density(c)?)).collect())];
    let mut body = String::new();
    if page.has_recalls() {
        let text = "Recalls are those of the query runs on validation images; classes stand in \
                    their order, hardest first.";
        push!(body, "<p class=\"lead\">{}</p>\n", page.words(text));
    }
    body.push_str("<div class=\"pair\">");
    body.push_str(&plot(&classes, &densities, &page.words("Density of each class"), true));
    if page.has_recalls() {
        let recalls: Vec<Option<f64>> = set.classes.iter().map(|c| c.recall).collect();
        let r = match set.correlation {
            Some(r) => minus(&format!("r = {}", numbers::share(r))),
            None => "no correlation: one of them is constant".to_owned(),
        };
        let against = Against {
            classes: &classes,
            recalls: &recalls,
            recall: "validation recall",
            all: &densities,
        };
        let text =
            page.words("Each mark is a class. A negative r means that hard classes keep more.");
        let text = format!("{r}. {text}");
        let title = page.words("Does a class that is hard keep more?");
        let of_recalls = [series(set.classes.iter().map(|c| one(c.recall?)).collect())];
        push!(
            body,
            "<div class=\"modest\">{}</div>{}",
            figure(&title, &text, &against.draw(&densities[0], &format!("{title} {r}"))),
            if set.classes.len() >= crate::report::classwise::MANY {
                plot(&classes, &of_recalls, &page.words("Recall of each class"), false)
            } else {
                String::new()
            }
        );
    }
    body.push_str("</div>\n");
    let title = if set.groups.is_some() { "Group by group" } else { "Class by class" };
    Some(Section { id: "classes", title, body })
}

/// Shows the sizes, recalls, densities and counts of all classes.
pub(super) fn quotas(page: &PrunedPage) -> Option<Section> {
    let set = page.set;
    if set.classes.is_empty() {
        return None;
    }
    let mut body = String::new();
    if set.quota.starts_with("metriq") {
        body.push_str(
            "<p class=\"lead\">Each gets a density in proportion to its error, \
             1&nbsp;−&nbsp;recall, and at most 1; ± is the standard deviation of the recall between \
             query runs.",
        );
        if let Some(ratio) = error_ratio(page) {
            push!(body, " The largest error is <b class=\"n\">{ratio:.1}</b> times the smallest.");
        }
        body.push_str("</p>\n");
    }
    let recalls = page.has_recalls();
    let mut rows = String::new();
    for &k in &page.order {
        let c = &set.classes[k];
        push!(
            rows,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td>",
            name(&page.class_name(k)),
            numbers::count(c.size as u64)
        );
        if recalls {
            let text = c.recall.map_or("–".to_owned(), |r| {
                minus(&numbers::mean_sd(r, c.recall_sd.filter(|sd| sd.is_finite())))
            });
            push!(rows, "<td>{text}</td>");
        }
        push!(
            rows,
            "<td class=\"n first {}\"><span class=\"track\"><span class=\"fill\" \
             style=\"width:{:.0}%\"></span></span>{}</td><td class=\"n\">{}</td></tr>",
            MARK.class(),
            (c.density * 100.0).clamp(0.0, 100.0),
            percent(c.density),
            numbers::count(c.kept as u64)
        );
    }
    let kept: usize = set.classes.iter().map(|c| c.kept).sum();
    let size: usize = set.classes.iter().map(|c| c.size).sum();
    let share = if size > 0 { kept as f64 / size as f64 } else { 0.0 };
    let table = format!(
        "<table class=\"quota\"><thead><tr><th scope=\"col\">{}</th><th scope=\"col\" \
         class=\"n\">Size</th>{}<th scope=\"col\" class=\"n first\">Density</th><th scope=\"col\" \
         class=\"n\">Kept</th></tr></thead><tbody>{rows}</tbody><tfoot><tr><th scope=\"row\">All\
         </th><td class=\"n\">{}</td>{}<td class=\"n first\">{}</td><td class=\"n\">{}</td></tr>\
         </tfoot></table>",
        page.words("Class"),
        if recalls { "<th scope=\"col\">Query recall</th>" } else { "" },
        numbers::count(size as u64),
        if recalls { "<td></td>" } else { "" },
        percent(share),
        numbers::count(kept as u64)
    );
    body.push_str(&markup::scrolling("Quotas by class", "tall", &table));
    Some(Section { id: "quotas", title: "Quotas", body })
}

/// Returns max (1 - r) / min (1 - r) over the classes that have samples; `None` where a class has
/// no error.
fn error_ratio(page: &PrunedPage) -> Option<f64> {
    let classes = page.set.classes.iter().filter(|c| c.size > 0);
    let errors: Option<Vec<f64>> = classes.map(|c| Some(1.0 - c.recall?)).collect();
    let errors = errors?;
    let (high, low) = (
        errors.iter().copied().fold(0.0, f64::max),
        errors.iter().copied().fold(f64::INFINITY, f64::min),
    );
    Some(high / low).filter(|r| r.is_finite())
}
