//! Scores of a network of the user's own, as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fairprune::artefact::digest;
use fairprune::data::{self, DataSet, PartName, Partition, Split, SplitKind};
use fairprune::error::Error;
use fairprune::exec::Mode;
use fairprune::experiment::cell::Extract;
use fairprune::experiment::export::{network, write_features};
use fairprune::experiment::{TestResult, provenance};
use fairprune::nn::{Arch, Weights, WeightsMetadata, weights};
use fairprune::ops::Operators;
use fairprune::score::features::{Evidence, extract, score as feature_score};
use fairprune::score::{Kind, Method, Watch, modes, pass};
use fairprune::train::Seeds;
use fairprune::train::evaluate;
use serde_json::{Map, json};

use super::write::{MethodScores, Scored, write};
use super::{ScoreArgs, Wanted};
use crate::cli::args::RecipeArgs;
use crate::cli::commands::evaluation::recall_rows;
use crate::cli::commands::pickers::OwnFeatures;
use crate::cli::device::{Device, on_device};
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output, weight_file};

/// Scores by the weights at `path`.
pub fn by_weights(args: &ScoreArgs, path: &Path, wanted: &Wanted) -> Result<u8> {
    if let Some(method) = wanted.needs_training() {
        let expected = "scores of a network as it is; training dynamics and fresh networks need runs \
                        of their own, without --weights (or --dynamics DIR)";
        return Err(Error::invalid("--method with --weights", method.name(), expected).into());
    }
    let common = &args.common;
    let (network_weights, metadata, data_args) = weight_file::read(path, &args.data)?;
    let device = Device::open(common)?;
    let mut data = context::load_data(common, &data_args, &*device.host(common)?)?;
    weight_file::check_classes(path, &metadata, &data)?;
    weight_file::data_of_weights(common, path, &metadata, &data, &args.network);
    if let Some(folder) = &args.val {
        let options = context::load_options(&data_args)?;
        let set = Arc::make_mut(&mut data);
        data::load_validation(folder, set, &options)?;
    }
    on_device!(device, backend => {
        by_weights_on(args, wanted, backend, data, path, &network_weights, &metadata)
    })
}

fn by_weights_on<B: Operators>(
    args: &ScoreArgs,
    wanted: &Wanted,
    backend: Arc<B>,
    data: Arc<DataSet>,
    path: &Path,
    network_weights: &Weights,
    metadata: &WeightsMetadata,
) -> Result<u8> {
    let common = &args.common;
    let split = whole(&data, args.data.split.as_deref(), common.seed)?;
    let spec = context::network(
        &args.network,
        &data,
        weight_file::input_size(args.data.image_size, args.data.input_size, metadata),
        Some(metadata),
        Arch::CifarResnet(20),
        None,
    )?;
    let side = spec.size[0].min(spec.size[1]);
    let recipe =
        context::recipe(&RecipeArgs::defaults(), data.train.len(), side, data.classes.len())?;
    let own = args.features.as_ref().map(|path| OwnFeatures::read(path, &data)).transpose()?;
    let prepared = context::prepare(
        backend,
        data,
        split,
        spec,
        &args.network,
        args.common.precision,
        Some(metadata),
    )?;
    weights::check(network_weights, &prepared.network, &path.display().to_string())?;
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let weights_digest = digest(&bytes);
    let mut job = context::job_of(&prepared);
    job.insert("weights".to_owned(), json!(weights_digest));
    job.extend(super::query::job_of(args, wanted, own.as_ref()));
    // The user's features take the place of the network's.
    let from_network: Vec<Method> = match &own {
        Some(_) => wanted.of_kind(|kind| kind != Kind::Features),
        None => wanted.methods.clone(),
    };
    let all: Vec<u32> = (0..prepared.data.train.len() as u32).collect();
    let val: Vec<u32> = prepared.split.val.iter().map(|&i| i as u32).collect();
    let mut passes: Vec<(Mode, usize)> = vec![(Mode::Score, val.len())];
    let extracts = args.save_features || (own.is_none() && !wanted.features().is_empty());
    let mut needed = modes(&from_network, &wanted.options);
    needed.extend(extracts.then_some(Mode::Score));
    passes.extend(needed.into_iter().map(|m| (m, all.len())));
    let mut executor = prepared.executor(&recipe, common.seed, &passes, false)?;
    executor.set_weights(network_weights)?;
    let dir = context::output_dir(&args.out, "score", job)?;
    let memory = output::bytes(executor.planned_memory().total());
    let width = prepared.network.feature_count() + prepared.network.classes;
    let features = if extracts { 4 * (all.len() * width) as u64 } else { 0 };
    let beside = match features + own.as_ref().map_or(0, OwnFeatures::bytes) {
        0 => String::new(),
        bytes => format!(", {} of features", output::bytes(bytes)),
    };
    let mut lines = vec![format!("memory    {memory} planned{beside}")];
    lines.extend(context::streamed(&prepared, executor.planned_memory()));
    lines.push(format!("output    {}", dir.root().display()));
    let text = lines.join("\n");
    output::note(common, text);
    let bar = Bar::new(common, all.len() as u64);
    let mut progress = |done: usize, total: usize| bar.set(done as u64, total as u64, "scoring");
    let interval = Duration::from_secs(args.recipe.checkpoint_every);
    let state = dir.file("work/scoring.safetensors")?;
    let identity = format!("{weights_digest} {}", serde_json::to_string(&wanted.options)?);
    let mut watch = Watch {
        interrupt: interrupt::flag()?,
        progress: &mut progress,
        keeping: Some((state, interval, identity)),
    };
    let set = prepared.set(PartName::Train, &all)?;
    let scores = pass::score(&mut executor, &set, &from_network, &wanted.options, &mut watch);
    let extracted = match &scores {
        Ok(_) if extracts => extract(&mut executor, &set, watch.interrupt).map(Some),
        _ => Ok(None),
    };
    bar.finish();
    let explain = |e: &Error| command_line::explain_interruption(common, e, &dir);
    let mut scores = scores.inspect_err(explain)?;
    let extracted = extracted.inspect_err(explain)?;
    let mut own_scores = Vec::new();
    if let Some(own) = &own {
        let eligible = &prepared.split.train;
        let (methods, options) = (&wanted.methods, &wanted.options);
        own_scores = own.scores(methods, options, &prepared.data, eligible, common.seed)?;
    }
    if let Some(extracted) = &extracted {
        let evidence = Evidence {
            features: &extracted.features,
            probabilities: Some(&extracted.probabilities),
            labels: set.labels,
            eligible: &prepared.split.train,
            classes: prepared.data.classes.len(),
            seed: Seeds::derive(common.seed, 0).subset,
        };
        for &method in from_network.iter().filter(|m| m.kind(&wanted.options) == Kind::Features) {
            scores.push((method, feature_score(method, &wanted.options, evidence)?));
        }
        if args.save_features {
            let mut parameters = network(&prepared);
            parameters.insert("weights".to_owned(), json!(weights_digest));
            let identity = provenance::identity(&prepared.data);
            let root = Extract { folder: String::new(), validation: false };
            write_features(&dir, &root, identity, extracted, parameters, Vec::new())?;
        }
    }
    let mut scored = Scored::default();
    scored.scores.extend(scores.into_iter().map(|(method, values)| MethodScores {
        method,
        values: values.into_iter().map(f64::from).collect(),
        variant: variant(method, wanted),
        parameters: method.parameters(&wanted.options),
    }));
    scored.scores.extend(own_scores);
    scored.scores.sort_by_key(|s| s.method);
    if val.is_empty() {
        output::note(
            common,
            "no validation images: recalls.csv is left out (--val PATH or --split half-test)",
        );
    } else {
        let set = prepared.set(prepared.split.val_part, &val)?;
        let result = TestResult::new(0, &evaluate(&mut executor, &set)?);
        let (data, trained) = (&prepared.data, &prepared.split.train);
        scored.recalls = Some(recall_rows(data, &Partition::classes(data), trained, &result)?);
        if data.attributes.is_some() {
            let groups = Partition::of(data, "attribute")?;
            scored.of_groups[0] = Some(recall_rows(data, &groups, trained, &result)?);
        }
    }
    scored.shared = Map::from_iter([
        ("weights".to_owned(), json!(weights_digest)),
        ("data_of_weights".to_owned(), json!(metadata.data)),
    ]);
    write(&prepared.data, &prepared.split, scored, dir)?.report(common)
}

/// No runs to average over.
fn variant(method: Method, wanted: &Wanted) -> String {
    let text = method.variant(&wanted.options);
    let text = text.replace("query model in eval mode", "the given network in eval mode");
    text.replace(", mean over runs", "").replace("of one network", "of the given network")
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
            train: data.present(),
            val_part: PartName::Val,
            val: Vec::new(),
            test: Vec::new(),
            folds: Vec::new(),
        }),
    }
}
