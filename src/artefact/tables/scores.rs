//! `scores.csv`: one row for each training sample, one column for each scoring method.

use super::cells::RowWriter;
use super::read::OpenTable;
use crate::artefact::atomic;
use crate::error::{Error, Result};
use serde::Serialize;
use std::path::Path;
use std::str::FromStr;

/// The columns that every table begins with.
pub const FIXED: [&str; 4] = ["index", "id", "label", "part"];
/// The column that follows them where the samples have an attribute.
pub const ATTRIBUTE: &str = "attribute";

/// What a row of the training set was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplePart {
    /// Trained on, and a candidate for keeping.
    Train,
    /// Held out for validation, never kept.
    Val,
    /// Removed by injected imbalance, or left out by what a check of the data found: neither trained on nor validated on, and never kept.
    Out,
}

impl SamplePart {
    /// What cells of a part hold.
    pub(super) const NAMES: &'static str = "train, val or out";

    /// Returns the part's name as it is written in the file.
    pub fn name(self) -> &'static str {
        match self {
            SamplePart::Train => "train",
            SamplePart::Val => "val",
            SamplePart::Out => "out",
        }
    }
}

impl Serialize for SamplePart {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl FromStr for SamplePart {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts = [SamplePart::Train, SamplePart::Val, SamplePart::Out];
        parts.into_iter().find(|part| part.name() == text).ok_or(())
    }
}

/// Scores of a whole training set, in data-set order, so that row i is position i.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreTable {
    /// Ids of the samples.
    pub ids: Vec<String>,
    /// Class indices.
    pub labels: Vec<u32>,
    /// The part of each sample.
    pub parts: Vec<SamplePart>,
    /// Attribute of each sample; empty where the samples have none, and there is no column then.
    pub attributes: Vec<u32>,
    /// Pairs (method, one score for each row). NaN stands for "not scored" and is allowed only for
    /// rows that are not trained on; it is an empty cell in the file.
    pub methods: Vec<(String, Vec<f32>)>,
}

impl ScoreTable {
    /// Returns the scores of `method`, or an error that lists the methods there are.
    pub fn method(&self, method: &str, file: &Path) -> Result<&[f32]> {
        match self.methods.iter().find(|(name, _)| name == method) {
            Some((_, scores)) => Ok(scores),
            None => {
                let known: Vec<&str> = self.methods.iter().map(|m| m.0.as_str()).collect();
                let found = format!("the methods {}", known.join(", "));
                let expected = format!("{method} among them");
                Err(Error::invalid(file.display().to_string(), found, expected))
            }
        }
    }

    /// Writes the table.
    ///
    /// # Errors
    /// The columns differ in length, a row of [`SamplePart::Train`] has NaN, or [`atomic::write`] fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        let n = self.ids.len();
        let attributes = if self.attributes.is_empty() { n } else { self.attributes.len() };
        let lengths = [self.labels.len(), self.parts.len(), attributes];
        let columns = self.methods.iter().map(|m| m.1.len());
        if lengths.into_iter().chain(columns).any(|length| length != n) {
            return Err(Error::Internal("columns of scores.csv differ in length".to_owned()));
        }
        for (name, scores) in &self.methods {
            let unscored =
                (0..n).find(|&i| scores[i].is_nan() && self.parts[i] == SamplePart::Train);
            if let Some(i) = unscored {
                let what = format!("score {name} of training sample {i}");
                return Err(Error::invalid(what, "NaN", "a number"));
            }
        }
        atomic::write(path, |out| {
            let mut table = RowWriter::new(out);
            let attribute = (!self.attributes.is_empty()).then_some(ATTRIBUTE);
            let methods = self.methods.iter().map(|m| m.0.as_str());
            table.texts(FIXED.into_iter().chain(attribute).chain(methods))?;
            for i in 0..n {
                let fixed = (i, &self.ids[i], self.labels[i], self.parts[i].name());
                let scores = self.methods.iter().map(|m| Some(m.1[i]).filter(|x| !x.is_nan()));
                let attribute: Vec<u32> = self.attributes.get(i).copied().into_iter().collect();
                table.row(&(fixed, attribute, scores.collect::<Vec<_>>()))?;
            }
            table.flush()
        })
    }

    /// Reads a table whose rows are complete and in data-set order.
    pub fn read(path: &Path) -> Result<ScoreTable> {
        let mut table = OpenTable::open(path)?;
        let header = table.header.clone();
        let mut scores = ScoreTable::default();
        let attributed = header.get(FIXED.len()) == Some(ATTRIBUTE);
        let fixed = FIXED.len() + usize::from(attributed);
        for (i, name) in header.iter().enumerate().skip(fixed) {
            if name.is_empty() || header.iter().position(|h| h == name) != Some(i) {
                return Err(table.wrong_header("different names for all columns"));
            }
            scores.methods.push((name.to_owned(), Vec::new()));
        }
        if !header.iter().take(FIXED.len()).eq(FIXED) {
            return Err(table.wrong_header("index,id,label,part and a column for each method"));
        }
        while let Some((line, record)) = table.next_record()? {
            let cell = |i: usize| record.get(i).unwrap_or("");
            let row = scores.ids.len();
            if cell(0).parse() != Ok(row) {
                let expected = format!("{row}: every training sample, in data-set order");
                return Err(table.cell(line, "index", cell(0), &expected));
            }
            scores.ids.push(cell(1).to_owned());
            scores.labels.push(
                cell(2).parse().map_err(|_| table.cell(line, "label", cell(2), "a class index"))?,
            );
            let wrong = |()| table.cell(line, "part", cell(3), SamplePart::NAMES);
            let part = cell(3).parse().map_err(wrong)?;
            scores.parts.push(part);
            if attributed {
                let wrong = |_| table.cell(line, ATTRIBUTE, cell(4), "the number of a value");
                scores.attributes.push(cell(4).parse().map_err(wrong)?);
            }
            for (i, (name, column)) in scores.methods.iter_mut().enumerate() {
                let text = cell(fixed + i);
                let value: Option<f32> = match text {
                    "" if part != SamplePart::Train => Some(f32::NAN),
                    _ => text.parse().ok().filter(|x: &f32| !x.is_nan()),
                };
                let expected = match part {
                    SamplePart::Train => "a number",
                    SamplePart::Val | SamplePart::Out => "a number or nothing",
                };
                column.push(value.ok_or_else(|| table.cell(line, name, text, expected))?);
            }
        }
        if scores.ids.is_empty() {
            return Err(table.whole("no rows", "at least one below the header"));
        }
        Ok(scores)
    }
}
