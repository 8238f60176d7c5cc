//! What is pruned: a data set, or the table that `fairprune score` made of one.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::provenance::DataIdentity;
use fairprune::data::{Attributes, DataSet, Partition};
use fairprune::error::Error;
use fairprune::experiment::provenance;

use super::folder::Scores;
use super::given::{Given, GivenArgs};
use crate::cli::args::{Common, DataArgs, GroupArgs, LongTailArgs};
use crate::cli::{context, device, output};

/// Where labels and scores come from.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct SourceArgs {
    /// A folder that `fairprune score` wrote (--data is not needed), or a .csv or .npy of scores that
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
    pub long_tail: LongTailArgs,
    /// Which training images are held out and never kept: holdout, half-test, crossfit[:R] or
    /// shipped [default: the scores' own; without scores as in `train`]
    #[arg(long, value_name = "SPLIT", requires = "data")]
    pub split: Option<String>,
    #[command(flatten)]
    pub given: GivenArgs,
    #[command(flatten)]
    pub groups: GroupArgs,
}

impl SourceArgs {
    /// The data set of these flags, if there is one.
    pub fn data_args(&self) -> Option<DataArgs> {
        Some(DataArgs {
            data: self.data.clone()?,
            format: self.format.clone(),
            image_size: self.image_size,
            input_size: None,
            data_seed: self.data_seed,
            long_tail: self.long_tail,
            split: self.split.clone(),
        })
    }

    /// The file of scores that another program computed, if there is one.
    pub fn file(&self) -> Option<&PathBuf> {
        self.scores.as_ref().filter(|path| path.is_file())
    }
}

/// Everything a selection needs to know of the samples.
pub struct Source {
    pub identity: DataIdentity,
    /// What quotas are over; its names are the numbers where the source knows no class names.
    pub partition: Partition,
    /// Whether the source knows the names.
    pub named: bool,
    pub ids: Vec<String>,
    /// Class of each sample.
    pub labels: Vec<u32>,
    /// Group of each sample in the partition.
    pub groups: Vec<u32>,
    /// Positions that are not held out, ascending.
    pub eligible: Vec<usize>,
    /// What held the others out.
    pub split: Option<String>,
    pub scores: Option<Scores>,
    pub given: Option<Given>,
    /// The images, where they were read.
    pub data: Option<Arc<DataSet>>,
}

impl Source {
    /// Reads what the flags name.
    pub fn read(common: &Common, args: &SourceArgs) -> Result<Source> {
        if args.data.is_none() && args.long_tail.long_tail.is_some() {
            let expected = "--data with it; scores of a folder state their own";
            return Err(Error::invalid("--long-tail", "no --data", expected).into());
        }
        match (args.data_args(), &args.scores) {
            (None, None) => {
                let expected = "--scores DIR of `fairprune score`, or --data PATH";
                Err(Error::invalid("prune", "no data set", expected).into())
            }
            (None, Some(path)) if args.file().is_some() => {
                let what = format!("--scores {}", path.display());
                let expected = "--data DATA, the set whose samples they are of";
                Err(Error::invalid(what, "scores of another program alone", expected).into())
            }
            (None, Some(folder)) => Source::of_scores(Scores::read(folder)?, &args.groups.groups),
            (Some(data), _) => Source::of_data(common, args, &data),
        }
    }

    fn of_data(common: &Common, args: &SourceArgs, given_args: &DataArgs) -> Result<Source> {
        let scores = match &args.scores {
            Some(folder) if args.file().is_none() => Some(Scores::read(folder)?),
            _ => None,
        };
        if scores.is_some() && args.split.is_some() {
            let expected = "no --split: the scores state theirs";
            return Err(Error::invalid("--split", "scores of a folder", expected).into());
        }
        let cpu = device::host_only(common)?;
        let data = context::load_data(common, given_args, &cpu)?;
        let identity = provenance::identity(&data);
        let (eligible, split) = match &scores {
            None => {
                let split = context::split(common, given_args, &data)?;
                (split.train, Some(split.kind.to_string()))
            }
            Some(scores) => {
                let what = format!("scores {}", scores.folder.display());
                if let Some(text) = scores.stated.check_positions(&what, &identity)? {
                    output::note(common, format!("note: {text}"));
                }
                scores.check_samples(&data)?;
                (scores.eligible(), scores.split())
            }
        };
        let given = args.file().map(|path| Given::read(path, &args.given, &data, &eligible));
        let partition = Partition::of(&data, &args.groups.groups)?;
        Ok(Source {
            identity,
            groups: partition.labels(&data, &data.train).into_owned(),
            partition,
            named: true,
            ids: data.train.ids.clone(),
            labels: data.train.labels.clone(),
            eligible,
            split,
            scores,
            given: given.transpose()?,
            data: Some(data),
        })
    }

    fn of_scores(scores: Scores, groups: &str) -> Result<Source> {
        let numbers = (0..scores.stated.data.classes).map(|k| format!("class {k}"));
        let classes = scores.names.clone().unwrap_or_else(|| numbers.collect());
        let what = format!("--groups with the scores {}", scores.folder.display());
        let partition = Partition::named(&what, &classes, scores.attribute.as_ref(), groups)?;
        let labels = scores.table.labels.clone();
        let group = |a: &Attributes| -> Vec<u32> {
            let pairs = labels.iter().zip(&scores.table.attributes);
            pairs.map(|(&label, &value)| a.group(label, value) as u32).collect()
        };
        let by_attribute = scores.attribute.as_ref().filter(|_| partition.attribute.is_some());
        Ok(Source {
            identity: scores.stated.data.clone(),
            groups: by_attribute.map_or_else(|| labels.clone(), group),
            partition,
            named: scores.names.is_some(),
            ids: scores.table.ids.clone(),
            labels,
            eligible: scores.eligible(),
            split: scores.split(),
            scores: Some(scores),
            given: None,
            data: None,
        })
    }
}
