//! `fairprune data`: look at data sets, write the built-in ones, cache, export subsets, fetch.

mod cache;
mod export;
mod fetch;
mod info;
mod make;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::cli::args::{Common, DataArgs, LongTailArgs};

#[derive(Args, Debug)]
pub struct DataCommandArgs {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Subcommand, Debug)]
pub enum Action {
    /// Say what a path holds: format, classes, sizes, parts, groups, fingerprint, pixel statistics
    Info(info::InfoArgs),
    /// Write a built-in set as files
    Make(make::MakeArgs),
    /// Decode a data set once, into a file that --data takes
    Cache(cache::CacheArgs),
    /// Write the samples that a subset keeps: positions, lists, links, copies or tar
    Export(export::ExportArgs),
    /// Download, check and unpack a public data set
    Fetch(fetch::FetchArgs),
}

impl DataCommandArgs {
    /// The common flags of the action.
    pub fn common(&self) -> &Common {
        match &self.action {
            Action::Info(a) => &a.common,
            Action::Make(a) => &a.common,
            Action::Cache(a) => &a.common,
            Action::Export(a) => &a.common,
            Action::Fetch(a) => &a.common,
        }
    }
}

/// Runs the action.
pub fn data(args: &DataCommandArgs) -> Result<u8> {
    match &args.action {
        Action::Info(a) => info::info(a),
        Action::Make(a) => make::make(a),
        Action::Cache(a) => cache::cache(a),
        Action::Export(a) => export::export(a),
        Action::Fetch(a) => fetch::fetch(a),
    }
}

/// A data set, named first.
#[derive(Args, Clone, Debug)]
pub struct SetArgs {
    /// A folder, a tar, Parquet or cache file, or the built-in shapes, shapes:extreme or
    /// shapes:spurious
    #[arg(value_name = "PATH|shapes")]
    pub path: String,
    /// How it is stored [default: by its content]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Resize the short side to S and keep the central S x S
    #[arg(long, value_name = "S")]
    pub image_size: Option<usize>,
    /// Seed of the built-in data sets' drawings
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
}

impl SetArgs {
    fn to_data_args(&self) -> DataArgs {
        DataArgs {
            data: self.path.clone(),
            format: self.format.clone(),
            image_size: self.image_size,
            input_size: None,
            data_seed: self.data_seed,
            long_tail: LongTailArgs::default(),
            split: None,
        }
    }
}
