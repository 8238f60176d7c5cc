//! `report.html`: the pruned set for people.

use std::path::Path;

use fairprune::artefact::OutputDir;
use fairprune::data::Format;
use fairprune::experiment::forecast::ForecastSummary;
use fairprune::experiment::pruning::{PrunePlan, Pruned, Source};
use fairprune::metrics::pearson;
use fairprune::prune::Direction;
use fairprune::report::Thumb;
use fairprune::report::pruned::{PrunedClass, PrunedSet, ShownPicks, ShownScore, render_pruned};
use serde_json::Value;

use super::args::PruneArgs;
use crate::cli::command_line;

/// The command that trains on what is kept.
pub fn next(args: &PruneArgs, dir: &OutputDir) -> String {
    let data = args.source.data.as_deref().unwrap_or("DATA");
    let size = args.source.image_size.map_or(String::new(), |s| format!(" --image-size {s}"));
    // What the subset was made under is what `train` holds out of it.
    let subset = command_line::quote(dir.root().join("kept.npy").display().to_string());
    let data = command_line::quote(data.to_owned());
    let stated = args.source.stated.words(command_line::quote);
    format!("fairprune train --data {data}{size}{stated} --subset {subset}")
}

/// The page; `stated` is what `kept.json` says.
pub fn render(
    args: &PruneArgs,
    plan: &PrunePlan,
    pruned: &Pruned,
    stated: &Value,
    dir: &OutputDir,
) -> String {
    let (source, subset) = (&pruned.source, &pruned.subset);
    let recalls = pruned.recalls.as_ref();
    let classes = (0..pruned.names.len()).map(|k| PrunedClass {
        name: pruned.names[k].clone(),
        size: subset.sizes[k],
        recall: recalls.and_then(|r| r.values[k]),
        recall_sd: recalls.and_then(|r| r.sd[k]),
        density: subset.densities[k],
        kept: subset.counts[k],
    });
    let asked = subset.quota_densities.as_ref().unwrap_or(&subset.densities);
    let ranks = pruned.scores(plan).is_some();
    let shown = pruned.shown.as_ref().map(|shown| ShownScore {
        label: &shown.label,
        values: &shown.values,
        highest_first: shown.direction == Direction::KeepHighest,
        ranks,
    });
    let picks = subset.picks.as_ref();
    let set = PrunedSet {
        data: args.source.data.clone().unwrap_or_else(|| source.identity.name.clone()),
        fingerprint: source.identity.fingerprint.clone(),
        strategy: plan.strategy().label(),
        quota: plan.quota.to_string(),
        density: plan.density,
        classes: classes.collect(),
        groups: source.partition.attribute.clone(),
        correlation: recalls.and_then(|r| pearson(asked, &r.values).ok().flatten()),
        ids: &source.ids,
        labels: &source.groups,
        eligible: &source.eligible,
        left_out: source.left_out.as_ref().map_or(0, |l| l.samples),
        kept: &subset.kept,
        score: shown,
        picks: picks.map(|p| ShownPicks { order: &p.order, weights: p.weights.as_deref() }),
        forecast: ForecastSummary::of(subset),
        warnings: &pruned.warnings,
        recipe: recipe(args, stated),
        command: command_line::typed(),
        next: next(args, dir),
        kept_file: dir.root().join("kept.npy").display().to_string(),
        train_folder: train_folder(args, source),
        dropped: pruned.record(plan).dropped(&pruned.samples(plan)),
        without_pictures: "The images were not at hand: the same command with --data and the data \
                           set that was scored (and its --image-size) shows them."
            .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("FAIRPRUNE_COMMIT").to_owned(),
    };
    let data = source.data.as_deref();
    let picture = |i: usize| data.and_then(|data| Thumb::of(data, i));
    render_pruned(&set, data.is_some().then_some(&picture))
}

/// The folder of class folders that the positions are of: below the data set's, the part that all names
/// begin with.
fn train_folder(args: &PruneArgs, source: &Source) -> Option<String> {
    let data = args.source.data.as_ref()?;
    source.data.as_ref().filter(|d| d.format == Format::ImageFolder)?;
    let first = source.ids.first()?;
    let folder = Path::new(data);
    match first.split('/').collect::<Vec<_>>()[..] {
        [_, _] => Some(folder.display().to_string()),
        [part, _, ..] => Some(folder.join(part).display().to_string()),
        _ => None,
    }
}

/// Everything that kept.json states of the selection and of the scores in use, one row a number.
fn recipe(args: &PruneArgs, stated: &Value) -> Vec<(String, String)> {
    let mut rows = vec![("seed".to_owned(), args.common.seed.to_string())];
    for (i, method) in stated["methods"].as_array().into_iter().flatten().enumerate() {
        let name = method["name"].as_str().unwrap_or_default();
        let name = if i == 0 { "strategy" } else { name };
        rows.push((name.to_owned(), method["variant"].as_str().unwrap_or_default().to_owned()));
        let numbers = method["hyper_parameters"].as_object().into_iter().flatten();
        // The page has these elsewhere.
        let shown = ["recalls", "kept", "of", "forecast"];
        for (key, value) in numbers.filter(|(key, _)| !shown.contains(&key.as_str())) {
            flatten(key, value, &mut rows);
        }
    }
    rows
}

fn flatten(key: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            map.iter().for_each(|(inner, value)| flatten(&format!("{key} {inner}"), value, rows));
        }
        Value::String(text) => rows.push((key.to_owned(), text.clone())),
        Value::Bool(b) => rows.push((key.to_owned(), if *b { "yes" } else { "no" }.to_owned())),
        other => rows.push((key.to_owned(), other.to_string())),
    }
}
