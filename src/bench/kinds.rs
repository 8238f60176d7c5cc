//! Runs of one kind: what in two files may be compared with what.
//!
//! A file may hold runs of several networks, precisions, fusions; each is compared with its own.

use serde_json::{Map, Value};

use super::results::BenchRun;
use crate::error::{Error, Result};

/// Keys of a document that two kinds of runs may differ in: what is compared, and how it ended.
const NOT_KIND: [&str; 5] = ["version", "commit", "format_version", "stopped", "machine.driver"];

/// The runs of one kind in both files: same machine, network, batch, precision, fusion, build.
pub struct ComparableRuns<'a> {
    /// What tells it from the other kinds of the files.
    pub kind: String,
    pub sides: [Vec<&'a BenchRun>; 2],
}

/// Kinds that are in both files, and those in one alone, by what tells them apart.
pub struct Matched<'a> {
    pub pairs: Vec<ComparableRuns<'a>>,
    pub only: [Vec<String>; 2],
}

/// Drivers of the runs, each once.
pub fn drivers(runs: &[BenchRun]) -> Vec<String> {
    let driver =
        |run: &BenchRun| Some(run.settings.get("machine")?.get("driver")?.as_str()?.to_owned());
    let mut all: Vec<String> = runs.iter().filter_map(driver).collect();
    all.sort();
    all.dedup();
    all
}

/// Matches runs by kind: all keys but the program's version and commit, and the card's driver, must be
/// equal.
///
/// # Errors
/// No kind is in both; the first key that differs is named.
pub fn pairs<'a>(sides: [&'a [BenchRun]; 2], names: &[String; 2]) -> Result<Matched<'a>> {
    let same =
        |a: &BenchRun, b: &BenchRun| first_difference("", &a.settings, &b.settings).is_none();
    let mut kinds: Vec<[Vec<&BenchRun>; 2]> = Vec::new();
    for (side, runs) in sides.iter().enumerate() {
        for run in *runs {
            let known = kinds.iter_mut().find(|k| k.iter().flatten().any(|other| same(other, run)));
            match known {
                Some(kind) => kind[side].push(run),
                None => {
                    kinds.push(Default::default());
                    kinds.last_mut().expect("just pushed")[side].push(run);
                }
            }
        }
    }
    let all: Vec<&BenchRun> =
        kinds.iter().filter_map(|k| k.iter().flatten().next().copied()).collect();
    let keys = varying(&all);
    let mut matched = Matched { pairs: Vec::new(), only: Default::default() };
    for sides in &kinds {
        let Some(run) = sides.iter().flatten().next() else { continue };
        let kind = describe(run, &keys);
        match sides {
            [old, new] if !old.is_empty() && !new.is_empty() => {
                matched.pairs.push(ComparableRuns { kind, sides: sides.clone() });
            }
            [old, _] => matched.only[usize::from(old.is_empty())].push(kind),
        }
    }
    if !matched.pairs.is_empty() {
        return Ok(matched);
    }
    let (old, new) = (&sides[0][0].settings, &sides[1][0].settings);
    let (key, [expected, found]) = first_difference("", old, new).unwrap_or_default();
    let expected = format!("{expected}, as in {}", names[0]);
    Err(Error::invalid(format!("{}: {key}", names[1]), found, expected))
}

/// Keys whose values are not the same in all runs, as paths.
fn varying(runs: &[&BenchRun]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for pair in runs.iter().flat_map(|a| runs.iter().map(move |b| (a, b))) {
        for (key, _) in differences("", &pair.0.settings, &pair.1.settings) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// `arch resnet18, batch 512`: a run's values at some paths.
fn describe(run: &BenchRun, keys: &[String]) -> String {
    let at = |path: &String| {
        let mut found: Option<&Value> = None;
        for part in path.split('.') {
            found = match found {
                None => run.settings.get(part),
                Some(value) => value.get(part),
            };
            found?;
        }
        let value = found?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{path} {text}"))
    };
    keys.iter().filter_map(at).collect::<Vec<_>>().join(", ")
}

/// The path of the first key whose values differ, and both values.
fn first_difference(
    path: &str,
    a: &Map<String, Value>,
    b: &Map<String, Value>,
) -> Option<(String, [String; 2])> {
    differences(path, a, b).into_iter().next()
}

/// The paths of all keys whose values differ, and both values.
fn differences(
    path: &str,
    a: &Map<String, Value>,
    b: &Map<String, Value>,
) -> Vec<(String, [String; 2])> {
    let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
    let mut all = Vec::new();
    for key in keys {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if NOT_KIND.contains(&name.as_str()) {
            continue;
        }
        match (a.get(key), b.get(key)) {
            (x, y) if x == y => {}
            (Some(Value::Object(x)), Some(Value::Object(y))) => {
                all.extend(differences(&name, x, y));
            }
            (x, y) => {
                let show = |v: Option<&Value>| v.map_or("nothing".to_owned(), Value::to_string);
                all.push((name, [show(x), show(y)]));
            }
        }
    }
    all
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::super::results::parse;
    use super::*;

    /// Runs with these medians of training and GraNd.
    pub fn runs(machine: &str, medians: &[(f64, f64)]) -> Vec<BenchRun> {
        let row = |work: &str, m: f64| {
            let rates = json!({ "median": m, "p10": 0.99 * m, "p90": 1.01 * m });
            json!({ "work": work, "images_per_second": rates, "peak_bytes": 1000, "repeats": 50 })
        };
        let run = |&(train, grand): &(f64, f64)| {
            json!({
                "rows": [row("train", train), row("grand", grand)],
                "machine": { "cpu": machine, "threads": 2 },
                "arch": "resnet20", "batch": 128, "precision": "f32", "version": machine,
            })
        };
        let list: Vec<Value> = medians.iter().map(run).collect();
        parse(&json!(list).to_string(), "x").unwrap()
    }

    pub fn names() -> [String; 2] {
        ["old.json".to_owned(), "new.json".to_owned()]
    }

    /// A file of a network in both precisions and two fusions, whose rates are all others.
    pub fn several(scale: f64) -> Vec<BenchRun> {
        let kinds = [("f32", None, 1.0), ("bf16", None, 7.0), ("bf16", Some("none"), 5.0)];
        let run = |&(precision, fuse, rate): &(&str, Option<&str>, f64)| {
            let mut run = runs("x", &[(100.0 * rate * scale, 50.0 * rate * scale)]).remove(0);
            run.settings.insert("precision".to_owned(), json!(precision));
            if let Some(fuse) = fuse {
                run.settings.insert("fuse".to_owned(), json!(fuse));
            }
            run
        };
        kinds.iter().map(run).collect()
    }

    #[test]
    fn results_of_another_machine_are_refused_by_name() {
        let refusal = |a: &[BenchRun], b: &[BenchRun]| match pairs([a, b], &names()) {
            Ok(_) => panic!("compared"),
            Err(error) => error.to_string(),
        };
        let (a, b) = (runs("x", &[(1.0, 1.0)]), runs("y", &[(1.0, 1.0)]));
        let message = refusal(&a, &b);
        assert!(message.contains("new.json: machine.cpu"), "{message}");
        assert!(message.contains("\"y\"") && message.contains("\"x\""), "{message}");
        let mut c = a.clone();
        for key in NOT_KIND.iter().filter(|key| !key.contains('.')) {
            c[0].settings.insert((*key).to_owned(), json!("other"));
        }
        c[0].settings["machine"]["driver"] = json!("590.1");
        assert_eq!(pairs([&a, &c], &names()).unwrap().pairs.len(), 1);
        assert_eq!(drivers(&[a.clone(), c.clone()].concat()), ["590.1"]);
        c[0].settings.insert("extra".to_owned(), json!(1));
        let message = refusal(&a, &c);
        assert!(message.contains("extra: found 1, expected nothing"), "{message}");
    }

    #[test]
    fn kinds_of_one_file_alone_are_named() {
        let (old, new) = (several(1.0), several(1.0));
        let matched = pairs([&old, &new[..2]], &names()).unwrap();
        assert_eq!(matched.pairs.len(), 2);
        assert_eq!(matched.only[0], ["precision bf16, fuse none"]);
        assert!(matched.only[1].is_empty());
    }
}
