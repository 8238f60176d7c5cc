//! `fairprune data cache`: decode once, load in no time.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use fairprune::artefact::atomic;
use fairprune::data::cache::{self, EXTENSION, Header};
use fairprune::data::{LoadOptions, StatedLayout};
use fairprune::error::Error;
use serde_json::json;

use super::set::SetArgs;
use crate::cli::args::Common;
use crate::cli::{context, output};

#[derive(Args, Debug)]
pub struct CacheArgs {
    #[command(flatten)]
    pub set: SetArgs,
    /// The cache file; its name ends in .fpc
    #[arg(long, value_name = "FILE.fpc")]
    pub out: PathBuf,
    /// Make the cache again, whatever an existing one was made of
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Writes the cache, unless it is there and still right.
pub fn cache(args: &CacheArgs) -> Result<u8> {
    let common = &args.common;
    if args.out.extension().is_none_or(|e| e != EXTENSION) {
        let expected = format!("a file name that ends in .{EXTENSION}");
        return Err(Error::invalid("--out", args.out.display().to_string(), expected).into());
    }
    let given = args.set.settings()?;
    let options = given.load_options();
    if args.out.exists() {
        if !args.force {
            let header = cache::header(&args.out)?;
            still_right(&header, args)?;
            // Whoever is told that it is up to date will use it: its content must be that of its fingerprint.
            let host = common.host()?;
            host.host().pool().install(|| cache::check_content(&args.out))?;
            return report(args, &header, false);
        }
        // Anything else than a cache is the user's own, whatever the flags; a damaged one begins as one.
        if !cache::begins_as_cache(&args.out)? {
            cache::header(&args.out)?;
        }
    }
    let host = common.host()?;
    if Path::new(&given.data).extension().is_some_and(|e| e == EXTENSION) {
        let expected = "the data set itself, not a cache of it";
        return Err(Error::invalid("data to cache", &given.data, expected).into());
    }
    // Looked at on both sides of the reading: what changes meanwhile must not count as read.
    let before = cache::signature_of(&given.data, &options)?;
    // The decoded images may be more than memory: they wait beside the cache that they become.
    let folder = args.out.parent().filter(|p| !p.as_os_str().is_empty());
    let scratch = Some(folder.unwrap_or(Path::new(".")).to_owned());
    let room = LoadOptions { scratch, ..options.clone() };
    let set = context::load_as(common, &given, &room, &host)?;
    let source = cache::source(&given.data, &set, &options)?;
    if source.signature != before {
        let expected = "files that stay as they are meanwhile; try again";
        return Err(Error::invalid(
            &given.data,
            "files that changed while they were read",
            expected,
        )
        .into());
    }
    atomic::remove_abandoned(&args.out);
    host.host().pool().install(|| cache::write(&args.out, &set, source))?;
    report(args, &cache::header(&args.out)?, true)
}

/// An error unless an existing cache is what would be made now.
fn still_right(header: &Header, args: &CacheArgs) -> Result<()> {
    let what = args.out.display().to_string();
    let source = &header.source;
    let options = args.set.settings()?.load_options();
    let path = cache::place(&args.set.path, &options)?;
    let other = |found: String, asked: String| {
        let expected = format!("{asked}; --force makes the cache again");
        Err(Error::invalid(&what, format!("a cache of {found}"), expected).into())
    };
    let drawn = |seed: Option<u64>| seed.map_or(String::new(), |s| format!(" (data seed {s})"));
    let seed = source.seed.map(|_| args.set.data_seed);
    if source.path != path || source.seed != seed {
        return other(source.path.clone() + &drawn(source.seed), path + &drawn(seed));
    }
    if source.image_size != args.set.image_size {
        let size =
            |s: Option<usize>| s.map_or("the stored size".to_owned(), |s| format!("size {s}"));
        return other(size(source.image_size), size(args.set.image_size));
    }
    let stated = args.set.stated.settings()?;
    if source.stated != stated {
        let said = |layout: &StatedLayout| match layout.is_empty() {
            true => "what the files say".to_owned(),
            false => format!("what was said of the files ({})", json!(layout)),
        };
        return other(said(&source.stated), said(&stated));
    }
    if let Some(format) = &args.set.format
        && *format != source.format
    {
        return other(format!("format {}", source.format), format!("format {format}"));
    }
    cache::check_source(source, &what)?;
    Ok(())
}

fn report(args: &CacheArgs, header: &Header, made: bool) -> Result<u8> {
    let out = args.out.display().to_string();
    let bytes = std::fs::metadata(&args.out).map_err(Error::io(&args.out))?.len();
    if args.common.json {
        output::print_json(&json!({
            "file": out,
            "made": made,
            "bytes": bytes,
            "fingerprint": header.fingerprint,
            "source": header.source,
        }))?;
    } else {
        let verb = if made { "written" } else { "is up to date" };
        output::print(format!("{verb}: {out} ({})", output::bytes(bytes)))?;
        output::hint(&args.common, format!("next:    fairprune run --data {out}"))?;
    }
    Ok(0)
}
