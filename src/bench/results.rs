//! The JSON document of one measurement: written, and read back.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::machine::MachineFacts;
use super::rows::TimedRow;
use super::settings::{Measurement, Suite};
use super::statistics::Rates;
use crate::artefact::input;
use crate::error::{Error, Result};
use crate::exec::{Compute, Fusion};

/// Version of the document.
pub const FORMAT_VERSION: u64 = 1;

/// Without these, runs cannot be told to be of one kind.
const REQUIRED: [&str; 5] = ["rows", "machine", "arch", "batch", "precision"];

/// The rows of a measurement, and the machine that they hold for.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchReport {
    pub rows: Vec<TimedRow>,
    pub machine: MachineFacts,
    /// It was asked to stop: these are the rows timed so far.
    pub stopped: bool,
}

/// The document: rows first, then everything that the rows hold for.
pub fn document(report: &BenchReport, settings: &Measurement) -> Value {
    let spec = settings.spec();
    let mut document = json!({
        "rows": report.rows,
        "machine": report.machine,
        "arch": spec.arch.to_string(),
        "batch": settings.batch,
        "precision": settings.compute.precision.to_string(),
        "width": spec.width,
        "stem": spec.stem.to_string(),
        "image_size": spec.size[0],
        "classes": spec.classes,
        "images": settings.images(),
        "build": if cfg!(debug_assertions) { "development" } else { "release" },
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("FAIRPRUNE_COMMIT"),
        "format_version": FORMAT_VERSION,
    });
    if report.stopped {
        document["stopped"] = json!(true);
    }
    let Compute { fusion, record, .. } = settings.compute;
    if fusion != Fusion::ALL {
        document["fuse"] = json!(fusion.to_string());
    }
    if !record {
        document["graphs"] = json!(false);
    }
    if !settings.dependent_launch {
        document["dependent_launch"] = json!(false);
    }
    let reads = settings.times(Suite::Read) || settings.times(Suite::Pipeline);
    if let Some(folder) = settings.data.as_ref().filter(|_| reads) {
        document["data"] = json!(folder);
    }
    if !settings.computes() {
        // No random images: sizes and classes are the data set's; operators have no classes.
        let operators = settings.times(Suite::Kernels) || settings.times(Suite::Tune);
        document["image_size"] =
            json!(if operators { Some(spec.size[0]) } else { settings.image_size });
        document["classes"] = Value::Null;
        document["images"] = Value::Null;
    }
    document
}

/// One document read back.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchRun {
    pub rows: Vec<TimedRow>,
    /// All other keys: what must be equal for a comparison to make sense.
    pub settings: Map<String, Value>,
}

/// The runs in a file: one document, an array of them, or one after another (JSON lines).
///
/// # Errors
/// A file that cannot be read, or holds something else, by its path.
pub fn read(path: &Path) -> Result<Vec<BenchRun>> {
    let text = String::from_utf8(input::read(path, input::MOST_DOCUMENT)?).map_err(|_| {
        let expected = "results of `fairprune bench`, JSON";
        Error::invalid(path.display().to_string(), "bytes that are not UTF-8", expected)
    })?;
    parse(&text, &path.display().to_string())
}

/// The runs in a text; `name` says where it is from.
pub fn parse(text: &str, name: &str) -> Result<Vec<BenchRun>> {
    let mut runs = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|e| {
            Error::invalid(name, format!("no JSON: {e}"), "results of bench `json`")
        })?;
        match value {
            Value::Array(list) => {
                for value in list {
                    runs.push(run_of(value, name)?);
                }
            }
            value => runs.push(run_of(value, name)?),
        }
    }
    if runs.is_empty() {
        return Err(Error::invalid(name, "no results", "at least one document of bench `json`"));
    }
    Ok(runs)
}

fn run_of(value: Value, name: &str) -> Result<BenchRun> {
    let expected = "results of bench `json`";
    let Value::Object(mut settings) = value else {
        return Err(Error::invalid(name, "JSON that is no object", expected));
    };
    if let Some(version) = settings.get("format_version").filter(|v| **v != FORMAT_VERSION) {
        let found = format!("format_version {version}");
        return Err(Error::invalid(name, found, FORMAT_VERSION.to_string()));
    }
    if let Some(key) = REQUIRED.iter().find(|key| !settings.contains_key(**key)) {
        return Err(Error::invalid(name, format!("no key {key}"), expected));
    }
    let rows = settings.remove("rows").unwrap_or(Value::Null);
    let rows: Vec<TimedRow> = serde_json::from_value(rows)
        .map_err(|e| Error::invalid(format!("{name}, rows"), e.to_string(), expected))?;
    if rows.is_empty() {
        return Err(Error::invalid(format!("{name}, rows"), "none", "at least one"));
    }
    for (i, row) in rows.iter().enumerate() {
        let Rates { median, p10, p90 } = row.images_per_second;
        let ordered = p10 > 0.0 && p10 <= median && median <= p90 && p90.is_finite();
        if !ordered {
            let what = format!("{name}, row {}: images_per_second", row.work);
            let found = format!("p10 {p10}, median {median}, p90 {p90}");
            return Err(Error::invalid(what, found, "positive numbers in ascending order"));
        }
        if rows[..i].iter().any(|r| r.name() == row.name()) {
            return Err(Error::invalid(format!("{name}, row {}", row.name()), "twice", "once"));
        }
    }
    Ok(BenchRun { rows, settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(median: f64) -> Value {
        let rates = json!({ "median": median, "p10": 0.9 * median, "p90": 1.1 * median });
        json!({
            "rows": [{ "work": "train", "images_per_second": rates }],
            "machine": { "cpu": "x" },
            "arch": "resnet8", "batch": 128, "precision": "f32",
            "format_version": 1,
        })
    }

    #[test]
    fn one_document_an_array_and_lines_are_the_same() {
        let (a, b) = (sample(10.0), sample(11.0));
        let array = serde_json::to_string_pretty(&json!([a, b])).unwrap();
        let lines = format!("{a}\n{b}\n");
        let pretty = format!("{a:#}\n{b:#}");
        let runs = parse(&array, "x").unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!(parse(&lines, "x").unwrap(), runs);
        assert_eq!(parse(&pretty, "x").unwrap(), runs);
        assert_eq!(parse(&a.to_string(), "x").unwrap(), runs[..1]);
    }

    #[test]
    fn unusable_documents_say_why() {
        let mut twice = sample(1.0);
        let row = twice["rows"][0].clone();
        twice["rows"].as_array_mut().unwrap().push(row);
        let mut other = sample(1.0);
        other["format_version"] = json!(2);
        let (mut none, mut nameless) = (sample(1.0), sample(1.0));
        none["rows"] = json!([]);
        nameless.as_object_mut().unwrap().remove("machine");
        for (text, expected) in [
            (String::new(), "no results"),
            ("{".to_owned(), "no JSON"),
            ("3".to_owned(), "no object"),
            ("{}".to_owned(), "no key rows"),
            (none.to_string(), "none"),
            (nameless.to_string(), "no key machine"),
            (sample(0.0).to_string(), "median 0"),
            (sample(-1.0).to_string(), "median -1"),
            (twice.to_string(), "twice"),
            (other.to_string(), "format_version 2"),
        ] {
            let message = parse(&text, "old.json").unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(message.contains("old.json"), "{message}");
        }
    }
}
