//! Scores of a recorded run: no data, no training.

use std::path::Path;

use anyhow::Result;
use fairprune::artefact::dynamics::{Quantity, Recording};
use fairprune::artefact::{digest, tables};
use fairprune::data::Attributes;
use fairprune::error::Error;
use fairprune::score::{Kind, Method, Options, recorded};
use serde_json::{Map, Value, json};

use super::write::{MethodScores, Samples, Scored, write_samples};
use super::{ScoreArgs, Wanted};
use crate::cli::{context, device, output};

/// Scores by the recording in `folder`.
pub fn by_recorded_run(args: &ScoreArgs, folder: &Path) -> Result<u8> {
    let common = &args.common;
    device::host_only(common)?;
    let recording = Recording::open(folder)?;
    let wanted = wanted(args, &recording)?;
    let stated = &recording.description;
    let parts = recording.samples.parts.iter().enumerate();
    let trained: Vec<usize> =
        parts.filter(|(_, p)| **p == tables::Part::Train).map(|(i, _)| i).collect();
    if stated.trained != stated.eligible || trained.len() != stated.eligible {
        let found = format!("a run on {} of {} samples", stated.trained, stated.eligible);
        let expected = "one on all of them: a sample that was not trained on has no dynamics";
        return Err(
            Error::invalid(format!("dynamics {}", folder.display()), found, expected).into()
        );
    }
    let samples = stated.samples;
    let scores = recorded::score(&wanted.methods, &wanted.options, samples, |q| recording.read(q))?;
    recorded::check_presented(&scores, &trained)?;
    let mut job = Map::new();
    job.insert("dynamics".to_owned(), json!(digest(&serde_json::to_vec(stated)?)));
    let names: Vec<&str> = wanted.methods.iter().map(|m| m.name()).collect();
    job.insert("methods".to_owned(), json!(names));
    job.insert("options".to_owned(), json!(wanted.options));
    let dir = context::output_dir(&args.out, "score", job)?;
    let largest = 4 * (stated.epochs * samples) as u64;
    output::note(
        common,
        format!(
            "dynamics  {} epochs of {samples} samples{}\nmemory    {} for one quantity at a time\n\
             output    {}",
            stated.epochs,
            if stated.augmented { ", augmented" } else { "" },
            output::bytes(largest),
            dir.root().display()
        ),
    );
    let scores = scores.into_iter().map(|(method, values)| MethodScores {
        method,
        values: values.into_iter().map(f64::from).collect(),
        variant: variant(method, &wanted.options, stated.augmented),
        parameters: method.parameters(&wanted.options),
    });
    let mut scored = Scored { scores: scores.collect(), ..Scored::default() };
    scored.scores.sort_by_key(|s| s.method);
    let shared = [
        ("source", json!("dynamics")),
        ("runs", json!(1)),
        ("epochs", json!(stated.epochs)),
        ("augmented", json!(stated.augmented)),
        ("recipe", stated.recipe.clone()),
        ("run_seeds", stated.seeds.clone()),
        ("split", json!(stated.split)),
    ];
    scored.shared = shared.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    for key in ["arch", "width"] {
        let value = stated.network.get(key).cloned().unwrap_or(Value::Null);
        scored.shared.insert(key.to_owned(), value);
    }
    let attributes = stated.attribute.as_ref().map(|a| {
        let names = Attributes { name: a.name.clone(), values: a.values.clone() };
        (names, recording.samples.attributes.clone())
    });
    scored.recalls = recalls(&recording);
    scored.of_groups[0] = attributes.as_ref().and_then(|(a, _)| recalls_of_groups(&recording, a));
    let samples = Samples {
        identity: stated.data.clone(),
        classes: stated.class_names.clone(),
        ids: recording.samples.ids.clone(),
        labels: recording.samples.labels.clone(),
        parts: recording.samples.parts.clone(),
        attributes,
    };
    write_samples(samples, scored, dir)?.report(common)
}

/// What is asked for, or everything that the recording has.
fn wanted(args: &ScoreArgs, recording: &Recording) -> Result<Wanted> {
    let options = args.variants.options(&args.common, &Method::ALL)?;
    let has = |m: &Method| match m.kind(&options) {
        Kind::Dynamics(quantity) => recording.has(quantity),
        _ => false,
    };
    let epochs = recording.description.epochs;
    let long_enough = |m: &Method| m.least_epochs(&options) <= epochs;
    let all: Vec<Method> = Method::ALL.into_iter().filter(has).collect();
    let default: Vec<Method> = all.iter().copied().filter(long_enough).collect();
    let wanted = Wanted::of(args, &default)?;
    let place = || format!("dynamics {}", recording.folder().display());
    for method in &wanted.methods {
        match method.kind(&options) {
            Kind::Dynamics(quantity) if recording.has(quantity) => {
                method.check(&options, epochs)?
            }
            Kind::Dynamics(quantity) => {
                let plain =
                    if quantity == Quantity::Divergence { " (train --dynamics)" } else { "" };
                let found = format!("no {}", quantity.name());
                let expected = format!("a recording with it{plain}, for {method}");
                return Err(Error::invalid(place(), found, expected).into());
            }
            _ => {
                let names: Vec<&str> = all.iter().map(|m| m.name()).collect();
                let expected = format!("scores of training dynamics: {}", names.join(", "));
                return Err(Error::invalid("--method", method.name(), expected).into());
            }
        }
    }
    if args.method.is_empty() {
        for method in all.iter().filter(|m| !long_enough(m)) {
            let text = format!(
                "note: {method} needs {} epochs, {epochs} are recorded: left out",
                method.least_epochs(&options)
            );
            output::note(&args.common, text);
        }
    }
    Ok(wanted)
}

fn variant(method: Method, options: &Options, augmented: bool) -> String {
    let how = if augmented { "with augmentation" } else { "without augmentation" };
    format!("{}; recorded {how}", method.variant(options))
}

/// Class recalls of the recorded run's best epoch, where it was validated.
fn recalls(recording: &Recording) -> Option<Vec<tables::RecallRow>> {
    let stated = &recording.description;
    let validation = stated.validation.as_ref()?;
    let labels = &recording.samples.labels;
    let counts = [validation.correct.as_slice(), &validation.total];
    let rows = rows(recording, labels, &stated.class_names, counts);
    (rows.len() == stated.class_names.len()).then_some(rows)
}

/// The same of groups; those without validation samples have no row.
fn recalls_of_groups(
    recording: &Recording,
    attributes: &Attributes,
) -> Option<Vec<tables::RecallRow>> {
    let stated = &recording.description;
    let counts = stated.validation.as_ref()?.groups.as_ref()?;
    let samples = &recording.samples;
    let pairs = samples.labels.iter().zip(&samples.attributes);
    let labels: Vec<u32> = pairs.map(|(&l, &a)| attributes.group(l, a) as u32).collect();
    let names: Vec<String> = (0..attributes.groups(stated.class_names.len()))
        .map(|group| attributes.group_name(&stated.class_names, group))
        .collect();
    Some(rows(recording, &labels, &names, [&counts.correct, &counts.total]))
}

/// A row for each of `names` that has validation samples.
fn rows(
    recording: &Recording,
    labels: &[u32],
    names: &[String],
    [correct, total]: [&[u64]; 2],
) -> Vec<tables::RecallRow> {
    let mut sizes = vec![0u64; names.len()];
    let pairs = labels.iter().zip(&recording.samples.parts);
    pairs.filter(|p| *p.1 == tables::Part::Train).for_each(|p| sizes[*p.0 as usize] += 1);
    let row = |k: usize| tables::RecallRow {
        class: k as u32,
        name: names[k].clone(),
        train_size: sizes[k],
        val_correct: Some(correct[k]),
        val_total: Some(total[k]),
        recall: correct[k] as f64 / total[k] as f64,
        recall_sd: None,
    };
    (0..names.len()).filter(|&k| total[k] > 0).map(row).collect()
}
