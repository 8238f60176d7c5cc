//! `fairprune run`: the whole comparison, its table, report and verdict.

mod plan;
pub(crate) mod print;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::OutputDir;
use fairprune::data::{DataSet, Partition};
use fairprune::error::Error;
use fairprune::experiment::Prepared;
use fairprune::experiment::queries::Queries;
use fairprune::experiment::run::{RunOutcome, RunProgress, run as run_plan};
use fairprune::experiment::run_plan::RunPlan;
use fairprune::experiment::summarise::{Surroundings, summarise};
use fairprune::experiment::summary::RunSummary;
use fairprune::nn::Arch;
use fairprune::ops::Operators;
use fairprune::report;

use self::plan::{job_of, plan};
use self::print::{print_settings, print_summary};
pub use self::write::thumbnails;
use self::write::write_subsets;
use crate::cli::args::{Common, DataArgs, GroupArgs, NetworkArgs, OutArgs, RecipeArgs};
use crate::cli::commands::pickers::{FeatureArgs, PickerArgs, WeightArgs};
use crate::cli::commands::score::variants::VariantArgs;
use crate::cli::device::{Device, on_device};
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

/// Channels of the first stage on the built-in data, so that the comparison takes two minutes.
const SHAPES_WIDTH: usize = 8;

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub groups: GroupArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// What to compare: full, random, metriq, a score (`fairprune score --help` lists them), a
    /// selection method (coreset, herding, moderate, ccs, d2, craig, grad-match, glister, graph-cut,
    /// facility-location, contextual-diversity), or STRATEGY+QUOTA such as el2n+metriq,
    /// coreset+metriq, forgetting+uniform, random+el2nq, random+balanced; or another way of training
    /// (docs/baselines.md): full-short, cdb-w, class-balanced, infobatch, rho, subg, rwg, jtt,
    /// groupdro, dfr
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
    /// Query runs of its own for every seed, R each: a seed then varies everything
    #[arg(long)]
    pub query_per_seed: bool,
    #[command(flatten)]
    pub features: FeatureArgs,
    #[command(flatten)]
    pub variants: VariantArgs,
    #[command(flatten)]
    pub pickers: PickerArgs,
    #[command(flatten)]
    pub weights: WeightArgs,
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
    let device = Device::open(common)?;
    let data = context::load_data(common, &args.data, &*device.host(common)?)?;
    on_device!(device, backend => run_on(args, backend, data))
}

fn run_on<B: Operators>(args: &RunArgs, backend: Arc<B>, data: Arc<DataSet>) -> Result<u8> {
    let ready = ready(args, backend, data)?;
    let common = &args.common;
    let mut job = context::job_of(&ready.prepared);
    job.extend(job_of(&ready.plan));
    let memory = ready.plan.planned_memory(&ready.prepared)?;
    let dir = context::output_dir(&args.out, "run", job)?;
    print_settings(args, &ready.prepared, &ready.plan, memory, &dir)?;
    let bar = Bar::new(common, 1);
    let mut progress = |p: RunProgress| bar.set(p.steps, p.total_steps, p.task);
    let outcome = run_plan(&ready.prepared, &ready.plan, &dir, interrupt::flag()?, &mut progress);
    bar.finish();
    let outcome = outcome.inspect_err(|e| command_line::explain_interruption(common, e, &dir))?;
    let (summary, report) = complete(args, &ready, &outcome, &dir, command_line::typed())?;
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
    if ready.prepared.data.format.is_built_in() {
        let hint = "your own data: fairprune run --data FOLDER --image-size 32   (FOLDER/train/CLASS/*, FOLDER/test/CLASS/*)";
        output::print(hint)?;
    }
    Ok(0)
}

/// What a comparison is made on, checked.
pub struct Ready<B: Operators> {
    pub prepared: Prepared<B>,
    pub plan: RunPlan,
}

/// Split, network, plan; what cannot be run is refused.
pub fn ready<B: Operators>(
    args: &RunArgs,
    backend: Arc<B>,
    data: Arc<DataSet>,
) -> Result<Ready<B>> {
    let common = &args.common;
    let partition = Partition::of(&data, &args.groups.groups)?;
    let split = context::split(common, &args.data, &data)?;
    let default_width =
        (data.format.is_built_in() && args.network.arch.is_none()).then_some(SHAPES_WIDTH);
    let spec = context::network(
        &args.network,
        &data,
        args.data.input_size,
        None,
        Arch::CifarResnet(8),
        default_width,
    )?;
    let plan = plan(args, &data, &split, &partition)?;
    let prepared =
        context::prepare(backend, data, split, spec, &args.network, args.common.precision, None)?;
    let prepared = prepared.over(partition);
    if prepared.split.test.is_empty() {
        let expected = "test images to report on: a test or val folder beside train";
        return Err(Error::invalid(&args.data.data, "no test part", expected).into());
    }
    plan.queries().iter().try_for_each(Queries::check)?;
    Ok(Ready { prepared, plan })
}

/// The files of a finished comparison: subsets, summary, report (whose path is returned).
pub fn complete<B: Operators>(
    args: &RunArgs,
    ready: &Ready<B>,
    outcome: &RunOutcome,
    dir: &OutputDir,
    command: String,
) -> Result<(RunSummary, PathBuf)> {
    let Ready { prepared, plan } = ready;
    write_subsets(prepared, outcome, plan, dir)?;
    let summary = summarise(
        prepared,
        plan,
        outcome,
        Surroundings {
            data_name: args.data.data.clone(),
            command,
            device: prepared.backend.name(),
            threads: prepared.backend.workers(),
            warnings: Vec::new(),
        },
    )?;
    dir.write_json("summary.json", &summary)?;
    let pictures = thumbnails(prepared);
    let page = report::render(&summary, Some(&pictures));
    let report = dir.write("report.html", |out| std::io::Write::write_all(out, page.as_bytes()))?;
    Ok((summary, report))
}
