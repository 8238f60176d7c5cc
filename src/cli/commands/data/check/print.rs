//! What was found, for people: the summary, and `check.html`.

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::artefact::tables::{FindingKind, FoundSample};
use fairprune::data::{DataSet, PartName};
use fairprune::experiment::folder::findings::CHECK;
use fairprune::experiment::identity::Identity;
use fairprune::experiment::quality::{AllSamples, Checked, LabelSummary, QualityPlan};
use fairprune::report::checked::{CheckedSet, render_checked};
use fairprune::report::{Thumb, numbers};
use serde_json::{Value, json};

use super::args::CheckArgs;
use crate::cli::{command_line, output};

/// Pairs of classes that the summary shows.
const PAIRS: usize = 10;

/// The command that prunes without what was found.
fn next(args: &CheckArgs, dir: &OutputDir) -> String {
    let data = command_line::quote(args.data.data.clone());
    let size = args.data.image_size.map_or(String::new(), |s| format!(" --image-size {s}"));
    let file = command_line::quote(dir.root().join(CHECK[0]).display().to_string());
    format!("fairprune prune --data {data}{size} --quota uniform --density .5 --without {file}")
}

/// The page.
pub fn page(
    args: &CheckArgs,
    plan: &QualityPlan,
    data: &DataSet,
    found: &Checked,
    identity: &Identity,
    dir: &OutputDir,
) -> String {
    let parts = AllSamples::of(data).parts().map(|(name, n)| (name.name().to_owned(), n)).collect();
    let set = CheckedSet {
        data: args.data.data.clone(),
        fingerprint: data.fingerprint.clone(),
        classes: &data.classes,
        parts,
        looked_for: plan.kinds(),
        near: plan.near,
        ranking: plan.labels.map(|ranking| ranking.to_string()),
        found,
        recipe: recipe(identity),
        command: command_line::typed(),
        next: next(args, dir),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("FAIRPRUNE_COMMIT").to_owned(),
    };
    render_checked(&set, &|sample: &FoundSample| {
        let parts = [PartName::Train, PartName::Val, PartName::Test];
        let part = parts.into_iter().find(|part| part.name() == sample.part)?;
        Thumb::of_part(data, part, sample.index as usize)
    })
}

/// Everything that decides the result, one row a fact.
fn recipe(identity: &Identity) -> Vec<(String, String)> {
    let facts = identity.facts();
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Object(_) => None,
        Value::Array(list) => {
            let texts = list.iter().map(|v| v.as_str().map_or(v.to_string(), str::to_owned));
            Some(texts.collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    };
    // The page names the data set itself.
    let rows = facts.iter().filter(|(key, _)| *key != "data");
    rows.filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect()
}

/// Prints the outcome: one JSON document, or counts and the pairs of classes.
pub fn report(
    args: &CheckArgs,
    plan: &QualityPlan,
    data: &DataSet,
    found: &Checked,
    dir: &OutputDir,
) -> Result<u8> {
    let path = |name: &str| dir.root().join(name).display().to_string();
    if args.common.json {
        output::print_json(&json!({
            "counts": found.counts,
            "near_across_parts": found.near_across_parts,
            "labels": found.labels,
            "files": {
                "findings": path(CHECK[0]),
                "provenance": path(CHECK[1]),
                "page": path("check.html"),
            },
        }))?;
        return Ok(0);
    }
    for kind in plan.kinds() {
        output::print(line(kind, found))?;
    }
    if let Some(labels) = found.labels.as_ref().filter(|l| !l.pairs.is_empty()) {
        output::print(format!("\n{}\n", pairs(labels, data)))?;
    }
    output::print(format!(
        "marked drop       {} of {} training images",
        found.counts.dropped,
        data.present().len()
    ))?;
    output::print(format!("written: {}, {} in {}", CHECK[0], CHECK[1], dir.root().display()))?;
    output::print(format!("page:    {}", path("check.html")))?;
    output::hint(&args.common, format!("next:    {}", next(args, dir)))?;
    Ok(0)
}

/// A line about the findings of one kind.
fn line(kind: FindingKind, found: &Checked) -> String {
    let counts = &found.counts;
    match kind {
        FindingKind::ExactDuplicate => format!(
            "exact duplicates  {} images have the pixels of another, in {} groups ({} with unlike labels); \
             {} training images those of a validation or test image",
            counts.exact,
            counts.exact_groups,
            counts.exact_groups_of_unlike_labels,
            counts.exact_of_held_out
        ),
        FindingKind::NearDuplicate => {
            let where_ = match found.near_across_parts {
                Some(true) => format!(
                    "{} training images near a validation or test image",
                    counts.near_of_held_out
                ),
                _ => "training images alone were compared".to_owned(),
            };
            format!("near-duplicates   {} images are near another; {where_}", counts.near)
        }
        FindingKind::Label => {
            let labels = found.labels.as_ref();
            let (samples, disagreeing, wrong) =
                labels.map_or((0, 0.0, 0.0), |l| (l.samples, l.disagreeing, l.wrong));
            format!(
                "labels            {} of {samples} training images are suspected, {} of them marked drop; networks \
                 answer {} otherwise than their labels, and the weaker they are the more suspects are right \
                 (estimated to be wrong: {} of the labels)",
                counts.suspects,
                counts.suspects_dropped,
                numbers::percent(disagreeing),
                numbers::percent(wrong)
            )
        }
    }
}

fn pairs(labels: &LabelSummary, data: &DataSet) -> String {
    let class = |k: u32| data.classes[k as usize].clone();
    let rows = labels.pairs.iter().take(PAIRS).map(|p| {
        vec![
            class(p.label),
            class(p.suggested),
            p.suspects.to_string(),
            numbers::percent(p.of_label),
            numbers::percent(p.of_all),
        ]
    });
    let table =
        output::table(&["label", "perhaps", "suspects", "of label", "of all"], rows.collect(), 2);
    match labels.pairs.len().checked_sub(PAIRS) {
        Some(more @ 1..) => format!("{table}\n({more} more pairs of classes in check.json)"),
        _ => table,
    }
}
