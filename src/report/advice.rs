//! What a person should do, from the verdicts of a comparison: sentences that claim no more than these.

use crate::experiment::comparison::summary::{Metric, Outcome, RunSummary, Verdict};
use crate::experiment::folder::subset::SubsetNames;
use crate::experiment::strategy::{Ranking, Strategy};
use crate::metrics::DECIDING_SEEDS;

/// One piece of advice in plain text, and the commands that follow it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub text: String,
    pub commands: Vec<String>,
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
        None if at.iter().all(|v| v.outcome == Outcome::Undertrained) => {
            let epochs = summary.settings.epochs_to_try();
            let text = format!(
                "The networks are near chance, or never recognise a class: nothing can be said of \
                 subsets. Train longer (--epochs {epochs}) and compare again."
            );
            return Some(Advice { text, commands: Vec::new() });
        }
        None if seeds < DECIDING_SEEDS => {
            let few = if seeds == 1 { "One seed decides" } else { "Two seeds decide" };
            return Some(Advice {
                text: format!("{few} nothing: compare with several (--seeds 4)."),
                commands: Vec::new(),
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
    if chosen.predicted().is_some_and(|p| p.pilots > 0) {
        let several = of(Metric::WorstClass).any(|v| v.density != density);
        let kept = SubsetNames::of(chosen, several.then_some(density), 0).kept();
        text.push_str(&format!(" A comparison alone trains pilots: take {kept} from its folder."));
    }
    Some(Advice { text, commands: commands(&summary.settings.data.name, chosen, density) })
}

/// The commands that prune `data` by `strategy`, with scores of their own where quotas need what networks
/// say; none where no command does it.
fn commands(data: &str, strategy: Strategy, density: f64) -> Vec<String> {
    let Strategy::Pruned { ranking, quota } = strategy else { return Vec::new() };
    let plain = matches!(ranking, Ranking::Random | Ranking::Score(_));
    let quoted = data.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"');
    let pilots = strategy.predicted().is_some_and(|p| p.pilots > 0);
    if !plain || quoted || pilots {
        return Vec::new();
    }
    let by = format!("--strategy {ranking} --quota {quota} --density {density} --out kept");
    match ranking {
        // A score is computed by query runs, which tell recalls as well; random samples need no score.
        Ranking::Random if strategy.needs_recalls() => vec![
            format!("fairprune score --data {data} --out scores"),
            format!("fairprune prune --scores scores {by}"),
        ],
        _ => vec![format!("fairprune prune --data {data} {by}")],
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_that_prune_can_follow() {
        let of = |name: &str| commands("photos", name.parse().unwrap(), 0.3);
        assert_eq!(
            of("metriq"),
            [
                "fairprune score --data photos --out scores",
                "fairprune prune --scores scores --strategy random --quota metriq --density 0.3 --out kept",
            ]
        );
        assert_eq!(of("predicted:gain=1.2")[1].matches("--quota predicted:gain=1.2 ").count(), 1);
        assert_eq!(
            of("el2n+metriq"),
            [
                "fairprune prune --data photos --strategy el2n --quota metriq --density 0.3 --out kept"
            ]
        );
        assert_eq!(
            of("random"),
            [
                "fairprune prune --data photos --strategy random --quota none --density 0.3 --out kept"
            ]
        );
        for none in ["full", "predicted:pilots=1", "infobatch"] {
            assert!(of(none).is_empty(), "{none}");
        }
        assert!(commands("my photos", Strategy::RANDOM, 0.3).is_empty());
    }
}
