//! The small JSON file beside scores, subsets and results that says where they come from.
//!
//! It holds no time and no path, so that the same job always writes the same bytes.

use super::{input, integrity};
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// The end of a score's ranking that is kept first. Scores are stored with their natural sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptEnd {
    /// High values are hard samples and kept first.
    HigherFirst,
    /// Low values are hard samples and kept first.
    LowerFirst,
}

/// The data set that positions and scores refer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataIdentity {
    /// The data set's name, as the user gave it.
    pub name: String,
    /// Hash of names, labels and pixels of all parts.
    pub fingerprint: String,
    /// Hash of the training samples' names, classes and order alone: equal for the same files at
    /// another image size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples_fingerprint: Option<String>,
    /// Height and width of the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Number of training samples, held-out ones included.
    pub samples: usize,
    /// Number of classes.
    pub classes: usize,
    /// The imbalance that was injected, in the words of the command line: `--long-tail 100
    /// --data-seed 0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_tail: Option<String>,
}

/// One method's part in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodRecord {
    /// The column of scores.csv or the strategy of kept.csv: `el2n`, `random`, …
    pub name: String,
    /// The named variant of its definition.
    pub variant: String,
    /// The end that is kept first; `None` where nothing is ranked.
    pub direction: Option<KeptEnd>,
    /// The numbers that decide the values, by name.
    pub hyper_parameters: Map<String, Value>,
}

/// Where an artefact comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub format_version: u32,
    /// The program's name, `fairprune`.
    pub tool: String,
    /// Version of the program.
    pub version: String,
    /// The commit that the program was built from, `unknown` outside a repository.
    pub commit: String,
    /// The data set that the values are of.
    pub data: DataIdentity,
    /// The methods whose values the file holds.
    pub methods: Vec<MethodRecord>,
    /// Seeds of the runs that the values come from, in their order.
    pub seeds: Vec<u64>,
}

impl Provenance {
    /// The version that this program writes and reads.
    pub const FORMAT_VERSION: u32 = 1;

    /// Makes the provenance of an artefact of this program, with its version and commit.
    pub fn new(data: DataIdentity, methods: Vec<MethodRecord>, seeds: Vec<u64>) -> Self {
        Provenance {
            format_version: Self::FORMAT_VERSION,
            tool: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("FAIRPRUNE_COMMIT").to_owned(),
            data,
            methods,
            seeds,
        }
    }

    /// Reads a provenance file, or any JSON file that carries its keys among others.
    pub fn read(path: &Path) -> Result<Self> {
        read_json(path, Self::FORMAT_VERSION)
    }

    /// Returns the method `name`, or an error that lists the methods there are.
    pub fn method(&self, name: &str, file: &Path) -> Result<&MethodRecord> {
        self.methods.iter().find(|m| m.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.methods.iter().map(|m| m.name.as_str()).collect();
            let found = format!("the methods {}", known.join(", "));
            Error::invalid(file.display().to_string(), found, format!("{name} among them"))
        })
    }

    /// Refuses an artefact of other samples than `expected`, in another order, or of other classes.
    /// The error says so in words if the artefact was made of the same samples at another image
    /// size.
    pub fn check_positions(&self, what: &str, expected: &DataIdentity) -> Result<Option<String>> {
        if self.data.fingerprint == expected.fingerprint {
            return Ok(None);
        }
        if self.data.has_samples_of(expected) {
            return Ok(self
                .data
                .size
                .map(|[h, w]| format!("{what} was made on the same samples at {w}x{h}")));
        }
        check_fingerprint(what, &self.data, expected).map(|()| None)
    }

    /// Refuses an artefact of another data set than `expected`; `what` names the artefact.
    pub fn check_data(&self, what: &str, expected: &DataIdentity) -> Result<()> {
        check_fingerprint(what, &self.data, expected)
    }
}

impl DataIdentity {
    /// Tells whether positions mean the same samples: the data set is the same, or its images were
    /// read at another size, or not at all, and their names, classes and order are the same.
    pub fn has_samples_of(&self, other: &DataIdentity) -> bool {
        let resized = self.size != other.size;
        let stated = self.samples_fingerprint.is_some();
        self.fingerprint == other.fingerprint
            || (resized && stated && self.samples_fingerprint == other.samples_fingerprint)
    }
}

/// Fails unless both data sets have the same fingerprint. Names may differ, because folders move.
pub fn check_fingerprint(what: &str, found: &DataIdentity, expected: &DataIdentity) -> Result<()> {
    if found.fingerprint == expected.fingerprint {
        return Ok(());
    }
    let describe = |d: &DataIdentity| {
        let tail = d.long_tail.as_ref().map_or(String::new(), |t| format!(" with {t}"));
        format!(
            "data set {:?}{tail} ({} samples, {} classes, fingerprint {})",
            d.name, d.samples, d.classes, d.fingerprint
        )
    };
    Err(Error::invalid(what, describe(found), describe(expected)))
}

/// Reads the JSON file `path`, whose `format_version` must be `version`. The version is looked at
/// first, so that a file of a later program is called that and not malformed. A document that carries a
/// digest of its content must have that content.
pub fn read_json<T: DeserializeOwned>(path: &Path, version: u32) -> Result<T> {
    let what = || path.display().to_string();
    let text = String::from_utf8(input::read(path, input::MOST_DOCUMENT)?)
        .map_err(|_| Error::invalid(what(), "bytes that are not UTF-8", "a JSON file"))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|e| Error::invalid(what(), format!("malformed JSON ({e})"), "a JSON file"))?;
    let found = match value.get("format_version") {
        Some(v) if *v == version => {
            integrity::check_document(path, &text, &value)?;
            return serde_json::from_value(value).map_err(|e| {
                let expected = format!("the keys of format_version {version}");
                Error::invalid(what(), e.to_string(), expected)
            });
        }
        Some(v) => format!("format_version {v}"),
        None => "no format_version".to_owned(),
    };
    Err(Error::invalid(what(), found, format!("format_version {version}")))
}
