//! Which classes are taken for which, on full data and on pruned sets.

use std::collections::BTreeMap;

use super::classes::by_density;
use crate::report::markup::{self, esc, minus, push, shorten};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::view::{Entry, SummaryView};

/// Up to this number of classes the whole matrix is shown.
const MOST_CLASSES: usize = 16;

/// Pairs of classes that are shown where pruning moved most.
const MOST_PAIRS: usize = 12;

/// Letters of a class name that head a column.
const LETTERS: usize = 10;

/// Answers of one strategy: part of the samples of a class that are answered as another.
type Shares = BTreeMap<(u32, u32), f64>;

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let full = view.full().map(|f| shares(&f)).filter(|s| !s.is_empty())?;
    let mut body = String::from(
        "<p class=\"lead\">Parts of the test images of a class (row) that are answered as another \
         (column), means over seeds.</p>\n",
    );
    if view.summary.classes.len() <= MOST_CLASSES {
        body.push_str(&matrix(view, &full));
    }
    body.push_str(&concentration(view, &full));
    body.push_str(&by_density(view, |density| moved(view, &full, &view.pruned_at(density))));
    Some(Section { id: "confusion", title: "What is taken for what", body })
}

/// Means over the runs that counted.
fn shares(entry: &Entry) -> Shares {
    let runs: Vec<&[[u32; 3]]> = entry.point.runs.iter().map(|r| r.confusion.as_slice()).collect();
    let counted: Vec<&[[u32; 3]]> = runs.into_iter().filter(|c| !c.is_empty()).collect();
    let mut shares = Shares::new();
    for run in &counted {
        let mut totals: BTreeMap<u32, u32> = BTreeMap::new();
        run.iter().for_each(|&[label, _, n]| *totals.entry(label).or_insert(0) += n);
        for &[label, answer, n] in run.iter() {
            let part = f64::from(n) / f64::from(totals[&label]) / counted.len() as f64;
            *shares.entry((label, answer)).or_insert(0.0) += part;
        }
    }
    shares
}

/// The matrix of full data; the darker a cell, the more of its row it holds.
fn matrix(view: &SummaryView, shares: &Shares) -> String {
    let classes = view.summary.classes.len() as u32;
    let short = |k: u32| esc(&shorten(&view.class_name(k as usize), LETTERS));
    let mut head = String::new();
    (0..classes).for_each(|k| push!(head, "<th scope=\"col\" class=\"n\">{}</th>", short(k)));
    let mut rows = String::new();
    for label in 0..classes {
        push!(rows, "<tr><th scope=\"row\">{}</th>", view.class_html(label as usize));
        for answer in 0..classes {
            let share = shares.get(&(label, answer)).copied().unwrap_or(0.0);
            let text = match share {
                s if s < 0.005 => "<span class=\"soft\">·</span>".to_owned(),
                s => numbers::share(s),
            };
            let text = if label == answer { format!("<b>{text}</b>") } else { text };
            // Right answers would outshine everything: their shade says nothing.
            let shade = if label == answer { 0.0 } else { (share * 2.0).min(0.6) };
            push!(rows, "<td class=\"n cell\" style=\"--s:{shade:.2}\">{text}</td>");
        }
        rows.push_str("</tr>");
    }
    let table = format!(
        "<table class=\"matrix\"><thead><tr><th scope=\"col\">Full data</th>{head}</tr></thead>\
         <tbody>{rows}</tbody></table>"
    );
    markup::scrolling("Confusion on full data", "", &table)
}

/// Says how much of a class's errors goes to one other class.
fn concentration(view: &SummaryView, shares: &Shares) -> String {
    let mut largest: Vec<(f64, u32, u32)> = Vec::new();
    for label in 0..view.summary.classes.len() as u32 {
        let wrong = shares.range((label, 0)..=(label, u32::MAX)).filter(|(k, _)| k.1 != label);
        let errors: f64 = wrong.clone().map(|(_, s)| s).sum();
        let top = wrong.max_by(|a, b| a.1.total_cmp(b.1));
        if let (Some((&(_, answer), share)), true) = (top, errors > 0.0) {
            largest.push((share / errors, label, answer));
        }
    }
    let Some(&(part, label, answer)) = largest.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return String::new();
    };
    let mean = largest.iter().map(|l| l.0).sum::<f64>() / largest.len() as f64;
    format!(
        "<p>On full data, <b class=\"n\">{:.0}&nbsp;%</b> of a class’s errors go to one other class in the \
         mean; most of all those of {}, of which <b class=\"n\">{:.0}&nbsp;%</b> are answers {}.</p>\n",
        100.0 * mean,
        view.class_html(label as usize),
        100.0 * part,
        view.class_html(answer as usize)
    )
}

/// The pairs of classes where pruning moved most.
fn moved(view: &SummaryView, full: &Shares, entries: &[Entry]) -> String {
    let all: Vec<(Entry, Shares)> = entries.iter().map(|&e| (e, shares(&e))).collect();
    let at = |shares: &Shares, pair: (u32, u32)| shares.get(&pair).copied().unwrap_or(0.0);
    let mut pairs: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for (_, shares) in &all {
        for &pair in shares.keys().chain(full.keys()).filter(|(label, answer)| label != answer) {
            let change = (at(shares, pair) - at(full, pair)).abs();
            let most = pairs.entry(pair).or_insert(0.0);
            *most = most.max(change);
        }
    }
    let mut pairs: Vec<((u32, u32), f64)> = pairs.into_iter().collect();
    pairs.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    pairs.truncate(MOST_PAIRS);
    if pairs.is_empty() {
        return String::new();
    }
    let mut head = String::from("<th scope=\"col\">Class</th><th scope=\"col\">taken for</th>");
    head.push_str("<th scope=\"col\" class=\"n\">Full data</th>");
    for (e, _) in &all {
        let label = markup::name(&e.strategy.label);
        push!(head, "<th scope=\"col\" class=\"n\">{}{label}</th>", e.mark.inline());
    }
    let mut rows = String::new();
    for (pair, _) in pairs {
        push!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td>",
            view.class_html(pair.0 as usize),
            view.class_html(pair.1 as usize),
            numbers::share(at(full, pair))
        );
        for (_, shares) in &all {
            let (now, change) = (at(shares, pair), at(shares, pair) - at(full, pair));
            push!(
                rows,
                "<td class=\"n\">{} <span class=\"range\">{}</span></td>",
                numbers::share(now),
                minus(&numbers::signed(change, 2))
            );
        }
        rows.push_str("</tr>");
    }
    let table = format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>");
    format!(
        "<h3>What moved</h3>\n<p class=\"lead\">Pairs whose confusion pruning changed most, with the change \
         against full data.</p>\n{}",
        markup::scrolling("Confusions that moved", "", &table)
    )
}
