//! Seconds of query runs, piece by piece.

use std::collections::BTreeMap;

use crate::experiment::training::{FEATURES, RunResult, ScorePart};
use crate::score::Method;

/// Seconds of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    pub train: f64,
    pub parts: Vec<ScorePart>,
}

/// Seconds of query runs, by their names.
pub type QueryTimes = BTreeMap<String, Spent>;

/// The name under which times of scores of the user's own features are kept.
pub fn own_features(repetition: Option<usize>) -> String {
    format!("own-features-{}", repetition.unwrap_or(0))
}

impl Spent {
    /// What a finished run took.
    pub fn of(result: &RunResult) -> Self {
        Spent { train: result.train_seconds, parts: result.score_parts.clone() }
    }

    /// Seconds of the pieces that give any of `methods`, or features where they are wanted. A piece
    /// that gives several counts whole.
    pub(super) fn scoring(&self, methods: &[Method], features: bool) -> f64 {
        let wanted = |name: &String| {
            (features && name == FEATURES) || methods.iter().any(|m| m.name() == name)
        };
        self.parts.iter().filter(|p| p.of.iter().any(wanted)).map(|p| p.seconds).sum()
    }
}
