//! `fairprune data fetch`: a public data set from its authors.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::data::fetch::{self as archives, Archive, Patience};
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::output;
use crate::cli::progress::Bar;

#[derive(Args, Debug)]
pub struct FetchArgs {
    /// cifar10 or cifar100
    pub name: String,
    /// Where the data set's folder goes
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub to: PathBuf,
    /// Another place that has the same archive [default: its authors' server]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Downloads, checks and unpacks.
pub fn fetch(args: &FetchArgs) -> Result<u8> {
    let common = &args.common;
    let archive = Archive::named(&args.name)?;
    let url = args.url.as_deref();
    output::note(common, format!("fetching {}", url.unwrap_or(archive.url)));
    let bar = Bar::new(common, archive.bytes);
    let progress = |done: u64, total: u64| bar.set(done, total, "downloading");
    let fetched = archives::fetch(archive, url, &args.to, Patience::default(), &progress);
    bar.finish();
    let fetched = fetched?;
    let folder = fetched.folder.display().to_string();
    if common.json {
        output::print_json(&json!({
            "folder": folder,
            "was_there": fetched.was_there,
            "downloaded": fetched.downloaded,
            "md5": archive.md5,
        }))?;
    } else {
        let verb = if fetched.was_there { "is there" } else { "written" };
        output::print(format!("{verb}: {folder}"))?;
        output::hint(common, format!("next:    fairprune run --data {folder}"))?;
    }
    Ok(0)
}
