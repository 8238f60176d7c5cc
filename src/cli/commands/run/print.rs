//! What a run says: its settings before, its results after.

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::exec::PlannedMemory;
use fairprune::experiment::Prepared;
use fairprune::experiment::baseline::Presentations;
use fairprune::experiment::queries::QueryRun;
use fairprune::experiment::run_plan::RunPlan;
use fairprune::experiment::strategy::Strategy;
use fairprune::experiment::summary::{Metric, RunSummary};
use fairprune::ops::Operators;
use fairprune::report;
use fairprune::score::Source;

use super::RunArgs;
use crate::cli::args::Common;
use crate::cli::commands::quota::percentages;
use crate::cli::device::describe;
use crate::cli::{context, output};

/// What will be done, before it is.
pub(super) fn print_settings<B: Operators>(
    args: &RunArgs,
    prepared: &Prepared<B>,
    plan: &RunPlan,
    memory: PlannedMemory,
    dir: &OutputDir,
) -> Result<()> {
    let (data, split, spec) = (&prepared.data, &prepared.split, &prepared.spec);
    let names: Vec<String> = plan.strategies().iter().map(|s| s.label()).collect();
    let densities: Vec<String> = plan.densities().iter().map(|&d| percentages(d)).collect();
    let lines = [
        format!(
            "data        {}: {} training, {} validation ({}), {} test images, {} classes, {}x{}",
            args.data.data,
            split.train.len(),
            split.val.len(),
            split.kind,
            split.test.len(),
            data.classes.len(),
            data.height,
            data.width
        ),
        format!(
            "network     {}, width {}, {} parameters, on {}",
            spec.arch,
            spec.width,
            prepared.network.parameter_count(),
            describe(&*prepared.backend)
        ),
        format!(
            "training    {} epochs, batch {}, lr {} ({}), {} budget",
            plan.recipe.epochs,
            plan.recipe.batch,
            plan.recipe.lr,
            plan.recipe.schedule,
            plan.budget
        ),
        format!("strategies  {}; {}", names.join(", "), densities.join("; ")),
        format!("seeds       {} paired, from seed {}", plan.seeds(), plan.seed),
    ];
    let mut lines = lines.to_vec();
    if let Some(attribute) = &prepared.partition.attribute {
        let groups = prepared.partition.names.join(", ");
        lines.insert(1, format!("groups      class x {attribute}: {groups}"));
    }
    lines.extend(query_lines(plan, prepared));
    let costs = plan.costs(prepared);
    let needs = context::needs(&args.common, prepared, &plan.recipe, &costs, memory, dir)?;
    lines.extend(needs.iter().map(|line| line.replacen("    ", "      ", 1)));
    output::note(&args.common, lines.join("\n"));
    Ok(())
}

/// The runs that only serve to choose samples.
fn query_lines<B: Operators>(plan: &RunPlan, prepared: &Prepared<B>) -> Vec<String> {
    let runs = plan.query_runs(&prepared.split);
    let line = |source: Source, what: &str| {
        let of: Vec<&QueryRun> = runs.iter().filter(|r| r.source == source).collect();
        let first = of.first()?;
        let epochs = if first.epochs() > 0 {
            format!(", {} epochs each", first.epochs())
        } else {
            String::new()
        };
        Some(format!("query       {} {what}{epochs}", of.len()))
    };
    [
        line(Source::Query, "short runs without augmentation"),
        line(Source::Initial, "fresh networks"),
        line(Source::Dynamics, "run of full length without augmentation, recorded"),
        line(Source::Augmented, "augmented run, recorded"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the metrics are over: `class` or `group`.
fn unit(summary: &RunSummary) -> &'static str {
    if summary.settings.groups.is_some() { "group" } else { "class" }
}

/// The results at one density, full data first.
fn result_table(summary: &RunSummary, density: f64) -> String {
    let spread = report::numbers::spread;
    let mut rows = Vec::new();
    for strategy in &summary.strategies {
        let wanted =
            strategy.points.iter().filter(|p| strategy.every_density || p.density == density);
        for h in wanted.filter_map(|p| p.headline.as_ref()) {
            let worst = h.worst_of_means.as_ref().map(|w| summary.classes[w.class].name.clone());
            let weighted = h.weighted_accuracy.as_ref().map(spread);
            rows.push(vec![
                strategy.label.clone(),
                spread(&h.average_accuracy),
                weighted.unwrap_or_default(),
                spread(&h.worst_recall),
                worst.unwrap_or_default(),
                spread(&h.gap),
                spread(&h.std),
                h.least_kept.as_ref().map_or(String::new(), |l| l.kept.to_string()),
            ]);
        }
    }
    let worst = format!("worst {}", unit(summary));
    let mut headers =
        vec!["strategy", "average", "weighted", &worst, "which", "gap", "std", "least\nkept"];
    if summary.settings.groups.is_none() {
        headers.remove(2);
        rows.iter_mut().for_each(|row| {
            row.remove(2);
        });
    }
    output::table(&headers, rows, headers.len() - 1)
}

/// What a baseline's runs presented, where that is not what as many plain epochs do.
pub(crate) fn presentations(runs: &[Presentations]) -> Option<String> {
    let sum = |of: fn(&Presentations) -> u64| runs.iter().map(of).sum::<u64>();
    let (trained, plain) = (sum(|p| p.trained), sum(|p| p.plain));
    let (selection, before) = (sum(|p| p.selection), sum(|p| p.before));
    if plain == 0 || (trained == plain && selection == 0 && before == 0) {
        return None;
    }
    let share = |n: u64| format!("{:.0} %", 100.0 * n as f64 / plain as f64);
    let mut text = format!("trained with {} of the presentations of plain epochs", share(trained));
    if before > 0 {
        text += &format!(", and with {} before", share(before));
    }
    if selection > 0 {
        text += &format!(", and looked at {} to choose them", share(selection));
    }
    Some(text)
}

/// Tables, warnings and the verdict.
pub(super) fn print_summary(common: &Common, summary: &RunSummary) -> Result<()> {
    let several = summary.settings.densities.len() > 1;
    for &density in &summary.settings.densities {
        output::print(format!("\n{}\n", percentages(density)))?;
        output::print(result_table(summary, density))?;
    }
    let seeds = summary.settings.seeds.len();
    let unit = unit(summary);
    output::print(format!(
        "\nmean [min, max] over {seeds} seeds, test images; worst {unit}: mean of each seed's lowest recall"
    ))?;
    for strategy in &summary.strategies {
        let runs = || strategy.points.iter().flat_map(|p| &p.runs);
        let all: Vec<_> = runs().filter_map(|r| r.presentations).collect();
        if let Some(text) = presentations(&all) {
            output::print(format!("{}: {text}", strategy.label))?;
        }
    }
    if summary.settings.groups.is_some() {
        output::print("weighted: mean recall of the groups, weighted by their training samples")?;
    }
    for warning in &summary.warnings {
        output::note(common, format!("warning: {warning}"));
    }
    output::print("")?;
    for verdict in &summary.verdicts {
        let at = if several { format!("density {}: ", verdict.density) } else { String::new() };
        let wanted = verdict.metric == Metric::WorstClass;
        if wanted && verdict.strategy == Strategy::METRIQ.to_string() {
            output::print(format!("{at}{}", verdict.text))?;
        }
    }
    Ok(())
}
