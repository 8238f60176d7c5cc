//! The JSON document of one run of `bench`: written, read back, and shown as a table.

use std::fs;
use std::path::Path;

use anyhow::Result;
use fairprune::error::Error;
use fairprune::exec::{Compute, Fusion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::machine::Machine;
use super::settings::{Settings, Suite};
use super::timing::Rates;
use crate::cli::output;

/// Version of the document.
pub const FORMAT_VERSION: u64 = 1;

/// Without these, runs cannot be told to be of one kind.
const REQUIRED: [&str; 5] = ["rows", "machine", "arch", "batch", "precision"];

/// What was timed, and how it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `train`, `forward`, `grand` or `read`.
    pub work: String,
    pub images_per_second: Rates,
    /// Most resident bytes of the process while the row was timed; where the system does not tell,
    /// the planned bytes.
    #[serde(default)]
    pub peak_bytes: u64,
    /// Bytes that the executor allocated: parameters, tables, activations, workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_bytes: Option<u64>,
    #[serde(default)]
    pub repeats: usize,
    #[serde(default)]
    pub images_a_repeat: usize,
    /// Of single operators on a card whose ceilings are known: the least time that its arithmetic and its
    /// tensors' bytes allow, over the median time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction_of_floor: Option<f64>,
    /// Of single convolutions on tensor cores: tile, family and splits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<String>,
    /// The factor of an injected slowdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected_slowdown: Option<f64>,
}

/// The document: rows first, then everything that the rows hold for.
pub fn document(rows: &[Row], machine: &Machine, settings: &Settings) -> Result<Value> {
    let spec = &settings.spec;
    let mut document = json!({
        "rows": rows,
        "machine": machine,
        "arch": spec.arch.to_string(),
        "batch": settings.batch,
        "precision": settings.compute.precision.to_string(),
        "width": spec.width,
        "stem": spec.stem.to_string(),
        "image_size": spec.size[0],
        "classes": spec.classes,
        "images": settings.images,
        "build": if cfg!(debug_assertions) { "development" } else { "release" },
        "version": env!("CARGO_PKG_VERSION"),
        "format_version": FORMAT_VERSION,
    });
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
    if let Some(folder) = &settings.data {
        document["data"] = json!(folder);
    }
    if !settings.computes() {
        // No random images: sizes and classes are the data set's.
        document["image_size"] = json!(settings.read_size);
        document["classes"] = Value::Null;
        document["images"] = Value::Null;
    }
    Ok(document)
}

/// The same for people.
pub fn text(rows: &[Row], machine: &Machine, settings: &Settings) -> String {
    let spec = &settings.spec;
    let mut lines = vec![format!(
        "machine   {}, {} cores, {} threads, {}, {} GiB",
        machine.cpu, machine.cores, machine.threads, machine.isa, machine.memory_gib
    )];
    if machine.device != "cpu" {
        lines.push(format!("device    {}", machine.device));
    }
    if settings.computes() {
        lines.push(format!(
            "network   {}, width {}, {} stem, {} classes",
            spec.arch, spec.width, spec.stem, spec.classes
        ));
        lines.push(format!(
            "batches   of {} out of {} random images of {side} x {side}, {precision}",
            settings.batch,
            settings.images,
            side = spec.size[0],
            precision = settings.compute.precision
        ));
    }
    if let (true, Some(folder)) = (settings.suites.contains(&Suite::Pipeline), &settings.data) {
        lines.push(format!("pipeline  {folder}: {}, batches of {}", spec.arch, settings.batch));
    }
    lines.push(String::new());
    let cells = rows.iter().map(|row| {
        let rates = row.images_per_second;
        vec![
            row.work.clone(),
            rate(rates.median),
            rate(rates.p10),
            rate(rates.p90),
            row.repeats.to_string(),
            output::bytes(row.peak_bytes),
            row.planned_bytes.map_or("-".to_owned(), output::bytes),
            row.fraction_of_floor.map_or("-".to_owned(), |f| format!("{f:.2}")),
            row.tile.clone().unwrap_or("-".to_owned()),
        ]
    });
    let headers =
        ["work", "images/s", "p10", "p90", "repeats", "peak memory", "planned", "of floor", "tile"];
    let shown = if rows.iter().any(|row| row.tile.is_some()) { 9 } else { 8 };
    let cells = cells.map(|mut cells| {
        cells.truncate(shown);
        cells
    });
    lines.push(output::table(&headers[..shown], cells.collect(), 1));
    let median =
        |work: &str| rows.iter().find(|r| r.work == work).map(|r| r.images_per_second.median);
    if let (Some(train), Some(grand)) = (median("train"), median("grand")) {
        lines.push(format!("\nGraNd over training: {:.2}", grand / train));
    }
    lines.join("\n")
}

/// Images a second with three significant digits or more.
pub fn rate(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// One document read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub rows: Vec<Row>,
    /// All other keys: what must be equal for a comparison to make sense.
    pub settings: Map<String, Value>,
}

/// The runs in a file: one document, an array of them, or one after another (JSON lines).
pub fn read(path: &Path) -> Result<Vec<Run>, Error> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    parse(&text, &path.display().to_string())
}

/// The runs in a text; `name` says where it is from.
pub fn parse(text: &str, name: &str) -> Result<Vec<Run>, Error> {
    let mut runs = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|e| {
            Error::invalid(name, format!("no JSON: {e}"), "results of bench --json")
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
        return Err(Error::invalid(name, "no results", "at least one document of bench --json"));
    }
    Ok(runs)
}

fn run_of(value: Value, name: &str) -> Result<Run, Error> {
    let expected = "results of bench --json";
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
    let rows: Vec<Row> = serde_json::from_value(rows)
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
        if rows[..i].iter().any(|r| r.work == row.work) {
            return Err(Error::invalid(format!("{name}, row {}", row.work), "twice", "once"));
        }
    }
    Ok(Run { rows, settings })
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

    #[test]
    fn rates_keep_three_digits() {
        assert_eq!([1234.56, 76.54, 6.304].map(rate), ["1235", "76.5", "6.30"]);
    }
}
