//! What a cell leaves in the output folder beside scores: recorded dynamics, features.

use serde_json::{Map, Value, json};

use super::cell::{Cell, Finished, Record};
use super::prepared::Prepared;
use super::provenance;
use crate::artefact::dynamics::{self, Description, QuantityRecord, Samples, ValidationRecord};
use crate::artefact::provenance::{DataIdentity, Method};
use crate::artefact::tables::Part;
use crate::artefact::{OutputDir, Provenance, npy};
use crate::error::{Error, Result};
use crate::ops::{Operators, Precision};
use crate::score::features::Extracted;

/// Files of the features: the arrays, and last the JSON that says whose they are.
pub const FEATURES: [&str; 3] = ["features.npy", "probabilities.npy", "features.json"];

/// Whether everything that the cell exports is there.
pub(super) fn complete(dir: &OutputDir, cell: &Cell) -> bool {
    let last = |name: &str| dir.root().join(name).is_file();
    let recorded = |r: &Record| last(&format!("{}/{}", r.folder, dynamics::DESCRIPTION));
    cell.record.as_ref().is_none_or(recorded)
        && (!cell.save_features || FEATURES.iter().all(|f| last(f)))
}

/// Writes it.
pub(super) fn write<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    finished: &mut Finished,
    dir: &OutputDir,
) -> Result<()> {
    if let Some(record) = &cell.record {
        write_dynamics(prepared, cell, record, finished, dir)?;
    }
    if cell.save_features {
        let extracted = finished.extracted.as_ref();
        let extracted =
            extracted.ok_or_else(|| Error::Internal("features were not extracted".to_owned()))?;
        let mut parameters = network(prepared);
        parameters.insert("recipe".to_owned(), json!(cell.recipe));
        parameters.insert("steps".to_owned(), json!(cell.until));
        parameters.insert("split".to_owned(), json!(prepared.split.kind.to_string()));
        let seeds = vec![cell.seeds.init];
        write_features(dir, provenance::identity(&prepared.data), extracted, parameters, seeds)?;
    }
    Ok(())
}

/// What of the network decides its outputs.
pub fn network<B: Operators>(prepared: &Prepared<B>) -> Map<String, Value> {
    let spec = &prepared.spec;
    let pairs = [
        ("arch", json!(spec.arch.to_string())),
        ("width", json!(spec.width)),
        ("stem", json!(spec.stem.to_string())),
        ("size", json!(spec.size)),
        ("mean", json!(prepared.mean)),
        ("std", json!(prepared.std)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// `features.npy` (N x D), `probabilities.npy` (N x K) and `features.json`.
pub fn write_features(
    dir: &OutputDir,
    data: DataIdentity,
    extracted: &Extracted,
    parameters: Map<String, Value>,
    seeds: Vec<u64>,
) -> Result<()> {
    let [features, probabilities, description] = FEATURES;
    let (samples, width) = (extracted.features.samples(), extracted.features.width);
    npy::write(&dir.file(features)?, &[samples, width], &extracted.features.values)?;
    let p = &extracted.probabilities;
    npy::write(&dir.file(probabilities)?, &[samples, data.classes], p)?;
    let method = Method {
        name: "features".to_owned(),
        variant:
            "input of the last layer (global average pooling), eval mode, no augmentation; a row \
                  a training sample in data-set order"
                .to_owned(),
        direction: None,
        hyper_parameters: parameters,
    };
    dir.write_json(description, &Provenance::new(data, vec![method], seeds))?;
    Ok(())
}

fn write_dynamics<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    record: &Record,
    finished: &mut Finished,
    dir: &OutputDir,
) -> Result<()> {
    let data = &prepared.data;
    let recorder = finished.outcome.as_mut().and_then(|o| o.dynamics.as_mut());
    let recorder =
        recorder.ok_or_else(|| Error::Internal(format!("{} recorded nothing", cell.name)))?;
    let quantities = recorder.recording().quantities();
    let validation = finished.result.validation.as_ref().map(|v| ValidationRecord {
        epoch: v.epoch + 1,
        correct: v.correct.clone(),
        total: v.total.clone(),
    });
    let provenance = Provenance::new(provenance::identity(data), Vec::new(), Vec::new());
    let description = Description {
        format_version: Description::FORMAT_VERSION,
        tool: provenance.tool,
        version: provenance.version,
        commit: provenance.commit,
        data: provenance.data,
        class_names: data.classes.clone(),
        epochs: recorder.epochs(),
        samples: data.train.len(),
        trained: cell.part.train.len(),
        eligible: prepared.split.train.len(),
        augmented: cell.recipe.augments(),
        presentation: Description::RULE.to_owned(),
        quantities: quantities
            .iter()
            .map(|q| QuantityRecord {
                name: q.name().to_owned(),
                file: format!("{}.npy", q.name()),
                meaning: q.meaning().to_owned(),
            })
            .collect(),
        network: Value::Object(network(prepared)),
        recipe: json!(cell.recipe),
        seeds: json!(cell.seeds),
        steps: finished.result.steps,
        schedule_steps: cell.steps,
        split: prepared.split.kind.to_string(),
        numerics: match prepared.precision {
            Precision::F32 => prepared.backend.name(),
            Precision::Bf16 => format!("{}/bf16", prepared.backend.name()),
        },
        validation,
    };
    let mut parts = vec![Part::Val; data.train.len()];
    prepared.split.train.iter().for_each(|&i| parts[i] = Part::Train);
    let samples = Samples { ids: data.train.ids.clone(), labels: data.train.labels.clone(), parts };
    dynamics::write(dir, &record.folder, &description, samples, quantities, |quantity, epoch| {
        recorder.row(quantity, epoch)
    })
}
