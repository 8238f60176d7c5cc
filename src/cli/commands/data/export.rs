//! `fairprune data export`: what a subset keeps, for other programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::tables::RowWriter;
use fairprune::artefact::{Provenance, atomic, integrity, npy};
use fairprune::data::write::tree::LinkOrCopy;
use fairprune::data::write::{shards, tree};
use fairprune::data::{DataSet, cache};
use fairprune::error::Error;
use fairprune::experiment::folder::provenance;
use fairprune::experiment::folder::subset::{SubsetFile, sidecar};
use serde_json::json;

use crate::cli::args::{Common, DataArgs};
use crate::cli::{context, output};

#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Positions or mask of the samples to keep: kept.npy of `prune` or `run`
    /// [default: all, with --long-tail those that it leaves]
    #[arg(long, value_name = "kept.npy")]
    pub subset: Option<PathBuf>,
    /// index (positions, .npy), mask (.npy), csv (index, id, label, class, attribute), list (one id a line),
    /// links or copy (a tree of the kept images and everything else of the set), tar (WebDataset;
    /// a folder of shards unless --out ends in .tar)
    #[arg(long = "as", value_name = "FORM")]
    pub form: String,
    /// The file or folder to write
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Replace an existing file; folders are never replaced
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub common: Common,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Index,
    Mask,
    Csv,
    List,
    Tree(LinkOrCopy),
    Tar,
}

impl FromStr for Form {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        match s {
            "index" => Ok(Form::Index),
            "mask" => Ok(Form::Mask),
            "csv" => Ok(Form::Csv),
            "list" => Ok(Form::List),
            "tar" => Ok(Form::Tar),
            _ => s.parse().map(Form::Tree).map_err(|_| {
                Error::invalid("--as", s, "index, mask, csv, list, links, copy or tar")
            }),
        }
    }
}

/// Checks the subset against the data set and writes it.
pub fn export(args: &ExportArgs) -> Result<u8> {
    let common = &args.common;
    let form: Form = args.form.parse()?;
    check_out(args, form)?;
    let host = common.host()?;
    let set = context::load_data(common, &args.data, &host)?;
    let subset = match &args.subset {
        Some(path) => SubsetFile::read(path, &set)?,
        None => SubsetFile::whole(set.present()),
    };
    context::notes(common, &subset.notes);
    let kept = &subset.positions;
    let source = source(&args.data.data)?;
    atomic::remove_abandoned(&args.out);
    match form {
        Form::Index => {
            let positions: Vec<i64> = kept.iter().map(|&i| i as i64).collect();
            npy::write(&args.out, &[positions.len()], &positions)?;
            write_provenance(args, &set, &subset)?;
        }
        Form::Mask => {
            let mut mask = vec![false; set.train.len()];
            kept.iter().for_each(|&i| mask[i] = true);
            npy::write(&args.out, &[mask.len()], &mask)?;
            write_provenance(args, &set, &subset)?;
        }
        Form::Csv => write_csv(&args.out, &set, kept)?,
        Form::List => write_list(&args.out, &set, kept)?,
        Form::Tree(placement) => tree::export(&set, &source, kept, placement, &args.out)?,
        Form::Tar => shards::export(&set, &source, kept, &args.out)?,
    }
    if matches!(form, Form::Tree(_)) {
        warn_of_empty_classes(common, &set, kept);
    }
    let out = args.out.display().to_string();
    if common.json {
        output::print_json(&json!({
            "out": out,
            "form": args.form,
            "kept": kept.len(),
            "total": set.train.len(),
            "fingerprint": set.fingerprint,
        }))?;
    } else {
        output::print(format!("written: {out} ({} of {} samples)", kept.len(), set.train.len()))?;
    }
    Ok(0)
}

/// Refuses a place that is taken, before anything is read.
fn check_out(args: &ExportArgs, form: Form) -> Result<(), Error> {
    let out = &args.out;
    let refused = |found: &str, expected: &str| {
        Err(Error::invalid(format!("--out {}", out.display()), found, expected))
    };
    let is_npy = out.extension().is_some_and(|e| e == "npy");
    if matches!(form, Form::Index | Form::Mask) && !is_npy {
        return refused("another kind of file", "a name that ends in .npy");
    }
    let is_folder = match form {
        Form::Tree(_) => true,
        Form::Tar => out.extension().is_none_or(|e| !e.eq_ignore_ascii_case("tar")),
        _ => false,
    };
    if !is_folder && out.exists() && (!args.force || !out.is_file()) {
        return refused(
            "something that is there already",
            "a new file, or --force to replace a file",
        );
    }
    let read = [args.subset.as_deref(), Some(Path::new(&args.data.data))];
    if !is_folder && read.contains(&Some(out.as_path())) {
        return refused("what is read", "another file");
    }
    Ok(())
}

/// Where the files of the data set are: of a cache, where those that it was made of are.
fn source(data: &str) -> Result<PathBuf> {
    let path = Path::new(data);
    let is_cache = path.extension().is_some_and(|e| e == cache::EXTENSION) && path.is_file();
    Ok(match is_cache {
        true => PathBuf::from(cache::header(path)?.source.path),
        false => path.to_owned(),
    })
}

/// States beside an array which data set it is of, and where it comes from as far as that is known.
fn write_provenance(args: &ExportArgs, set: &DataSet, subset: &SubsetFile) -> Result<(), Error> {
    let identity = provenance::identity(set);
    let stated = subset.stated.clone();
    let stated = stated.unwrap_or_else(|| Provenance::new(identity, Vec::new(), Vec::new()));
    integrity::write_json(&sidecar(&args.out), &stated)
}

fn write_csv(out: &Path, set: &DataSet, kept: &[usize]) -> Result<(), Error> {
    atomic::write(out, |file| {
        let mut table = RowWriter::new(file);
        let attribute = set.attributes.as_ref();
        let header = ["index", "id", "label", "class"].into_iter();
        table.texts(header.chain(attribute.map(|a| a.name.as_str())))?;
        for &i in kept {
            let label = set.train.labels[i];
            let (index, number) = (i.to_string(), label.to_string());
            let class = &set.classes[label as usize];
            let cells = [index.as_str(), set.train.ids[i].as_str(), number.as_str(), class];
            let value = attribute.map(|a| a.values[set.train.attributes[i] as usize].as_str());
            table.texts(cells.into_iter().chain(value))?;
        }
        table.flush()
    })
}

fn write_list(out: &Path, set: &DataSet, kept: &[usize]) -> Result<(), Error> {
    if let Some(&i) = kept.iter().find(|&&i| set.train.ids[i].contains(['\n', '\r'])) {
        let found = format!("the id {:?}", set.train.ids[i]);
        return Err(Error::invalid("--as list", found, "ids of one line; or --as csv"));
    }
    atomic::write(out, |file| kept.iter().try_for_each(|&i| writeln!(file, "{}", set.train.ids[i])))
}

/// Readers of folders refuse empty classes unless they are told not to.
fn warn_of_empty_classes(common: &Common, set: &DataSet, kept: &[usize]) {
    let mut sizes = vec![0usize; set.classes.len()];
    kept.iter().for_each(|&i| sizes[set.train.labels[i] as usize] += 1);
    let empty: Vec<&str> =
        (0..sizes.len()).filter(|&k| sizes[k] == 0).map(|k| set.classes[k].as_str()).collect();
    if !empty.is_empty() {
        let text = format!(
            "warning: no image of {} is kept; the empty folders stay, so that indices do not change, \
             and torchvision's ImageFolder reads them with allow_empty=True",
            empty.join(", ")
        );
        output::note(common, text);
    }
}
