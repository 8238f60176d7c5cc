//! What an epoch presents, in which order and with which weights: one file a method.
//!
//! An epoch's presentation is a function of the job, the finished epochs' records and the policy's
//! state, so that a resumed run repeats it bit for bit; the state goes into checkpoints.

pub mod class_weights;
mod weighing;

use std::collections::BTreeMap;

use super::baseline::Baseline;
use super::order::epoch_order;
use super::outcome::EpochRecord;
use super::trainer::TrainJob;
use crate::error::{Error, Result};
use crate::ops::Operators;

/// A baseline, and what it has to know beside the job.
#[derive(Clone, Copy, Debug)]
pub struct BaselineInput {
    pub baseline: Baseline,
}

/// What an epoch presents.
pub(super) struct Presentation {
    /// Positions in the part, each at most once.
    pub order: Vec<u32>,
    /// One a class.
    pub class_weights: Vec<f32>,
    /// Factors of the loss, one a sample of the part; None: all 1.
    pub sample_weights: Option<Vec<f32>>,
}

/// A policy's state between two epochs, by name.
pub(super) type State = BTreeMap<String, Vec<f32>>;

/// Decides what an epoch presents.
pub(super) trait Policy<B: Operators> {
    /// The presentation of `epoch`, of which `history` holds all before it.
    fn epoch(&mut self, epoch: u32, history: &[EpochRecord]) -> Result<Presentation>;

    /// What a resumed run needs beside the history.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes what [`Policy::state`] gave.
    fn restore(&mut self, state: &State) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// What every policy knows of its job.
#[derive(Clone)]
pub(super) struct Facts {
    order_seed: u64,
    samples: usize,
    classes: usize,
    subset: Vec<u32>,
    class_weights: Option<Vec<f32>>,
}

impl Facts {
    fn of<B: Operators>(job: &TrainJob<B>, classes: usize) -> Facts {
        Facts {
            order_seed: job.seeds.order,
            samples: job.labels.len(),
            classes,
            subset: job.subset.to_vec(),
            class_weights: job.recipe.class_weights.clone(),
        }
    }

    /// The epoch's order of all samples.
    fn order(&self, epoch: u32) -> Vec<u32> {
        epoch_order(self.order_seed, epoch, self.samples, &self.subset)
    }

    /// Those of the recipe.
    fn class_weights(&self) -> Vec<f32> {
        self.class_weights.clone().unwrap_or_else(|| vec![1.0; self.classes])
    }
}

/// Every sample once an epoch, all alike.
struct Plain(Facts);

impl<B: Operators> Policy<B> for Plain {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        Ok(Presentation {
            order: self.0.order(epoch),
            class_weights: self.0.class_weights(),
            sample_weights: None,
        })
    }
}

/// The policy of a job; without a baseline every sample is treated alike.
pub(super) fn policy<B: Operators>(
    job: &TrainJob<B>,
    classes: usize,
    input: Option<&BaselineInput>,
) -> Result<Box<dyn Policy<B>>> {
    let facts = Facts::of(job, classes);
    let Some(input) = input else { return Ok(Box::new(Plain(facts))) };
    input.baseline.check(job.recipe)?;
    if input.baseline.needs_validation() {
        check_validation(job, input.baseline)?;
    }
    let count = |positions: &[u32], labels: &[u32]| {
        let mut counts = vec![0u64; classes];
        positions.iter().for_each(|&i| counts[labels[i as usize] as usize] += 1);
        counts
    };
    Ok(match input.baseline {
        Baseline::CdbW { dynamic } => {
            let set = job.validation.as_ref();
            let totals = set.map_or(vec![0; classes], |set| count(set.positions, set.labels));
            Box::new(weighing::FromRecalls { facts, totals, dynamic })
        }
        Baseline::ClassBalanced { beta } => {
            let sizes = count(job.subset, job.labels);
            let weights = class_weights::class_balanced(&sizes, beta);
            Box::new(weighing::Fixed { facts, weights })
        }
    })
}

fn check_validation<B: Operators>(job: &TrainJob<B>, baseline: Baseline) -> Result<()> {
    let found = match &job.validation {
        None => "no validation images",
        Some(set) if set.positions.is_empty() => "no validation images",
        Some(_) if job.evaluate_every != 1 => "an evaluation every few epochs",
        Some(_) => return Ok(()),
    };
    Err(Error::invalid(
        baseline.to_string(),
        found,
        "class recalls on validation images, every epoch",
    ))
}
