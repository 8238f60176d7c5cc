//! Claims that were written down before the runs, judged by the paired 95 % interval.

use super::claim::{Claim, ClaimResult};
use super::panel::Panel;
use crate::error::Result;
use crate::experiment::comparison::summary::{Metric, Point, SeedRun, StrategySummary};
use crate::metrics::{ClaimVerdict, PairedDifference, undertrained};

fn value(run: &SeedRun, metric: Metric) -> f64 {
    match metric {
        Metric::WorstClass => run.last.worst_recall,
        Metric::AverageAccuracy => run.last.average_accuracy,
        Metric::Gap => run.last.gap,
        Metric::Std => run.last.std,
    }
}

/// How well trained each run is: its balanced accuracy and its lowest recall.
fn trained(point: &Point) -> Vec<[f64; 2]> {
    point.runs.iter().map(|run| [run.last.balanced_accuracy, run.last.worst_recall]).collect()
}

/// Judges a claim wherever both strategies were run with the same seeds. What does not prune, such as
/// full data, stands beside every density of the other.
pub fn judge(claim: &Claim, panels: &[Panel]) -> Result<Vec<ClaimResult>> {
    let mut results = Vec::new();
    let wanted = |p: &&Panel| claim.panels.is_empty() || claim.panels.contains(&p.name);
    for panel in panels.iter().filter(wanted) {
        let of = |name: &str| panel.summary.strategies.iter().find(|s| s.name == name);
        let (Some(method), Some(baseline)) = (of(&claim.method), of(&claim.baseline)) else {
            continue;
        };
        let axis = if method.every_density { baseline } else { method };
        for density in axis.points.iter().map(|p| p.density) {
            if !claim.density.is_empty() && !claim.density.contains(&density) {
                continue;
            }
            let at = |s: &'_ StrategySummary| {
                let beside = |p: &Point| p.density == density || s.every_density;
                s.points.iter().position(beside)
            };
            let (Some(point), Some(other)) = (at(method), at(baseline)) else { continue };
            let (point, other) = (&method.points[point], &baseline.points[other]);
            let pairs: Vec<[f64; 2]> = point
                .runs
                .iter()
                .filter_map(|run| {
                    let same = other.runs.iter().find(|o| o.seed == run.seed)?;
                    Some([value(run, claim.metric), value(same, claim.metric)])
                })
                .collect();
            if pairs.is_empty() {
                continue;
            }
            let [a, b] = [0, 1].map(|i| pairs.iter().map(|p| p[i]).collect::<Vec<f64>>());
            let paired = PairedDifference::new(&a, &b)?;
            results.push(ClaimResult {
                claim: claim.clone(),
                panel: panel.name.clone(),
                density,
                seeds: paired.n,
                mean: paired.mean,
                interval: paired.interval.map(|(low, high)| [low, high]),
                outcome: match paired.claim(claim.direction) {
                    _ if undertrained(
                        panel.summary.classes.len(),
                        [&trained(point), &trained(other)],
                    ) =>
                    {
                        "undecided"
                    }
                    ClaimVerdict::Seen => "seen",
                    ClaimVerdict::Reversed => "reversed",
                    ClaimVerdict::Undecided => "undecided",
                }
                .to_owned(),
            });
        }
    }
    Ok(results)
}
