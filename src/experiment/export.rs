//! What a cell leaves in the output folder beside scores: recorded dynamics, features.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cell::{Cell, Extract, Extraction, Finished, Record};
use super::picker::{Material, ValidationMaterial};
use super::prepared::Prepared;
use super::provenance;
use crate::artefact::dynamics::{
    self, AttributeRecord, Description, GroupRecord, QuantityRecord, Samples, ValidationRecord,
};
use crate::artefact::provenance::{DataIdentity, Method};
use crate::artefact::{OutputDir, Provenance, npy};
use crate::error::{Error, Result};
use crate::ops::{Operators, Precision};
use crate::score::features::{Extracted, Features};

/// Files of the features: the arrays, and last the JSON that says whose they are.
pub const FEATURES: [&str; 3] = ["features.npy", "probabilities.npy", "features.json"];
/// The same of the validation images, whose rows are described with those of the training part.
const VALIDATION: [&str; 3] =
    ["validation-features.npy", "validation-probabilities.npy", "validation-labels.npy"];

/// Whether everything that the cell exports is there.
pub(super) fn complete(dir: &OutputDir, cell: &Cell) -> bool {
    let last = |name: &str| dir.root().join(name).is_file();
    let recorded = |r: &Record| last(&format!("{}/{}", r.folder, dynamics::DESCRIPTION));
    cell.record.as_ref().is_none_or(recorded)
        && cell.extract.as_ref().is_none_or(|e| last(&e.path(FEATURES[2])))
}

impl Extract {
    fn path(&self, file: &str) -> String {
        if self.folder.is_empty() { file.to_owned() } else { format!("{}/{file}", self.folder) }
    }
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
    if let Some(extract) = &cell.extract {
        let Some(Extraction { train, validation }) = &finished.extracted else {
            return Err(Error::Internal("features were not extracted".to_owned()));
        };
        let mut parameters = network(prepared);
        parameters.insert("recipe".to_owned(), json!(cell.recipe));
        parameters.insert("steps".to_owned(), json!(cell.until));
        parameters.insert("split".to_owned(), json!(prepared.split.kind.to_string()));
        if let Some(of) = validation {
            let [features, probabilities, labels] = VALIDATION.map(|f| extract.path(f));
            write_arrays(dir, [features, probabilities], of)?;
            let (name, positions) = (cell.part.val_part.name(), &cell.part.val);
            let part = prepared.data.part(cell.part.val_part);
            let label = |&i: &usize| part.map_or(0, |p| i64::from(p.labels[i]));
            let of: Vec<i64> = positions.iter().map(label).collect();
            npy::write(&dir.file(&labels)?, &[of.len()], &of)?;
            parameters.insert("validation".to_owned(), json!([name, positions]));
        }
        let seeds = vec![cell.seeds.init];
        write_features(
            dir,
            extract,
            provenance::identity(&prepared.data),
            train,
            parameters,
            seeds,
        )?;
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
    extract: &Extract,
    data: DataIdentity,
    extracted: &Extracted,
    parameters: Map<String, Value>,
    seeds: Vec<u64>,
) -> Result<()> {
    let [features, probabilities, description] = FEATURES.map(|f| extract.path(f));
    write_arrays(dir, [features, probabilities], extracted)?;
    let method = Method {
        name: "features".to_owned(),
        variant:
            "input of the last layer (global average pooling), eval mode, no augmentation; a row \
                  a training sample in data-set order"
                .to_owned(),
        direction: None,
        hyper_parameters: parameters,
    };
    dir.write_json(&description, &Provenance::new(data, vec![method], seeds))?;
    Ok(())
}

fn write_arrays(dir: &OutputDir, names: [String; 2], extracted: &Extracted) -> Result<()> {
    let (samples, width) = (extracted.features.samples(), extracted.features.width);
    npy::write(&dir.file(&names[0])?, &[samples, width], &extracted.features.values)?;
    let p = &extracted.probabilities;
    npy::write(&dir.file(&names[1])?, &[samples, p.len() / samples.max(1)], p)
}

/// What [`write`] has left of the features in `root`, for a training part of `samples` in `classes`.
pub fn read_features(
    root: &Path,
    extract: &Extract,
    samples: usize,
    classes: usize,
) -> Result<Material> {
    let path = |file: &str| root.join(extract.path(file));
    let read = |file: &str, rows: usize| {
        let path = path(file);
        npy::read(&path)?.into_features(rows, &path.display().to_string())
    };
    let features = |file: &str, rows: usize| {
        read(file, rows).map(|(width, values)| Features { width, values })
    };
    let [of_train, p_train, _] = FEATURES;
    let [of_val, p_val, y_val] = VALIDATION;
    let validation = match extract.validation && path(y_val).is_file() {
        false => None,
        true => {
            let place = path(y_val);
            let labels =
                npy::read(&place)?.into_positions(classes, &place.display().to_string())?;
            let labels: Vec<u32> = labels.into_iter().map(|k| k as u32).collect();
            Some(ValidationMaterial {
                features: features(of_val, labels.len())?,
                probabilities: read(p_val, labels.len())?.1,
                labels,
            })
        }
    };
    Ok(Material {
        features: Some(Arc::new(features(of_train, samples)?)),
        probabilities: Some(read(p_train, samples)?.1),
        validation,
    })
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
                digest: None,
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
    let parts = provenance::parts(data, &prepared.split);
    let attributes = match data.attributes {
        Some(_) => data.train.attributes.clone(),
        None => Vec::new(),
    };
    let (ids, labels) = (data.train.ids.clone(), data.train.labels.clone());
    let samples = Samples { ids, labels, attributes, parts };
    dynamics::write(dir, &record.folder, &description, samples, quantities, |quantity, epoch| {
        recorder.row(quantity, epoch)
    })
}
