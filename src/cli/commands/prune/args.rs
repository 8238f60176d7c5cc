//! The flags of `fairprune prune`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use fairprune::experiment::pruning::{GivenSettings, Measuring, SourceSettings};
use fairprune::experiment::settings::DataSettings;

use crate::cli::args::{
    Common, FeatureArgs, GroupArgs, LongTailArgs, NetworkArgs, OutArgs, PickerArgs, QueryArgs,
    RecipeArgs, VariantArgs, WithoutArgs,
};
use crate::cli::density::{DensityArgs, QuotaArgs};
use crate::cli::stated::StatedArgs;

#[derive(Args, Debug)]
pub struct PruneArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub density: DensityArgs,
    /// Which samples are kept first: random, a score, given (the scores of --scores FILE), or a selection
    /// method [default: random; given with --scores FILE]
    ///
    /// Scores are those that `fairprune score --help` lists; selection methods are coreset, herding,
    /// moderate, ccs, beta-sampling, difficulty-window, d2, craig, grad-match, glister, graph-cut,
    /// facility-location and contextual-diversity. Without --scores, query runs on --data compute what it
    /// needs in OUT/scores.
    #[arg(long, value_name = "NAME", help_heading = "Selection")]
    pub strategy: Option<String>,
    /// How many of each class: none, metriq, metriq-released, uniform, balanced, predicted
    /// (docs/quotas.md), nucs, nucs:SCORE or from:STRATEGY. nucs goes by the score of the strategy, or
    /// el2n where it has none
    #[arg(long, default_value = "metriq", value_name = "NAME", help_heading = "Selection")]
    pub quota: String,
    #[command(flatten)]
    pub options: QuotaArgs,
    /// nucs: fraction of each end of a class's scores that is winsorised [default: 0.05]
    #[arg(long, value_name = "F", allow_negative_numbers = true, help_heading = "Selection")]
    pub winsor: Option<f64>,
    /// Class recalls, for metriq [default: those beside the scores]
    #[arg(long, value_name = "recalls.csv", help_heading = "Selection")]
    pub recalls: Option<PathBuf>,
    #[command(flatten)]
    pub features: FeatureArgs,
    #[command(flatten)]
    pub pickers: PickerArgs,
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

/// Where labels and scores come from.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct SourceArgs {
    /// A folder that `fairprune score` wrote (--data is not needed), or a .csv, .npz or .npy of scores that
    /// another program computed for --data
    #[arg(long, value_name = "DIR|FILE")]
    pub scores: Option<PathBuf>,
    /// A folder, a tar, Parquet or cache file, or a built-in set such as shapes
    #[arg(long, value_name = "PATH|shapes")]
    pub data: Option<String>,
    /// How the data set is stored, as in `fairprune train --help` [default: by its content]
    #[arg(long, value_name = "FORMAT", requires = "data")]
    pub format: Option<String>,
    /// Resize the short side to S and keep the central S x S
    #[arg(long, value_name = "S", requires = "data")]
    pub image_size: Option<usize>,
    /// Seed of the built-in data sets' drawings, and of --long-tail
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
    #[command(flatten)]
    pub stated: StatedArgs,
    #[command(flatten)]
    pub long_tail: LongTailArgs,
    /// Which training images are held out and never kept: none, holdout, half-test, crossfit[:R] or
    /// shipped [default: the scores' own; none where nothing is measured; else as in `score`]
    #[arg(long, value_name = "SPLIT", requires = "data", help_heading = "Data")]
    pub split: Option<String>,
    /// Hold out the training images that FILE names (a line each, or a .npy of positions or a mask), or
    /// those whose column `part` in --scores FILE.csv is not train
    #[arg(long, value_name = "FILE|part", requires = "data", conflicts_with = "split")]
    #[arg(help_heading = "Data")]
    pub held_out: Option<String>,
    #[command(flatten)]
    pub given: GivenArgs,
    #[command(flatten)]
    pub without: WithoutArgs,
    #[command(flatten)]
    pub groups: GroupArgs,
}

/// What a file of scores does not say itself.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Scores of other programs")]
pub struct GivenArgs {
    /// Which end of --scores FILE is kept first: high or low [default: low for a column aum]
    #[arg(long, value_name = "high|low")]
    pub direction: Option<String>,
    /// The order of a .npy, or what the numbers of a CSV count in: imagefolder (torchvision's), dataset
    /// (as `data export --as csv` lists) or ids:FILE (a name a line)
    #[arg(long, value_name = "ORDER")]
    pub order: Option<String>,
    /// Column of a CSV that holds the score, or array of a .npz [default: score, aum, or the only one]
    #[arg(long, value_name = "NAME")]
    pub score_column: Option<String>,
    /// Column of a CSV that names the samples [default: id, filename, path and the like]
    #[arg(long, value_name = "NAME")]
    pub name_column: Option<String>,
    /// The numbers 0 to N - 1 in an array are ranks of the samples, and meant as scores
    #[arg(long)]
    pub as_ranks: bool,
    /// Hold out the training images without a row in --scores FILE
    #[arg(long)]
    pub partial: bool,
}

impl SourceArgs {
    /// The data set of these flags, if there is one.
    pub fn data(&self) -> Result<Option<DataSettings>> {
        let Some(data) = &self.data else { return Ok(None) };
        Ok(Some(DataSettings {
            data: data.clone(),
            format: self.format.as_deref().map(str::parse).transpose()?,
            image_size: self.image_size,
            input_size: None,
            data_seed: self.data_seed,
            long_tail: self.long_tail.long_tail,
            split: self.split.as_deref().map(str::parse).transpose()?,
            without: self.without.without.clone(),
            stated: self.stated.settings()?,
        }))
    }

    /// The library's settings.
    pub fn settings(&self) -> Result<SourceSettings> {
        let GivenArgs { direction, order, score_column, name_column, as_ranks, partial } =
            self.given.clone();
        if self.data.is_none() && self.long_tail.long_tail.is_some() {
            let expected = "--data with it; scores of a folder state their own";
            return Err(Error::invalid("--long-tail", "no --data", expected).into());
        }
        if self.data.is_none() && !self.stated.settings()?.is_empty() {
            let expected = "--data with them; scores of a folder state their own";
            return Err(Error::invalid("--parts and the like", "no --data", expected).into());
        }
        Ok(SourceSettings {
            scores: self.scores.clone(),
            data: self.data()?,
            given: GivenSettings { direction, order, score_column, name_column, as_ranks, partial },
            groups: self.groups.groups.clone(),
            without: self.without.without.clone(),
            held_out: self.held_out.as_deref().map(str::parse).transpose()?,
            measuring: Measuring::ByRuns,
        })
    }
}
