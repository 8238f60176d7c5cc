//! Provenance of the files an experiment writes.

use serde_json::{Map, Value, json};

use super::strategy::{QuotaSettings, Strategy};
use crate::artefact::Provenance;
use crate::artefact::provenance::{DataIdentity, Direction, Method};
use crate::artefact::tables::Part;
use crate::data::{DataSet, Partition, Split};
use crate::prune;
use crate::score;

/// The identity of a data set.
pub fn identity(data: &DataSet) -> DataIdentity {
    DataIdentity {
        name: data.name.clone(),
        fingerprint: data.fingerprint.clone(),
        samples: data.train.len(),
        classes: data.classes.len(),
        long_tail: data
            .long_tail
            .as_ref()
            .map(|t| format!("--long-tail {} --data-seed {}", t.factor, t.seed)),
    }
}

/// What each training sample is used for under a split.
pub fn parts(data: &DataSet, split: &Split) -> Vec<Part> {
    let mut parts =
        vec![if data.long_tail.is_some() { Part::Out } else { Part::Val }; data.train.len()];
    if let Some(tail) = &data.long_tail {
        tail.present.iter().for_each(|&i| parts[i] = Part::Val);
    }
    split.train.iter().for_each(|&i| parts[i] = Part::Train);
    parts
}

/// The direction of a score, as files state it.
pub fn direction(method: score::Method) -> Direction {
    match method.direction() {
        prune::Direction::KeepHighest => Direction::HigherFirst,
        prune::Direction::KeepLowest => Direction::LowerFirst,
    }
}

/// The split that an artefact states its values were made under, as on the command line.
pub fn split_of(stated: &Provenance) -> Option<String> {
    let text = stated.methods.first()?.hyper_parameters.get("split")?;
    text.as_str().map(str::to_owned)
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

/// Of a subset that `strategy` kept.
pub fn of_subset(
    data: DataIdentity,
    strategy: Strategy,
    density: f64,
    quotas: QuotaSettings,
    seeds: &[u64],
) -> Provenance {
    let mut parameters = Map::new();
    parameters.insert("density".to_owned(), json!(density));
    let rate = prune::density_of_prune_rate(density).ok();
    parameters.insert("prune_rate".to_owned(), json!(rate));
    parameters.insert("quota".to_owned(), json!(strategy.quota().to_string()));
    parameters.insert("smooth".to_owned(), json!(if quotas.laplace { "laplace" } else { "none" }));
    parameters
        .insert("min_per_class".to_owned(), quotas.min_per_class.map_or(Value::Null, |n| json!(n)));
    let method = Method {
        name: strategy.to_string(),
        variant: strategy.label(),
        direction: None,
        hyper_parameters: parameters,
    };
    Provenance::new(data, vec![method], seeds.to_vec())
}
