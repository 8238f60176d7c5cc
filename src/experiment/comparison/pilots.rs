//! Pilots of predicted quotas: pruned sets that are trained to see what quotas do.
//!
//! The first pilot trains on MetriQ's quotas, each further one on those that the rule would now choose.
//! Their recalls on the validation images tell the gain of the prediction, and what they say of these
//! images joins what the query runs say.

use std::sync::Arc;

use super::plan::ComparisonPlan;
use crate::data::QueryPart;
use crate::error::{Error, Result};
use crate::experiment::session::Session;
use crate::experiment::strategy::{Choice, PredictedQuota, QueryData, Quota, Ranking, Strategy};
use crate::experiment::training::{Finished, TrainingRun};
use crate::prune::{MeasuredRecalls, ValidationRows, fit_gain, over, predict};
use crate::score::{Method, ScoreSource};
use crate::train::Seeds;

/// Where the seeds of pilots start: apart from those of compared, query and recorded runs.
const PILOT_SEEDS: u64 = 1 << 34;

/// The pilots of one quota at one density.
pub(super) struct Pilots<'a> {
    pub plan: &'a ComparisonPlan,
    pub session: &'a Session,
    pub quota: PredictedQuota,
    pub density: f64,
    /// The score whose run tells the recalls; None: the short query runs.
    pub recalls_of: Option<Method>,
    /// The repetition that they are for; None: they serve all.
    pub repetition: Option<usize>,
}

/// The pilots that `strategy` needs at `density` for repetition `seed`; None where it needs none.
pub(super) fn of_strategy<'a>(
    plan: &'a ComparisonPlan,
    session: &'a Session,
    strategy: Strategy,
    density: f64,
    seed: usize,
) -> Option<Pilots<'a>> {
    let quota = strategy.predicted().filter(|p| p.pilots > 0)?;
    let per_seed = plan.query.as_ref().is_some_and(|q| q.per_seed);
    let recalls_of = strategy.recalls_of(&plan.choice.pickers);
    let recorded = |m: &Method| m.source(&plan.options) == ScoreSource::Dynamics;
    let recalls_of = recalls_of.filter(recorded);
    let repetition = per_seed.then_some(seed);
    Some(Pilots { plan, session, quota, density, recalls_of, repetition })
}

impl Pilots<'_> {
    /// The name of pilot `number`. The first is the same whatever the options of the rule.
    fn name(&self, number: u32) -> String {
        let whose = self.repetition.map_or(String::new(), |s| format!("-s{s}"));
        let rule = PredictedQuota { pilots: 0, ..self.quota };
        let rule = Strategy::Pruned { ranking: Ranking::Random, quota: Quota::Predicted(rule) };
        let of = if number == 0 { Strategy::METRIQ } else { rule };
        let by = if self.recalls_of.is_some() { "-dynamics" } else { "" };
        format!("pilot{number}-{}-d{}{by}{whose}", of.stem(), self.density)
    }

    /// The names of all.
    pub fn names(&self) -> Vec<String> {
        (0..self.quota.pilots).map(|i| self.name(i)).collect()
    }

    /// What pilot `number` is for people.
    fn task(&self, number: u32) -> String {
        let whose = self.repetition.map_or(String::new(), |s| format!(", seed {}", s + 1));
        let (of, density) = (self.quota.pilots, self.density);
        format!("pilot {} of {of} at density {density}{whose}", number + 1)
    }

    fn seeds(&self, number: u32) -> Seeds {
        let first = self.repetition.unwrap_or(0) as u64 * 64;
        Seeds::derive(self.plan.seed, PILOT_SEEDS + first + u64::from(number))
    }

    /// The training of pilot `number` on `train`.
    pub fn training(&self, number: u32, train: Vec<usize>) -> TrainingRun<'_> {
        let seeds = self.seeds(number);
        let run = self.plan.final_run(self.session, train, 0, &[]);
        // Of folds, none are apart from training: the first is left out here.
        let run = match self.session.split.val.is_empty() {
            false => run,
            true => {
                let QueryPart { train: rest, val_part, val } = self.session.split.query(0);
                let mut train = run.part.train;
                train.retain(|i| rest.binary_search(i).is_ok());
                TrainingRun { part: QueryPart { train, val_part, val }, ..run }
            }
        };
        TrainingRun { name: self.name(number), seeds, test: false, predictions: true, ..run }
    }

    /// What the queries and the pilots tell. `train` does a run of the name that people see.
    pub fn add_to(
        &self,
        query: &QueryData,
        mut train: impl FnMut(&TrainingRun, &str) -> Result<Finished>,
    ) -> Result<QueryData> {
        let mut told = query.clone();
        let used = query.recalls_of(self.recalls_of);
        let Some(of_queries) = used.rows.clone() else { return Ok(told) };
        let mut rows = (*of_queries).clone();
        let partition = &self.session.partition;
        let mut measured: Vec<(Vec<f64>, Vec<Option<f64>>)> = Vec::new();
        for number in 0..self.quota.pilots {
            let (strategy, choice) = self.way(number);
            let (density, population) = (self.density, self.session.population());
            let by = QueryData {
                recalls: told.recalls_of(self.recalls_of).clone(),
                ..QueryData::default()
            };
            let subset =
                strategy.subset(population, density, self.seeds(number).subset, &by, &choice);
            let subset = subset.map_err(|e| over(partition.unit(), &partition.names, e))?;
            let run = self.training(number, subset.kept);
            let finished = train(&run, &self.task(number))?;
            let said = finished.predictions.as_ref();
            let said = said.ok_or_else(|| Error::Internal("a pilot kept nothing".to_owned()))?;
            // Classes without training samples have no density, and no samples to lose.
            let densities: Vec<f64> =
                subset.densities.iter().map(|&d| if d > 0.0 { d } else { 1.0 }).collect();
            let own = ValidationRows::new(rows.classes(), &[said.run(Some(&densities))])?;
            let recalls = predict(&own, &densities, 1.0)?.recalls;
            rows.push(&said.run(Some(&densities)))?;
            measured.push((densities, recalls));
            let all = measured.iter();
            let all = all.map(|(densities, recalls)| MeasuredRecalls { densities, recalls });
            let recalls = told.recalls_of_mut(self.recalls_of);
            recalls.gain = Some(fit_gain(&of_queries, &all.collect::<Vec<_>>())?.gain);
            recalls.rows = Some(Arc::new(rows.clone()));
        }
        Ok(told)
    }

    /// How pilot `number` chooses its samples. It leaves no class without any, whose density would tell
    /// nothing.
    fn way(&self, number: u32) -> (Strategy, Choice) {
        let mut choice = self.plan.choice;
        let least = choice.quotas.min_per_class.unwrap_or(0);
        choice.quotas.min_per_class = Some(least.max(1));
        let quota = match number {
            0 => Quota::Metriq,
            _ => Quota::Predicted(PredictedQuota { pilots: 0, ..self.quota }),
        };
        (Strategy::Pruned { ranking: Ranking::Random, quota }, choice)
    }
}
