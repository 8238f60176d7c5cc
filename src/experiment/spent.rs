//! What a result took in all: the query runs and scores that its strategy needs, choosing, training.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cell::CellResult;
use super::queries::Queries;
use super::run::{RunOf, RunOutcome};
use super::run_plan::RunPlan;
use super::strategy::Strategy;
use super::summary::Preparation;
use crate::data::Split;
use crate::score::{Kind, Method};

/// The part of a scoring that gives features and predictions to methods of selection.
pub const FEATURES: &str = "features";

/// One piece of scoring: a pass, or what is made of features or of a recorded run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScorePart {
    /// Names of the scores that it gives; [`FEATURES`] among them where it gives those.
    pub of: Vec<String>,
    pub seconds: f64,
}

impl ScorePart {
    /// A piece that gives these scores, and features if wanted.
    pub fn new(methods: &[Method], features: bool, seconds: f64) -> Self {
        let names = methods.iter().map(|m| m.name().to_owned());
        let of = names.chain(features.then(|| FEATURES.to_owned())).collect();
        ScorePart { of, seconds }
    }
}

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
    /// Of a finished run.
    pub fn of(result: &CellResult) -> Self {
        Spent { train: result.train_seconds, parts: result.score_parts.clone() }
    }

    /// Seconds of the pieces that give any of `methods`, or features where they are wanted. A piece
    /// that gives several counts whole.
    fn scoring(&self, methods: &[Method], features: bool) -> f64 {
        let wanted = |name: &String| {
            (features && name == FEATURES) || methods.iter().any(|m| m.name() == name)
        };
        self.parts.iter().filter(|p| p.of.iter().any(wanted)).map(|p| p.seconds).sum()
    }
}

/// What went before the training of `run`: every query run that its strategy would need alone, each
/// counted whole although others may share it.
pub fn preparation(
    plan: &RunPlan,
    split: &Split,
    outcome: &RunOutcome,
    run: &RunOf,
) -> Preparation {
    let mut spent = Preparation { choose_seconds: run.choose_seconds, ..Preparation::default() };
    if run.strategy == Strategy::Full {
        return spent;
    }
    let queries = plan.queries_for(run.strategy, run.seed);
    for query in queries.runs(split) {
        let cell = query.cell(&queries.options);
        if let Some(times) = outcome.query_times.get(&cell.name) {
            spent.add(times, cell.methods, cell.extract.is_some());
        }
    }
    if queries.needs_stand_in() {
        for full in outcome.runs.iter().filter(|r| r.strategy == Strategy::Full) {
            let features = queries.extract_of_stand_in(full.seed).is_some();
            let times = Spent::of(&full.finished.result);
            spent.add(&times, &queries.of_stand_in(full.seed), features);
        }
    }
    if let Some(times) = outcome.query_times.get(&own_features(queries.repetition)) {
        spent.score_seconds += times.scoring(&made_of_features(plan, &queries, run), false);
    }
    spent
}

/// Scores of the strategy that the user's features give.
fn made_of_features(plan: &RunPlan, queries: &Queries, run: &RunOf) -> Vec<Method> {
    let methods = run.strategy.methods(&plan.choice.pickers).into_iter();
    methods.filter(|m| m.kind(&queries.options) == Kind::Features).collect()
}

impl Preparation {
    fn add(&mut self, times: &Spent, methods: &[Method], features: bool) {
        self.query_runs += 1;
        self.query_seconds += times.train;
        self.score_seconds += times.scoring(methods, features);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_gives_several_scores_counts_whole_and_once() {
        let spent = Spent {
            train: 5.0,
            parts: vec![
                ScorePart::new(&[Method::El2n, Method::Grand], false, 2.0),
                ScorePart::new(&[Method::Ssp], true, 1.0),
                ScorePart::new(&[Method::Aum], false, 0.5),
            ],
        };
        assert_eq!(spent.scoring(&[], false), 0.0);
        assert_eq!(spent.scoring(&[Method::El2n], false), 2.0);
        assert_eq!(spent.scoring(&[Method::El2n, Method::Grand], false), 2.0);
        assert_eq!(spent.scoring(&[Method::Aum], true), 1.5);
        let mut all = Preparation::default();
        all.add(&spent, &[Method::Ssp], true);
        all.add(&spent, &[], false);
        assert_eq!((all.query_runs, all.query_seconds, all.score_seconds), (2, 10.0, 1.0));
    }
}
