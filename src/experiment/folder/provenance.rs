//! Provenance of the files an experiment writes.

use serde_json::{Map, Value, json};

use crate::artefact::provenance::{DataIdentity, KeptEnd, MethodRecord};
use crate::artefact::tables::SamplePart;
use crate::artefact::{Provenance, digest};
use crate::data::{DataSet, PartName, Partition, Split};
use crate::error::{Error, Result};
use crate::experiment::strategy::{Choice, Quota, Strategy};
use crate::prune;
use crate::score;

/// Hyper-parameter of a subset: the hash of its positions.
const POSITIONS: &str = "positions_digest";

/// The identity of a data set.
pub fn identity(data: &DataSet) -> DataIdentity {
    DataIdentity {
        name: data.name.clone(),
        fingerprint: data.fingerprint.clone(),
        samples_fingerprint: Some(data.samples_fingerprint()),
        size: Some([data.height, data.width]),
        samples: data.train.len(),
        classes: data.classes.len(),
        long_tail: data
            .long_tail
            .as_ref()
            .map(|t| format!("--long-tail {} --data-seed {}", t.factor, t.seed)),
    }
}

/// What each training sample is used for under a split.
pub fn parts(data: &DataSet, split: &Split) -> Vec<SamplePart> {
    let mut parts = vec![SamplePart::Out; data.train.len()];
    if split.val_part == PartName::Train {
        split.val.iter().for_each(|&i| parts[i] = SamplePart::Val);
    }
    split.train.iter().for_each(|&i| parts[i] = SamplePart::Train);
    parts
}

/// The direction of a score, as files state it.
pub fn direction(method: score::Method) -> KeptEnd {
    match method.direction() {
        prune::Direction::KeepHighest => KeptEnd::HigherFirst,
        prune::Direction::KeepLowest => KeptEnd::LowerFirst,
    }
}

/// The split that an artefact states its values were made under, as on the command line.
pub fn split_of(stated: &Provenance) -> Option<String> {
    let text = stated.methods.first()?.hyper_parameters.get("split")?;
    text.as_str().map(str::to_owned)
}

/// States the split that a subset was made under.
pub fn under(split: Option<&str>, mut stated: Provenance) -> Provenance {
    if let (Some(split), Some(method)) = (split, stated.methods.first_mut()) {
        method.hyper_parameters.insert("split".to_owned(), json!(split));
    }
    stated
}

/// States what the quotas of a subset are over, where that is not the classes.
pub fn over(partition: &Partition, mut stated: Provenance) -> Provenance {
    if let (Some(attribute), Some(method)) = (&partition.attribute, stated.methods.first_mut()) {
        let parameters = &mut method.hyper_parameters;
        parameters.insert("groups".to_owned(), json!(attribute));
        parameters.insert("group_names".to_owned(), json!(partition.names));
    }
    stated
}

/// The hash of a subset's positions that its JSON states.
pub fn digest_of(kept: &[usize]) -> String {
    let bytes: Vec<u8> = kept.iter().flat_map(|&i| (i as u64).to_le_bytes()).collect();
    digest(&bytes)
}

/// States which positions a subset has, so that others under its name are noticed.
pub fn with_positions(mut stated: Provenance, kept: &[usize]) -> Provenance {
    if let Some(method) = stated.methods.first_mut() {
        method.hyper_parameters.insert(POSITIONS.to_owned(), json!(digest_of(kept)));
    }
    stated
}

/// An error where the JSON of a subset states other positions than `kept`.
pub fn check_positions(what: &str, stated: &Provenance, kept: &[usize]) -> Result<()> {
    let digest = stated.methods.first().and_then(|m| m.hyper_parameters.get(POSITIONS));
    let Some(digest) = digest.and_then(Value::as_str).filter(|d| *d != digest_of(kept)) else {
        return Ok(());
    };
    let found = format!("{} positions of another subset", kept.len());
    let expected = format!("those that its JSON states (digest {digest})");
    Err(Error::invalid(what, found, expected))
}

/// Provenance of a subset that `strategy` kept.
pub fn of_subset(
    data: DataIdentity,
    strategy: Strategy,
    density: f64,
    choice: &Choice,
    seeds: &[u64],
) -> Provenance {
    let quotas = choice.quotas;
    let mut parameters = Map::new();
    parameters.insert("density".to_owned(), json!(density));
    let rate = prune::density_of_prune_rate(density).ok();
    parameters.insert("prune_rate".to_owned(), json!(rate));
    parameters.insert("quota".to_owned(), json!(strategy.quota().to_string()));
    parameters.insert("smooth".to_owned(), json!(if quotas.laplace { "laplace" } else { "none" }));
    parameters
        .insert("min_per_class".to_owned(), quotas.min_per_class.map_or(Value::Null, |n| json!(n)));
    if let Quota::Nucs(_) = strategy.quota() {
        parameters.insert("winsor".to_owned(), json!(quotas.winsor()));
        let score = strategy.difficulty(&choice.pickers).map(|score| score.to_string());
        parameters.insert("difficulty".to_owned(), json!(score));
    }
    for picker in strategy.pickers() {
        parameters.insert(picker.name().to_owned(), json!(picker.describe(&choice.pickers)));
    }
    let method = MethodRecord {
        name: strategy.to_string(),
        variant: strategy.label(),
        direction: None,
        hyper_parameters: parameters,
    };
    Provenance::new(data, vec![method], seeds.to_vec())
}
