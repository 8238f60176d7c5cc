//! The flags of `fairprune data check`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use fairprune::experiment::quality::{QualitySettings, kind_to_look_for};
use fairprune::experiment::scoring::QuerySettings;

use crate::cli::args::{Common, DataArgs, NetworkArgs, OutArgs, RecipeArgs};
use crate::cli::settings::under;

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// What to look for: duplicates (the same pixels, no network needed), near-duplicates (by features),
    /// labels (by probabilities out of fold) [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", help_heading = "Check")]
    pub only: Vec<String>,
    /// Near-duplicates have features of at least this cosine [default: 0.95]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Check")]
    pub near: Option<f64>,
    /// Near-duplicates have pixels of at least this correlation: mirrored or not, up to a pixel apart [default: 0.95]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Check")]
    pub alike: Option<f64>,
    /// What suspected labels are ranked by: normalised-margin or self-confidence
    #[arg(long, default_value = "normalised-margin", value_name = "NAME", help_heading = "Check")]
    pub rank: String,
    /// Features of your own in place of a network's: N x D numbers, a row a training image; other parts
    /// are then not compared
    #[arg(long, value_name = "emb.npy", help_heading = "Check")]
    pub features: Option<PathBuf>,
    /// Probabilities of your own in place of networks': N x K numbers, a row a training image, of models
    /// that did not train on it
    #[arg(long, value_name = "P.npy", help_heading = "Check")]
    pub probabilities: Option<PathBuf>,
    /// Epochs of query runs, one run a fold [default: --epochs]
    #[arg(long, value_name = "E", help_heading = "Query runs")]
    pub query_epochs: Option<usize>,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
}

impl CheckArgs {
    /// What is looked for.
    pub fn settings(&self) -> Result<QualitySettings> {
        let kinds = self.only.iter().map(|name| kind_to_look_for(name.trim()));
        Ok(QualitySettings {
            only: kinds.collect::<Result<_, Error>>()?,
            near: self.near,
            alike: self.alike,
            ranking: self.rank.parse().map_err(|e| under("--rank", &self.rank, e))?,
        })
    }

    /// The query runs.
    pub fn query_settings(&self) -> QuerySettings {
        QuerySettings { query_epochs: self.query_epochs, ..QuerySettings::default() }
    }
}
