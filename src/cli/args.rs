//! Raw arguments: flags shared by commands, and the commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fairprune::experiment::Placement;
use fairprune::ops::Precision;

use super::commands;

/// Train image classifiers, score every training sample, prune data sets fairly.
#[derive(Parser, Debug)]
#[command(name = "fairprune", version, disable_help_subcommand = false, max_term_width = 100)]
#[command(
    after_help = "Without a command: run, on built-in data. `fairprune run --help` shows its options."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The commands; `run` if none is given.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Compare pruning strategies end to end: train, score, set quotas, prune, retrain, report
    Run(commands::run::RunArgs),
    /// Run a whole study: a grid of comparisons from a file, resumable
    Study(commands::study::StudyArgs),
    /// Train one network
    Train(commands::train::TrainArgs),
    /// Score every training sample: by query runs, a network of your own, or a recorded run
    Score(commands::score::ScoreArgs),
    /// Choose the samples to keep: how many of each class, and which
    Prune(commands::prune::PruneArgs),
    /// Compute class quotas from sizes and recalls alone
    Quota(commands::quota::QuotaCommandArgs),
    /// Two Gaussians, exactly: thresholds and risks after MetriQ and SSP
    Theory(commands::theory::TheoryArgs),
    /// Evaluate a network class by class
    Eval(commands::eval::EvalArgs),
    /// Say which devices and kernels can be used here, and why not the others
    Doctor(commands::doctor::DoctorArgs),
    /// Hold every operator of a device against exact results; exit code 1 if one fails
    Selftest(commands::selftest::SelftestArgs),
    /// Time training and scoring on random images; `bench compare` holds two results side by side
    Bench(commands::bench::BenchArgs),
    /// Print completions of this command line for a shell
    Completions(commands::manual::CompletionsArgs),
    /// Print the manual page, or write one a command
    Man(commands::manual::ManArgs),
    /// Look at data sets, write the built-in ones, cache, export subsets, fetch public ones
    Data(commands::data::DataCommandArgs),
}

impl Command {
    /// The flags that every command has.
    pub fn common(&self) -> &Common {
        match self {
            Command::Run(a) => &a.common,
            Command::Study(a) => &a.common,
            Command::Train(a) => &a.common,
            Command::Score(a) => &a.common,
            Command::Theory(a) => &a.common,
            Command::Eval(a) => &a.common,
            Command::Prune(a) => &a.common,
            Command::Quota(a) => &a.common,
            Command::Doctor(a) => &a.common,
            Command::Selftest(a) => &a.common,
            Command::Bench(a) => a.common(),
            Command::Completions(a) => &a.common,
            Command::Man(a) => &a.common,
            Command::Data(a) => a.common(),
        }
    }
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Print one JSON document on stdout instead of tables
    #[arg(long)]
    pub json: bool,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Storage of activations: f32, or bf16 on tensor cores (NVIDIA cards)
    #[arg(long, default_value = "f32", value_name = "NAME")]
    pub precision: Precision,
    /// CPU threads; 0 takes one a core
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
    /// Say less: no progress, no hints
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Where results go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutArgs {
    /// Output folder [default: fairprune-out/COMMAND-TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue the job in --out; an error if there is none
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Start anew in --out, deleting what an earlier run wrote there
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
}

/// The data set.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// A folder, a tar, Parquet or cache file, or the built-in shapes, shapes:extreme or
    /// shapes:spurious
    #[arg(long, default_value = "shapes", value_name = "PATH|shapes")]
    pub data: String,
    /// How it is stored: imagefolder, cifar, cifar-python, idx, tiny-imagenet, imagenet, webdataset,
    /// parquet, metadata or cache [default: by its content]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Resize the short side to S and keep the central S x S
    #[arg(long, value_name = "S")]
    pub image_size: Option<usize>,
    /// Let the network see S x S of the images: the centre, or boxes with --resized-crop; images are then
    /// kept at round(256 S / 224) unless --image-size says otherwise [default: whole images]
    #[arg(long, value_name = "S")]
    pub input_size: Option<usize>,
    /// Seed of the built-in data sets' drawings, and of --long-tail
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
    #[command(flatten)]
    pub long_tail: LongTailArgs,
    /// Where recalls come from: holdout, half-test, crossfit[:R] or shipped
    /// [default: the data set's own validation images, else holdout]
    #[arg(long, value_name = "SPLIT")]
    pub split: Option<String>,
}

/// Injected imbalance.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq)]
#[command(next_help_heading = "Data")]
pub struct LongTailArgs {
    /// Make the training part long-tailed: class k of K keeps n_max FACTOR^(-k/(K-1)) images, drawn with
    /// --data-seed; the last class is the tail
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub long_tail: Option<f64>,
}

/// What quotas and metrics are over.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct GroupArgs {
    /// What quotas and metrics are over: classes, or the samples' attribute by its name (place; or
    /// `attribute`) for class x attribute. The network learns the classes either way
    #[arg(long, default_value = "classes", value_name = "NAME", alias = "groupby-fields")]
    pub groups: String,
}

/// The network.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// resnet8, 14, 20, 32, 44, 56 (CIFAR family), resnet18, 34, 50 (torchvision's), vgg16, 19
    /// (with batch norm, for images from 32 x 32)
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// resnet50 with the stride in each bottleneck's first 1x1, as in the paper; --arch resnet50-v1 is
    /// the same [default: in the 3x3, as torchvision]
    #[arg(long)]
    pub resnet_v1: bool,
    /// Channels of the first stage [default: 16 in the CIFAR family, else 64]
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
    /// cifar (3x3) or imagenet (7x7 and max-pooling) [default: by image size]
    #[arg(long, value_name = "STEM")]
    pub stem: Option<String>,
    /// Channel means, of values in [0, 1] [default: the training set's]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',')]
    pub mean: Option<Vec<f32>>,
    /// Channel standard deviations [default: the training set's]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',')]
    pub std: Option<Vec<f32>>,
    /// Images of an evaluation batch
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub score_batch: usize,
    /// Where a card finds the images: device, stream (copied batch by batch while it computes) or auto
    /// (stream where they do not fit)
    #[arg(long, default_value_t, value_name = "WHERE")]
    pub images: Placement,
}

/// How to train.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Training")]
pub struct RecipeArgs {
    /// quick (some 250 steps) or cifar (160 epochs, the paper's); other flags override it
    #[arg(long, default_value = "quick", value_name = "NAME")]
    pub recipe: String,
    /// Epochs of a run on all data
    #[arg(long, value_name = "E")]
    pub epochs: Option<usize>,
    /// Images of a training batch
    #[arg(long, value_name = "B")]
    pub batch: Option<usize>,
    /// Base learning rate
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// cosine, constant, step or step:F1,F2xFACTOR
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<String>,
    /// Steps over which the learning rate rises to its base value
    #[arg(long, value_name = "N")]
    pub warmup_steps: Option<u64>,
    /// Momentum of SGD
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub momentum: Option<f32>,
    /// Nesterov momentum
    #[arg(long, value_name = "BOOL")]
    pub nesterov: Option<bool>,
    /// L2 penalty, on all parameters
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub weight_decay: Option<f32>,
    /// Share of each target that is spread over all classes
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub label_smoothing: Option<f32>,
    /// One weight a class in the loss
    #[arg(long, value_name = "W,W,...", value_delimiter = ',')]
    pub class_weights: Option<Vec<f32>>,
    /// Mirror training images at random
    #[arg(long, value_name = "BOOL")]
    pub flip: Option<bool>,
    /// Shift training images by up to N pixels (pad N and crop) [default: 15 % of the side]
    #[arg(long, value_name = "N", visible_alias = "crop")]
    pub translate: Option<u32>,
    /// Train on random boxes of the images (.08 to 1 of the area, 3:4 to 4:3), resized, in place of
    /// shifts
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub resized_crop: Option<bool>,
    /// Seconds between saved states
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub checkpoint_every: u64,
}

impl RecipeArgs {
    /// The flags as if none was given, for commands that do not train.
    pub fn defaults() -> Self {
        RecipeArgs {
            recipe: "quick".to_owned(),
            epochs: None,
            batch: None,
            lr: None,
            schedule: None,
            warmup_steps: None,
            momentum: None,
            nesterov: None,
            weight_decay: None,
            label_smoothing: None,
            class_weights: None,
            flip: None,
            translate: None,
            resized_crop: None,
            checkpoint_every: 30,
        }
    }
}
