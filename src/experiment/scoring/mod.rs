//! Scores of every training sample, and class recalls: by query runs, by a network as it is, by a recorded
//! run, by given features.

mod by_features;
mod by_queries;
mod by_recording;
mod by_weights;
mod extrapolation;

pub use by_features::score_features;
pub use by_queries::{ByQueries, QuerySettings};
pub use by_recording::ByRecording;
pub use by_weights::{ByWeights, nothing_held_out};
pub use extrapolation::{ExtrapolateSettings, Extrapolation};

use serde::Serialize;

use super::folder::own_features::OwnFeatures;
use super::settings::VariantSettings;
use crate::error::Result;
use crate::score::{Kind, Method, Options, ScoreSource};
use serde_json::Value;

/// Which scores are wanted, in which variants.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// Each once, in the order of tables.
    pub methods: Vec<Method>,
    pub options: Options,
}

impl ScoreRequest {
    /// The request for `methods`, in any order.
    pub fn new(methods: &[Method], variants: &VariantSettings) -> Result<ScoreRequest> {
        let mut methods = methods.to_vec();
        methods.sort_unstable();
        methods.dedup();
        Ok(ScoreRequest { methods, options: variants.options()? })
    }

    /// The methods of some kind.
    pub fn of_kind(&self, wanted: fn(Kind) -> bool) -> Vec<Method> {
        let methods = self.methods.iter().copied();
        methods.filter(|m| wanted(m.kind(&self.options))).collect()
    }

    /// The methods that are made from features.
    pub fn of_features(&self) -> Vec<Method> {
        self.of_kind(|kind| kind == Kind::Features)
    }

    /// A method that a network as it is cannot give, if there is one.
    pub fn needs_training(&self) -> Option<Method> {
        let trained = |m: &&Method| m.source(&self.options) != ScoreSource::Query;
        self.methods.iter().find(trained).copied()
    }

    /// The methods that a network must give: the user's features take the place of a network's.
    fn network_methods(&self, own: Option<&OwnFeatures>) -> Vec<Method> {
        match own {
            Some(_) => self.of_kind(|kind| kind != Kind::Features),
            None => self.methods.clone(),
        }
    }
}

/// What of the scores decides the result.
#[derive(Serialize)]
struct ScoreFacts<'a> {
    methods: Vec<&'static str>,
    options: &'a Options,
    features: Option<Value>,
    save_features: bool,
}

impl<'a> ScoreFacts<'a> {
    fn of(request: &'a ScoreRequest, own: Option<&OwnFeatures>, save_features: bool) -> Self {
        ScoreFacts {
            methods: request.methods.iter().map(|m| m.name()).collect(),
            options: &request.options,
            features: own.map(OwnFeatures::describe),
            save_features,
        }
    }
}
