//! `fairprune data`: look at data sets, check them, write the built-in ones, cache, export subsets, fetch.

mod cache;
mod check;
mod export;
mod fetch;
mod info;
mod make;
mod set;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::cli::args::Common;

#[derive(Args, Debug)]
pub struct DataCommandArgs {
    #[command(subcommand)]
    pub action: DataAction,
}

#[derive(Subcommand, Debug)]
pub enum DataAction {
    /// Say what a path holds: format, classes, sizes, parts, groups, fingerprint, pixel statistics
    Info(info::InfoArgs),
    /// Look for duplicates, near-duplicates and wrong labels before anything is scored
    Check(Box<check::CheckArgs>),
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
            DataAction::Info(a) => &a.common,
            DataAction::Check(a) => &a.common,
            DataAction::Make(a) => &a.common,
            DataAction::Cache(a) => &a.common,
            DataAction::Export(a) => &a.common,
            DataAction::Fetch(a) => &a.common,
        }
    }
}

/// Runs the action.
pub fn data(args: &DataCommandArgs) -> Result<u8> {
    match &args.action {
        DataAction::Info(a) => info::info(a),
        DataAction::Check(a) => check::check(a),
        DataAction::Make(a) => make::make(a),
        DataAction::Cache(a) => cache::cache(a),
        DataAction::Export(a) => export::export(a),
        DataAction::Fetch(a) => fetch::fetch(a),
    }
}
