//! A comparison done, and its files.

use super::compare::{ComparisonProgress, compare};
use super::outcome::ComparisonOutcome;
use super::settings::Comparison;
use super::summarise::{Surroundings, summarise};
use super::summary::RunSummary;
use crate::artefact::OutputDir;
use crate::error::Result;
use crate::experiment::folder::provenance;
use crate::experiment::folder::subset::{SubsetNames, SubsetRecord};
use crate::requests::Requests;
use serde_json::json;

impl Comparison {
    /// Does all runs; finished parts found in `dir` are not done again.
    pub fn run(
        &self,
        dir: &OutputDir,
        requests: &Requests,
        progress: &mut dyn FnMut(ComparisonProgress),
    ) -> Result<ComparisonOutcome> {
        compare(&self.session, &self.plan, dir, requests, progress)
    }

    /// Writes the subsets and `summary.json`, whose content is returned. `data_name` is the data as the user
    /// named it, `command` what repeats the comparison.
    pub fn write(
        &self,
        outcome: &ComparisonOutcome,
        data_name: &str,
        command: String,
        dir: &OutputDir,
    ) -> Result<RunSummary> {
        self.write_subsets(outcome, dir)?;
        let around = Surroundings {
            data_name: data_name.to_owned(),
            command,
            device: self.session.device.name(),
            threads: self.session.device.workers(),
            warnings: Vec::new(),
        };
        let summary = summarise(&self.session, &self.plan, outcome, around)?;
        dir.write_json("summary.json", &summary)?;
        Ok(summary)
    }

    /// `kept-<strategy>-<seed>.npy` and what stands beside it, the density in the name where there are
    /// several.
    fn write_subsets(&self, outcome: &ComparisonOutcome, dir: &OutputDir) -> Result<()> {
        let Comparison { session, plan } = self;
        let several = plan.densities().len() > 1;
        for run in &outcome.runs {
            let recalls = outcome.query(run.seed);
            let recalls = recalls.recalls_of(run.strategy.recalls_of(&plan.choice.pickers)).mean();
            let one_of = several && !run.strategy.stands_beside_all();
            let names = SubsetNames::of(run.strategy, one_of.then_some(run.density), run.seed);
            let record = SubsetRecord {
                subset: &run.subset,
                strategy: run.strategy,
                density: run.density,
                choice: &plan.choice,
                seed: run.seed as u64,
                partition: &session.partition,
                population: session.population(),
                names: &session.partition.names,
                recalls: &recalls,
                split: Some(session.split.kind.to_string()),
            };
            let weights = record.weights()?;
            let identity = provenance::identity(&session.data);
            let stated = json!(record.provenance(identity, weights.as_deref()));
            record.write_about(&stated, weights.as_deref(), &names, dir)?;
            record.write_kept(&names, dir)?;
        }
        Ok(())
    }
}
