//! Scores by query runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fairprune::artefact::{OutputDir, tables};
use fairprune::data::{DataSet, Partition, Split};
use fairprune::error::Error;
use fairprune::exec::PlannedMemory;
use fairprune::experiment::Prepared;
use fairprune::experiment::cell::{Cell, Extract, Finished, Keeping, run_cell};
use fairprune::experiment::cost::Cost;
use fairprune::experiment::queries::{DYNAMICS_SEEDS, Queries, QueryRun, Short};
use fairprune::experiment::query::{QueryData, Recalls};
use fairprune::nn::Arch;
use fairprune::ops::Operators;
use fairprune::score::{Kind, Method, Source};
use fairprune::train::{Control, Recipe};
use serde_json::{Map, Value, json};

use super::write::{MethodScores, Scored, Written, write};
use super::{ScoreArgs, Wanted};
use crate::cli::commands::pickers::OwnFeatures;
use crate::cli::device::{Device, on_device};
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

/// Claims the output folder of a job.
pub type Claim<'a> = &'a mut dyn FnMut(Map<String, Value>) -> Result<OutputDir, Error>;

/// Trains the query runs and writes their scores to the folder that `claim` gives.
pub fn by_query_runs(args: &ScoreArgs, wanted: &Wanted, claim: Claim) -> Result<Written> {
    let common = &args.common;
    let device = Device::open(common)?;
    let data = context::load_data(common, &args.data, &*device.host(common)?)?;
    on_device!(device, backend => by_query_runs_on(args, wanted, claim, backend, data))
}

fn by_query_runs_on<B: Operators>(
    args: &ScoreArgs,
    wanted: &Wanted,
    claim: Claim,
    backend: Arc<B>,
    data: Arc<DataSet>,
) -> Result<Written> {
    let common = &args.common;
    if let Some(groups) = &args.groups {
        Partition::of(&data, groups)?;
    }
    let split = context::split(common, &args.data, &data)?;
    let spec = context::network(
        &args.network,
        &data,
        args.data.input_size,
        None,
        Arch::CifarResnet(20),
        None,
    )?;
    let side = spec.size[0].min(spec.size[1]);
    let trained = split.query(0).train.len();
    let full = context::recipe(&args.recipe, trained, side, data.classes.len())?;
    let own = args.features.as_ref().map(|path| OwnFeatures::read(path, &data)).transpose()?;
    let queries = queries(args, wanted, own.is_some(), &split, full, data.classes.len())?;
    let prepared =
        context::prepare(backend, data, split, spec, &args.network, args.common.precision, None)?;
    let runs = queries.runs(&prepared.split);
    let cells: Vec<Cell> = runs.iter().map(|run| run.cell(&queries.options)).collect();
    let mut memory = PlannedMemory::default();
    for cell in &cells {
        let planned = cell.planned_memory(&prepared)?;
        if planned.total() > memory.total() {
            memory = planned;
        }
    }
    let mut job = context::job_of(&prepared);
    job.insert("recipe".to_owned(), json!(queries.full));
    job.insert("query_recipe".to_owned(), json!(queries.short.recipe));
    job.insert("runs".to_owned(), json!(queries.short.runs));
    job.insert("seed".to_owned(), json!(common.seed));
    job.extend(job_of(args, wanted, own.as_ref()));
    let dir = claim(job)?;
    let costs: Vec<Cost> = cells.iter().map(|cell| Cost::of(&prepared, cell)).collect();
    let mut lines = describe(&queries, &runs, &prepared.split, prepared.data.train.len());
    lines.extend(context::needs(common, &prepared, &queries.full, &costs, memory, &dir)?);
    output::note(common, lines.join("\n"));
    let mut finished = train_queries(args, &prepared, &runs, &cells, &dir)?;
    let query = queries.collect(&prepared.split, &finished, &[])?;
    let mut scored = scored(wanted, own.as_ref(), &queries, query, &prepared)?;
    if prepared.data.attributes.is_some() {
        let groups = Partition::of(&prepared.data, "attribute")?;
        for (_, run) in &mut finished {
            run.result = run.result.by(&groups)?;
            run.scores.clear();
        }
        let prepared = prepared.over(groups);
        let query = queries.collect(&prepared.split, &finished, &[])?;
        scored.of_groups = recalls(&query, &prepared);
        let written = write(&prepared.data, &prepared.split, scored, dir)?;
        return Ok(written.with(prepared.data));
    }
    let written = write(&prepared.data, &prepared.split, scored, dir)?;
    Ok(written.with(prepared.data))
}

/// What the flags ask of query runs.
fn queries(
    args: &ScoreArgs,
    wanted: &Wanted,
    own_features: bool,
    split: &Split,
    full: Recipe,
    classes: usize,
) -> Result<Queries> {
    let runs = match (args.queries.runs, split.query_runs()) {
        (Some(r), Some(folds)) if r != folds => {
            let found = format!("{r} for {folds} folds");
            return Err(Error::invalid("--runs", found, "one run a fold").into());
        }
        (Some(r), _) => context::runs("--runs", r)?,
        (None, Some(r)) => r,
        (None, None) => 5,
    };
    let epochs = args.queries.query_epochs.unwrap_or(full.epochs);
    let recipe = Recipe { epochs, ..full.without_augmentation() };
    if epochs == 0 {
        return Err(Error::invalid("--query-epochs", "0", "at least 1; --grand-at init").into());
    }
    recipe.check(classes)?;
    // The user's features take the place of the network's.
    let methods = match own_features {
        true => wanted.of_kind(|kind| kind != Kind::Features),
        false => wanted.methods.clone(),
    };
    let queries = Queries {
        seed: args.common.seed,
        methods,
        options: wanted.options,
        short: Short { runs, recipe, first_seed: 0 },
        stand_in: false,
        recalls: false,
        full,
        extract: args.save_features.then(|| Extract { folder: String::new(), validation: true }),
        repetition: None,
    };
    queries.check()?;
    Ok(queries)
}

/// What of the scores decides the result.
pub(super) fn job_of(
    args: &ScoreArgs,
    wanted: &Wanted,
    own: Option<&OwnFeatures>,
) -> Map<String, Value> {
    let names: Vec<&str> = wanted.methods.iter().map(|m| m.name()).collect();
    Map::from_iter([
        ("methods".to_owned(), json!(names)),
        ("options".to_owned(), json!(wanted.options)),
        ("features".to_owned(), json!(own.map(OwnFeatures::describe))),
        ("save_features".to_owned(), json!(args.save_features)),
    ])
}

/// A line for each kind of run.
fn describe(queries: &Queries, runs: &[QueryRun], split: &Split, all: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (source, name) in [
        (Source::Query, "query    "),
        (Source::Initial, "initial  "),
        (Source::Dynamics, "dynamics "),
        (Source::Augmented, "augmented"),
    ] {
        let of: Vec<&QueryRun> = runs.iter().filter(|r| r.source == source).collect();
        let Some(first) = of.first() else { continue };
        let labels: Vec<&str> = first.methods().iter().map(|m| m.label()).collect();
        let count = match of.len() {
            1 => "1 run".to_owned(),
            n => format!("{n} runs"),
        };
        let how = match source {
            Source::Query => format!("{count} of {} epochs, no augmentation", first.epochs()),
            Source::Initial => format!("{} fresh networks", of.len()),
            Source::Dynamics => {
                format!("{count} of {} epochs, no augmentation, recorded", first.epochs())
            }
            Source::Augmented => {
                format!("{count} of {} of {} epochs, recorded", first.epochs(), queries.full.epochs)
            }
        };
        let scores = if labels.is_empty() { "recalls".to_owned() } else { labels.join(", ") };
        lines.push(format!("{name} {how}: {scores}"));
    }
    lines.push(format!(
        "images    {} validation, {} of {all} training images each",
        split.kind,
        split.query(0).train.len()
    ));
    lines
}

fn train_queries<B: Operators>(
    args: &ScoreArgs,
    prepared: &Prepared<B>,
    runs: &[QueryRun],
    cells: &[Cell],
    dir: &OutputDir,
) -> Result<Vec<(Source, Finished)>> {
    let common = &args.common;
    let interval = Duration::from_secs(args.recipe.checkpoint_every);
    let keeping = Keeping { dir, interval, keep_checkpoint: false };
    let total: u64 = cells.iter().map(|c| c.until).sum();
    let bar = Bar::new(common, total);
    let mut done = 0;
    let mut finished = Vec::new();
    for (run, cell) in runs.iter().zip(cells) {
        let mut progress = |p: fairprune::train::Progress| bar.set(done + p.step, total, &run.task);
        let mut control =
            Control { interrupt: interrupt::flag()?, progress: &mut progress, checkpoint: None };
        let one = run_cell(prepared, cell, Some(&keeping), &mut control);
        if one.is_err() {
            bar.finish();
        }
        let one = one.inspect_err(|e| command_line::explain_interruption(common, e, dir))?;
        finished.push((run.source, one));
        done += cell.until;
    }
    bar.finish();
    Ok(finished)
}

/// What is written of the query runs.
fn scored<B: Operators>(
    wanted: &Wanted,
    own: Option<&OwnFeatures>,
    queries: &Queries,
    mut query: QueryData,
    prepared: &Prepared<B>,
) -> Result<Scored> {
    let mut scored = Scored::default();
    [scored.recalls, scored.recalls_of_dynamics] = recalls(&query, prepared);
    if !query.recalls.runs.is_empty() {
        scored.seeds = (0..queries.short.runs as u64).collect();
    } else if let Some(recalls) = &query.of_dynamics {
        scored.seeds = (0..recalls.runs.len() as u64).map(|r| DYNAMICS_SEEDS + r).collect();
    }
    for (method, values) in std::mem::take(&mut query.scores) {
        scored.scores.push(MethodScores {
            method,
            values,
            variant: method.variant(&wanted.options),
            parameters: parameters(method, queries, &prepared.split),
        });
    }
    if let Some(own) = own {
        let eligible = &prepared.split.train;
        scored.scores.extend(own.scores(
            &wanted.methods,
            &wanted.options,
            &prepared.data,
            eligible,
            queries.seed,
        )?);
    }
    scored.scores.sort_by_key(|s| s.method);
    let shared = [
        ("split", json!(prepared.split.kind.to_string())),
        ("arch", json!(prepared.spec.arch.to_string())),
        ("width", json!(prepared.spec.width)),
    ];
    scored.shared = shared.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(scored)
}

/// Runs and numbers behind one score.
fn parameters(method: Method, queries: &Queries, split: &Split) -> Map<String, Value> {
    let source = method.source(&queries.options);
    let recorded = split.query_runs().unwrap_or(1);
    let (name, runs, recipe) = match source {
        Source::Query if method.kind(&queries.options) == Kind::Features => {
            ("query", 1, queries.short.recipe.clone())
        }
        Source::Query => ("query", queries.short.runs, queries.short.recipe.clone()),
        Source::Initial => ("initialisation", queries.short.runs, queries.short.recipe.clone()),
        Source::Dynamics => ("dynamics", recorded, queries.full.without_augmentation()),
        Source::Augmented => ("dynamics", recorded, queries.full.clone()),
    };
    let mut parameters = method.parameters(&queries.options);
    let more = [
        ("source", json!(name)),
        ("runs", json!(runs)),
        ("augmented", json!(recipe.augments())),
        ("recipe", json!(recipe)),
    ];
    parameters.extend(more.map(|(key, value)| (key.to_owned(), value)));
    parameters
}

/// Recalls over the partition, and those of the recorded run where the first are of other runs.
fn recalls<B: Operators>(
    query: &QueryData,
    prepared: &Prepared<B>,
) -> [Option<Vec<tables::RecallRow>>; 2] {
    let of_dynamics = query.of_dynamics.as_ref();
    if query.recalls.runs.is_empty() {
        return [of_dynamics.and_then(|r| recall_rows(prepared, r)), None];
    }
    let apart = of_dynamics.filter(|_| !query.from_dynamics.is_empty());
    [recall_rows(prepared, &query.recalls), apart.and_then(|r| recall_rows(prepared, r))]
}

/// A row a class, or nothing where one has no recall; a row a group that has one.
fn recall_rows<B: Operators>(
    prepared: &Prepared<B>,
    recalls: &Recalls,
) -> Option<Vec<tables::RecallRow>> {
    let (correct, total) = (recalls.correct.as_ref()?, recalls.total.as_ref()?);
    let (means, sds) = (recalls.mean(), recalls.sd());
    let sizes = prepared.sizes();
    let row = |k: usize| {
        Some(tables::RecallRow {
            class: k as u32,
            name: prepared.partition.names[k].clone(),
            train_size: sizes[k] as u64,
            val_correct: Some(correct[k]),
            val_total: Some(total[k]),
            recall: means[k]?,
            recall_sd: sds[k],
        })
    };
    match prepared.partition.attribute {
        Some(_) => Some((0..sizes.len()).filter_map(row).collect()),
        None => (0..sizes.len()).map(row).collect(),
    }
}
