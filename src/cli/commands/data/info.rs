//! `fairprune data info`: what a path holds.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use fairprune::data::{DataSet, Part, PartName, Partition, cache};
use fairprune::experiment::settings::DataSettings;
use serde_json::{Map, Value, json};

use super::set::SetArgs;
use crate::cli::args::{Common, LongTailArgs};
use crate::cli::{context, output};

/// Longest table that is printed whole, and what is left of a longer one at each end.
const MOST_ROWS: usize = 40;
const END_ROWS: usize = 12;

const PARTS: [PartName; 3] = [PartName::Train, PartName::Val, PartName::Test];

#[derive(Args, Debug)]
pub struct InfoArgs {
    #[command(flatten)]
    pub set: SetArgs,
    #[command(flatten)]
    pub long_tail: LongTailArgs,
    #[command(flatten)]
    pub common: Common,
}

/// Loads the set and prints what it is.
pub fn info(args: &InfoArgs) -> Result<u8> {
    let common = &args.common;
    let host = common.host()?;
    let settings = DataSettings { long_tail: args.long_tail.long_tail, ..args.set.settings()? };
    let set = context::load(common, &settings, &host)?;
    let source = cache_source(&args.set.path)?;
    if common.json {
        output::print_json(&document(&set, source))?;
    } else {
        print(&set, source)?;
    }
    Ok(0)
}

/// What a cache file was made of.
fn cache_source(path: &str) -> Result<Option<String>> {
    let is_cache = Path::new(path).extension().is_some_and(|e| e == cache::EXTENSION);
    match is_cache && Path::new(path).is_file() {
        true => Ok(Some(cache::header(Path::new(path))?.source.path)),
        false => Ok(None),
    }
}

fn document(set: &DataSet, source: Option<String>) -> Value {
    let statistics = set.channel_statistics();
    let part = |name: PartName| {
        let part = set.part(name)?;
        let mut about = Map::new();
        let sizes = sizes(set, &Partition::classes(set), name, part);
        about.insert("images".to_owned(), json!(sizes.iter().sum::<usize>()));
        about.insert("class_sizes".to_owned(), json!(sizes));
        if let Ok(groups) = Partition::of(set, "attribute") {
            about.insert("group_sizes".to_owned(), json!(self::sizes(set, &groups, name, part)));
        }
        Some((name.name().to_owned(), Value::Object(about)))
    };
    let parts: Map<String, Value> = PARTS.iter().filter_map(|&n| part(n)).collect();
    let tail = set.long_tail.as_ref().map(|t| {
        json!({"factor": t.factor, "seed": t.seed, "images": set.train.len(), "fingerprint": t.of})
    });
    let groups = set.attributes.as_ref().map(|a| {
        let names = (0..a.groups(set.classes.len())).map(|g| a.group_name(&set.classes, g));
        json!({"attribute": a.name, "values": a.values, "names": names.collect::<Vec<_>>()})
    });
    json!({
        "name": set.name,
        "format": set.format.name(),
        "cache_of": source,
        "height": set.height,
        "width": set.width,
        "classes": set.classes,
        "parts": parts,
        "groups": groups,
        "long_tail": tail,
        "fingerprint": set.fingerprint,
        "mean": statistics.mean,
        "std": statistics.std,
        "notes": set.notes,
    })
}

fn print(set: &DataSet, source: Option<String>) -> Result<()> {
    let statistics = set.channel_statistics();
    let triple = |v: [f64; 3]| v.map(|x| format!("{x:.4}")).join(", ");
    let bytes: usize = PARTS.iter().filter_map(|&n| set.part(n)).map(|p| p.images.len()).sum();
    let mut lines = vec![
        format!("name         {}", set.name),
        format!(
            "format       {}{}",
            set.format,
            source.map_or(String::new(), |s| format!(", cached from {s}"))
        ),
        format!(
            "images       {}x{}, {} in memory",
            set.width,
            set.height,
            output::bytes(bytes as u64)
        ),
        format!("fingerprint  {}", set.fingerprint),
        format!("mean         {}   (training part, values in [0, 1])", triple(statistics.mean)),
        format!("std          {}", triple(statistics.std)),
        String::new(),
    ];
    let parts: Vec<(PartName, &Part)> =
        PARTS.iter().filter_map(|&n| Some((n, set.part(n)?))).collect();
    let of = |partition: &Partition| -> Vec<Vec<usize>> {
        parts.iter().map(|(name, p)| sizes(set, partition, *name, p)).collect()
    };
    lines.push(table("class", &set.classes, &parts, &of(&Partition::classes(set))));
    if let Ok(groups) = Partition::of(set, "attribute") {
        let head = format!("class / {}", groups.name());
        lines.extend([String::new(), table(&head, &groups.names, &parts, &of(&groups))]);
    }
    output::print(lines.join("\n"))
}

/// Images of each class or group of a part; of the training part those that a long tail leaves.
fn sizes(set: &DataSet, partition: &Partition, name: PartName, part: &Part) -> Vec<usize> {
    let mut sizes = vec![0; partition.len()];
    let labels = partition.labels(set, part);
    match name {
        PartName::Train => set.present().iter().for_each(|&i| sizes[labels[i] as usize] += 1),
        _ => labels.iter().for_each(|&l| sizes[l as usize] += 1),
    }
    sizes
}

/// Sizes of classes or groups in every part, and their sums; of very many rows both ends.
fn table(
    head: &str,
    names: &[String],
    parts: &[(PartName, &Part)],
    sizes: &[Vec<usize>],
) -> String {
    let headers: Vec<&str> =
        std::iter::once(head).chain(parts.iter().map(|(n, _)| n.name())).collect();
    let row = |i: usize| {
        let counts = sizes.iter().map(|s| s[i].to_string());
        std::iter::once(names[i].clone()).chain(counts).collect::<Vec<String>>()
    };
    let mut rows: Vec<Vec<String>> = if names.len() <= MOST_ROWS {
        (0..names.len()).map(row).collect()
    } else {
        let mut between = vec![String::new(); headers.len()];
        between[0] = format!("({} more)", names.len() - 2 * END_ROWS);
        let ends = (names.len() - END_ROWS..names.len()).map(row);
        (0..END_ROWS).map(row).chain([between]).chain(ends).collect()
    };
    let sums = sizes.iter().map(|s| s.iter().sum::<usize>().to_string());
    rows.push(std::iter::once("all".to_owned()).chain(sums).collect());
    output::table(&headers, rows, 1)
}
