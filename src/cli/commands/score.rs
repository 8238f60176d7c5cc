//! `fairprune score`: scores of every training sample, and class recalls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::provenance::Method as MethodRecord;
use fairprune::artefact::tables::{self, ScoreTable};
use fairprune::artefact::{OutputDir, Provenance, digest, npy};
use fairprune::data::{self, DataSet, PartName, QueryPart, Split, SplitKind};
use fairprune::error::Error;
use fairprune::exec::Mode;
use fairprune::experiment::cell::{Cell, Finished, Keeping, run_cell};
use fairprune::experiment::query::QueryData;
use fairprune::experiment::{Prepared, TestResult, provenance};
use fairprune::nn::{Arch, Weights, WeightsMetadata, weights};
use fairprune::ops::Operators;
use fairprune::score::{Method, Watch, modes, score as score_pass};
use fairprune::train::{Budget, Control, Seeds, evaluate};
use serde_json::{Map, Value, json};

use super::train::recall_rows;
use crate::cli::args::{Common, DataArgs, NetworkArgs, OutArgs, RecipeArgs};
use crate::cli::device::{Device, on_device};
use crate::cli::progress::Bar;
use crate::cli::{context, interrupt, output};

#[derive(Args, Debug)]
pub struct ScoreArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Scores to compute: el2n, grand, entropy, margin, loss
    #[arg(long, value_delimiter = ',', default_value = "el2n", value_name = "NAME,...")]
    pub method: Vec<String>,
    /// Query runs to average over [default: 5, or the folds of crossfit]
    #[arg(long, value_name = "R", conflicts_with = "weights")]
    pub runs: Option<usize>,
    /// Score this network as it is, instead of training query models
    #[arg(long, value_name = "W.safetensors")]
    pub weights: Option<PathBuf>,
    /// With --weights: validation images for the recalls, a folder of class folders
    #[arg(long, value_name = "PATH", requires = "weights")]
    pub val: Option<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
}

/// Scores by query runs, or by given weights.
pub fn score(args: &ScoreArgs) -> Result<u8> {
    let mut methods =
        args.method.iter().map(|m| m.trim().parse()).collect::<Result<Vec<Method>, Error>>()?;
    methods.sort_unstable();
    methods.dedup();
    match &args.weights {
        None => by_query_runs(args, &methods),
        Some(path) => by_weights(args, path, &methods),
    }
}

/// What is written, however it came about.
struct Scored {
    scores: BTreeMap<Method, Vec<f64>>,
    recalls: Option<Vec<tables::RecallRow>>,
    parameters: Map<String, Value>,
    seeds: Vec<u64>,
}

fn by_query_runs(args: &ScoreArgs, methods: &[Method]) -> Result<u8> {
    let common = &args.common;
    let device = Device::open(common)?;
    let data = context::load_data(common, &args.data, &*device.host(common)?)?;
    on_device!(device, backend => by_query_runs_on(args, methods, backend, data))
}

fn by_query_runs_on<B: Operators>(
    args: &ScoreArgs,
    methods: &[Method],
    backend: Arc<B>,
    data: Arc<DataSet>,
) -> Result<u8> {
    let common = &args.common;
    let split = context::split(common, &args.data, &data)?;
    let runs = match (args.runs, split.query_runs()) {
        (Some(0), _) => return Err(Error::invalid("--runs", "0", "at least 1").into()),
        (Some(r), Some(folds)) if r != folds => {
            return Err(Error::invalid(
                "--runs",
                format!("{r} for {folds} folds"),
                "one run a fold",
            )
            .into());
        }
        (Some(r), _) | (None, Some(r)) => r,
        (None, None) => 5,
    };
    let spec = context::network(&args.network, &data, None, Arch::CifarResnet(20), None)?;
    let side = data.height.min(data.width);
    let trained = split.query(0).train.len();
    let recipe =
        context::recipe(&args.recipe, trained, side, data.classes.len())?.without_augmentation();
    let prepared = context::prepare(backend, data, split, spec, &args.network, None)?;
    let mut job = context::job_of(&prepared);
    job.insert("recipe".to_owned(), json!(recipe));
    job.insert("runs".to_owned(), json!(runs));
    job.insert("seed".to_owned(), json!(common.seed));
    job.insert("methods".to_owned(), json!(methods.iter().map(|m| m.name()).collect::<Vec<_>>()));
    let parts: Vec<QueryPart> = (0..runs).map(|r| prepared.split.query(r)).collect();
    let cells: Vec<Cell> = parts
        .into_iter()
        .enumerate()
        .map(|(run, part)| Cell {
            name: format!("query-r{run}"),
            recipe: &recipe,
            seeds: Seeds::derive(common.seed, run as u64),
            steps: recipe.steps(Budget::Fixed, part.train.len(), part.train.len()),
            part,
            methods,
            test: false,
            evaluate_every: 1,
        })
        .collect();
    let mut memory = 0;
    for cell in &cells {
        memory = cell.planned_memory(&prepared)?.max(memory);
    }
    let dir = context::output_dir(&args.out, "score", job)?;
    let text = format!(
        "query     {runs} runs of {} epochs, {} validation, {} of {} training images each, no \
         augmentation\nmemory    {} planned\noutput    {}",
        recipe.epochs,
        prepared.split.kind,
        trained,
        prepared.data.train.len(),
        output::bytes(memory),
        dir.root().display()
    );
    output::note(common, text);
    let finished = train_queries(args, &prepared, &cells, &dir)?;
    let pooled = matches!(prepared.split.kind, SplitKind::Crossfit { .. });
    let query = QueryData::collect(&finished.iter().collect::<Vec<_>>(), pooled)?;
    let recalls = query_recalls(&prepared, &query);
    let mut parameters = Map::new();
    parameters.insert("runs".to_owned(), json!(runs));
    parameters.insert("recipe".to_owned(), json!(recipe));
    parameters.insert("split".to_owned(), json!(prepared.split.kind.to_string()));
    parameters.insert("arch".to_owned(), json!(prepared.spec.arch.to_string()));
    parameters.insert("width".to_owned(), json!(prepared.spec.width));
    let seeds = (0..runs as u64).collect();
    let result = Scored { scores: query.scores, recalls, parameters, seeds };
    write(common, &prepared.data, &prepared.split, methods, &result, &dir)
}

fn train_queries<B: Operators>(
    args: &ScoreArgs,
    prepared: &Prepared<B>,
    cells: &[Cell],
    dir: &OutputDir,
) -> Result<Vec<Finished>> {
    let common = &args.common;
    let interval = Duration::from_secs(args.recipe.checkpoint_every);
    let keeping = Keeping { dir, interval, keep_checkpoint: false };
    let total: u64 = cells.iter().map(|c| c.steps).sum();
    let runs = cells.len();
    let bar = Bar::new(common, total);
    let mut done = 0;
    let mut finished = Vec::new();
    for (run, cell) in cells.iter().enumerate() {
        let message = format!("query run {} of {runs}", run + 1);
        let mut progress = |p: fairprune::train::Progress| bar.set(done + p.step, total, &message);
        let mut control =
            Control { interrupt: interrupt::flag()?, progress: &mut progress, checkpoint: None };
        let one = run_cell(prepared, cell, Some(&keeping), &mut control);
        if one.is_err() {
            bar.finish();
        }
        finished.push(one.inspect_err(|e| context::explain_interruption(common, e, dir))?);
        done += cell.steps;
    }
    bar.finish();
    Ok(finished)
}

fn query_recalls<B: Operators>(
    prepared: &Prepared<B>,
    query: &QueryData,
) -> Option<Vec<tables::RecallRow>> {
    let (correct, total) = (query.correct.as_ref()?, query.total.as_ref()?);
    let (means, sds) = (query.mean_recalls(), query.recall_sd());
    let sizes = prepared.class_sizes();
    let row = |k: usize| {
        Some(tables::RecallRow {
            class: k as u32,
            name: prepared.data.classes[k].clone(),
            train_size: sizes[k] as u64,
            val_correct: Some(correct[k]),
            val_total: Some(total[k]),
            recall: means[k]?,
            recall_sd: sds[k],
        })
    };
    (0..sizes.len()).map(row).collect()
}

fn by_weights(args: &ScoreArgs, path: &Path, methods: &[Method]) -> Result<u8> {
    let common = &args.common;
    let (network_weights, metadata, data_args) = context::weights(path, &args.data)?;
    let device = Device::open(common)?;
    let mut data = context::load_data(common, &data_args, &*device.host(common)?)?;
    context::check_classes(path, &metadata, &data)?;
    if let Some(folder) = &args.val {
        let options = context::load_options(&data_args)?;
        let set = Arc::make_mut(&mut data);
        data::load_validation(folder, set, &options)?;
    }
    on_device!(device, backend => {
        by_weights_on(args, methods, backend, data, path, &network_weights, &metadata)
    })
}

fn by_weights_on<B: Operators>(
    args: &ScoreArgs,
    methods: &[Method],
    backend: Arc<B>,
    data: Arc<DataSet>,
    path: &Path,
    network_weights: &Weights,
    metadata: &WeightsMetadata,
) -> Result<u8> {
    let common = &args.common;
    let split = whole(&data, args.data.split.as_deref(), common.seed)?;
    let spec = context::network(&args.network, &data, Some(metadata), Arch::CifarResnet(20), None)?;
    let side = data.height.min(data.width);
    let recipe =
        context::recipe(&RecipeArgs::defaults(), data.train.len(), side, data.classes.len())?;
    let prepared = context::prepare(backend, data, split, spec, &args.network, Some(metadata))?;
    weights::check(network_weights, &prepared.network, &path.display().to_string())?;
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let weights_digest = digest(&bytes);
    let mut job = context::job_of(&prepared);
    job.insert("weights".to_owned(), json!(weights_digest));
    job.insert("methods".to_owned(), json!(methods.iter().map(|m| m.name()).collect::<Vec<_>>()));
    let all: Vec<u32> = (0..prepared.data.train.len() as u32).collect();
    let val: Vec<u32> = prepared.split.val.iter().map(|&i| i as u32).collect();
    let mut passes: Vec<(Mode, usize)> = vec![(Mode::Score, val.len())];
    passes.extend(modes(methods).into_iter().map(|m| (m, all.len())));
    let mut executor = prepared.executor(&recipe, common.seed, &passes, false)?;
    executor.set_weights(network_weights)?;
    let dir = context::output_dir(&args.out, "score", job)?;
    let memory = output::bytes(executor.planned_memory().total());
    output::note(common, format!("memory    {memory} planned\noutput    {}", dir.root().display()));
    let bar = Bar::new(common, all.len() as u64);
    let mut progress = |done: usize, total: usize| bar.set(done as u64, total as u64, "scoring");
    let interval = Duration::from_secs(args.recipe.checkpoint_every);
    let mut watch = Watch {
        interrupt: interrupt::flag()?,
        progress: &mut progress,
        keeping: Some((dir.file("work/scoring.safetensors")?, interval, weights_digest.clone())),
    };
    let set = prepared.set(PartName::Train, &all)?;
    let scores = score_pass(&mut executor, &set, methods, &mut watch);
    bar.finish();
    let scores = scores.inspect_err(|e| context::explain_interruption(common, e, &dir))?;
    let scores = scores
        .into_iter()
        .map(|(m, values)| (m, values.into_iter().map(f64::from).collect()))
        .collect();
    let recalls = if val.is_empty() {
        output::note(
            common,
            "no validation images: recalls.csv is left out (--val PATH or --split half-test)",
        );
        None
    } else {
        let set = prepared.set(prepared.split.val_part, &val)?;
        let counts = evaluate(&mut executor, &set)?.counts;
        Some(recall_rows(&prepared.data, &prepared.split.train, &TestResult::new(0, &counts)))
    };
    let mut parameters = Map::new();
    parameters.insert("weights".to_owned(), json!(weights_digest));
    let result = Scored { scores, recalls, parameters, seeds: Vec::new() };
    write(common, &prepared.data, &prepared.split, methods, &result, &dir)
}

/// A split that holds nothing out of the training part; validation from elsewhere, if anywhere.
fn whole(data: &DataSet, name: Option<&str>, seed: u64) -> Result<Split> {
    let kind = match name {
        Some(name) => Some(name.parse::<SplitKind>()?),
        None => data.val.is_some().then_some(SplitKind::Shipped),
    };
    match kind {
        Some(kind @ (SplitKind::Shipped | SplitKind::HalfTest)) => {
            Ok(data.split(Some(kind), seed)?)
        }
        Some(kind) => {
            let expected =
                "half-test or shipped: with --weights nothing is held out of the training images";
            Err(Error::invalid("--split", kind.to_string(), expected).into())
        }
        None => Ok(Split {
            kind: SplitKind::Shipped,
            seed,
            train: (0..data.train.len()).collect(),
            val_part: PartName::Val,
            val: Vec::new(),
            test: Vec::new(),
            folds: Vec::new(),
        }),
    }
}

fn write(
    common: &Common,
    data: &DataSet,
    split: &Split,
    methods: &[Method],
    result: &Scored,
    dir: &OutputDir,
) -> Result<u8> {
    let mut parts = vec![tables::Part::Val; data.train.len()];
    split.train.iter().for_each(|&i| parts[i] = tables::Part::Train);
    let columns: Vec<(String, Vec<f32>)> = methods
        .iter()
        .map(|m| (m.name().to_owned(), result.scores[m].iter().map(|&v| v as f32).collect()))
        .collect();
    for (name, values) in &columns {
        npy::write(&dir.file(&format!("{name}.npy"))?, &[values.len()], values)?;
    }
    let table = ScoreTable {
        ids: data.train.ids.clone(),
        labels: data.train.labels.clone(),
        parts,
        methods: columns,
    };
    table.write(&dir.file("scores.csv")?)?;
    let records = methods
        .iter()
        .map(|m| MethodRecord {
            name: m.name().to_owned(),
            variant: m.variant().to_owned(),
            direction: Some(provenance::direction(*m)),
            hyper_parameters: result.parameters.clone(),
        })
        .collect();
    let stated = Provenance::new(provenance::identity(data), records, result.seeds.clone());
    let mut document = serde_json::to_value(&stated)?;
    document["class_names"] = json!(data.classes);
    dir.write_json("scores.json", &document)?;
    if let Some(rows) = &result.recalls {
        tables::write(&dir.file("recalls.csv")?, rows)?;
    }
    if common.json {
        document["out"] = json!(dir.root().display().to_string());
        document["recalls"] = json!(result.recalls);
        output::print_json(&document)?;
        return Ok(0);
    }
    print(methods, result, data, dir)
}

fn print(methods: &[Method], result: &Scored, data: &DataSet, dir: &OutputDir) -> Result<u8> {
    let rows = methods
        .iter()
        .map(|m| {
            let mut sorted = result.scores[m].clone();
            sorted.sort_by(f64::total_cmp);
            let at =
                |q: f64| format!("{:.4}", sorted[((sorted.len() - 1) as f64 * q).round() as usize]);
            let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
            vec![
                m.label().to_owned(),
                format!("{mean:.4}"),
                at(0.0),
                at(0.1),
                at(0.5),
                at(0.9),
                at(1.0),
            ]
        })
        .collect();
    output::print(output::table(
        &["score", "mean", "min", "10 %", "median", "90 %", "max"],
        rows,
        1,
    ))?;
    if let Some(recalls) = &result.recalls {
        let rows = recalls
            .iter()
            .map(|r| {
                let sd = r.recall_sd.map_or("-".to_owned(), |s| format!("{s:.3}"));
                vec![r.name.clone(), r.train_size.to_string(), format!("{:.3}", r.recall), sd]
            })
            .collect();
        output::print(format!(
            "\n{}",
            output::table(&["class", "train size", "recall", "sd"], rows, 1)
        ))?;
    }
    let n = data.train.len();
    output::print(format!("\n{n} samples scored: {}", dir.root().join("scores.csv").display()))?;
    output::print(format!(
        "next: fairprune prune --scores {} --density .5 --out kept",
        dir.root().display()
    ))?;
    Ok(0)
}
