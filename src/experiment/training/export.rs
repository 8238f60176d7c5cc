//! What a training run leaves in the output folder beside scores: recorded dynamics, features.

use serde_json::{Map, Value, json};

use super::result::{Extraction, Finished};
use super::run::{Record, TrainingRun};
use crate::artefact::dynamics::{
    self, AttributeRecord, Description, GroupRecord, QuantityRecord, RecordedSamples,
    ValidationRecord,
};
use crate::artefact::{OutputDir, Provenance, npy};
use crate::error::{Error, Result};
use crate::experiment::folder::features::{
    FEATURES, VALIDATION, features_of, write_arrays, write_features,
};
use crate::experiment::folder::provenance;
use crate::experiment::session::Session;
use crate::ops::Precision;
use crate::score::features::FeatureMatrix;

/// The names of all files that the run exports.
pub(super) fn files(session: &Session, run: &TrainingRun) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(record) = &run.record {
        let arrays = record.what.quantities().iter().map(|q| format!("{}.npy", q.name()));
        let others = [dynamics::SAMPLES, dynamics::DESCRIPTION].map(str::to_owned);
        names.extend(arrays.chain(others).map(|name| format!("{}/{name}", record.folder)));
    }
    if let Some(extract) = &run.extract {
        names.extend(FEATURES.map(|name| extract.path(name)));
        let parts = run.extracted_parts(session).into_iter();
        names.extend(parts.map(|(part, _)| extract.path(&features_of(part))));
        if extract.validation && !run.part.val.is_empty() {
            names.extend(VALIDATION.map(|name| extract.path(name)));
        }
    }
    names
}

/// Writes everything that the run exports.
pub(super) fn write(
    session: &Session,
    run: &TrainingRun,
    finished: &mut Finished,
    dir: &OutputDir,
) -> Result<()> {
    if let Some(record) = &run.record {
        write_dynamics(session, run, record, finished, dir)?;
    }
    if let Some(extract) = &run.extract {
        let Some(Extraction { train, validation, others }) = &finished.extracted else {
            return Err(Error::Internal("features were not extracted".to_owned()));
        };
        let (mut parameters, mut more) = (network_facts(session), Vec::new());
        parameters.insert("recipe".to_owned(), json!(run.recipe));
        parameters.insert("steps".to_owned(), json!(run.until));
        parameters.insert("split".to_owned(), json!(session.split.kind.to_string()));
        if let Some(of) = validation {
            let [features, probabilities, labels] = VALIDATION.map(|f| extract.path(f));
            write_arrays(dir, [features, probabilities], of)?;
            let (name, positions) = (run.part.val_part.name(), &run.part.val);
            let part = session.data.part(run.part.val_part);
            let label = |&i: &usize| part.map_or(0, |p| i64::from(p.labels[i]));
            let of: Vec<i64> = positions.iter().map(label).collect();
            npy::write(&dir.file(&labels)?, &[of.len()], &of)?;
            more.extend(VALIDATION.map(str::to_owned));
            parameters.insert("validation".to_owned(), json!([name, positions]));
        }
        for (part, of) in others {
            let FeatureMatrix { width, values } = &of.features;
            let path = dir.file(&extract.path(&features_of(*part)))?;
            npy::write(&path, &[of.features.samples(), *width], values)?;
            more.push(features_of(*part));
        }
        let seeds = vec![run.seeds.init];
        write_features(
            dir,
            extract,
            provenance::identity(&session.data),
            train,
            parameters,
            seeds,
            &more,
        )?;
    }
    Ok(())
}

/// What decides a network's outputs, beside its weights.
pub fn network_facts(session: &Session) -> Map<String, Value> {
    let spec = &session.spec;
    let pairs = [
        ("arch", json!(spec.arch.to_string())),
        ("width", json!(spec.width)),
        ("stem", json!(spec.stem.to_string())),
        ("size", json!(spec.size)),
        ("mean", json!(session.mean)),
        ("std", json!(session.std)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn write_dynamics(
    session: &Session,
    run: &TrainingRun,
    record: &Record,
    finished: &mut Finished,
    dir: &OutputDir,
) -> Result<()> {
    let data = &session.data;
    let recorder = finished.outcome.as_mut().and_then(|o| o.dynamics.as_mut());
    let recorder =
        recorder.ok_or_else(|| Error::Internal(format!("{} recorded nothing", run.name)))?;
    let quantities = recorder.recording().quantities();
    let validation = finished.result.validation.as_ref().map(|v| ValidationRecord {
        epoch: v.epoch + 1,
        correct: v.correct.clone(),
        total: v.total.clone(),
        groups: v
            .groups
            .as_ref()
            .map(|g| GroupRecord { correct: g.correct.clone(), total: g.total.clone() }),
    });
    let provenance = Provenance::new(provenance::identity(data), Vec::new(), Vec::new());
    let description = Description {
        format_version: Description::FORMAT_VERSION,
        tool: provenance.tool,
        version: provenance.version,
        commit: provenance.commit,
        data: provenance.data,
        class_names: data.classes.clone(),
        attribute: data
            .attributes
            .as_ref()
            .map(|a| AttributeRecord { name: a.name.clone(), values: a.values.clone() }),
        epochs: recorder.epochs(),
        samples: data.train.len(),
        trained: run.part.train.len(),
        eligible: session.split.train.len(),
        augmented: run.recipe.augments(),
        presentation: Description::RULE.to_owned(),
        quantities: quantities
            .iter()
            .map(|q| QuantityRecord {
                name: q.name().to_owned(),
                file: format!("{}.npy", q.name()),
                meaning: q.meaning().to_owned(),
                digest: None,
            })
            .collect(),
        samples_digest: None,
        network: Value::Object(network_facts(session)),
        recipe: json!(run.recipe),
        seeds: json!(run.seeds),
        steps: finished.result.steps,
        schedule_steps: run.steps,
        split: session.split.kind.to_string(),
        numerics: match session.precision {
            Precision::F32 => session.device.name(),
            Precision::Bf16 => format!("{}/bf16", session.device.bf16_name()),
        },
        validation,
    };
    let parts = provenance::parts(data, &session.split);
    let attributes = match data.attributes {
        Some(_) => data.train.attributes.clone(),
        None => Vec::new(),
    };
    let (ids, labels) = (data.train.ids.clone(), data.train.labels.clone());
    let samples = RecordedSamples { ids, labels, attributes, parts };
    dynamics::write(dir, &record.folder, &description, samples, quantities, |quantity, epoch| {
        recorder.row(quantity, epoch)
    })
}
