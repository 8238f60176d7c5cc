//! Provenance of the files an experiment writes.

use serde_json::{Map, Value, json};

use super::strategy::{Choice, Strategy};
use crate::artefact::Provenance;
use crate::artefact::provenance::{DataIdentity, Direction, Method};
use crate::data::DataSet;
use crate::prune;
use crate::score;

/// The identity of a data set.
pub fn identity(data: &DataSet) -> DataIdentity {
    DataIdentity {
        name: data.name.clone(),
        fingerprint: data.fingerprint.clone(),
        samples: data.train.len(),
        classes: data.classes.len(),
    }
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

/// Of a subset that `strategy` kept.
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
    for picker in strategy.pickers() {
        parameters.insert(picker.name().to_owned(), json!(picker.describe(&choice.pickers)));
    }
    let method = Method {
        name: strategy.to_string(),
        variant: strategy.label(),
        direction: None,
        hyper_parameters: parameters,
    };
    Provenance::new(data, vec![method], seeds.to_vec())
}
