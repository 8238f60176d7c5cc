//! What paired differences between strategies say, metric by metric.

use super::outcome::{ComparisonOutcome, StrategyRun};
use super::plan::ComparisonPlan;
use super::summary::{Difference, Metric, Outcome, Verdict};
use crate::data::Partition;
use crate::error::Result;
use crate::experiment::evaluation::evaluation;
use crate::experiment::strategy::{Quota, Ranking, Strategy};
use crate::metrics::{PairedDifference, undertrained, verdict_line};

/// Each strategy against Random: predicted quotas, which the program recommends, first, then MetriQ.
pub(super) fn verdicts(
    outcome: &ComparisonOutcome,
    plan: &ComparisonPlan,
    partition: &Partition,
) -> Result<Vec<Verdict>> {
    let mut compared = plan.strategies();
    if !compared.contains(&Strategy::RANDOM) {
        return Ok(Vec::new());
    }
    compared.retain(|s| *s != Strategy::Full && *s != Strategy::RANDOM);
    let place = |s: &Strategy| match s {
        Strategy::Pruned { ranking: Ranking::Random, quota: Quota::Predicted(_) } => 0,
        s if *s == Strategy::METRIQ => 1,
        _ => 2,
    };
    compared.sort_by_key(place);
    let mut list = Vec::new();
    for strategy in compared {
        let beside = if strategy.stands_beside_all() { Strategy::RANDOM } else { strategy };
        for (density, _) in plan.densities_of(beside) {
            for metric in [Metric::WorstClass, Metric::AverageAccuracy, Metric::Gap, Metric::Std] {
                list.extend(verdict(outcome, strategy, density, metric, partition)?);
            }
        }
    }
    Ok(list)
}

fn verdict(
    outcome: &ComparisonOutcome,
    strategy: Strategy,
    density: f64,
    metric: Metric,
    partition: &Partition,
) -> Result<Option<Verdict>> {
    let pairs = paired_values(outcome, [strategy, Strategy::RANDOM], density, metric)?;
    if pairs.is_empty() {
        return Ok(None);
    }
    let method: Vec<f64> = pairs.iter().map(|p| p.1[0]).collect();
    let baseline: Vec<f64> = pairs.iter().map(|p| p.1[1]).collect();
    let paired = PairedDifference::new(&method, &baseline)?;
    let all = |side: Strategy| runs_of(outcome, side, density);
    let little = [all(strategy)?, all(Strategy::RANDOM)?];
    let undertrained = undertrained(partition.len(), [&little[0], &little[1]]);
    let name = if strategy == Strategy::METRIQ { "MetriQ".to_owned() } else { strategy.label() };
    let label =
        if partition.attribute.is_some() { metric.label_of_groups() } else { metric.label() };
    let mut text = verdict_line(label, &name, "Random", &paired);
    let raised = paired.verdict();
    let outcome_word = match (raised, metric.higher_is_better()) {
        _ if undertrained => Outcome::Undertrained,
        (crate::metrics::PairedVerdict::NotDecided, _) => Outcome::NotDecided,
        (crate::metrics::PairedVerdict::Improved, true)
        | (crate::metrics::PairedVerdict::Worsened, false) => Outcome::Improved,
        _ => Outcome::Worsened,
    };
    if let Some((head, _)) = text.rsplit_once(": ") {
        text = format!("{head}: {}", outcome_word.label());
    }
    Ok(Some(Verdict {
        metric,
        density,
        strategy: strategy.to_string(),
        baseline: Strategy::RANDOM.to_string(),
        differences: pairs
            .iter()
            .map(|&(seed, [m, b])| Difference { seed: seed as u64, difference: m - b })
            .collect(),
        mean: paired.mean,
        interval: paired.interval.map(|(low, high)| [low, high]),
        confidence: 0.95,
        outcome: outcome_word,
        text,
    }))
}

/// Balanced accuracy and lowest recall of every run of a strategy.
fn runs_of(outcome: &ComparisonOutcome, strategy: Strategy, density: f64) -> Result<Vec<[f64; 2]>> {
    let at = |r: &&StrategyRun| {
        r.strategy == strategy && (strategy.stands_beside_all() || r.density == density)
    };
    let value = |r: &StrategyRun| -> Result<[f64; 2]> {
        let last = r.finished.result.last.as_ref().map(|l| l.counts()).unwrap_or_default();
        let e = evaluation(&last)?;
        Ok([e.balanced_accuracy, e.worst_recall])
    };
    outcome.runs.iter().filter(at).map(value).collect()
}

/// A metric of two strategies on the test images, for every seed that both have.
fn paired_values(
    outcome: &ComparisonOutcome,
    strategies: [Strategy; 2],
    density: f64,
    metric: Metric,
) -> Result<Vec<(usize, [f64; 2])>> {
    let run = |strategy: Strategy, seed| {
        let at = |r: &StrategyRun| strategy.stands_beside_all() || r.density == density;
        let wanted = |r: &&StrategyRun| r.strategy == strategy && at(r) && r.seed == seed;
        outcome.runs.iter().find(wanted)
    };
    let value = |r: &StrategyRun| -> Result<f64> {
        let last = r.finished.result.last.as_ref().map(|l| l.counts()).unwrap_or_default();
        let e = evaluation(&last)?;
        Ok(match metric {
            Metric::WorstClass => e.worst_recall,
            Metric::AverageAccuracy => e.average_accuracy,
            Metric::Gap => e.gap,
            Metric::Std => e.std,
        })
    };
    let seeds = outcome.runs.iter().map(|r| r.seed + 1).max().unwrap_or(0);
    let mut pairs = Vec::new();
    for seed in 0..seeds {
        if let [Some(a), Some(b)] = strategies.map(|s| run(s, seed)) {
            pairs.push((seed, [value(a)?, value(b)?]));
        }
    }
    Ok(pairs)
}
