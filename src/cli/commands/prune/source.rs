//! What is pruned: a data set, or the table that `fairprune score` made of one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::provenance::{DataIdentity, Method as MethodRecord, read_json};
use fairprune::artefact::tables::{Part, ScoreTable};
use fairprune::artefact::{Provenance, digest};
use fairprune::data::DataSet;
use fairprune::error::Error;
use fairprune::experiment::provenance;
use fairprune::score::Method;
use serde_json::Value;

use crate::cli::args::{Common, DataArgs};
use crate::cli::{context, device};

/// Where labels and scores come from.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct SourceArgs {
    /// A folder that `fairprune score` wrote: scores, labels and recalls; --data is not needed
    #[arg(long, value_name = "DIR")]
    pub scores: Option<PathBuf>,
    /// A folder, a tar, Parquet or cache file, or the built-in shapes or shapes:extreme
    #[arg(long, value_name = "PATH|shapes")]
    pub data: Option<String>,
    /// How the data set is stored, as in `fairprune train --help` [default: by its content]
    #[arg(long, value_name = "FORMAT", requires = "data")]
    pub format: Option<String>,
    /// Resize the short side to S and keep the central S x S
    #[arg(long, value_name = "S", requires = "data")]
    pub image_size: Option<usize>,
    /// Seed of the built-in data sets' drawings
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
    /// Which training images are held out and never kept: holdout, half-test, crossfit[:R] or
    /// shipped [default: the scores' own; without scores as in `train`]
    #[arg(long, value_name = "SPLIT", requires = "data", conflicts_with = "scores")]
    pub split: Option<String>,
}

/// Everything a selection needs to know of the samples.
pub struct Source {
    pub identity: DataIdentity,
    /// Class names, where the source knows them.
    pub names: Option<Vec<String>>,
    pub ids: Vec<String>,
    pub labels: Vec<u32>,
    /// Positions that are not held out, ascending.
    pub eligible: Vec<usize>,
    /// What held the others out.
    pub split: Option<String>,
    pub scores: Option<Scores>,
    /// The images, where they were read.
    pub data: Option<Arc<DataSet>>,
}

/// The scores of a folder.
pub struct Scores {
    pub folder: PathBuf,
    pub table: ScoreTable,
    pub stated: Provenance,
    /// Of scores.csv, whole.
    pub digest: String,
}

impl Source {
    /// Reads what the flags name.
    pub fn read(common: &Common, args: &SourceArgs) -> Result<Source> {
        let cpu = device::host_only(common)?;
        let data = match &args.data {
            None => None,
            Some(name) => {
                let given = DataArgs {
                    data: name.clone(),
                    format: args.format.clone(),
                    image_size: args.image_size,
                    data_seed: args.data_seed,
                    split: args.split.clone(),
                };
                let data = context::load_data(common, &given, &cpu)?;
                Some((data, given))
            }
        };
        let scored = args.scores.as_deref().map(read_scores).transpose()?;
        match (data, scored) {
            (None, Some((scores, names))) => Ok(Source::of_scores(scores, names)),
            (Some((data, given)), scored) => {
                let identity = provenance::identity(&data);
                let (eligible, split, scores) = match scored {
                    None => {
                        let split = context::split(common, &given, &data)?;
                        (split.train, Some(split.kind.to_string()), None)
                    }
                    Some((scores, _)) => {
                        let what = format!("scores {}", scores.folder.display());
                        scores.stated.check_data(&what, &identity)?;
                        (scores.eligible(), scores.split(), Some(scores))
                    }
                };
                Ok(Source {
                    identity,
                    names: Some(data.classes.clone()),
                    ids: data.train.ids.clone(),
                    labels: data.train.labels.clone(),
                    eligible,
                    split,
                    scores,
                    data: Some(data),
                })
            }
            (None, None) => {
                let expected = "--scores DIR of `fairprune score`, or --data PATH";
                Err(Error::invalid("prune", "no data set", expected).into())
            }
        }
    }

    fn of_scores(scores: Scores, names: Option<Vec<String>>) -> Source {
        Source {
            identity: scores.stated.data.clone(),
            names,
            ids: scores.table.ids.clone(),
            labels: scores.table.labels.clone(),
            eligible: scores.eligible(),
            split: scores.split(),
            scores: Some(scores),
            data: None,
        }
    }
}

impl Scores {
    fn eligible(&self) -> Vec<usize> {
        let parts = self.table.parts.iter().enumerate();
        parts.filter(|(_, part)| **part == Part::Train).map(|(i, _)| i).collect()
    }

    fn split(&self) -> Option<String> {
        provenance::split_of(&self.stated)
    }

    /// The values of `method` and what scores.json says of them.
    pub fn method(&self, method: Method) -> Result<(Vec<f64>, &MethodRecord)> {
        let values = self.table.method(method.name(), &self.folder.join("scores.csv"))?;
        let path = self.folder.join("scores.json");
        let record = self.stated.method(method.name(), &path)?;
        let expected = provenance::direction(method);
        if record.direction.is_some_and(|d| d != expected) {
            let what = format!("{}: direction of {method}", path.display());
            let found = format!("{:?}", record.direction);
            return Err(Error::invalid(what, found, format!("{expected:?}")).into());
        }
        Ok((values.iter().map(|&v| f64::from(v)).collect(), record))
    }
}

/// The scores in `folder`, and the class names if it tells them.
fn read_scores(folder: &Path) -> Result<(Scores, Option<Vec<String>>)> {
    let (csv, json) = (folder.join("scores.csv"), folder.join("scores.json"));
    for path in [&csv, &json] {
        if !path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let found = if folder.is_dir() { format!("no {name}") } else { "no folder".to_owned() };
            let what = format!("--scores {}", folder.display());
            return Err(Error::invalid(what, found, "a folder that `fairprune score` wrote").into());
        }
    }
    let stated = Provenance::read(&json)?;
    let names = class_names(&json)?;
    let bytes = std::fs::read(&csv).map_err(Error::io(&csv))?;
    let table = ScoreTable::read(&csv)?;
    let (rows, classes) = (table.ids.len(), stated.data.classes);
    let place = csv.display().to_string();
    if rows != stated.data.samples {
        let expected = format!("{}, as scores.json says", stated.data.samples);
        return Err(Error::invalid(place, format!("{rows} samples"), expected).into());
    }
    if let Some(i) = table.labels.iter().position(|&l| l as usize >= classes) {
        let what = format!("{place}, line {}, column label", i + 2);
        let expected = format!("below {classes}, the classes that scores.json states");
        return Err(Error::invalid(what, table.labels[i].to_string(), expected).into());
    }
    if names.as_ref().is_some_and(|n| n.len() != classes) {
        let found = format!("{} class names", names.map_or(0, |n| n.len()));
        let expected = format!("{classes}, one a class");
        return Err(Error::invalid(json.display().to_string(), found, expected).into());
    }
    let folder = folder.to_owned();
    Ok((Scores { folder, table, stated, digest: digest(&bytes) }, names))
}

fn class_names(json: &Path) -> Result<Option<Vec<String>>> {
    let document: Value = read_json(json, Provenance::FORMAT_VERSION)?;
    let Some(list) = document.get("class_names").and_then(Value::as_array) else {
        return Ok(None);
    };
    let names: Option<Vec<String>> = list.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    names.map(Some).ok_or_else(|| {
        let what = format!("{}: class_names", json.display());
        Error::invalid(what, "something that is no text", "a list of names").into()
    })
}
