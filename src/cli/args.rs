//! Flags that several commands share.

use std::path::PathBuf;

use clap::Args;
use fairprune::experiment::Placement;
use fairprune::ops::Precision;

use super::stated::StatedArgs;

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
    /// Storage of activations: f32 or bf16 (tensor cores; AMX or AVX-512 on a CPU)
    #[arg(long, default_value = "f32", value_name = "NAME")]
    pub precision: Precision,
    /// CPU threads; 0 takes one a core
    #[arg(
        long,
        default_value_t = 0,
        value_name = "N",
        visible_alias = "workers",
        alias = "num-workers"
    )]
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
    /// A folder, a tar, Parquet or cache file, or the built-in shapes, shapes:extreme,
    /// shapes:spread or shapes:spurious
    #[arg(long, default_value = "shapes:spread", value_name = "PATH|shapes")]
    pub data: String,
    /// How it is stored: imagefolder, cifar, cifar-python, idx, tiny-imagenet, imagenet,
    /// imagenet-tars, webdataset, parquet, metadata or cache [default: by its content]
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
    pub stated: StatedArgs,
    #[command(flatten)]
    pub long_tail: LongTailArgs,
    /// Where recalls come from: holdout, half-test, crossfit[:R], shipped or none [default: the set's own
    /// validation images, else holdout]
    ///
    /// `train` holds nothing out of a subset beyond what the subset was made under, and nothing where
    /// holdout would take more than a fifth of the images.
    #[arg(long, value_name = "SPLIT", help_heading = "Data")]
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

/// What a check of the data found.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Data")]
pub struct WithoutArgs {
    /// Leave out the training samples that `fairprune data check` marked drop: they are neither trained
    /// on nor kept. Its check.json must lie beside it
    #[arg(long, value_name = "check.csv")]
    pub without: Option<PathBuf>,
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
    /// [default: resnet20; of `run` resnet8]
    #[arg(long, value_name = "NAME", visible_alias = "model")]
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
    /// Where a GPU finds the images: device, stream (copied batch by batch while it computes) or auto
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
    /// Epochs of a run on all data [default: quick: some 250 steps, at least 6 epochs; cifar: 160]
    #[arg(long, value_name = "E")]
    pub epochs: Option<usize>,
    /// Images of a training batch [default: 128]
    #[arg(long, value_name = "B", visible_alias = "batch-size")]
    pub batch: Option<usize>,
    /// Base learning rate [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true, visible_alias = "learning-rate")]
    pub lr: Option<f64>,
    /// cosine, constant, step or step:F1,F2xFACTOR [default: quick: cosine; cifar: step:.5,.75x.2]
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<String>,
    /// Steps over which the learning rate rises to its base value [default: 0]
    #[arg(long, value_name = "N")]
    pub warmup_steps: Option<u64>,
    /// Momentum of SGD [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub momentum: Option<f32>,
    /// Nesterov momentum [default: quick: true; cifar: false]
    #[arg(long, value_name = "BOOL")]
    pub nesterov: Option<bool>,
    /// L2 penalty, on all parameters [default: quick: 5e-4; cifar: 1e-4]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub weight_decay: Option<f32>,
    /// Share of each target that is spread over all classes [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub label_smoothing: Option<f32>,
    /// One weight a class in the loss
    #[arg(long, value_name = "W,W,...", value_delimiter = ',')]
    pub class_weights: Option<Vec<f32>>,
    /// Mirror training images at random [default: true]
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

/// Variants of scores.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Variants of scores")]
pub struct VariantArgs {
    /// el2n: mean (over query models) or sum (epochs 0 to 9 of one augmented run) [default: mean]
    #[arg(long, value_name = "FORM")]
    pub el2n: Option<String>,
    /// grand: gradient of all parameters, or of the last layer's [default: all]
    #[arg(long, value_name = "all|last")]
    pub grand_layers: Option<String>,
    /// grand: of query models at their end, or before training (init) [default: end]
    #[arg(long, value_name = "end|init")]
    pub grand_at: Option<String>,
    /// forgetting of samples never learned: hardest, 0 or presentations [default: hardest]
    #[arg(long, value_name = "SCORE")]
    pub never_learned: Option<String>,
    /// Epochs of a window: dynamic-uncertainty, tdds, dual [default: 10]
    #[arg(long, value_name = "J")]
    pub window: Option<usize>,
    /// Epochs that tdds, and dual with early-confidence, look at, from the first on [default: 10 and 30]
    #[arg(long, value_name = "T")]
    pub trajectory: Option<usize>,
    /// tdds: how fast earlier windows fade [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub decay: Option<f64>,
    /// ssp: distance to the own class's mean (labels) or to the nearest centroid of k-means
    /// (prototypes) [default: labels]
    #[arg(long, value_name = "FORM")]
    pub ssp: Option<String>,
    /// ssp: centroids [default: as many as classes]
    #[arg(long, value_name = "C")]
    pub prototypes: Option<usize>,
    /// cal: nearest neighbours [default: 10]
    #[arg(long, value_name = "N")]
    pub cal_neighbours: Option<usize>,
}

/// Options of selection methods.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of selection methods (docs/scores/selection.md)")]
pub struct PickerArgs {
    /// coreset, contextual-diversity: the first pick, mean (nearest to it) or random [default: mean]
    #[arg(long, value_name = "NAME")]
    pub start: Option<String>,
    /// moderate: centre of a class, median or mean [default: median]
    #[arg(long, value_name = "NAME")]
    pub centre: Option<String>,
    /// graph-cut, facility-location: similarity of features or gradients [default: features]
    #[arg(long, value_name = "NAME")]
    pub space: Option<String>,
    /// graph-cut, grad-match: weight of the second term [default: 1 and 0.5]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub lambda: Option<f64>,
    /// ccs: share of the hardest that is dropped [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub beta: Option<f64>,
    /// ccs: strata of equal width [default: 50]
    #[arg(long, value_name = "N")]
    pub strata: Option<usize>,
    /// beta-sampling: how late it turns to easy samples as the density falls [default: 4]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub exponent: Option<f64>,
    /// difficulty-window: the quantile of difficulty at which it ends; 1 is the hardest [default: 1]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub endpoint: Option<f64>,
    /// d2: nearest neighbours that count [default: 5]
    #[arg(long, value_name = "N")]
    pub neighbours: Option<usize>,
    /// d2: decay with distance when scores are spread [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub forward: Option<f64>,
    /// d2: decay with distance when neighbours of a pick lose [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub reverse: Option<f64>,
    /// glister: length of a step [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub step: Option<f64>,
    /// glister: picks between two validation gradients [default: 1]
    #[arg(long, value_name = "N")]
    pub refresh: Option<usize>,
    /// Pick inside each class, or among the whole set and filter by the quotas: class or whole
    /// [default: class with quotas, and for craig and grad-match]
    #[arg(long, value_name = "NAME")]
    pub scope: Option<String>,
    /// ccs, beta-sampling, difficulty-window, d2: the score that they start from [default: aum for ccs, dual for
    /// beta-sampling, el2n for difficulty-window, forgetting for d2]
    #[arg(long, value_name = "SCORE")]
    pub base: Option<String>,
    /// Bytes for rows of distances, which save time and change nothing [default: 1 GiB]
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<usize>,
}

/// Whether picks are trained with their weights.
#[derive(Args, Clone, Debug)]
pub struct WeightArgs {
    /// Train with the weights of picks: method (of craig and grad-match, as their authors do), all (of
    /// facility-location, too) or none
    #[arg(long, value_name = "NAME", default_value = "method", help_heading = "Training")]
    pub pick_weights: String,
}

/// Features that the user brings for selection methods.
#[derive(Args, Clone, Debug, Default)]
pub struct FeatureArgs {
    /// Features of your own for methods and scores that look at features (coreset, herding, moderate,
    /// d2, graph-cut, facility-location, ssp): N x D numbers, a row a training image
    #[arg(long, value_name = "emb.npy", help_heading = "Selection")]
    pub features: Option<PathBuf>,
}

/// Query runs.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Query runs")]
pub struct QueryArgs {
    /// Query runs to average over [default: 5, or the folds of crossfit]
    #[arg(long, value_name = "R")]
    pub runs: Option<usize>,
    /// Epochs of query runs; training dynamics take one run of --epochs [default: --epochs]
    #[arg(long, value_name = "E")]
    pub query_epochs: Option<usize>,
    /// Score each sample by the query run that did not train on it, with --split crossfit
    #[arg(long)]
    pub out_of_fold: bool,
}
