//! The files and the report of scores.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use fairprune::artefact::provenance::{DataIdentity, Method as MethodRecord};
use fairprune::artefact::tables::{self, GroupRecallRow, ScoreTable};
use fairprune::artefact::{OutputDir, Provenance, digest, npy};
use fairprune::data::{Attributes, DataSet, Split};
use fairprune::error::Error;
use fairprune::experiment::provenance;
use fairprune::score::Method;
use serde_json::{Map, Value, json};

use crate::cli::args::Common;
use crate::cli::output;

/// Recalls that quotas use, and those of the recorded run where other query runs gave the first.
pub const RECALLS: &str = "recalls.csv";
pub const RECALLS_OF_DYNAMICS: &str = "recalls-dynamics.csv";
/// The same of groups, where the samples have an attribute.
pub const GROUP_RECALLS: &str = "recalls-groups.csv";
pub const GROUP_RECALLS_OF_DYNAMICS: &str = "recalls-dynamics-groups.csv";

/// One score of every sample, NaN where it has none.
pub struct MethodScores {
    pub method: Method,
    pub values: Vec<f64>,
    pub variant: String,
    /// Numbers of the variant, and what is special about its runs.
    pub parameters: Map<String, Value>,
}

/// What is written, however it came about.
#[derive(Default)]
pub struct Scored {
    pub scores: Vec<MethodScores>,
    pub recalls: Option<Vec<tables::RecallRow>>,
    pub recalls_of_dynamics: Option<Vec<tables::RecallRow>>,
    /// Both over groups; groups without validation samples are left out.
    pub of_groups: [Option<Vec<tables::RecallRow>>; 2],
    /// Hyper-parameters that all scores share, unless they have their own.
    pub shared: Map<String, Value>,
    /// Of the runs behind `recalls`.
    pub seeds: Vec<u64>,
}

/// The samples that are scored, in data-set order.
pub struct Samples {
    pub identity: DataIdentity,
    pub classes: Vec<String>,
    pub ids: Vec<String>,
    pub labels: Vec<u32>,
    pub parts: Vec<tables::Part>,
    /// What the attribute is, and its value for each sample.
    pub attributes: Option<(Attributes, Vec<u32>)>,
}

/// Files that are complete.
pub struct Written {
    pub dir: OutputDir,
    /// What was scored, where it was read.
    pub data: Option<Arc<DataSet>>,
    scored: Scored,
    document: Value,
    samples: usize,
}

/// Writes the files of a data set's scores.
pub fn write(data: &DataSet, split: &Split, scored: Scored, dir: OutputDir) -> Result<Written> {
    let parts = provenance::parts(data, split);
    let samples = Samples {
        identity: provenance::identity(data),
        classes: data.classes.clone(),
        ids: data.train.ids.clone(),
        labels: data.train.labels.clone(),
        parts,
        attributes: data.attributes.clone().map(|a| (a, data.train.attributes.clone())),
    };
    write_samples(samples, scored, dir)
}

/// Writes `<method>.npy`, `scores.csv`, `scores.json` and the recalls.
pub fn write_samples(samples: Samples, scored: Scored, dir: OutputDir) -> Result<Written> {
    let column = |s: &MethodScores| {
        (s.method.name().to_owned(), s.values.iter().map(|&v| v as f32).collect::<Vec<f32>>())
    };
    let columns: Vec<(String, Vec<f32>)> = scored.scores.iter().map(column).collect();
    for (name, values) in &columns {
        npy::write(&dir.file(&format!("{name}.npy"))?, &[values.len()], values)?;
    }
    let count = samples.ids.len();
    let Samples { identity, classes, ids, labels, parts, attributes } = samples;
    let (attribute, attributes) = attributes.unzip();
    let attributes = attributes.unwrap_or_default();
    let table = ScoreTable { ids, labels, parts, attributes, methods: columns };
    let path = dir.file("scores.csv")?;
    table.write(&path)?;
    let mut digests = Map::from_iter([("scores.csv".to_owned(), digest_of(&path)?)]);
    let record = |s: &MethodScores| {
        let mut hyper_parameters = scored.shared.clone();
        hyper_parameters.extend(s.parameters.clone());
        MethodRecord {
            name: s.method.name().to_owned(),
            variant: s.variant.clone(),
            direction: Some(provenance::direction(s.method)),
            hyper_parameters,
        }
    };
    let records = scored.scores.iter().map(record).collect();
    let stated = Provenance::new(identity, records, scored.seeds.clone());
    let mut document = serde_json::to_value(&stated)?;
    document["class_names"] = json!(classes);
    if let Some(a) = attribute {
        document["attribute"] = json!({ "name": a.name, "values": a.values });
    }
    for (name, rows) in
        [(RECALLS, &scored.recalls), (RECALLS_OF_DYNAMICS, &scored.recalls_of_dynamics)]
    {
        if let Some(rows) = rows {
            let path = dir.file(name)?;
            tables::write(&path, rows)?;
            digests.insert(name.to_owned(), digest_of(&path)?);
        }
    }
    for (name, rows) in
        [GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS].into_iter().zip(&scored.of_groups)
    {
        if let Some(rows) = rows {
            let rows: Vec<_> = rows.iter().cloned().map(GroupRecallRow::of_class).collect();
            let path = dir.file(name)?;
            tables::write(&path, &rows)?;
            digests.insert(name.to_owned(), digest_of(&path)?);
        }
    }
    document["digests"] = Value::Object(digests);
    dir.write_json("scores.json", &document)?;
    Ok(Written { dir, data: None, scored, document, samples: count })
}

/// The hash of a whole file, by which its JSON knows it.
fn digest_of(path: &Path) -> Result<Value> {
    Ok(json!(digest(&std::fs::read(path).map_err(Error::io(path))?)))
}

impl Written {
    /// With the data set that was scored.
    pub fn with(self, data: Arc<DataSet>) -> Self {
        Written { data: Some(data), ..self }
    }

    /// Prints the outcome: one JSON document, or tables of the scores and the recalls.
    pub fn report(mut self, common: &Common) -> Result<u8> {
        let root = self.dir.root().display().to_string();
        if common.json {
            self.document["out"] = json!(root);
            self.document["recalls"] = json!(self.scored.recalls);
            output::print_json(&self.document)?;
            return Ok(0);
        }
        let rows = self.scored.scores.iter().map(row).collect();
        let headers = ["score", "mean", "min", "10 %", "median", "90 %", "max"];
        output::print(output::table(&headers, rows, 1))?;
        if let Some(recalls) = &self.scored.recalls {
            let groups = self.scored.of_groups[0].iter().flatten();
            let unit = match self.scored.of_groups[0] {
                Some(_) => "class, then group",
                None => "class",
            };
            let rows = recalls
                .iter()
                .chain(groups)
                .map(|r| {
                    let sd = r.recall_sd.map_or("-".to_owned(), |s| format!("{s:.3}"));
                    vec![r.name.clone(), r.train_size.to_string(), format!("{:.3}", r.recall), sd]
                })
                .collect();
            output::print(format!(
                "\n{}",
                output::table(&[unit, "train size", "recall", "sd"], rows, 1)
            ))?;
        }
        let path = self.dir.root().join("scores.csv");
        output::print(format!("\n{} samples scored: {}", self.samples, path.display()))?;
        let quota = if self.scored.recalls.is_some() { "" } else { " --quota uniform" };
        let next = format!("next: fairprune prune --scores {root} --density .5{quota} --out kept");
        output::hint(common, next)?;
        Ok(0)
    }
}

/// Mean and quantiles of the samples that have the score.
fn row(scores: &MethodScores) -> Vec<String> {
    let mut sorted: Vec<f64> = scores.values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    let at = |q: f64| sorted.get((last * q).round() as usize).copied().unwrap_or(f64::NAN);
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let numbers = [mean, at(0.0), at(0.1), at(0.5), at(0.9), at(1.0)];
    let numbers = numbers.into_iter().map(|v| format!("{v:.4}"));
    std::iter::once(scores.method.label().to_owned()).chain(numbers).collect()
}
