//! What a run says: its settings before, its results after.

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::exec::PlannedMemory;
use fairprune::experiment::comparison::Comparison;
use fairprune::experiment::comparison::summary::{Metric, RunSummary};
use fairprune::experiment::query::QueryRun;
use fairprune::experiment::strategy::Strategy;
use fairprune::report::{self, Advice};
use fairprune::score::ScoreSource;

use super::args::RunArgs;
use crate::cli::args::Common;
use crate::cli::commands::presentations::presentations;
use crate::cli::commands::quota::percentages;
use crate::cli::{context, output};

/// What will be done, before it is.
pub(super) fn print_settings(
    args: &RunArgs,
    comparison: &Comparison,
    memory: PlannedMemory,
    dir: &OutputDir,
) -> Result<()> {
    let Comparison { session, plan } = comparison;
    let (data, split, spec) = (&session.data, &session.split, &session.spec);
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
            session.network.parameter_count(),
            session.device
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
    if let Some(attribute) = &session.partition.attribute {
        let groups = session.partition.names.join(", ");
        lines.insert(1, format!("groups      class x {attribute}: {groups}"));
    }
    lines.extend(query_lines(comparison));
    // Before the batches that the estimate of the time is made from.
    output::note(&args.common, lines.join("\n"));
    let costs = plan.costs(session);
    let needs = context::needs(&args.common, session, &plan.recipe, &costs, memory, dir)?;
    let needs: Vec<String> = needs.iter().map(|line| line.replacen("    ", "      ", 1)).collect();
    output::note(&args.common, needs.join("\n"));
    Ok(())
}

/// The runs that only serve to choose samples.
fn query_lines(Comparison { session, plan }: &Comparison) -> Vec<String> {
    let runs = plan.query_runs(&session.split);
    let line = |source: ScoreSource, what: &str| {
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
        line(ScoreSource::Query, "short runs without augmentation"),
        line(ScoreSource::Initial, "fresh networks"),
        line(ScoreSource::Dynamics, "run of full length without augmentation, recorded"),
        line(ScoreSource::Augmented, "augmented run, recorded"),
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

/// What quotas were predicted to do beside what was measured, a line a strategy and density.
fn print_forecasts(summary: &RunSummary) -> Result<()> {
    let lowest = |recalls: &[Option<f64>]| recalls.iter().copied().flatten().reduce(f64::min);
    let two = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.2}"));
    let mut rows = Vec::new();
    for strategy in &summary.strategies {
        for point in &strategy.points {
            let runs = &point.runs;
            let Some(first) = runs.first().and_then(|r| r.forecast.as_ref()) else { continue };
            let measured = point.headline.as_ref().map(|h| h.worst_recall.mean);
            let fit = point.forecast_fit.as_ref();
            rows.push(vec![
                strategy.label.clone(),
                point.density.to_string(),
                format!("{:.2}", first.gain),
                two(lowest(&first.equal)),
                two(lowest(&first.quotas)),
                two(measured),
                two(fit.and_then(|f| f.recalls.correlation)),
                fit.map_or("-".to_owned(), |f| format!("{:.3}", f.recalls.rmse)),
            ]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let unit = unit(summary);
    let headers = [
        "quotas",
        "density",
        "gain",
        &format!("worst {unit},\nno quotas,\npredicted"),
        "with them,\npredicted",
        "measured\n(test)",
        "corre-\nlation",
        "rmse",
    ];
    output::print(format!(
        "\npredicted and measured recalls\n\n{}",
        output::table(&headers, rows, 7)
    ))
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
    for warning in report::merged_warnings(&summary.warnings) {
        output::note(common, format!("warning: {warning}"));
    }
    if common.verbose > 0 {
        print_forecasts(summary)?;
    }
    output::print("")?;
    for verdict in &summary.verdicts {
        let at = if several { format!("density {}: ", verdict.density) } else { String::new() };
        let wanted = verdict.metric == Metric::WorstClass;
        let strategy = verdict.strategy.parse::<Strategy>();
        if wanted && strategy.is_ok_and(|s| s == Strategy::METRIQ || s.predicted().is_some()) {
            output::print(format!("{at}{}", verdict.text))?;
        }
    }
    if let Some(Advice { text, commands }) = report::advice(summary) {
        output::print(format!("\n{}", output::wrap(&text, 0)))?;
        for command in commands {
            output::print(format!("    {command}"))?;
        }
    }
    Ok(())
}
