//! How to read the page, and how to repeat the run.

use super::top::places;
use crate::experiment::comparison::summary::Outcome;
use crate::report::markup::{esc, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::view::SummaryView;
use serde_json::Value;

pub(in crate::report) fn how_to_read(view: &SummaryView) -> Option<Section> {
    let verdicts = &view.summary.verdicts;
    let undecided = verdicts.iter().filter(|v| v.outcome == Outcome::NotDecided).count();
    let seeds = view.summary.settings.seeds.len();
    let mut body = String::from("<div class=\"prose\">\n");
    push!(
        body,
        "<p><b>{}</b> The mean of each seed's lowest recall is never higher than \
         the lowest of the {} mean recalls, because every seed picks its own unlucky {}. Both are shown; compare \
         like with like.</p>\n\
         <p><b>Pairs.</b> Runs of the same seed start from the same weights and see their samples \
         in the same order with the same augmentation. Differences are taken seed by seed, which \
         removes what the seeds have in common.</p>\n\
         <p><b>Verdicts.</b> A difference is called <i>improved</i> or <i>worsened</i> only where \
         its interval excludes 0. <i>Not decided</i> is not <i>no effect</i>: it says that these \
         seeds cannot tell. ",
        view.words("Worst class."),
        view.words("classes'"),
        view.words("class")
    );
    if seeds < 5 {
        push!(
            body,
            "With {seeds} seed{} only large effects can be decided; short runs move the worst \
             class by several hundredths from seed to seed. More seeds narrow the interval.",
            if seeds == 1 { "" } else { "s" }
        );
    } else {
        body.push_str("More seeds narrow the interval.");
    }
    if verdicts.len() > 1 {
        push!(
            body,
            " This page makes {} comparisons and decides {} of them; of 20 comparisons without any \
             effect, one is expected to look decided at the 95 % level.",
            verdicts.len(),
            verdicts.len() - undecided
        );
    }
    body.push_str("</p>\n");
    body.push_str(&view.words(
        "<p><b>Quotas.</b> MetriQ keeps more of the classes that a model trained on everything \
         gets wrong, and fewer of those it gets right. Where errors differ a lot between classes, \
         easy classes can be left with too little and become the worst themselves; watch the \
         least number of samples and the warnings.</p>\n\
         <p><b>What is compared.</b> One data set, one network, one recipe. The seeds vary the \
         training, not the data: the intervals say nothing about other data sets.</p>\n</div>\n",
    ));
    Some(Section { id: "reading", title: "How to read this", body })
}

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let s = &view.summary.settings;
    let mut body = String::new();
    push!(
        body,
        "<p class=\"lead\">This command repeats the run. The same version on the same kind of \
         device gives the same numbers, whatever the number of threads.</p>\n\
         <pre tabindex=\"0\"><code>{}</code></pre>\n",
        esc(&s.command)
    );
    let [h, w, c] = s.data.image;
    let list = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<_>>().join(", ");
    let mut rows: Vec<(String, String)> = [
        ("data", s.data.name.clone()),
        ("fingerprint", s.data.fingerprint.clone()),
        (
            "images",
            format!(
                "{} training, {} validation, {} reported on; {h}×{w}×{c}",
                numbers::count(s.data.train as u64),
                numbers::count(s.data.validation as u64),
                numbers::count(s.data.test as u64)
            ),
        ),
        ("split", s.split.clone()),
        ("network", s.arch.clone()),
        ("width", s.width.map_or("–".to_owned(), |w| w.to_string())),
        ("parameters", numbers::count(s.parameters)),
        ("densities", list(&mut s.densities.iter().map(|&d| numbers::digits(d, places(d))))),
        ("budget", s.budget.clone()),
        ("epochs", s.epochs.to_string()),
        ("steps, full data", numbers::count(s.steps)),
        ("batch", s.batch.to_string()),
        ("learning rate", s.learning_rate.to_string()),
        ("seeds", list(&mut s.seeds.iter().map(|s| s.to_string()))),
        ("device", s.device.clone()),
        ("threads", s.threads.to_string()),
        ("precision", s.precision.clone()),
        ("version", format!("{} ({})", s.version, s.commit)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let at = rows.len() - 4;
    let recipe = s.recipe.iter().map(|(key, value)| (key.replace('_', " "), plain(value)));
    rows.splice(at..at, recipe);
    body.push_str("<dl class=\"recipe\">");
    for (key, value) in rows {
        push!(body, "<div><dt>{}</dt><dd>{}</dd></div>", esc(&key), esc(&value));
    }
    body.push_str("</dl>\n");
    body.push_str(&steps(view));
    Some(Section { id: "recipe", title: "Recipe", body })
}

/// Writes a JSON value as text: strings without quotes, lists with commas.
fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Array(a) => a.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null => "–".to_owned(),
        Value::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

/// Shows the steps and samples of each strategy, which tell whether budgets were equal.
fn steps(view: &SummaryView) -> String {
    let mut rows = String::new();
    let full = view.full().into_iter();
    for e in full.chain(view.densities.iter().flat_map(|&d| view.pruned_at(d))) {
        let runs = &e.point.runs;
        let Some(first) = runs.first() else { continue };
        let seconds: f64 = runs.iter().map(|r| r.train_seconds).sum::<f64>() / runs.len() as f64;
        push!(
            rows,
            "<tr><th scope=\"row\">{}<bdi>{}</bdi></th><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            e.mark.inline(),
            esc(&e.strategy.label),
            numbers::digits(e.point.density, places(e.point.density)),
            numbers::count(first.kept as u64),
            numbers::count(first.steps),
            numbers::seconds(seconds)
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    let table = format!(
        "<table><thead><tr><th scope=\"col\">Strategy</th><th scope=\"col\" class=\"n\">Density\
         </th><th scope=\"col\" class=\"n\">Samples</th><th scope=\"col\" class=\"n\">Steps</th>\
         <th scope=\"col\" class=\"n\">Training time, mean</th></tr></thead><tbody>{rows}</tbody>\
         </table>"
    );
    crate::report::markup::scrolling("Budgets", "", &table)
}
