//! What a study needs, and what it found.

use std::path::Path;

use anyhow::Result;
use fairprune::experiment::comparison::Comparison;
use fairprune::experiment::study::StudySummary;
use fairprune::experiment::training::Total;
use fairprune::experiment::training::cost::seconds;
use fairprune::metrics::signed;
use fairprune::report::numbers;
use serde::Serialize;

use crate::cli::args::Common;
use crate::cli::output;

/// What one panel takes.
#[derive(Serialize)]
pub struct Needs {
    panel: String,
    runs: usize,
    steps: u64,
    seconds: f64,
    memory_bytes: u64,
    disk_bytes: u64,
}

impl Needs {
    /// Plans the comparison of a panel, without running it.
    pub fn of(name: &str, Comparison { session, plan }: &Comparison) -> Result<Needs> {
        let costs = plan.costs(session);
        let (total, memory) = (Total::of(&costs), plan.planned_memory(session)?);
        Ok(Needs {
            panel: name.to_owned(),
            runs: total.runs,
            steps: total.steps,
            seconds: seconds(session, &plan.recipe, &costs)?,
            memory_bytes: memory.total() + memory.staging + total.host,
            disk_bytes: total.disk,
        })
    }
}

/// `--dry-run`.
pub fn needs(common: &Common, title: &str, list: &[Needs]) -> Result<()> {
    let seconds: f64 = list.iter().map(|n| n.seconds).sum();
    if common.json {
        let document = serde_json::json!({ "title": title, "panels": list, "seconds": seconds });
        return output::print_json(&document);
    }
    let rows = list
        .iter()
        .map(|n| {
            vec![
                n.panel.clone(),
                n.runs.to_string(),
                n.steps.to_string(),
                output::seconds(n.seconds),
                output::bytes(n.memory_bytes),
                output::bytes(n.disk_bytes),
            ]
        })
        .collect();
    output::print(format!("{title}\n"))?;
    output::print(output::table(&["panel", "runs", "steps", "about", "memory", "disk"], rows, 1))?;
    let runs: usize = list.iter().map(|n| n.runs).sum();
    output::print(format!("\n{runs} runs, about {} in all", output::seconds(seconds)))
}

/// Claims, then where everything is.
pub fn results(common: &Common, summary: &StudySummary, root: &Path) -> Result<()> {
    if !summary.claims.is_empty() {
        let rows = summary
            .claims
            .iter()
            .map(|c| {
                let interval = c.interval.map_or(String::new(), |[low, high]| {
                    format!(" [{}, {}]", signed(low), signed(high))
                });
                vec![
                    c.claim.text.clone(),
                    c.panel.clone(),
                    numbers::digits(c.density, 2),
                    format!("{}{interval}", signed(c.mean)),
                    c.seeds.to_string(),
                    c.outcome.clone(),
                ]
            })
            .collect();
        let headers = ["claim", "panel", "density", "difference", "seeds", ""];
        output::print(output::table(&headers, rows, headers.len()))?;
        output::print("")?;
    }
    let failed = summary.panels.iter().map(|p| p.failures.len()).sum::<usize>();
    let failed = failed + summary.unusable.len();
    let cells: usize = summary
        .panels
        .iter()
        .flat_map(|p| &p.summary.strategies)
        .flat_map(|s| &s.points)
        .map(|p| p.runs.len())
        .sum();
    let failures =
        if failed > 0 { format!(", {failed} failed (failures.csv)") } else { String::new() };
    output::print(format!("{cells} runs in {} panels{failures}", summary.panels.len()))?;
    output::print(format!("cells:  {}", root.join("cells.csv").display()))?;
    output::print(format!("report: {}", root.join("report.html").display()))?;
    if failed > 0 {
        output::note(common, "the runs that failed are tried again by the same command");
    }
    Ok(())
}
