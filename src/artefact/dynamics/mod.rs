//! Recorded training dynamics: a folder of `.npy` arrays, T epochs x N samples in data-set order,
//! with `dynamics.json` that describes the run and `samples.csv` that lists the samples.
//!
//! A value is NaN where the epoch did not present the sample, because it was held out, not in the
//! subset, in a rest that was dropped, or beyond the budget. A probability of 0 is a value like any
//! other.

mod quantity;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::OutputDir;
use super::integrity::digest_of_file;
use super::npy::{self, ArrayValues};
use super::provenance::{DataIdentity, read_json};
use super::tables::{SamplePart, ScoreTable};
use crate::error::{Error, Result};

pub use quantity::Quantity;

/// The folder's description.
pub const DESCRIPTION: &str = "dynamics.json";
/// The table of the folder's samples.
pub const SAMPLES: &str = "samples.csv";
/// Column of [`SAMPLES`] that tells how often the run presented the sample.
const PRESENTATIONS: &str = "presentations";

/// One array of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantityRecord {
    /// Name of the quantity.
    pub name: String,
    /// Name of the array's file.
    pub file: String,
    /// Definition of the quantity.
    pub meaning: String,
    /// BLAKE3 hash of the values, row after row, in 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Validation counts of each class, from the recorded run's best epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// Epochs that were completed.
    pub epoch: u32,
    /// Correct predictions of each class.
    pub correct: Vec<u64>,
    /// Validation samples of each class.
    pub total: Vec<u64>,
    /// Validation counts of each group, where the samples have an attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupRecord>,
}

/// Validation counts of each group, class x attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    pub correct: Vec<u64>,
    pub total: Vec<u64>,
}

/// What the column `attribute` of `samples.csv` means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeRecord {
    /// Name of the attribute.
    pub name: String,
    /// Names of its values; the column has their numbers.
    pub values: Vec<String>,
}

/// The content of `dynamics.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub format_version: u32,
    /// Name of the program.
    pub tool: String,
    /// Version of the program.
    pub version: String,
    /// Commit that the program was built from.
    pub commit: String,
    /// The data set that the samples are of.
    pub data: DataIdentity,
    /// Names of the classes, by index.
    pub class_names: Vec<String>,
    /// The attribute, where the samples have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<AttributeRecord>,
    /// Number of epochs, which are the rows of every array.
    pub epochs: usize,
    /// Number of samples, which are the columns of every array.
    pub samples: usize,
    /// Number of samples that the run trained on.
    pub trained: usize,
    /// Number of samples that the run could have trained on: all that the split leaves.
    pub eligible: usize,
    /// Whether presentations were augmented (flipped or shifted at random).
    pub augmented: bool,
    /// A sentence on what a row holds, and when a value is NaN.
    pub presentation: String,
    /// The arrays of the folder.
    pub quantities: Vec<QuantityRecord>,
    /// Digest of [`SAMPLES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples_digest: Option<String>,
    /// What the network is.
    pub network: Value,
    /// How the run was trained.
    pub recipe: Value,
    /// Seeds of the run.
    pub seeds: Value,
    /// Steps that were done.
    pub steps: u64,
    /// Number of steps that the schedule was made for.
    pub schedule_steps: u64,
    /// What held samples out, as written on the command line.
    pub split: String,
    /// The kernels that computed the run: `cpu/avx512`, `cuda/sm_90a`.
    pub numerics: String,
    /// Validation counts, where the run was validated.
    pub validation: Option<ValidationRecord>,
}

impl Description {
    /// The version that this program writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
    /// The usual [`Description::presentation`].
    pub const RULE: &str = "train mode, batch statistics, before the step; one row an epoch, one column a sample in \
                            data-set order; NaN: the epoch did not present the sample";
}

/// Samples of a recording, in data-set order.
pub struct RecordedSamples {
    /// Id of each sample.
    pub ids: Vec<String>,
    /// Class of each sample.
    pub labels: Vec<u32>,
    /// Attribute of each sample; empty where the samples have none.
    pub attributes: Vec<u32>,
    /// The part of each sample: held out by the split, or not.
    pub parts: Vec<SamplePart>,
}

/// Writes the folder `folder` of `dir`, which is `dir` itself where that is empty, with one row from each
/// `row(quantity, epoch)`. `dynamics.json` comes last, so that it never lies there without the rest.
pub fn write(
    dir: &OutputDir,
    folder: &str,
    description: &Description,
    samples: RecordedSamples,
    quantities: &[Quantity],
    mut row: impl FnMut(Quantity, usize) -> io::Result<Vec<f32>>,
) -> Result<()> {
    let place = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let shape = [description.epochs, description.samples];
    let mut description = description.clone();
    let mut presentations = vec![0u32; description.samples];
    for &quantity in quantities {
        let path = dir.file(&place(&format!("{}.npy", quantity.name())))?;
        let mut hash = blake3::Hasher::new();
        npy::write_rows(&path, shape, |epoch| {
            let values = row(quantity, epoch)?;
            if quantity == Quantity::Loss {
                let seen = presentations.iter_mut().zip(&values).filter(|(_, v)| !v.is_nan());
                seen.for_each(|(count, _)| *count += 1);
            }
            values.iter().for_each(|v| {
                hash.update(&v.to_le_bytes());
            });
            Ok(values)
        })?;
        let digest = hash.finalize().to_hex()[..32].to_owned();
        let records = description.quantities.iter_mut().filter(|q| q.name == quantity.name());
        records.for_each(|record| record.digest = Some(digest.clone()));
    }
    let counts = presentations.iter().map(|&n| n as f32).collect();
    let RecordedSamples { ids, labels, attributes, parts } = samples;
    let methods = vec![(PRESENTATIONS.to_owned(), counts)];
    let table = dir.file(&place(SAMPLES))?;
    ScoreTable { ids, labels, parts, attributes, methods }.write(&table)?;
    description.samples_digest = Some(digest_of_file(&table)?);
    dir.write_sealed(&place(DESCRIPTION), &description)?;
    Ok(())
}

/// Refuses attributes where `dynamics.json` states none, missing ones where it does, and numbers
/// that are none of its `values`.
fn check_attributes(table: &ScoreTable, values: usize, place: &str) -> Result<()> {
    if (values > 0) == table.attributes.is_empty() {
        let found = "an attribute in one of samples.csv and dynamics.json";
        return Err(Error::invalid(place, found, "in both or none"));
    }
    match table.attributes.iter().position(|&a| a as usize >= values) {
        Some(i) => {
            let what = format!("{place}, line {}, column attribute", i + 2);
            let expected = format!("below {values}, the values that dynamics.json states");
            Err(Error::invalid(what, table.attributes[i].to_string(), expected))
        }
        None => Ok(()),
    }
}

fn check_counts(what: &str, [correct, total]: [&[u64]; 2], count: usize) -> Result<()> {
    let good = correct.len() == count
        && total.len() == count
        && correct.iter().zip(total).all(|(c, n)| c <= n);
    match good {
        true => Ok(()),
        false => {
            let expected = format!("{count} counts, correct at most total");
            Err(Error::invalid(what, "other counts", expected))
        }
    }
}

/// A recording on disk. Arrays are read when they are asked for.
pub struct DynamicsFolder {
    /// What `dynamics.json` says.
    pub description: Description,
    /// The samples of the arrays' columns.
    pub samples: RecordedSamples,
    presentations: Vec<f32>,
    folder: PathBuf,
}

impl DynamicsFolder {
    /// Opens the folder and checks what its files say of each other.
    pub fn open(folder: &Path) -> Result<DynamicsFolder> {
        let path = folder.join(DESCRIPTION);
        if !path.is_file() {
            let found = if folder.is_dir() { "no dynamics.json" } else { "no folder" };
            let expected = "a folder dynamics that `fairprune train` or `fairprune score` wrote";
            return Err(Error::invalid(format!("dynamics {}", folder.display()), found, expected));
        }
        let description: Description = read_json(&path, Description::FORMAT_VERSION)?;
        let table_path = folder.join(SAMPLES);
        let table = ScoreTable::read(&table_path)?;
        let presentations = table.method(PRESENTATIONS, &table_path)?.to_vec();
        let (rows, stated) = (table.ids.len(), description.samples);
        let place = table_path.display().to_string();
        if rows != stated || stated != description.data.samples {
            let expected = format!("{stated}, as dynamics.json says");
            return Err(Error::invalid(place, format!("{rows} samples"), expected));
        }
        let classes = description.data.classes;
        if let Some(i) = table.labels.iter().position(|&l| l as usize >= classes) {
            let what = format!("{place}, line {}, column label", i + 2);
            let expected = format!("below {classes}, the classes that dynamics.json states");
            return Err(Error::invalid(what, table.labels[i].to_string(), expected));
        }
        if description.class_names.len() != classes {
            let found = format!("{} class names", description.class_names.len());
            let expected = format!("{classes}, one a class");
            return Err(Error::invalid(path.display().to_string(), found, expected));
        }
        let values = description.attribute.as_ref().map_or(0, |a| a.values.len());
        check_attributes(&table, values, &place)?;
        if let Some(v) = &description.validation {
            let what = format!("{}: validation", path.display());
            check_counts(&what, [&v.correct, &v.total], classes)?;
            if let Some(groups) = &v.groups {
                let what = format!("{what} of groups");
                check_counts(&what, [&groups.correct, &groups.total], classes * values)?;
            }
        }
        if let Some(stated) = &description.samples_digest
            && digest_of_file(&table_path)? != *stated
        {
            let found = "other bytes than the digest that dynamics.json states of it";
            return Err(Error::damaged(&table_path, found));
        }
        let ScoreTable { ids, labels, attributes, parts, .. } = table;
        let samples = RecordedSamples { ids, labels, attributes, parts };
        Ok(DynamicsFolder { description, samples, presentations, folder: folder.to_owned() })
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells whether the folder says that it has the quantity.
    pub fn has(&self, quantity: Quantity) -> bool {
        self.description.quantities.iter().any(|q| q.name == quantity.name())
    }

    /// Reads one array, T x N, after checking its shape, its values, and that each sample has as
    /// many as `samples.csv` says.
    pub fn read(&self, quantity: Quantity) -> Result<Vec<f32>> {
        let path = self.folder.join(format!("{}.npy", quantity.name()));
        let name = path.display().to_string();
        let Description { epochs, samples, .. } = self.description;
        let array = npy::read(&path)?;
        if array.shape != [epochs, samples] {
            let expected =
                format!("[{epochs}, {samples}]: epochs x samples, as dynamics.json says");
            return Err(Error::invalid(name, format!("shape {:?}", array.shape), expected));
        }
        let ArrayValues::F32(values) = array.values else {
            return Err(Error::invalid(name, "other values", "float32"));
        };
        let mut counts = vec![0u32; samples];
        for (i, &value) in values.iter().enumerate() {
            if value.is_nan() {
                continue;
            }
            counts[i % samples] += 1;
            if !quantity.accepts(value) {
                let what = format!("{name}, epoch {}, sample {}", i / samples, i % samples);
                return Err(Error::invalid(what, value.to_string(), quantity.range()));
            }
        }
        for (i, (&found, &stated)) in counts.iter().zip(&self.presentations).enumerate() {
            let first = if quantity == Quantity::Divergence { 1.0 } else { 0.0 };
            let expected = (stated - first).max(0.0);
            if found as f32 != expected {
                let what = format!("{name}, sample {i}");
                let expected = format!("{expected}: samples.csv counts {stated} presentations");
                return Err(Error::invalid(what, format!("{found} values"), expected));
            }
        }
        let record = self.description.quantities.iter().find(|q| q.name == quantity.name());
        if let Some(stated) = record.and_then(|r| r.digest.as_ref()) {
            let mut hash = blake3::Hasher::new();
            values.iter().for_each(|v| {
                hash.update(&v.to_le_bytes());
            });
            if hash.finalize().to_hex()[..32] != *stated {
                let expected = format!("those that dynamics.json states (digest {stated})");
                return Err(Error::invalid(name, "other values", expected));
            }
        }
        Ok(values)
    }
}
