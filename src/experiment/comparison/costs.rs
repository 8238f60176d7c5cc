//! What a comparison will need, before it begins.

use super::pilots::{self, Pilots};
use super::plan::ComparisonPlan;
use super::whole::{of_strategy, whole_subset};
use crate::error::Result;
use crate::exec::PlannedMemory;
use crate::experiment::query::Queries;
use crate::experiment::session::Session;
use crate::experiment::strategy::Strategy;
use crate::experiment::training::{Cost, TrainingRun};

impl ComparisonPlan {
    /// What every run of the plan is as far as its cost goes: query runs, full data, pruned runs at
    /// the size they will have.
    pub fn costs(&self, session: &Session) -> Vec<Cost> {
        let split = &session.split;
        let mut costs: Vec<Cost> = self
            .query_runs(split)
            .iter()
            .map(|run| Cost::of(session, &run.training(&self.options)))
            .collect();
        for seed in 0..self.full_seeds() {
            let methods = self.of_stand_in(seed);
            let run = self.final_run(session, split.train.clone(), seed, &methods);
            let predictions = self.queries().iter().any(Queries::stand_in_predicts);
            let run = TrainingRun { predictions, ..run };
            costs.push(Cost::of(session, &run));
        }
        for strategy in self.strategies().into_iter().filter(|s| *s != Strategy::Full) {
            for (density, seeds) in self.densities_of(strategy) {
                let kept = crate::prune::Budget::new(density, split.train.len());
                let kept = kept.map_or(0, |b| b.count);
                let train = match whole_subset(strategy, session, 0) {
                    Ok(Some(subset)) => subset.kept,
                    _ => split.train[..kept].to_vec(),
                };
                let run = self.final_run(session, train, 0, &[]);
                let cost =
                    Cost::of(session, &of_strategy(run, strategy, density, self.budget, session));
                costs.extend(std::iter::repeat_n(cost, seeds));
                costs.extend(self.pilot_costs(session, strategy, density, seeds));
            }
        }
        costs
    }

    /// What the pilots of a strategy at a density are as far as their cost goes.
    fn pilot_costs(
        &self,
        session: &Session,
        strategy: Strategy,
        density: f64,
        seeds: usize,
    ) -> Vec<Cost> {
        let kept = crate::prune::Budget::new(density, session.split.train.len());
        let train = session.split.train[..kept.map_or(0, |b| b.count)].to_vec();
        let queries = if self.query.as_ref().is_some_and(|q| q.per_seed) { seeds } else { 1 };
        let of = |seed: usize| pilots::of_strategy(self, session, strategy, density, seed);
        let cost = |p: &Pilots, i: u32| Cost::of(session, &p.training(i, train.clone()));
        let all = (0..queries).filter_map(of);
        all.flat_map(|p| (0..p.quota.pilots).map(|i| cost(&p, i)).collect::<Vec<_>>()).collect()
    }

    /// Bytes that the largest run will allocate, images apart; an error where they do not fit on the
    /// device.
    pub fn planned_memory(&self, session: &Session) -> Result<PlannedMemory> {
        let methods = self.of_stand_in(0);
        let train = session.split.train.clone();
        let full = self.final_run(session, train, 0, &methods).planned_memory(session)?;
        let mut all = vec![full];
        for strategy in self.strategies().into_iter().filter(|s| s.baseline().is_some()) {
            let run = self.final_run(session, session.split.train.clone(), 0, &[]);
            let run = of_strategy(run, strategy, 1.0, self.budget, session);
            all.push(run.planned_memory(session)?);
        }
        for run in self.query_runs(&session.split) {
            all.push(run.training(&self.options).planned_memory(session)?);
        }
        Ok(all.into_iter().max_by_key(PlannedMemory::total).unwrap_or(full))
    }
}
