//! A pruned data set that is written, for people.

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::artefact::tables::SamplePart;
use fairprune::experiment::pruning::{PrunePlan, Pruned};
use serde_json::{Value, json};

use super::args::PruneArgs;
use super::page;
use crate::cli::commands::forecast::forecast_lines;
use crate::cli::commands::quota::{class_table, percentages};
use crate::cli::output;

/// One number a line of kept.npy.
const WEIGHTS: &str = "weights.npy";

/// The files, in the order in which they are written.
const FILES: [(&str, &str); 8] = [
    ("provenance", "kept.json"),
    ("mask", "mask.npy"),
    ("eligible", "eligible.npy"),
    ("samples", "kept.csv"),
    ("dropped", "dropped.csv"),
    ("classes", "classes.csv"),
    ("report", "report.html"),
    ("kept", "kept.npy"),
];

/// Prints the outcome: one JSON document, or a table of the classes.
pub fn report(args: &PruneArgs, plan: &PrunePlan, pruned: &Pruned, dir: &OutputDir) -> Result<u8> {
    let (kept, total) = (pruned.subset.total(), pruned.source.eligible.len());
    let rows = pruned.record(plan).class_rows();
    let weighted = pruned.subset.picks.as_ref().is_some_and(|p| p.weights.is_some());
    let path = |name: &str| dir.root().join(name).display().to_string();
    if args.common.json {
        let mut files: serde_json::Map<String, Value> =
            FILES.iter().map(|(key, name)| ((*key).to_owned(), json!(path(name)))).collect();
        if pruned.subset.picks.is_some() {
            files.insert("picks".to_owned(), json!(path("picks.csv")));
        }
        if weighted {
            files.insert("weights".to_owned(), json!(path(WEIGHTS)));
        }
        output::print_json(&json!({
            "kept": kept,
            "total": total,
            "samples": pruned.source.ids.len(),
            "held_out": pruned.source.count(SamplePart::Val),
            "left_out": pruned.source.count(SamplePart::Out),
            "split": pruned.source.split,
            "density": plan.density,
            "strategy": plan.strategy().to_string(),
            "classes": rows,
            "groups": pruned.source.partition.attribute,
            "warnings": pruned.warnings,
            "files": files,
        }))?;
        return Ok(0);
    }
    output::print(format!(
        "{}: {} ({})\n\n{}\n",
        plan.strategy().label(),
        percentages(plan.density),
        pruned.source.counts(kept),
        class_table(&rows, pruned.source.partition.unit())
    ))?;
    if let Some(forecast) = pruned.subset.forecast.as_ref().filter(|_| args.common.verbose > 0) {
        let unit = pruned.source.partition.unit();
        output::print(format!("{}\n", forecast_lines(forecast, unit, &pruned.names)))?;
    }
    let mut names: Vec<&str> = FILES.iter().rev().map(|f| f.1).collect();
    names.extend(pruned.subset.picks.is_some().then_some("picks.csv"));
    names.extend(weighted.then_some(WEIGHTS));
    output::print(format!("written: {} in {}", names.join(", "), dir.root().display()))?;
    output::print(format!("page:    {}", path("report.html")))?;
    output::hint(&args.common, format!("next:    {}", page::next(args, dir)))?;
    Ok(0)
}
