//! The scores of a folder that `fairprune score` wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fairprune::artefact::provenance::{Method as MethodRecord, read_json};
use fairprune::artefact::tables::{Part, ScoreTable};
use fairprune::artefact::{Provenance, digest};
use fairprune::data::{Attributes, DataSet};
use fairprune::error::Error;
use fairprune::experiment::provenance;
use fairprune::score::Method;
use serde::Deserialize;

/// The scores of a folder.
pub struct Scores {
    pub folder: PathBuf,
    pub table: ScoreTable,
    pub stated: Provenance,
    /// Class names, where scores.json tells them.
    pub names: Option<Vec<String>>,
    /// What the column `attribute` of scores.csv means.
    pub attribute: Option<Attributes>,
    /// Of scores.csv, whole.
    pub digest: String,
}

/// Refuses a CSV file whose bytes are not those that scores.json beside it states.
pub fn check_digest(json: &Path, csv: &Path, bytes: &[u8]) -> Result<()> {
    let stated: Names = read_json(json, Provenance::FORMAT_VERSION)?;
    let name = csv.file_name().unwrap_or_default().to_string_lossy();
    if stated.digests.get(&*name).is_none_or(|stated| *stated == digest(bytes)) {
        return Ok(());
    }
    let expected =
        "the bytes that scores.json states; numbers of your own belong in another folder";
    Err(Error::invalid(csv.display().to_string(), "other bytes", expected).into())
}

/// What scores.json says beside its provenance.
#[derive(Deserialize)]
struct Names {
    class_names: Option<Vec<String>>,
    attribute: Option<AttributeNames>,
    /// Of the CSV files as they were written, by name.
    #[serde(default)]
    digests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct AttributeNames {
    name: String,
    values: Vec<String>,
}

impl Scores {
    /// Positions that may be kept.
    pub fn eligible(&self) -> Vec<usize> {
        let parts = self.table.parts.iter().enumerate();
        parts.filter(|(_, part)| **part == Part::Train).map(|(i, _)| i).collect()
    }

    /// What held the others out.
    pub fn split(&self) -> Option<String> {
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

    /// Refuses a table whose rows are not the samples of `data`, position by position.
    pub fn check_samples(&self, data: &DataSet) -> Result<(), Error> {
        let table = &self.table;
        let differs = (0..data.train.len()).find(|&i| {
            table.ids.get(i) != data.train.ids.get(i)
                || table.labels.get(i) != data.train.labels.get(i)
        });
        let Some(i) = differs else { return Ok(()) };
        let row = |ids: &[String], labels: &[u32]| match (ids.get(i), labels.get(i)) {
            (Some(id), Some(label)) => format!("{id:?} of label {label}"),
            _ => "nothing".to_owned(),
        };
        let what = format!("{}, line {}", self.folder.join("scores.csv").display(), i + 2);
        let found = row(&table.ids, &table.labels);
        Err(Error::invalid(what, found, row(&data.train.ids, &data.train.labels)))
    }

    /// Reads the folder and checks what its files say of each other.
    pub fn read(folder: &Path) -> Result<Scores> {
        let (csv, json) = (folder.join("scores.csv"), folder.join("scores.json"));
        for path in [&csv, &json] {
            if !path.is_file() {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let found =
                    if folder.is_dir() { format!("no {name}") } else { "no folder".to_owned() };
                let what = format!("--scores {}", folder.display());
                return Err(
                    Error::invalid(what, found, "a folder that `fairprune score` wrote").into()
                );
            }
        }
        let stated = Provenance::read(&json)?;
        let Names { class_names: names, attribute, digests } =
            read_json(&json, Provenance::FORMAT_VERSION)?;
        let bytes = std::fs::read(&csv).map_err(Error::io(&csv))?;
        let digest = digest(&bytes);
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
        if digests.get("scores.csv").is_some_and(|stated| *stated != digest) {
            let expected = "the bytes that `fairprune score` wrote; scores of your own are given as a \
                            file, --scores FILE --data DATA";
            return Err(
                Error::invalid(place, "other bytes than scores.json states", expected).into()
            );
        }
        let attribute = attribute.map(|a| Attributes { name: a.name, values: a.values });
        let values = attribute.as_ref().map_or(0, |a| a.values.len());
        if attribute.is_some() == table.attributes.is_empty() {
            let found = "an attribute in one of scores.csv and scores.json";
            return Err(Error::invalid(place, found, "one in both, or none").into());
        }
        if let Some(i) = table.attributes.iter().position(|&a| a as usize >= values) {
            let what = format!("{place}, line {}, column attribute", i + 2);
            let expected = format!("below {values}, the values that scores.json states");
            return Err(Error::invalid(what, table.attributes[i].to_string(), expected).into());
        }
        Ok(Scores { folder: folder.to_owned(), table, stated, names, attribute, digest })
    }
}
