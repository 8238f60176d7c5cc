//! What a result took in all: the query runs and scores that its strategy needs, choosing, training.

use super::outcome::{ComparisonOutcome, StrategyRun};
use super::pilots;
use super::plan::ComparisonPlan;
use super::spent::{Spent, own_features};
use super::summary::Preparation;
use crate::experiment::query::Queries;
use crate::experiment::session::Session;
use crate::experiment::strategy::Strategy;
use crate::score::{Kind, Method};

/// What went before the training of `run`: every query run that its strategy would need alone, each
/// counted whole although others may share it.
pub fn preparation(
    plan: &ComparisonPlan,
    session: &Session,
    outcome: &ComparisonOutcome,
    run: &StrategyRun,
) -> Preparation {
    let mut spent = Preparation { choose_seconds: run.choose_seconds, ..Preparation::default() };
    if run.strategy == Strategy::Full {
        return spent;
    }
    let queries = plan.queries_for(run.strategy, run.seed);
    for query in queries.runs(&session.split) {
        let run = query.training(&queries.options);
        if let Some(times) = outcome.query_times.get(&run.name) {
            spent.add(times, run.methods, run.extract.is_some());
        }
    }
    if queries.needs_stand_in() {
        for full in outcome.runs.iter().filter(|r| r.strategy == Strategy::Full) {
            let features = queries.extract_of_stand_in(full.seed).is_some();
            let times = Spent::of(&full.finished.result);
            spent.add(&times, &queries.of_stand_in(full.seed), features);
        }
    }
    let pilots = pilots::of_strategy(plan, session, run.strategy, run.density, run.seed);
    for name in pilots.map_or(Vec::new(), |p| p.names()) {
        if let Some(times) = outcome.query_times.get(&name) {
            spent.add(times, &[], false);
        }
    }
    if let Some(times) = outcome.query_times.get(&own_features(queries.repetition)) {
        spent.score_seconds += times.scoring(&made_of_features(plan, &queries, run), false);
    }
    spent
}

/// Scores of the strategy that the user's features give.
fn made_of_features(plan: &ComparisonPlan, queries: &Queries, run: &StrategyRun) -> Vec<Method> {
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
    use crate::experiment::training::ScorePart;

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
