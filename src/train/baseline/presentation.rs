//! What an epoch presents, and the trait of those that decide it.

use std::collections::BTreeMap;

use super::method::Baseline;
use super::rules;
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode, batch_sizes};
use crate::ops::Operators;
use crate::ops::loss_score::Field;
use crate::train::job::TrainJob;
use crate::train::order::epoch_order;
use crate::train::outcome::EpochRecord;

/// A baseline, and what it has to know beside the job.
#[derive(Clone, Copy, Debug)]
pub struct BaselineInput<'a> {
    /// The baseline, with its options.
    pub baseline: Baseline,
    /// One value for each sample of the part: irreducible losses for RHO-loss, and for JTT and BAM 1
    /// for samples of the error set and 0 for others. It is empty where no values are needed.
    pub values: &'a [f32],
    /// Group of every sample of the part; empty where none are needed.
    pub groups: &'a [u32],
    /// Number of groups.
    pub group_count: usize,
    /// Whether this is the run before the run, in which BAM amplifies the bias.
    pub first_stage: bool,
}

impl BaselineInput<'_> {
    /// Makes the input of a baseline that needs no more.
    pub fn new(baseline: Baseline) -> Self {
        BaselineInput { baseline, values: &[], groups: &[], group_count: 0, first_stage: false }
    }
}

/// What an epoch presents.
#[derive(Clone, Debug)]
pub(in crate::train) struct Presentation {
    /// Positions in the part, each at most once; or draws, where there are [`Presentation::draws`].
    pub order: Vec<u32>,
    /// Number of samples in every step's update.
    pub sizes: Vec<usize>,
    /// One weight for each class.
    pub class_weights: Vec<f32>,
    /// Factors of the loss, one for each sample of the part; `None` means that all are 1.
    pub sample_weights: Option<Vec<f32>>,
    /// The draws of an epoch that draws with replacement.
    pub draws: Option<Draws>,
}

/// Sample and label of every draw.
#[derive(Clone, Debug)]
pub(in crate::train) struct Draws {
    pub sources: Vec<u32>,
    pub labels: Vec<u32>,
}

/// The state of a policy, by name.
pub(in crate::train) type PolicyState = BTreeMap<String, Vec<f32>>;

/// A step that is about to be done.
pub(in crate::train) struct StepAt<'a, B: Operators> {
    pub executor: &'a mut Executor<B>,
    pub images: &'a B::Images,
    /// Labels of positions, or of draws.
    pub labels: &'a [u32],
    pub shown: &'a Presentation,
    pub epoch: u32,
    /// Number of the batch in the epoch.
    pub batch: usize,
    /// Number of the step in the run.
    pub step: u64,
    /// Learning rates of the epoch's batches.
    pub lrs: &'a [f32],
}

/// Decides what an epoch presents.
pub(in crate::train) trait Policy<B: Operators> {
    /// Returns the presentation of `epoch`; `history` holds all epochs before it.
    fn epoch(&mut self, epoch: u32, history: &[EpochRecord]) -> Result<Presentation>;

    /// Does a step, and returns how many samples were looked at without an update.
    fn step(&mut self, at: &mut StepAt<B>) -> Result<usize> {
        at.executor.step(Mode::Train, at.shown.sizes[at.batch], at.images)?;
        Ok(0)
    }

    /// Tells whether the policy waits for the device in every step.
    fn looks(&self) -> bool {
        false
    }

    /// Returns the number of steps in an epoch, where they are not those of the subset in batches.
    fn span(&self) -> Option<u64> {
        None
    }

    /// Returns what the epoch has presented so far, where its order does not say so.
    fn presented(&self) -> Option<Vec<u32>> {
        None
    }

    /// Returns how many epochs presented each sample of the part, where the method chooses.
    fn times_presented(&self) -> Option<Vec<f32>> {
        None
    }

    /// Learns from an epoch that is over: `losses` holds one value for each sample, valid for those
    /// presented.
    fn learn(&mut self, presented: &[u32], losses: &[f32]) {
        let _ = (presented, losses);
    }

    /// Returns what a resumed run needs beside the history.
    fn state(&self) -> Result<PolicyState> {
        Ok(PolicyState::new())
    }

    /// Takes back what [`Policy::state`] gave.
    fn restore(&mut self, state: &PolicyState) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// Returns the values of a state, of which there must be `len`.
pub(super) fn stored(state: &PolicyState, name: &str, len: usize) -> Result<Vec<f32>> {
    let values = state.get(name).filter(|v| v.len() == len);
    let found = || format!("a checkpoint without {len} values of {name}");
    values.cloned().ok_or_else(|| {
        Error::invalid("checkpoint", found(), "one of this run; `force` starts anew")
    })
}

/// Returns the values of a column for the samples of `batch`, out of those of all `samples`; waits for
/// the device.
pub(super) fn batch_column<B: Operators>(
    executor: &Executor<B>,
    field: Field,
    batch: &[u32],
    samples: usize,
) -> Result<Vec<f32>> {
    let column = executor.column(field, samples)?;
    Ok(batch.iter().map(|&i| column[i as usize]).collect())
}

/// Returns the losses of a batch that has gone forward.
pub(super) fn batch_losses<B: Operators>(
    executor: &Executor<B>,
    batch: &[u32],
    samples: usize,
) -> Result<Vec<f32>> {
    batch_column(executor, Field::Loss, batch, samples)
}

/// What every policy knows of its job.
#[derive(Clone)]
pub(super) struct JobFacts {
    pub(super) order_seed: u64,
    /// Labels of the whole part.
    pub(super) labels: Vec<u32>,
    pub(super) classes: usize,
    pub(super) subset: Vec<u32>,
    pub(super) batch: usize,
    /// Number of whole epochs of the run, where a rest counts as one.
    pub(super) epochs: u64,
    pub(super) class_weights: Option<Vec<f32>>,
    /// One factor for each sample of the part.
    pub(super) sample_weights: Option<Vec<f32>>,
}

impl JobFacts {
    pub(super) fn of<B: Operators>(job: &TrainJob<B>, classes: usize) -> JobFacts {
        let span = batch_sizes(Mode::Train, job.recipe.batch, job.subset.len()).len() as u64;
        JobFacts {
            order_seed: job.seeds.order,
            labels: job.labels.to_vec(),
            classes,
            subset: job.subset.to_vec(),
            batch: job.recipe.batch,
            epochs: job.total_steps.div_ceil(span.max(1)),
            class_weights: job.recipe.class_weights.clone(),
            sample_weights: job.sample_weights.map(<[f32]>::to_vec),
        }
    }

    /// Returns the epoch's order of all samples.
    pub(super) fn order(&self, epoch: u32) -> Vec<u32> {
        epoch_order(self.order_seed, epoch, self.labels.len(), &self.subset)
    }

    /// Presents samples in this order, under the recipe's class weights and the job's weights of
    /// samples.
    pub(super) fn presentation(&self, order: Vec<u32>) -> Presentation {
        let sizes = batch_sizes(Mode::Train, self.batch, order.len());
        let class_weights = self.class_weights.clone().unwrap_or_else(|| vec![1.0; self.classes]);
        let sample_weights = self.sample_weights.as_ref().map(|weights| {
            let of_class = |i: u32| class_weights[self.labels[i as usize] as usize];
            rules::sample_factors(weights, &of_class, &order, &sizes)
        });
        Presentation { sizes, order, class_weights, sample_weights, draws: None }
    }
}
