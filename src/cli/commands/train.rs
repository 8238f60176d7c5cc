//! `fairprune train`: one network, its log, recalls and weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::{OutputDir, atomic, tables};
use fairprune::data::{DataSet, Partition, QueryPart, Split};
use fairprune::error::Error;
use fairprune::experiment::cell::{self, Cell, Finished, Keeping, Record, run_cell};
use fairprune::experiment::cost::Cost;
use fairprune::experiment::{Prepared, baseline, provenance};
use fairprune::nn::{Arch, WeightsMetadata, weights};
use fairprune::ops::Operators;
use fairprune::prune::check_within;
use fairprune::score::Options;
use fairprune::train::{Baseline, Budget, Control, Recording, Seeds};
use serde_json::{Map, Value, json};

use super::evaluation::{evaluation_json, print_evaluation, recall_rows};
use super::score::{GROUP_RECALLS, RECALLS};
use crate::cli::args::{Common, DataArgs, GroupArgs, NetworkArgs, OutArgs, RecipeArgs};
use crate::cli::commands::run::print::presentations;
use crate::cli::device::{Device, describe, on_device};
use crate::cli::progress::Bar;
use crate::cli::subset::{self, Subset, Weights};
use crate::cli::{command_line, context, interrupt, output};

/// The trained network.
const MODEL: &str = "model.safetensors";

#[derive(Args, Debug)]
pub struct TrainArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub groups: GroupArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Train on these positions only: kept.npy of `prune` or `run`
    #[arg(long, value_name = "kept.npy")]
    pub subset: Option<PathBuf>,
    /// Train with the weights of a subset's picks: method (of craig and grad-match, as their authors
    /// do), all (of facility-location, too) or none [default: method]
    #[arg(long, value_name = "NAME", help_heading = "Training", requires = "subset")]
    pub pick_weights: Option<String>,
    /// Record every presentation of every sample in OUT/dynamics; =plain leaves out what tdds needs,
    /// which takes a value a sample and class of memory
    #[arg(
        long,
        value_name = "all|plain",
        help_heading = "Training",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub dynamics: Option<String>,
    /// Train another way (docs/baselines.md): cdb-w, class-balanced, infobatch, rho,
    /// subg, rwg, jtt, groupdro, dfr, with options after a colon: cdb-w:dynamic
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub baseline: Option<String>,
    /// Length of a run on a subset: fixed (the given epochs), matched or steps
    #[arg(long, default_value = "fixed", value_name = "NAME")]
    pub budget: String,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
}

/// Trains and writes `model.safetensors`, `log.jsonl`, `recalls.csv`, `summary.json`.
pub fn train(args: &TrainArgs) -> Result<u8> {
    let common = &args.common;
    let device = Device::open(common)?;
    let data = context::load_data(common, &args.data, &*device.host(common)?)?;
    on_device!(device, backend => train_on(args, backend, data))
}

fn train_on<B: Operators>(args: &TrainArgs, backend: Arc<B>, data: Arc<DataSet>) -> Result<u8> {
    let common = &args.common;
    let partition = Partition::of(&data, &args.groups.groups)?;
    let split = context::split(common, &args.data, &data)?;
    let (subset, weights) = match &args.subset {
        Some(path) => {
            let read = read_subset(common, path, &data, &split)?;
            let asked = args.pick_weights.as_deref().map(str::parse).transpose()?;
            let weights = read.weights(path, asked)?;
            (read.positions, weights)
        }
        None => (split.train.clone(), None),
    };
    let spec = context::network(
        &args.network,
        &data,
        args.data.input_size,
        None,
        Arch::CifarResnet(20),
        None,
    )?;
    let side = spec.size[0].min(spec.size[1]);
    let recipe = context::recipe(&args.recipe, split.train.len(), side, data.classes.len())?;
    let budget: Budget = args.budget.parse()?;
    let prepared =
        context::prepare(backend, data, split, spec, &args.network, args.common.precision, None)?;
    let prepared = prepared.over(partition);
    let split = &prepared.split;
    let baseline: Option<Baseline> = args.baseline.as_deref().map(str::parse).transpose()?;
    if let (Some(baseline), Some(weights)) = (baseline, &weights) {
        let found = format!("--baseline {baseline} and the weights of {}", weights.strategy);
        let expected = "--pick-weights none with a baseline";
        return Err(Error::invalid("--pick-weights", found, expected).into());
    }
    if let Some(baseline) = baseline {
        baseline::check(baseline, &prepared, &recipe)?;
        if let Some(record) = record(args.dynamics.as_deref())? {
            baseline.check_recording(record.what)?;
        }
    }
    let seeds = Seeds::derive(common.seed, 0);
    let subset = baseline::trained_on(baseline, &prepared, &subset, seeds.subset)?;
    let steps = recipe.steps(budget, subset.len(), split.train.len());
    let steps = baseline::steps(baseline, &recipe, subset.len(), steps);
    if steps == 0 {
        let found = format!("{} samples", subset.len());
        return Err(Error::invalid("training images", found, "at least 2 samples").into());
    }
    let cell = Cell {
        name: "train".to_owned(),
        recipe: &recipe,
        seeds,
        steps,
        until: steps,
        part: QueryPart { train: subset, val_part: split.val_part, val: split.val.clone() },
        weights: weights.as_ref().map(|w| w.values.clone()),
        methods: &[],
        options: &Options::default(),
        record: record(args.dynamics.as_deref())?,
        extract: None,
        test: true,
        evaluate_every: 1,
        baseline,
    };
    let memory = cell.planned_memory(&prepared)?;
    let job = job_of(&prepared, &cell, common.seed);
    let dir = context::output_dir(&args.out, "train", job)?;
    let mut lines = settings(args, &prepared, &cell);
    lines.extend(weights.as_ref().map(describe_weights));
    let costs = [Cost::of(&prepared, &cell)];
    lines.extend(context::needs(common, &prepared, &recipe, &costs, memory, &dir)?);
    output::note(common, lines.join("\n"));
    if cell.record.is_some() && recipe.augments() {
        let text = "note: presentations are augmented, and recorded as such; --flip false --translate 0 \
                    records them as the query run of `score` does";
        output::note(common, text);
    }
    let interval = Duration::from_secs(args.recipe.checkpoint_every);
    let keeping = Keeping { dir: &dir, interval, keep_checkpoint: true };
    let mut finished = compute(common, &prepared, &cell, &keeping)?;
    if finished.outcome.is_none() && !dir.root().join(MODEL).is_file() {
        // Somebody removed the weights of a finished run.
        cell::discard_result(&keeping, &cell)?;
        finished = compute(common, &prepared, &cell, &keeping)?;
    }
    let mut summary = summary_of(&prepared, &cell, &finished)?;
    if let Some(weights) = &weights {
        summary.insert("pick_weights".to_owned(), json!(weights.strategy.to_string()));
    }
    write(&prepared, &cell, &finished, &summary, &dir)?;
    let presented: Vec<_> = finished.result.presentations.into_iter().collect();
    if let Some(text) = presentations(&presented) {
        output::note(common, text);
    }
    cell::discard_checkpoint(&keeping, &cell)?;
    report(common, &summary, &dir)
}

/// A subset file's positions, checked against the data set; its fingerprint too where a JSON of
/// the same name states it.
pub fn read_subset(common: &Common, path: &Path, data: &DataSet, split: &Split) -> Result<Subset> {
    let subset = subset::read(common, path, data)?;
    let made_under = subset.stated.as_ref().and_then(provenance::split_of);
    let name = path.display().to_string();
    check_within(&name, &subset.positions, &split.train).map_err(|e| match e {
        Error::Invalid { what, found, expected } => {
            let made = made_under.map_or("made".to_owned(), |s| format!("made under --split {s}"));
            let expected = format!(
                "{expected}, here those of --split {} with seed {}; the subset was {made}, perhaps \
                 with another seed",
                split.kind, split.seed
            );
            Error::Invalid { what, found, expected }
        }
        other => other,
    })?;
    Ok(subset)
}

fn describe_weights(weights: &Weights) -> String {
    let (low, high) =
        weights.values.iter().fold((f32::MAX, 0.0f32), |(l, h), &w| (l.min(w), h.max(w)));
    let file = weights.file.display();
    format!("weights   of the picks of {}: {low:.2} to {high:.1} ({file})", weights.strategy)
}

fn job_of<B: Operators>(prepared: &Prepared<B>, cell: &Cell, seed: u64) -> Map<String, Value> {
    let subset = &cell.part.train;
    let bytes: Vec<u8> = subset.iter().flat_map(|&i| (i as u64).to_le_bytes()).collect();
    let mut job = context::job_of(prepared);
    job.insert("recipe".to_owned(), json!(cell.recipe));
    job.insert("subset".to_owned(), json!(fairprune::artefact::digest(&bytes)));
    job.insert("subset_size".to_owned(), json!(subset.len()));
    job.insert("steps".to_owned(), json!(cell.steps));
    job.insert("seed".to_owned(), json!(seed));
    if let Some(weights) = &cell.weights {
        let digest = fairprune::artefact::digest(bytemuck::cast_slice(weights));
        job.insert("weights".to_owned(), json!(digest));
    }
    if let Some(baseline) = cell.baseline {
        job.insert("baseline".to_owned(), json!(baseline.to_string()));
    }
    if let Some(record) = &cell.record {
        job.insert(
            "dynamics".to_owned(),
            json!(if record.what.divergence { "all" } else { "plain" }),
        );
    }
    job
}

/// What `--dynamics` asks for.
fn record(what: Option<&str>) -> Result<Option<Record>> {
    let divergence = match what {
        None => return Ok(None),
        Some("all") => true,
        Some("plain") => false,
        Some(other) => return Err(Error::invalid("--dynamics", other, "all or plain").into()),
    };
    let folder = "dynamics".to_owned();
    Ok(Some(Record { what: Recording { divergence }, folder }))
}

fn settings<B: Operators>(args: &TrainArgs, prepared: &Prepared<B>, cell: &Cell) -> Vec<String> {
    let (split, spec, recipe) = (&prepared.split, &prepared.spec, cell.recipe);
    let (kept, all, steps) = (cell.part.train.len(), split.train.len(), cell.steps);
    vec![
        format!(
            "data      {}: {kept} of {all} training images, {} validation ({}), {} test",
            args.data.data,
            split.val.len(),
            split.kind,
            split.test.len()
        ),
        format!(
            "network   {}, width {}, {} parameters, on {}",
            spec.arch,
            spec.width,
            prepared.network.parameter_count(),
            describe(&*prepared.backend)
        ),
        format!(
            "training  {steps} steps of {}, lr {} ({}), budget {}",
            recipe.batch, recipe.lr, recipe.schedule, args.budget
        ),
    ]
}

fn compute<B: Operators>(
    common: &Common,
    prepared: &Prepared<B>,
    cell: &Cell,
    keeping: &Keeping,
) -> Result<Finished> {
    let bar = Bar::new(common, cell.steps);
    let mut progress = |p: fairprune::train::Progress| {
        bar.set(p.step, p.total_steps, &format!("epoch {}", p.epoch + 1));
    };
    let mut control =
        Control { interrupt: interrupt::flag()?, progress: &mut progress, checkpoint: None };
    let finished = run_cell(prepared, cell, Some(keeping), &mut control);
    bar.finish();
    Ok(finished.inspect_err(|e| command_line::explain_interruption(common, e, keeping.dir))?)
}

/// Writes all files.
fn write<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    finished: &Finished,
    summary: &Map<String, Value>,
    dir: &OutputDir,
) -> Result<()> {
    let result = &finished.result;
    if let Some(outcome) = &finished.outcome {
        let mut metadata = WeightsMetadata::of(
            &prepared.spec,
            &prepared.data.classes,
            prepared.mean,
            prepared.std,
            result.steps,
        );
        metadata.data = Some(prepared.data.fingerprint.clone());
        let images = [prepared.data.height, prepared.data.width];
        metadata.images = (images != prepared.spec.size).then_some(images);
        let bytes = weights::to_bytes(&outcome.weights, &metadata)?;
        atomic::write_bytes(&dir.file(MODEL)?, &bytes)?;
    }
    let mut log = String::new();
    for record in &result.history {
        log.push_str(&serde_json::to_string(record)?);
        log.push('\n');
    }
    dir.write("log.jsonl", |out| std::io::Write::write_all(out, log.as_bytes()))?;
    if let Some(validation) = &result.validation {
        let (data, trained) = (&prepared.data, &cell.part.train);
        let rows = recall_rows(data, &Partition::classes(data), trained, validation)?;
        tables::write(&dir.file(RECALLS)?, &rows)?;
        if data.attributes.is_some() {
            let groups = Partition::of(data, "attribute")?;
            let rows = recall_rows(data, &groups, trained, validation)?;
            let rows: Vec<_> = rows.into_iter().map(tables::GroupRecallRow::of_class).collect();
            tables::write(&dir.file(GROUP_RECALLS)?, &rows)?;
        }
    }
    dir.write_json("summary.json", summary)?;
    Ok(())
}

/// The content of summary.json.
fn summary_of<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    finished: &Finished,
) -> Result<Map<String, Value>> {
    let result = &finished.result;
    let mut summary = match &result.last {
        Some(last) => evaluation_json(&prepared.partition, last, &prepared.sizes())?,
        None => Map::new(),
    };
    summary.insert("data".to_owned(), json!(provenance::identity(&prepared.data)));
    summary.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    summary.insert("seeds".to_owned(), json!(cell.seeds));
    summary.insert("steps".to_owned(), json!(result.steps));
    summary.insert("train_seconds".to_owned(), json!(result.train_seconds));
    summary.insert("planned_bytes".to_owned(), json!(result.planned_bytes));
    if let Some(presentations) = &result.presentations {
        let mut value = json!(presentations);
        value["saved"] = json!(presentations.saved());
        summary.insert("presentations".to_owned(), value);
    }
    if let Some(best) = &result.best {
        let mut at_best = evaluation_json(&prepared.partition, best, &prepared.sizes())?;
        at_best.insert("epoch".to_owned(), json!(best.epoch + 1));
        summary.insert("best_on_validation".to_owned(), Value::Object(at_best));
    }
    Ok(summary)
}

fn report(common: &Common, summary: &Map<String, Value>, dir: &OutputDir) -> Result<u8> {
    if common.json {
        output::print_json(summary)?;
        return Ok(0);
    }
    if summary.contains_key("recalls") {
        print_evaluation(summary)?;
    } else {
        output::note(common, "note: no test images, so no test accuracy");
    }
    output::print(format!("\nmodel: {}", dir.root().join(MODEL).display()))?;
    Ok(0)
}
