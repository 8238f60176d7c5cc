//! The files and the report of a pruned data set.

use anyhow::Result;
use fairprune::artefact::tables::{self, ClassRow, KeptRow, PickRow};
use fairprune::artefact::{OutputDir, npy};
use fairprune::experiment::{provenance, weights};
use fairprune::prune::Population;
use serde_json::{Value, json};

use super::{Plan, PruneArgs, Pruned, page};
use crate::cli::commands::quota::{class_table, percentages};
use crate::cli::output;

/// One number a line of kept.npy.
const WEIGHTS: &str = "weights.npy";

/// The files, in the order in which they are written.
const FILES: [(&str, &str); 6] = [
    ("provenance", "kept.json"),
    ("mask", "mask.npy"),
    ("samples", "kept.csv"),
    ("classes", "classes.csv"),
    ("report", "report.html"),
    ("kept", "kept.npy"),
];

/// Writes all files; `kept.npy` comes last, so that it never lies there without its provenance.
pub fn files(args: &PruneArgs, plan: &Plan, pruned: &Pruned, dir: &OutputDir) -> Result<()> {
    let (source, subset) = (&pruned.source, &pruned.subset);
    let weights = weights_of(plan, pruned)?;
    let stated = provenance_of(plan, pruned, weights.as_deref(), args.common.seed)?;
    dir.write_json("kept.json", &stated)?;
    let mask = subset.mask(source.ids.len())?;
    npy::write(&dir.file("mask.npy")?, &[mask.len()], &mask)?;
    let scores = pruned.scores(plan);
    let rows: Vec<KeptRow> = (0..mask.len())
        .map(|i| KeptRow {
            index: i as u64,
            id: source.ids[i].clone(),
            label: source.labels[i],
            // Exactly what scores.csv holds, which is f32. Held-out samples may have none.
            score: scores.map(|s| s[i] as f32).filter(|s| !s.is_nan()),
            kept: mask[i],
        })
        .collect();
    tables::write(&dir.file("kept.csv")?, &rows)?;
    tables::write(&dir.file("classes.csv")?, &class_rows(pruned))?;
    if let Some(picks) = &subset.picks {
        let row = |(i, &position): (usize, &usize)| PickRow {
            pick: i as u64,
            index: position as u64,
            id: source.ids[position].clone(),
            label: source.labels[position],
            weight: picks.weights.as_ref().map(|w| w[i]),
        };
        let rows: Vec<PickRow> = picks.order.iter().enumerate().map(row).collect();
        tables::write(&dir.file("picks.csv")?, &rows)?;
    }
    if let Some(weights) = &weights {
        npy::write(&dir.file(WEIGHTS)?, &[weights.len()], weights)?;
    }
    let page = page::render(args, plan, pruned, &stated, dir);
    dir.write("report.html", |out| std::io::Write::write_all(out, page.as_bytes()))?;
    let kept: Vec<i64> = subset.kept.iter().map(|&i| i as i64).collect();
    npy::write(&dir.file("kept.npy")?, &[kept.len()], &kept)?;
    Ok(())
}

/// The picks' weights as training takes them.
fn weights_of(plan: &Plan, pruned: &Pruned) -> Result<Option<Vec<f32>>> {
    let source = &pruned.source;
    let population = Population {
        labels: &source.groups,
        eligible: &source.eligible,
        classes: source.partition.len(),
    };
    Ok(plan.strategy.weights_of(&pruned.subset, population, &plan.choice)?)
}

fn provenance_of(
    plan: &Plan,
    pruned: &Pruned,
    weights: Option<&[f32]>,
    seed: u64,
) -> Result<Value> {
    let (source, subset) = (&pruned.source, &pruned.subset);
    let stated = provenance::of_subset(
        source.identity.clone(),
        plan.strategy,
        plan.density,
        &plan.choice,
        &[seed],
    );
    let stated = provenance::over(&source.partition, stated);
    let stated = provenance::with_positions(stated, &subset.kept);
    let mut stated = weights::stated(stated, weights);
    if let Some(method) = stated.methods.first_mut() {
        let more = [
            ("kept", json!(subset.total())),
            ("of", json!(source.eligible.len())),
            ("held_out", json!(source.ids.len() - source.eligible.len())),
            ("split", json!(source.split)),
            ("recalls", json!(pruned.recalls.as_ref().map(|r| &r.values))),
        ];
        method.hyper_parameters.extend(more.map(|(key, value)| (key.to_owned(), value)));
    }
    stated.methods.extend(pruned.records.iter().cloned());
    let mut document = serde_json::to_value(&stated)?;
    document["class_names"] = json!(pruned.names);
    document["warnings"] = json!(pruned.warnings);
    Ok(document)
}

fn class_rows(pruned: &Pruned) -> Vec<ClassRow> {
    let subset = &pruned.subset;
    (0..pruned.names.len())
        .map(|k| ClassRow {
            class: k as u32,
            name: pruned.names[k].clone(),
            size: subset.sizes[k] as u64,
            recall: pruned.recalls.as_ref().and_then(|r| r.values[k]),
            density: subset.densities[k],
            kept: subset.counts[k] as u64,
        })
        .collect()
}

/// Prints the outcome: one JSON document, or a table of the classes.
pub fn report(args: &PruneArgs, plan: &Plan, pruned: &Pruned, dir: &OutputDir) -> Result<u8> {
    let (kept, total) = (pruned.subset.total(), pruned.source.eligible.len());
    let rows = class_rows(pruned);
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
            "density": plan.density,
            "strategy": plan.strategy.to_string(),
            "classes": rows,
            "groups": pruned.source.partition.attribute,
            "warnings": pruned.warnings,
            "files": files,
        }))?;
        return Ok(0);
    }
    output::print(format!(
        "{}: {} ({kept} of {total} training images)\n\n{}\n",
        plan.strategy.label(),
        percentages(plan.density),
        class_table(&rows, pruned.source.partition.unit())
    ))?;
    let mut names: Vec<&str> = FILES.iter().rev().map(|f| f.1).collect();
    names.extend(pruned.subset.picks.is_some().then_some("picks.csv"));
    names.extend(weighted.then_some(WEIGHTS));
    output::print(format!("written: {} in {}", names.join(", "), dir.root().display()))?;
    output::print(format!("page:    {}", path("report.html")))?;
    output::hint(&args.common, format!("next:    {}", page::next(args, pruned, dir)))?;
    Ok(0)
}
