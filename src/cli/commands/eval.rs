//! `fairprune eval`: a network's recalls on one part of a data set.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::data::{DataSet, PartName, SplitKind};
use fairprune::error::Error;
use fairprune::experiment::Loaded;
use fairprune::experiment::counts::EvaluationCounts;
use fairprune::experiment::evaluation::{evaluation_json, write_confusion};
use fairprune::experiment::settings::DataSettings;
use fairprune::experiment::weight_file::WeightFile;
use serde_json::json;

use super::evaluation::print_evaluation;
use crate::cli::args::{Common, GroupArgs, LongTailArgs, NetworkArgs};
use crate::cli::stated::StatedArgs;
use crate::cli::{context, output};

#[derive(Args, Debug)]
pub struct EvalArgs {
    /// Weights to evaluate; what their metadata say of the network need not be given
    #[arg(long, value_name = "W.safetensors")]
    pub weights: PathBuf,
    /// Write how often the images of each class are taken for each other class: class,name,... with a
    /// column a class
    #[arg(long, value_name = "C.csv")]
    pub confusion: Option<PathBuf>,
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
    /// A folder, a tar, Parquet or cache file, or the built-in shapes, shapes:extreme,
    /// shapes:spread or shapes:spurious
    #[arg(long, default_value = "shapes:spread", value_name = "PATH|shapes")]
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
    pub stated: StatedArgs,
    #[command(flatten)]
    pub long_tail: LongTailArgs,
    /// Images to evaluate: test, val, train, or half-test (the second half of each test class)
    #[arg(long, default_value = "test", value_name = "PART", help_heading = "Data")]
    pub split: String,
}

impl EvalData {
    /// The library's settings.
    fn settings(&self) -> Result<DataSettings> {
        Ok(DataSettings {
            data: self.data.clone(),
            format: self.format.as_deref().map(str::parse).transpose()?,
            image_size: self.image_size,
            input_size: self.input_size,
            data_seed: self.data_seed,
            long_tail: self.long_tail.long_tail,
            split: None,
            without: None,
            stated: self.stated.settings()?,
        })
    }
}

/// Evaluates and prints the keys of summary.json.
pub fn eval(args: &EvalArgs) -> Result<u8> {
    let common = &args.common;
    let file = WeightFile::read(&args.weights)?;
    let given = args.data.settings()?;
    let settings = file.sized(&given);
    let device = common.device()?;
    let data = context::load(common, &settings, &device)?;
    file.check_classes(&data)?;
    let network = args.network.settings(common)?;
    let origin = context::weight_origin(common, &file, &data, &network);
    let (part, positions) = part(&args.data, &data)?;
    // Nothing is held out: statistics, where the file has none, are those of all training images.
    let kind = if data.val.is_some() { SplitKind::Shipped } else { SplitKind::Holdout };
    let split = data.split(Some(kind), common.seed)?;
    let loaded = Loaded::of(&device, data, &given).seed(common.seed).groups(&args.groups.groups);
    let session = loaded.with_weights(&file, &network, split)?;
    let memory = session.evaluation_memory(positions.len())?;
    if let Some(line) = context::streamed(&session, memory) {
        output::note(common, line);
    }
    let clock = std::time::Instant::now();
    let evaluation = session.evaluate(&file.weights, part, &positions)?;
    if let Some(path) = &args.confusion {
        write_confusion(path, &session.data, (part, &positions), &evaluation.predictions)?;
    }
    let counts = EvaluationCounts::new(0, &evaluation);
    // Weighted by the whole training part: what the network was trained on is not known.
    let partition = &session.partition;
    let sizes = partition.sizes(&session.data, &session.data.present());
    let mut summary = evaluation_json(partition, &counts, &sizes)?;
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

fn part(args: &EvalData, data: &DataSet) -> Result<(PartName, Vec<usize>)> {
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
    let positions = match name {
        _ if args.split == "half-test" => data.split(Some(SplitKind::HalfTest), 0)?.test,
        PartName::Train => data.present(),
        _ => (0..part.len()).collect(),
    };
    Ok((name, positions))
}
