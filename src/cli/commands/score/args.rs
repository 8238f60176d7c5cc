//! The flags of `fairprune score`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use fairprune::experiment::scoring::{ExtrapolateSettings, QuerySettings, ScoreRequest};
use fairprune::score::Method;

use crate::cli::args::{
    Common, DataArgs, NetworkArgs, OutArgs, QueryArgs, RecipeArgs, VariantArgs, WithoutArgs,
};
use crate::cli::context;

#[derive(Args, Debug)]
pub struct ScoreArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub without: WithoutArgs,
    /// Scores to compute. Of trained networks: el2n, grand, entropy, margin, least-confidence, loss;
    /// of the training dynamics of one run of --epochs: forgetting, dynamic-uncertainty, aum, tdds,
    /// dual, early-confidence, confidence, variability; of features: ssp, cal [default: el2n; with --dynamics all it has]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", help_heading = "Scores")]
    pub method: Vec<String>,
    /// Score this network as it is, instead of training query models
    #[arg(long, value_name = "W.safetensors", help_heading = "Scores")]
    #[arg(conflicts_with_all = ["runs", "query_epochs", "out_of_fold"])]
    pub weights: Option<PathBuf>,
    /// With --weights: validation images for the recalls, a folder of class folders
    #[arg(long, value_name = "PATH", requires = "weights", help_heading = "Scores")]
    pub val: Option<PathBuf>,
    /// Score a recorded run, without data and without training: the folder `dynamics` of `train
    /// --dynamics`, `score` or `run`
    #[arg(long, value_name = "DIR", help_heading = "Scores")]
    #[arg(conflicts_with_all = [
        "data", "format", "image_size", "data_seed", "long_tail", "split", "parts", "allow_missing",
        "labels_from", "image_key", "image_column", "label_column", "weights", "runs",
        "query_epochs", "out_of_fold", "features", "save_features", "without",
    ])]
    pub dynamics: Option<PathBuf>,
    /// Features of your own for scores of features: N x D numbers, a row a training image
    #[arg(long, value_name = "emb.npy", help_heading = "Scores")]
    pub features: Option<PathBuf>,
    /// Write the network's features and probabilities of all training images: features.npy (N x D),
    /// probabilities.npy (N x K)
    #[arg(long, help_heading = "Scores")]
    pub save_features: bool,
    /// Train on and score this fraction of each class alone; the others' scores are means over their
    /// nearest neighbours in --features or, without, in features of the first query run
    #[arg(long, value_name = "F", allow_negative_numbers = true, help_heading = "Query runs")]
    #[arg(conflicts_with_all = ["weights", "dynamics"])]
    pub extrapolate: Option<f64>,
    /// With --extrapolate: neighbours that count [default: 50]
    #[arg(long, value_name = "K", requires = "extrapolate", help_heading = "Query runs")]
    pub extrapolate_neighbours: Option<usize>,
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

impl ScoreArgs {
    /// The methods that are named.
    pub fn methods(&self) -> Result<Vec<Method>> {
        Ok(self.method.iter().map(|m| m.trim().parse()).collect::<Result<_, Error>>()?)
    }

    /// The query runs.
    pub fn query_settings(&self) -> QuerySettings {
        let extrapolate = self.extrapolate.map(|fraction| ExtrapolateSettings {
            fraction,
            neighbours: self.extrapolate_neighbours,
        });
        QuerySettings { extrapolate, ..self.queries.settings() }
    }

    /// What is asked for, with `default` where no method is named.
    pub fn request(&self, default: &[Method]) -> Result<ScoreRequest> {
        let mut methods = self.methods()?;
        if methods.is_empty() {
            methods = default.to_vec();
        }
        let variants = self.variants.settings()?;
        context::idle_flags(&self.common, &variants.idle(&methods));
        Ok(ScoreRequest::new(&methods, &variants)?)
    }
}
