//! What query runs cost, and doing them in an output folder.

use super::queries::Queries;
use crate::error::Result;
use crate::exec::PlannedMemory;
use crate::experiment::session::Session;
use crate::experiment::training::{Cost, Finished, Keeping, complete};
use crate::requests::Requests;
use crate::score::ScoreSource;
use crate::train::{Control, TrainProgress};

impl Queries {
    /// What every run will need, in order.
    pub fn costs(&self, session: &Session) -> Vec<Cost> {
        let runs = self.runs(&session.split);
        runs.iter().map(|run| Cost::of(session, &run.training(&self.options))).collect()
    }

    /// Bytes that the largest run allocates on the device, images apart; an error where they do not fit.
    pub fn planned_memory(&self, session: &Session) -> Result<PlannedMemory> {
        let mut largest = PlannedMemory::default();
        for run in self.runs(&session.split) {
            let planned = run.training(&self.options).planned_memory(session)?;
            if planned.total() > largest.total() {
                largest = planned;
            }
        }
        Ok(largest)
    }

    /// Does all runs, or takes those that the output folder has. `progress` gets the name of the run, and
    /// steps done and in all, over all runs.
    pub fn complete(
        &self,
        session: &Session,
        keeping: &Keeping,
        requests: &Requests,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Vec<(ScoreSource, Finished)>> {
        let total: u64 = self.costs(session).iter().map(|c| c.steps).sum();
        let mut done = 0;
        self.train(&session.split, |training, task| {
            let mut report = |p: TrainProgress| progress(task, done + p.step, total);
            let mut control = Control { requests, progress: &mut report, checkpoint: None };
            let one = complete(session, training, Some(keeping), &mut control)?;
            done += training.until;
            Ok(Some(one))
        })
    }
}
