//! A folder of scores: `<method>.npy`, `scores.csv`, `scores.json`, and recalls where there are some.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::provenance;
use super::recall_rows::{
    GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS, RECALLS, RECALLS_OF_DYNAMICS, write_group_recalls,
};
use super::validation_rows::{self, VALIDATION_ROWS};
use crate::artefact::integrity::digest_of_file;
use crate::artefact::provenance::{DataIdentity, MethodRecord, read_json};
use crate::artefact::tables::{self, RecallRow, SamplePart, ScoreTable};
use crate::artefact::{OutputDir, Provenance, digest, input, npy};
use crate::data::{Attributes, DataSet, Split};
use crate::error::{Error, Result};
use crate::prune::ValidationRows;
use crate::score::Method;

/// One score of every sample, NaN where it has none.
#[derive(Clone, Debug)]
pub struct MethodScores {
    pub method: Method,
    pub values: Vec<f64>,
    pub variant: String,
    /// Numbers of the variant, and what is special about its runs.
    pub parameters: Map<String, Value>,
}

/// Scores and recalls, however they came about.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    pub scores: Vec<MethodScores>,
    pub recalls: Option<Vec<RecallRow>>,
    pub recalls_of_dynamics: Option<Vec<RecallRow>>,
    /// What the runs behind `recalls` say of each validation sample.
    pub rows: Option<Arc<ValidationRows>>,
    /// Both over groups; groups without validation samples are left out.
    pub of_groups: [Option<Vec<RecallRow>>; 2],
    /// Hyper-parameters that all scores share, unless they have their own.
    pub shared: Map<String, Value>,
    /// Seeds of the runs behind `recalls`.
    pub seeds: Vec<u64>,
}

/// The samples that are scored, in data-set order.
pub struct ScoredSamples {
    pub identity: DataIdentity,
    pub classes: Vec<String>,
    pub ids: Vec<String>,
    pub labels: Vec<u32>,
    pub parts: Vec<SamplePart>,
    /// What the attribute is, and its value for each sample.
    pub attributes: Option<(Attributes, Vec<u32>)>,
}

impl ScoredSamples {
    /// The training samples of a data set under a split.
    pub fn of(data: &DataSet, split: &Split) -> Self {
        ScoredSamples {
            identity: provenance::identity(data),
            classes: data.classes.clone(),
            ids: data.train.ids.clone(),
            labels: data.train.labels.clone(),
            parts: provenance::parts(data, split),
            attributes: data.attributes.clone().map(|a| (a, data.train.attributes.clone())),
        }
    }
}

impl Scored {
    /// Writes the folder; what scores.json says is returned.
    pub fn write(&self, samples: ScoredSamples, dir: &OutputDir) -> Result<Value> {
        let column = |s: &MethodScores| {
            (s.method.name().to_owned(), s.values.iter().map(|&v| v as f32).collect::<Vec<f32>>())
        };
        let columns: Vec<(String, Vec<f32>)> = self.scores.iter().map(column).collect();
        let mut digests = Map::new();
        for (name, values) in &columns {
            let name = format!("{name}.npy");
            let path = dir.file(&name)?;
            npy::write(&path, &[values.len()], values)?;
            digests.insert(name, json!(digest_of_file(&path)?));
        }
        let ScoredSamples { identity, classes, ids, labels, parts, attributes } = samples;
        let (attribute, attributes) = attributes.unzip();
        let attributes = attributes.unwrap_or_default();
        let table = ScoreTable { ids, labels, parts, attributes, methods: columns };
        let path = dir.file("scores.csv")?;
        table.write(&path)?;
        digests.insert("scores.csv".to_owned(), json!(digest_of_file(&path)?));
        let mut records: Vec<MethodRecord> = self.scores.iter().map(|s| self.record(s)).collect();
        if records.is_empty() {
            records.push(self.record_of_recalls());
        }
        let stated = Provenance::new(identity, records, self.seeds.clone());
        let mut document = json!(stated);
        document["class_names"] = json!(classes);
        if let Some(a) = attribute {
            document["attribute"] = json!({ "name": a.name, "values": a.values });
        }
        let of_classes = [&self.recalls, &self.recalls_of_dynamics];
        for (name, rows) in [RECALLS, RECALLS_OF_DYNAMICS].into_iter().zip(of_classes) {
            let Some(rows) = rows else { continue };
            let path = dir.file(name)?;
            tables::write(&path, rows)?;
            digests.insert(name.to_owned(), json!(digest_of_file(&path)?));
        }
        let names = [GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS];
        for (name, rows) in names.into_iter().zip(&self.of_groups) {
            let Some(rows) = rows else { continue };
            let path = dir.file(name)?;
            write_group_recalls(&path, rows)?;
            digests.insert(name.to_owned(), json!(digest_of_file(&path)?));
        }
        if let Some(rows) = &self.rows {
            validation_rows::write(rows, dir)?;
            for name in VALIDATION_ROWS {
                digests.insert(name.to_owned(), json!(digest_of_file(&dir.file(name)?)?));
            }
        }
        document["digests"] = Value::Object(digests);
        dir.write_sealed("scores.json", &document)?;
        Ok(document)
    }

    /// What stands in the place of scores where runs were there for their recalls alone.
    fn record_of_recalls(&self) -> MethodRecord {
        MethodRecord {
            name: "recalls".to_owned(),
            variant: "class recalls of query runs, no score".to_owned(),
            direction: None,
            hyper_parameters: self.shared.clone(),
        }
    }

    fn record(&self, scores: &MethodScores) -> MethodRecord {
        let mut hyper_parameters = self.shared.clone();
        hyper_parameters.extend(scores.parameters.clone());
        MethodRecord {
            name: scores.method.name().to_owned(),
            variant: scores.variant.clone(),
            direction: Some(provenance::direction(scores.method)),
            hyper_parameters,
        }
    }
}

/// Refuses a file whose bytes are not those that scores.json beside it states.
pub fn check_digest(json: &Path, csv: &Path, bytes: &[u8]) -> Result<()> {
    let stated: Names = read_json(json, Provenance::FORMAT_VERSION)?;
    let name = csv.file_name().unwrap_or_default().to_string_lossy();
    if stated.digests.get(&*name).is_none_or(|stated| *stated == digest(bytes)) {
        return Ok(());
    }
    let expected =
        "the bytes that scores.json states; numbers of your own belong in another folder";
    Err(Error::invalid(csv.display().to_string(), "other bytes", expected))
}

/// What scores.json says beside its provenance.
#[derive(Deserialize)]
struct Names {
    class_names: Option<Vec<String>>,
    attribute: Option<AttributeNames>,
    /// Digests of the files beside it as they were written, by name.
    #[serde(default)]
    digests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct AttributeNames {
    name: String,
    values: Vec<String>,
}

/// A folder of scores that was read and whose files agree with each other.
pub struct ScoresFolder {
    pub folder: PathBuf,
    pub table: ScoreTable,
    pub stated: Provenance,
    /// Class names, where scores.json tells them.
    pub names: Option<Vec<String>>,
    /// What the column `attribute` of scores.csv means.
    pub attribute: Option<Attributes>,
    /// Digest of scores.csv, whole.
    pub digest: String,
}

impl ScoresFolder {
    /// Positions that may be kept.
    pub fn eligible(&self) -> Vec<usize> {
        let parts = self.table.parts.iter().enumerate();
        parts.filter(|(_, part)| **part == SamplePart::Train).map(|(i, _)| i).collect()
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
            return Err(Error::invalid(what, found, format!("{expected:?}")));
        }
        Ok((values.iter().map(|&v| f64::from(v)).collect(), record))
    }

    /// Refuses a table whose rows are not the samples of `data`, position by position.
    pub fn check_samples(&self, data: &DataSet) -> Result<()> {
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
    pub fn read(folder: &Path) -> Result<ScoresFolder> {
        let (csv, json) = (folder.join("scores.csv"), folder.join("scores.json"));
        for path in [&csv, &json] {
            if !path.is_file() {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let found =
                    if folder.is_dir() { format!("no {name}") } else { "no folder".to_owned() };
                let what = format!("`scores` {}", folder.display());
                return Err(Error::invalid(what, found, "a folder that `fairprune score` wrote"));
            }
        }
        let stated = Provenance::read(&json)?;
        let Names { class_names: names, attribute, digests } =
            read_json(&json, Provenance::FORMAT_VERSION)?;
        let bytes = input::read(&csv, input::MOST)?;
        let digest = digest(&bytes);
        let table = ScoreTable::read(&csv)?;
        let (rows, classes) = (table.ids.len(), stated.data.classes);
        let place = csv.display().to_string();
        if rows != stated.data.samples {
            let expected = format!("{}, as scores.json says", stated.data.samples);
            return Err(Error::invalid(place, format!("{rows} samples"), expected));
        }
        if let Some(i) = table.labels.iter().position(|&l| l as usize >= classes) {
            let what = format!("{place}, line {}, column label", i + 2);
            let expected = format!("below {classes}, the classes that scores.json states");
            return Err(Error::invalid(what, table.labels[i].to_string(), expected));
        }
        if names.as_ref().is_some_and(|n| n.len() != classes) {
            let found = format!("{} class names", names.map_or(0, |n| n.len()));
            let expected = format!("{classes}, one a class");
            return Err(Error::invalid(json.display().to_string(), found, expected));
        }
        if !digests.is_empty() && !digests.contains_key("scores.csv") {
            return Err(Error::damaged(&json, "a document of other files than scores.csv"));
        }
        if digests.get("scores.csv").is_some_and(|stated| *stated != digest) {
            let expected = "the bytes that `fairprune score` wrote; scores of your own are given as a \
                            file, `scores` FILE `data` DATA";
            return Err(Error::invalid(place, "other bytes than scores.json states", expected));
        }
        let attribute = attribute.map(|a| Attributes { name: a.name, values: a.values });
        let values = attribute.as_ref().map_or(0, |a| a.values.len());
        if attribute.is_some() == table.attributes.is_empty() {
            let found = "an attribute in one of scores.csv and scores.json";
            return Err(Error::invalid(place, found, "one in both, or none"));
        }
        if let Some(i) = table.attributes.iter().position(|&a| a as usize >= values) {
            let what = format!("{place}, line {}, column attribute", i + 2);
            let expected = format!("below {values}, the values that scores.json states");
            return Err(Error::invalid(what, table.attributes[i].to_string(), expected));
        }
        Ok(ScoresFolder { folder: folder.to_owned(), table, stated, names, attribute, digest })
    }
}
