//! `fairprune score`: scores of every training sample, and class recalls.

mod features;
mod query;
mod recorded;
pub mod variants;
mod weights;
mod write;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use fairprune::score::{Kind, Method, Options, Source};

use self::variants::VariantArgs;
use crate::cli::args::{Common, DataArgs, NetworkArgs, OutArgs, RecipeArgs};
use crate::cli::context;

pub use self::query::by_query_runs;
pub use self::write::{GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS, RECALLS, RECALLS_OF_DYNAMICS};

#[derive(Args, Debug)]
pub struct ScoreArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Groups that the scores will be used with: refused here, not when the queries are done
    #[arg(skip)]
    pub groups: Option<String>,
    /// Scores to compute. Of trained networks: el2n, grand, entropy, margin, least-confidence, loss;
    /// of the training dynamics of one run of --epochs: forgetting, dynamic-uncertainty, aum, tdds,
    /// dual, confidence, variability; of features: ssp, cal [default: el2n; with --dynamics all it has]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", help_heading = "Scores")]
    pub method: Vec<String>,
    /// Score this network as it is, instead of training query models
    #[arg(long, value_name = "W.safetensors", help_heading = "Scores")]
    #[arg(conflicts_with_all = ["runs", "query_epochs"])]
    pub weights: Option<PathBuf>,
    /// With --weights: validation images for the recalls, a folder of class folders
    #[arg(long, value_name = "PATH", requires = "weights", help_heading = "Scores")]
    pub val: Option<PathBuf>,
    /// Score a recorded run, without data and without training: the folder `dynamics` of `train
    /// --dynamics`, `score` or `run`
    #[arg(long, value_name = "DIR", help_heading = "Scores")]
    #[arg(conflicts_with_all = [
        "data", "format", "image_size", "data_seed", "long_tail", "split", "weights", "runs",
        "query_epochs", "features", "save_features",
    ])]
    pub dynamics: Option<PathBuf>,
    /// Features of your own for scores of features: N x D numbers, a row a training image
    #[arg(long, value_name = "emb.npy", help_heading = "Scores")]
    pub features: Option<PathBuf>,
    /// Write the network's features and probabilities of all training images: features.npy (N x D),
    /// probabilities.npy (N x K)
    #[arg(long, help_heading = "Scores")]
    pub save_features: bool,
    #[command(flatten)]
    pub queries: QueryArgs,
    #[command(flatten)]
    pub variants: VariantArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
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
}

/// What is asked for.
pub struct Wanted {
    /// Each once, in the order of tables.
    pub methods: Vec<Method>,
    pub options: Options,
}

impl Wanted {
    fn of(args: &ScoreArgs, default: &[Method]) -> Result<Wanted> {
        let names = args.method.iter().map(|m| m.trim().parse());
        let mut methods = names.collect::<Result<Vec<Method>, Error>>()?;
        if methods.is_empty() {
            methods = default.to_vec();
        }
        methods.sort_unstable();
        methods.dedup();
        let options = args.variants.options(&args.common, &methods)?;
        Ok(Wanted { methods, options })
    }

    fn of_kind(&self, wanted: fn(Kind) -> bool) -> Vec<Method> {
        let methods = self.methods.iter().copied();
        methods.filter(|m| wanted(m.kind(&self.options))).collect()
    }

    fn features(&self) -> Vec<Method> {
        self.of_kind(|kind| kind == Kind::Features)
    }

    fn needs_training(&self) -> Option<Method> {
        let trained = |m: &&Method| m.source(&self.options) != Source::Query;
        self.methods.iter().find(trained).copied()
    }
}

/// Scores by query runs, given weights, a recorded run, or given features.
pub fn score(args: &ScoreArgs) -> Result<u8> {
    if let Some(folder) = &args.dynamics {
        return recorded::by_recorded_run(args, folder);
    }
    let wanted = Wanted::of(args, &[Method::El2n])?;
    if args.features.is_some() && wanted.features().is_empty() {
        let found = "no --method that is made from features";
        return Err(Error::invalid("--features", found, "--method ssp with it").into());
    }
    if let Some(path) = &args.weights {
        return weights::by_weights(args, path, &wanted);
    }
    if args.features.is_some() && wanted.features() == wanted.methods && !args.save_features {
        return features::by_features(args, &wanted);
    }
    let mut claim = |job| context::output_dir(&args.out, "score", job);
    by_query_runs(args, &wanted, &mut claim)?.report(&args.common)
}

/// What `args` ask for, for commands that score on the way.
pub fn wanted(args: &ScoreArgs) -> Result<Wanted> {
    Wanted::of(args, &[])
}
