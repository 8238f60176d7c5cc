//! `fairprune run`: the whole comparison, its table, report and verdict.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::OutputDir;
use fairprune::artefact::{npy, tables};
use fairprune::backend::{Backend, Cpu};
use fairprune::data::Format;
use fairprune::error::Error;
use fairprune::experiment::run::{QueryPlan, RunOutcome, RunPlan, RunProgress, run as run_plan};
use fairprune::experiment::strategy::{QuotaSettings, Strategy};
use fairprune::experiment::summarise::{Surroundings, summarise};
use fairprune::experiment::summary::RunSummary;
use fairprune::experiment::{Prepared, provenance};
use fairprune::nn::Arch;
use fairprune::report;
use serde_json::{Value, json};

use super::quota::percentages;
use crate::cli::args::{Common, DataArgs, NetworkArgs, OutArgs, RecipeArgs};
use crate::cli::progress::Bar;
use crate::cli::{context, interrupt, output};

/// Channels of the first stage on the built-in data, so that the comparison takes two minutes.
const SHAPES_WIDTH: usize = 8;

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// What to compare: full, random, el2n, grand, entropy, margin, loss, metriq, or
    /// STRATEGY+QUOTA such as el2n+metriq, random+el2nq, random+balanced
    #[arg(long, value_delimiter = ',', default_value = "full,random,el2n,metriq")]
    pub strategies: Vec<String>,
    /// Kept fraction of the training set; several for a curve
    #[arg(long, value_delimiter = ',', default_value = "0.5", value_name = "D,...")]
    pub density: Vec<f64>,
    /// Pruned fraction, instead of --density
    #[arg(long, value_delimiter = ',', value_name = "P,...", conflicts_with = "density")]
    pub prune_rate: Option<Vec<f64>>,
    /// Paired repetitions
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub seeds: usize,
    /// Length of pruned runs: matched ((0.5 + 0.5 d) of the full run's steps), fixed or steps
    #[arg(long, default_value = "matched", value_name = "NAME")]
    pub budget: String,
    /// Separate query runs, without augmentation [default: the full-data runs are the query]
    #[arg(long, value_name = "R")]
    pub query_runs: Option<usize>,
    /// Epochs of separate query runs [default: a tenth of --epochs, at least 10 if there are]
    #[arg(long, value_name = "E")]
    pub query_epochs: Option<usize>,
    /// Smooth recalls: laplace is (correct + 1) / (total + 2)
    #[arg(long, value_name = "NAME")]
    pub smooth: Option<String>,
    /// Every class keeps at least N samples
    #[arg(long, value_name = "N")]
    pub min_per_class: Option<usize>,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
}

/// Runs the comparison.
pub fn run(args: &RunArgs) -> Result<u8> {
    let common = &args.common;
    let backend = context::device(common)?;
    let data = context::load_data(common, &args.data, &backend)?;
    let split = context::split(common, &args.data, &data)?;
    let built_in = matches!(data.format, Format::Shapes | Format::ShapesExtreme);
    let default_width = (built_in && args.network.arch.is_none()).then_some(SHAPES_WIDTH);
    let spec = context::network(&args.network, &data, None, Arch::CifarResnet(8), default_width)?;
    let plan = plan(args, &data, &split)?;
    let prepared = context::prepare(backend, data, split, spec, &args.network, None)?;
    if prepared.split.test.is_empty() {
        let expected = "test images to report on: a test or val folder beside train";
        return Err(Error::invalid(&args.data.data, "no test part", expected).into());
    }
    let mut job = context::job_of(&prepared);
    job.extend(job_of(&plan));
    let dir = context::output_dir(&args.out, "run", job)?;
    print_settings(common, args, &prepared, &plan, &dir);
    let outcome = compute(common, &prepared, &plan, &dir)?;
    write_subsets(&prepared, &outcome, &plan, &dir)?;
    let summary = summarise(
        &prepared,
        &plan,
        &outcome,
        Surroundings {
            data_name: args.data.data.clone(),
            command: context::command_line(),
            device: prepared.backend.name(),
            threads: prepared.backend.workers(),
            warnings: Vec::new(),
        },
    )?;
    dir.write_json("summary.json", &summary)?;
    let pictures = thumbnails(&prepared);
    let page = report::render(&summary, Some(&pictures));
    let report = dir.write("report.html", |out| std::io::Write::write_all(out, page.as_bytes()))?;
    if common.json {
        output::print_json(&summary)?;
        return Ok(0);
    }
    print_summary(common, &summary)?;
    let spent: f64 = summary.phases.iter().map(|p| p.seconds).sum();
    let peak = summary.phases.iter().filter_map(|p| p.peak_bytes).max().unwrap_or(0);
    let cost =
        format!("{} of computing, {} planned memory", output::seconds(spent), output::bytes(peak));
    output::print(format!("report: {} ({cost})", report.display()))?;
    if built_in {
        let hint = "your own data: fairprune run --data FOLDER --image-size 32   (FOLDER/train/CLASS/*, FOLDER/test/CLASS/*)";
        output::print(hint)?;
    }
    Ok(0)
}

fn plan(
    args: &RunArgs,
    data: &fairprune::data::DataSet,
    split: &fairprune::data::Split,
) -> Result<RunPlan> {
    let strategies = args
        .strategies
        .iter()
        .map(|s| s.trim().parse())
        .collect::<Result<Vec<Strategy>, Error>>()?;
    if let Some(twice) = strategies.iter().enumerate().find(|(i, s)| strategies[..*i].contains(s)) {
        return Err(
            Error::invalid("--strategies", format!("{} twice", twice.1), "each once").into()
        );
    }
    let mut densities = match &args.prune_rate {
        Some(rates) => rates
            .iter()
            .map(|&r| fairprune::prune::density_of_prune_rate(r))
            .collect::<Result<Vec<f64>, Error>>()?,
        None => args.density.clone(),
    };
    densities.sort_by(f64::total_cmp);
    densities.dedup();
    for &d in &densities {
        if !(d > 0.0 && d <= 1.0) {
            return Err(Error::invalid("--density", d.to_string(), "above 0 and at most 1").into());
        }
    }
    if args.seeds == 0 {
        return Err(Error::invalid("--seeds", "0", "at least 1").into());
    }
    let side = data.height.min(data.width);
    let recipe = context::recipe(&args.recipe, split.train.len(), side, data.classes.len())?;
    let laplace = match args.smooth.as_deref() {
        None | Some("none") => false,
        Some("laplace") => true,
        Some(name) => return Err(Error::invalid("--smooth", name, "laplace or none").into()),
    };
    let crossfit = split.query_runs();
    let query = match (args.query_runs, crossfit) {
        (Some(0), _) => return Err(Error::invalid("--query-runs", "0", "at least 1").into()),
        (Some(r), Some(folds)) if r != folds => {
            let found = format!("{r} runs for {folds} folds");
            return Err(Error::invalid("--query-runs", found, "one run a fold").into());
        }
        (Some(runs), _) | (None, Some(runs)) => {
            let tenth = recipe.epochs.div_ceil(10).max(10).min(recipe.epochs);
            let epochs = args.query_epochs.unwrap_or(tenth);
            let recipe = fairprune::train::Recipe { epochs, ..recipe.without_augmentation() };
            recipe.check(data.classes.len())?;
            Some(QueryPlan { runs, recipe })
        }
        (None, None) => None,
    };
    if args.query_epochs.is_some() && query.is_none() {
        return Err(Error::invalid(
            "--query-epochs",
            "no separate query runs",
            "--query-runs R with it",
        )
        .into());
    }
    Ok(RunPlan {
        strategies,
        densities,
        seed: args.common.seed,
        seeds: args.seeds,
        recipe,
        budget: args.budget.parse()?,
        query,
        quotas: QuotaSettings { laplace, min_per_class: args.min_per_class },
        checkpoint_interval: Duration::from_secs(args.recipe.checkpoint_every),
    })
}

fn job_of(plan: &RunPlan) -> serde_json::Map<String, Value> {
    let names: Vec<String> = plan.strategies.iter().map(Strategy::to_string).collect();
    let query = plan.query.as_ref().map(|q| json!({ "runs": q.runs, "recipe": q.recipe }));
    let Value::Object(map) = json!({
        "strategies": names,
        "densities": plan.densities,
        "seed": plan.seed,
        "seeds": plan.seeds,
        "recipe": plan.recipe,
        "budget": plan.budget,
        "query": query,
        "smooth": plan.quotas.laplace,
        "min_per_class": plan.quotas.min_per_class,
    }) else {
        return serde_json::Map::new();
    };
    map
}

fn print_settings(
    common: &Common,
    args: &RunArgs,
    prepared: &Prepared<Cpu>,
    plan: &RunPlan,
    dir: &OutputDir,
) {
    let (data, split, spec) = (&prepared.data, &prepared.split, &prepared.spec);
    let names: Vec<String> = plan.strategies.iter().map(|s| s.label()).collect();
    let densities: Vec<String> = plan.densities.iter().map(|&d| percentages(d)).collect();
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
            "network     {}, width {}, {} parameters, on {} with {} threads",
            spec.arch,
            spec.width,
            prepared.network.parameter_count(),
            prepared.backend.name(),
            prepared.backend.workers()
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
        format!("seeds       {} paired, from seed {}", plan.seeds, plan.seed),
        format!(
            "output      {}{}",
            dir.root().display(),
            if dir.continued() { " (continued)" } else { "" }
        ),
    ];
    output::note(common, lines.join("\n"));
}

fn compute(
    common: &Common,
    prepared: &Prepared<Cpu>,
    plan: &RunPlan,
    dir: &OutputDir,
) -> Result<RunOutcome> {
    let bar = Bar::new(common, 1);
    let mut progress = |p: RunProgress| bar.set(p.steps, p.total_steps, p.task);
    let outcome = run_plan(prepared, plan, dir, interrupt::flag()?, &mut progress);
    bar.finish();
    Ok(outcome.inspect_err(|e| context::explain_interruption(common, e, dir))?)
}

/// `kept-<strategy>-<seed>.npy` and `classes-<strategy>-<seed>.csv`, the density in the name where
/// there are several.
fn write_subsets(
    prepared: &Prepared<Cpu>,
    outcome: &RunOutcome,
    plan: &RunPlan,
    dir: &OutputDir,
) -> Result<()> {
    let recalls = outcome.query.mean_recalls();
    for run in &outcome.runs {
        let density = if plan.densities.len() > 1 && run.strategy != Strategy::Full {
            format!("d{}-", run.density)
        } else {
            String::new()
        };
        let stem = format!("{}-{density}{}", run.strategy, run.seed);
        let kept: Vec<i64> = run.subset.kept.iter().map(|&i| i as i64).collect();
        let name = format!("kept-{stem}.npy");
        npy::write(&dir.file(&name)?, &[kept.len()], &kept)?;
        dir.write_json(
            &format!("kept-{stem}.json"),
            &provenance::of_subset(
                provenance::identity(&prepared.data),
                run.strategy,
                run.density,
                plan.quotas,
                &[run.seed as u64],
            ),
        )?;
        let rows: Vec<tables::ClassRow> = (0..prepared.data.classes.len())
            .map(|k| tables::ClassRow {
                class: k as u32,
                name: prepared.data.classes[k].clone(),
                size: run.subset.sizes[k] as u64,
                recall: recalls.get(k).copied().flatten(),
                density: run.subset.densities[k],
                kept: run.subset.counts[k] as u64,
            })
            .collect();
        tables::write(&dir.file(&format!("classes-{stem}.csv"))?, &rows)?;
    }
    Ok(())
}

fn thumbnails(prepared: &Prepared<Cpu>) -> impl Fn(usize) -> Option<report::Thumb> + '_ {
    let data = &prepared.data;
    move |i| {
        (i < data.train.len()).then(|| report::Thumb {
            width: data.width,
            height: data.height,
            rgb: data.train.image(i).to_vec(),
        })
    }
}

/// The results at one density, full data first.
fn result_table(summary: &RunSummary, density: f64) -> String {
    let spread = report::numbers::spread;
    let mut rows = Vec::new();
    for strategy in &summary.strategies {
        let wanted = strategy.points.iter().filter(|p| strategy.full_data || p.density == density);
        for h in wanted.filter_map(|p| p.headline.as_ref()) {
            let worst = h.worst_of_means.as_ref().map(|w| summary.classes[w.class].name.clone());
            rows.push(vec![
                strategy.label.clone(),
                spread(&h.average_accuracy),
                spread(&h.worst_recall),
                worst.unwrap_or_default(),
                spread(&h.gap),
                spread(&h.std),
                h.least_kept.as_ref().map_or(String::new(), |l| l.kept.to_string()),
            ]);
        }
    }
    let headers = ["strategy", "average", "worst class", "which", "gap", "std", "least\nkept"];
    output::table(&headers, rows, headers.len() - 1)
}

fn print_summary(common: &Common, summary: &RunSummary) -> Result<()> {
    let several = summary.settings.densities.len() > 1;
    for &density in &summary.settings.densities {
        output::print(format!("\n{}\n", percentages(density)))?;
        output::print(result_table(summary, density))?;
    }
    let seeds = summary.settings.seeds.len();
    output::print(format!(
        "\nmean [min, max] over {seeds} seeds, test images; worst class: mean of each seed's lowest recall"
    ))?;
    for warning in &summary.warnings {
        output::note(common, format!("warning: {warning}"));
    }
    output::print("")?;
    for verdict in &summary.verdicts {
        let at = if several { format!("density {}: ", verdict.density) } else { String::new() };
        let wanted = verdict.metric == fairprune::experiment::summary::Metric::WorstClass;
        if wanted && verdict.strategy == Strategy::METRIQ.to_string() {
            output::print(format!("{at}{}", verdict.text))?;
        }
    }
    Ok(())
}
