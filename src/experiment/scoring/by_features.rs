//! Scores that need nothing but features: no network, no recalls.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ScoreRequest;
use crate::data::{DataSet, Split};
use crate::error::Result;
use crate::experiment::folder::own_features::OwnFeatures;
use crate::experiment::folder::scores::Scored;
use crate::experiment::identity::Identity;

#[derive(Serialize)]
struct Facts<'a> {
    data: &'a str,
    split: String,
    split_seed: u64,
    features: Value,
    methods: Vec<&'static str>,
}

/// Scores the training part of `data` by features of the user's, and says what decides the result.
pub fn score_features(
    data: &DataSet,
    split: &Split,
    request: &ScoreRequest,
    own: &OwnFeatures,
    seed: u64,
) -> Result<(Scored, Identity)> {
    let scores = own.scores(&request.methods, &request.options, data, &split.train, seed)?;
    let facts = Facts {
        data: &data.fingerprint,
        split: split.kind.to_string(),
        split_seed: split.seed,
        features: own.describe(),
        methods: request.methods.iter().map(|m| m.name()).collect(),
    };
    let shared = Map::from_iter([("split".to_owned(), json!(split.kind.to_string()))]);
    Ok((Scored { scores, shared, ..Scored::default() }, Identity::of("score", &facts)?))
}
