//! `fairprune data make`: a built-in set as files.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::atomic;
use fairprune::data::write::make::{self as files, Target};
use fairprune::data::{Format, shapes};
use fairprune::error::Error;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::output;
use crate::cli::progress::Bar;

#[derive(Args, Debug)]
pub struct MakeArgs {
    /// shapes, shapes:extreme, shapes:spread or shapes:spurious
    #[arg(value_name = "shapes")]
    pub set: String,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The format: imagefolder (PNG), cifar (binary files), webdataset (tar) or metadata (PNG listed
    /// with class, split and background)
    #[arg(long = "as", default_value = "imagefolder", value_name = "FORMAT")]
    pub target: String,
    /// Images of each class in the training, validation and test part [default: 512,192,512; of
    /// shapes:spurious 960,192,512]
    #[arg(long, value_name = "TRAIN,VAL,TEST", value_delimiter = ',')]
    pub per_class: Option<Vec<usize>>,
    /// Seed of the drawings
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
    #[command(flatten)]
    pub common: Common,
}

/// Most images of a class in a part.
const MOST_PER_CLASS: usize = 1_000_000;

/// Draws the set and writes it.
pub fn make(args: &MakeArgs) -> Result<u8> {
    let common = &args.common;
    let built_in = |f: &Format| f.is_built_in();
    let Some(format) = args.set.parse::<Format>().ok().filter(built_in) else {
        let expected = "shapes, shapes:extreme, shapes:spread or shapes:spurious";
        return Err(Error::invalid("set to make", &args.set, expected).into());
    };
    let target: Target = args.target.parse()?;
    let sizes = match &args.per_class {
        None => shapes::sizes(format),
        Some(sizes) => <[usize; 3]>::try_from(sizes.as_slice()).map_err(|_| {
            Error::invalid("--per-class", format!("{sizes:?}"), "three numbers: TRAIN,VAL,TEST")
        })?,
    };
    if let Some(count) = sizes.iter().find(|n| **n > MOST_PER_CLASS) {
        let expected = format!("at most {MOST_PER_CLASS} each");
        return Err(Error::invalid("--per-class", count.to_string(), expected).into());
    }
    let host = common.host()?;
    atomic::remove_abandoned(&args.out);
    let bar = Bar::new(common, 1);
    let progress = |done: usize, total: usize| bar.set(done as u64, total as u64, "drawing");
    let made = host.host().pool().install(|| {
        let set = shapes::generate(format, args.data_seed, sizes, &progress)?;
        files::make(&set, target, &args.out).map(|()| set)
    });
    bar.finish();
    let set = made?;
    let images = [Some(&set.train), set.val.as_ref(), set.test.as_ref()];
    let images: usize = images.into_iter().flatten().map(|p| p.len()).sum();
    if target == Target::CifarBinary && set.val.is_some() && set.test.is_some() {
        output::note(common, "note: CIFAR's files hold no validation part; it was left out");
    }
    if let (Some(attributes), true) = (&set.attributes, target != Target::Metadata) {
        let text =
            format!("note: {target} has no place for the {}; --as metadata has", attributes.name);
        output::note(common, text);
    }
    let out = args.out.display().to_string();
    if common.json {
        output::print_json(&json!({"folder": out, "format": args.target, "images": images}))?;
    } else {
        output::print(format!("written: {out} ({})", args.target))?;
        output::hint(common, format!("next:    fairprune run --data {out}"))?;
    }
    Ok(0)
}
