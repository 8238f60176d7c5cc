//! What a person should do, from the verdicts of a comparison: sentences that claim no more than these.

use crate::experiment::comparison::summary::{Metric, Outcome, RunSummary, Verdict};
use crate::experiment::strategy::{Ranking, Strategy};

/// One piece of advice in plain text, and the command that follows it, if one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub text: String,
    pub command: Option<String>,
}

/// Advice at the lowest density that was compared with random subsets; None where nothing was.
pub fn advice(summary: &RunSummary) -> Option<Advice> {
    let of = |metric: Metric| summary.verdicts.iter().filter(move |v| v.metric == metric);
    let density = of(Metric::WorstClass).map(|v| v.density).reduce(f64::min)?;
    let at: Vec<&Verdict> = of(Metric::WorstClass).filter(|v| v.density == density).collect();
    let seeds = at.iter().map(|v| v.differences.len()).max().unwrap_or(0);
    let groups = summary.settings.groups.is_some();
    let worst = if groups { "worst group" } else { "worst class" };
    let prunes = |v: &&&Verdict| {
        v.strategy.parse().is_ok_and(|s: Strategy| matches!(s, Strategy::Pruned { .. }))
    };
    let better: Vec<&&Verdict> =
        at.iter().filter(|v| v.outcome == Outcome::Improved).filter(prunes).collect();
    let worse: Vec<&&Verdict> =
        at.iter().filter(|v| v.outcome == Outcome::Worsened).filter(prunes).collect();
    let label = |v: &Verdict| {
        let known = summary.strategies.iter().find(|s| s.name == v.strategy);
        known.map_or(v.strategy.clone(), |s| s.label.clone())
    };
    let average = |strategy: &str| {
        of(Metric::AverageAccuracy).find(|v| v.density == density && v.strategy == strategy)
    };
    let best = better.iter().max_by(|a, b| a.mean.total_cmp(&b.mean));
    let mut text = match best {
        Some(v) => {
            let mut text = format!(
                "At density {density}, prune with {}: it raised the {worst} by {} against random subsets \
                 of the same size",
                label(v),
                signed(v.mean)
            );
            text.push_str(&match average(&v.strategy) {
                Some(a) if a.outcome == Outcome::Worsened => {
                    format!(", and cost {} of average accuracy.", small(-a.mean))
                }
                Some(a) if a.outcome == Outcome::Improved => {
                    format!(", and the average by {}.", small(a.mean))
                }
                Some(_) => "; whether it costs average accuracy is not decided.".to_owned(),
                None => ".".to_owned(),
            });
            text
        }
        None if seeds < 2 => {
            return Some(Advice {
                text: "One seed decides nothing: compare with several (--seeds 4).".to_owned(),
                command: None,
            });
        }
        None => format!(
            "At density {density}, nothing that was compared is known to raise the {worst} above random \
             subsets over these {seeds} seeds: prune at random, or compare with more seeds."
        ),
    };
    if !worse.is_empty() {
        let names: Vec<String> =
            worse.iter().map(|v| format!("{} ({})", label(v), signed(v.mean))).collect();
        text.push_str(&format!(" Do not use {} here: the {worst} fell.", list(&names)));
    }
    let chosen = best.map_or(Strategy::RANDOM, |v| v.strategy.parse().unwrap_or(Strategy::RANDOM));
    Some(Advice { text, command: command(summary, chosen, density) })
}

/// The command that prunes the data by `strategy`; None for what it does not do in one line.
fn command(summary: &RunSummary, strategy: Strategy, density: f64) -> Option<String> {
    let Strategy::Pruned { ranking, quota } = strategy else { return None };
    let data = &summary.settings.data.name;
    let plain = matches!(ranking, Ranking::Random | Ranking::Score(_));
    let quoted = data.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"');
    (plain && !quoted)
        .then(|| {
            format!(
                "fairprune prune --data {data} --strategy {ranking} --quota {quota} --density {density} \
                 --out kept"
            )
        })
}

/// A size with three places, since averages move little.
fn small(value: f64) -> String {
    format!("{value:.3}").replacen("0.", ".", 1)
}

fn signed(value: f64) -> String {
    let text = format!("{value:+.2}");
    text.replacen("0.", ".", 1)
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
