//! The top of the page: title, verdict, what was run, warnings.

use crate::experiment::comparison::summary::{Metric, Outcome, Verdict};
use crate::experiment::strategy::Strategy;
use crate::metrics::DECIDING_SEEDS;
use crate::report::advice::{Advice, advice};
use crate::report::markup::{esc, minus, name, push};
use crate::report::numbers;
use crate::report::view::SummaryView;
use crate::report::warnings::merged;

/// Returns the page's title, not yet escaped.
pub(in crate::report) fn title(view: &SummaryView) -> String {
    format!("Pruning {} with class quotas", view.summary.settings.data.name)
}

/// Makes everything above the sections.
pub(in crate::report) fn header(view: &SummaryView) -> String {
    let mut out = String::new();
    push!(
        out,
        "<header>\n<p class=\"over\">fairprune report</p>\n<h1>Pruning {} with class quotas</h1>\n",
        name(&view.summary.settings.data.name)
    );
    out.push_str(&headline(view));
    out.push_str(&metriq(view));
    out.push_str(&what_to_do(view));
    out.push_str(&facts(view));
    out.push_str(&warnings(&view.summary.warnings));
    out.push_str("</header>\n");
    out
}

/// Shows all warnings, with those beyond the first few folded away.
pub(in crate::report) fn warnings(warnings: &[String]) -> String {
    const FIRST: usize = 6;
    if warnings.is_empty() {
        return String::new();
    }
    let list = |some: &[String]| {
        let items: String = some.iter().map(|w| format!("<li>{}</li>", name(w))).collect();
        format!("<ul>{items}</ul>")
    };
    let warnings = merged(warnings);
    let heading = if warnings.len() == 1 { "Warning" } else { "Warnings" };
    let (first, rest) = warnings.split_at(warnings.len().min(FIRST));
    let mut out = format!(
        "<aside class=\"warnings\" aria-label=\"{heading}\"><b>{heading}</b>{}",
        list(first)
    );
    if !rest.is_empty() {
        let all = list(rest);
        push!(out, "<details><summary>{} more</summary>{all}</details>", rest.len());
    }
    out + "</aside>\n"
}

/// Returns the style sheet's class for an outcome.
pub(super) fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Improved => "improved",
        Outcome::Worsened => "worsened",
        Outcome::NotDecided | Outcome::Undertrained => "open",
    }
}

fn headline(view: &SummaryView) -> String {
    let Some(verdict) = view.summary.verdicts.first() else {
        return "<div class=\"verdict open\"><p>No two strategies were compared.</p></div>\n"
            .to_owned();
    };
    // The same comparison at every density: the headline speaks of all of them.
    let pair = |v: &Verdict| (v.strategy.clone(), v.baseline.clone(), v.metric);
    let same = |v: &&Verdict| pair(v) == pair(verdict);
    let all: Vec<&Verdict> = view.summary.verdicts.iter().filter(same).collect();
    let first = all.first().map_or(verdict.outcome, |v| v.outcome);
    let (class, word) = match all.iter().all(|v| v.outcome == first) {
        true => (outcome_class(first), first.label()),
        false => ("open", "not the same at every density"),
    };
    let sentences: String = all.iter().map(|v| format!("<p>{}</p>", sentence(view, v))).collect();
    format!("<div class=\"verdict {class}\"><p class=\"outcome\">{word}</p>{sentences}</div>\n")
}

/// Says what MetriQ did and what was predicted of it, where the headline is about another strategy.
fn metriq(view: &SummaryView) -> String {
    let metriq = Strategy::METRIQ.to_string();
    let of_metriq = |v: &&Verdict| v.strategy == metriq && v.metric == Metric::WorstClass;
    let Some(verdict) = view.summary.verdicts.iter().skip(1).find(of_metriq) else {
        return String::new();
    };
    if view.summary.verdicts.first().is_some_and(|v| v.strategy == metriq) {
        return String::new();
    }
    let warned = format!("{} at density {}: ", view.label(&metriq), verdict.density);
    let why = view.summary.warnings.iter().filter_map(|w| w.strip_prefix(&warned));
    let why = why.filter(|w| w.contains("predicted to lower"));
    let why: String = why.map(|w| format!(" Before training, {}.", name(w))).collect();
    format!("<p class=\"also\">{}{why}</p>\n", sentence(view, verdict))
}

/// What a person should do.
fn what_to_do(view: &SummaryView) -> String {
    let Some(Advice { text, commands }) = advice(view.summary) else { return String::new() };
    let commands: String = commands.iter().map(|c| format!(" <code>{}</code>", esc(c))).collect();
    format!("<p class=\"advice\"><b>What you should do.</b> {}{commands}</p>\n", name(&text))
}

/// Says the verdict in a sentence that claims no more than the data do.
fn sentence(view: &SummaryView, v: &Verdict) -> String {
    let strategy = name(view.label(&v.strategy));
    let baseline = name(view.label(&v.baseline));
    let what = match v.metric {
        Metric::WorstClass => view.words("the worst class"),
        Metric::AverageAccuracy => "average accuracy".to_owned(),
        Metric::Gap => view.words("the gap between classes"),
        Metric::Std => view.words("the spread between classes"),
    };
    let place = format!("at density {}", numbers::digits(v.density, places(v.density)));
    let seeds = v.differences.len();
    let Some(interval) = v.interval else {
        return format!(
            "With one seed nothing is decided: {what} changed by <b class=\"n\">{}</b> with \
             {strategy} against {baseline} {place}.",
            minus(&numbers::signed(v.mean, 2))
        );
    };
    let text = minus(&numbers::difference(v.mean, Some(interval)));
    let (mean, range) = text.split_once(' ').unwrap_or((&text, ""));
    let mean = format!("<b class=\"n\">{mean}</b>");
    let level = numbers::percent(v.confidence);
    let range = format!("{level} interval <span class=\"n\">{range}</span>");
    let verb = match (v.outcome, v.metric.higher_is_better()) {
        (Outcome::Undertrained, _) => {
            return format!(
                "Networks of {strategy} and {baseline} {place} are near chance, or never recognise \
                 a class: no verdict. Try <code>--epochs {}</code>.",
                view.summary.settings.epochs_to_try()
            );
        }
        (Outcome::NotDecided, _) if seeds < DECIDING_SEEDS => {
            return format!(
                "With {seeds} seeds nothing is decided: {what} changed by {mean} with {strategy} \
                 against {baseline} {place}, {range}."
            );
        }
        (Outcome::NotDecided, _) => {
            return format!(
                "These {seeds} paired seeds do not decide whether {strategy} changes {what} \
                 {place}: {mean} against {baseline}, {range}."
            );
        }
        (Outcome::Improved, true) => "raised",
        (Outcome::Worsened, true) => "lowered",
        (Outcome::Improved, false) => "narrowed",
        (Outcome::Worsened, false) => "widened",
    };
    format!(
        "{strategy} {verb} {what} {place}: {mean} against {baseline}, {range} over {seeds} paired \
         seeds."
    )
}

/// Returns the number of digits that a density needs, at least two where it is not a tenth.
pub(in crate::report) fn places(density: f64) -> usize {
    (1..4)
        .find(|&p| (density * 10f64.powi(p) - (density * 10f64.powi(p)).round()).abs() < 1e-6)
        .unwrap_or(4) as usize
}

/// Shows what was run, in a few figures.
fn facts(view: &SummaryView) -> String {
    let s = &view.summary.settings;
    let mut facts: Vec<(&str, String)> = Vec::new();
    let [h, w, _] = s.data.image;
    facts.push((
        "Data",
        format!(
            "{}, {} {}, {h}×{w}; {} for training, {} reported on",
            name(&s.data.name),
            view.summary.classes.len(),
            match &s.groups {
                Some(attribute) => format!("groups (class × {})", esc(attribute)),
                None => "classes".to_owned(),
            },
            numbers::count(s.data.train as u64),
            numbers::count(s.data.test as u64)
        ),
    ));
    let width = s.width.map_or(String::new(), |w| format!(", width {w}"));
    facts.push((
        "Network",
        format!("{}{width}, {} parameters", esc(&s.arch), numbers::count(s.parameters)),
    ));
    let densities = &s.densities;
    let kept = match densities[..] {
        [d] => format!("{}: {}", numbers::digits(d, places(d)), numbers::density(d)),
        _ => {
            densities.iter().map(|&d| numbers::digits(d, places(d))).collect::<Vec<_>>().join(", ")
        }
    };
    facts.push((if densities.len() == 1 { "Density" } else { "Densities" }, kept));
    let seeds = s.seeds.len();
    facts.push((
        "Runs",
        format!(
            "{seeds} seed{}{}, budget {}, split {}",
            if seeds == 1 { "" } else { "s" },
            if seeds == 1 { "" } else { ", paired" },
            esc(&s.budget),
            esc(&s.split)
        ),
    ));
    let time: f64 = view.summary.phases.iter().map(|p| p.seconds).filter(|s| s.is_finite()).sum();
    if !view.summary.phases.is_empty() {
        let threads = s.threads;
        facts.push((
            "Time",
            format!(
                "{} on {}, {threads} thread{}",
                numbers::seconds(time),
                esc(&s.device),
                if threads == 1 { "" } else { "s" }
            ),
        ));
    }
    let mut out = String::from("<dl class=\"facts\">");
    for (term, text) in facts {
        push!(out, "<div><dt>{term}</dt><dd>{text}</dd></div>");
    }
    out + "</dl>\n"
}
