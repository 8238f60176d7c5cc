//! `fairprune eval`: a network's recalls on one part of a data set.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use fairprune::data::{DataSet, PartName, Partition, SplitKind};
use fairprune::error::Error;
use fairprune::exec::Mode;
use fairprune::experiment::TestResult;
use fairprune::nn::{Arch, Weights, WeightsMetadata, weights};
use fairprune::ops::Operators;
use fairprune::train::evaluate;
use serde_json::json;

use super::evaluation::{evaluation_json, print_evaluation};
use crate::cli::args::{Common, DataArgs, GroupArgs, LongTailArgs, NetworkArgs, RecipeArgs};
use crate::cli::device::{Device, on_device};
use crate::cli::{context, output, weight_file};

#[derive(Args, Debug)]
pub struct EvalArgs {
    /// Weights to evaluate; what their metadata say of the network need not be given
    #[arg(long, value_name = "W.safetensors")]
    pub weights: PathBuf,
    #[command(flatten)]
    pub data: EvalData,
    #[command(flatten)]
    pub groups: GroupArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub common: Common,
}

/// The data set and the part to look at.
#[derive(Args, Debug)]
#[command(next_help_heading = "Data")]
pub struct EvalData {
    /// A folder, a tar, Parquet or cache file, or the built-in shapes, shapes:extreme or
    /// shapes:spurious
    #[arg(long, default_value = "shapes", value_name = "PATH|shapes")]
    pub data: String,
    /// How it is stored, as in `fairprune train --help` [default: by its content]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Resize the short side to S and keep the central S x S [default: the weights' image size]
    #[arg(long, value_name = "S")]
    pub image_size: Option<usize>,
    /// Let the network see the central S x S of the images, which are then kept at round(256 S / 224)
    /// [default: as the weights say]
    #[arg(long, value_name = "S")]
    pub input_size: Option<usize>,
    /// Seed of the built-in data sets' drawings, and of --long-tail
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
    #[command(flatten)]
    pub long_tail: LongTailArgs,
    /// Images to evaluate: test, val, train, or half-test (the second half of each test class)
    #[arg(long, default_value = "test", value_name = "PART")]
    pub split: String,
}

/// Evaluates and prints the keys of summary.json.
pub fn eval(args: &EvalArgs) -> Result<u8> {
    let common = &args.common;
    let given = DataArgs {
        data: args.data.data.clone(),
        format: args.data.format.clone(),
        image_size: args.data.image_size,
        input_size: args.data.input_size,
        data_seed: args.data.data_seed,
        long_tail: args.data.long_tail,
        split: None,
    };
    let (weights, metadata, data_args) = weight_file::read(&args.weights, &given)?;
    let device = Device::open(common)?;
    let data = context::load_data(common, &data_args, &*device.host(common)?)?;
    weight_file::check_classes(&args.weights, &metadata, &data)?;
    let origin =
        weight_file::data_of_weights(common, &args.weights, &metadata, &data, &args.network);
    let partition = Partition::of(&data, &args.groups.groups)?;
    on_device!(device, backend => eval_on(args, backend, data, (&weights, &metadata, origin), &partition))
}

fn eval_on<B: Operators>(
    args: &EvalArgs,
    backend: Arc<B>,
    data: Arc<DataSet>,
    (weights, metadata, origin): (&Weights, &WeightsMetadata, &str),
    partition: &Partition,
) -> Result<u8> {
    let common = &args.common;
    let spec = context::network(
        &args.network,
        &data,
        weight_file::input_size(args.data.image_size, args.data.input_size, metadata),
        Some(metadata),
        Arch::CifarResnet(20),
        None,
    )?;
    let (part, positions) = part(&args.data, &data)?;
    // Nothing is held out: statistics, where the file has none, are those of all training images.
    let split = data.split(
        Some(if data.val.is_some() { SplitKind::Shipped } else { SplitKind::Holdout }),
        common.seed,
    )?;
    let prepared = context::prepare(
        backend,
        data,
        split,
        spec,
        &args.network,
        args.common.precision,
        Some(metadata),
    )?;
    weights::check(weights, &prepared.network, &args.weights.display().to_string())?;
    let side = prepared.spec.size[0].min(prepared.spec.size[1]);
    let recipe = context::recipe(
        &RecipeArgs::defaults(),
        positions.len(),
        side,
        prepared.data.classes.len(),
    )?;
    let mut executor =
        prepared.executor(&recipe, common.seed, &[(Mode::Score, positions.len())], false)?;
    executor.set_weights(weights)?;
    if let Some(line) = context::streamed(&prepared, executor.planned_memory()) {
        output::note(common, line);
    }
    let clock = std::time::Instant::now();
    let set = prepared.set(part, &positions)?;
    let evaluation = evaluate(&mut executor, &set)?;
    let result = TestResult::new(0, &evaluation);
    // Weighted by the whole training part: what the network was trained on is not known.
    let mut sizes = vec![0; partition.len()];
    let labels = partition.labels(&prepared.data, &prepared.data.train);
    prepared.data.present().iter().for_each(|&i| sizes[labels[i] as usize] += 1);
    let mut summary = evaluation_json(partition, &result, &sizes)?;
    summary.insert("loss".to_owned(), json!(evaluation.loss));
    summary.insert("data_of_weights".to_owned(), json!(origin));
    summary.insert("split".to_owned(), json!(args.data.split));
    summary.insert("images".to_owned(), json!(positions.len()));
    summary.insert("seconds".to_owned(), json!(clock.elapsed().as_secs_f64()));
    if common.json {
        output::print_json(&summary)?;
    } else {
        print_evaluation(&summary)?;
    }
    Ok(0)
}

fn part(args: &EvalData, data: &DataSet) -> Result<(PartName, Vec<u32>)> {
    let name = match args.split.as_str() {
        "test" | "half-test" => PartName::Test,
        "val" => PartName::Val,
        "train" => PartName::Train,
        other => {
            return Err(Error::invalid("--split", other, "test, val, train or half-test").into());
        }
    };
    let part = data.part(name).ok_or_else(|| {
        Error::invalid(
            &args.data,
            format!("no {} part", name.name()),
            "one of the parts it has (--split)",
        )
    })?;
    let positions = if args.split == "half-test" {
        data.split(Some(SplitKind::HalfTest), 0)?.test.iter().map(|&i| i as u32).collect()
    } else {
        match name {
            PartName::Train => data.present().iter().map(|&i| i as u32).collect(),
            _ => (0..part.len() as u32).collect(),
        }
    };
    Ok((name, positions))
}
