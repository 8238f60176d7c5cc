//! What an epoch presents, in which order and with which weights. Each method has a file of its
//! own.
//!
//! An epoch's presentation is a function of the job, the finished epochs' records and the policy's
//! state, so that a resumed run repeats it bit for bit. The state goes into checkpoints.

pub mod class_weights;
mod draws;
mod group_dro;
mod info_batch;
mod rho;
pub mod rules;
mod weighing;

use std::collections::BTreeMap;

use super::baseline::Baseline;
use super::job::TrainJob;
use super::order::epoch_order;
use super::outcome::EpochRecord;
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode, batch_sizes};
use crate::ops::Operators;

/// A baseline, and what it has to know beside the job.
#[derive(Clone, Copy, Debug)]
pub struct BaselineInput<'a> {
    pub baseline: Baseline,
    /// One value for each sample of the part: irreducible losses for RHO-loss, and for JTT 1 for
    /// samples of the error set and 0 for others. It is empty where no values are needed.
    pub values: &'a [f32],
    /// Group of every sample of the part; empty where none are needed.
    pub groups: &'a [u32],
    pub group_count: usize,
}

impl BaselineInput<'_> {
    /// Makes the input of a baseline that needs no more.
    pub fn new(baseline: Baseline) -> Self {
        BaselineInput { baseline, values: &[], groups: &[], group_count: 0 }
    }
}

/// What an epoch presents.
#[derive(Clone, Debug)]
pub(super) struct Presentation {
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
pub(super) struct Draws {
    pub sources: Vec<u32>,
    pub labels: Vec<u32>,
}

/// The state of a policy, by name.
pub(super) type State = BTreeMap<String, Vec<f32>>;

/// A step that is about to be done.
pub(super) struct StepAt<'a, B: Operators> {
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
    pub lr: f32,
}

/// Decides what an epoch presents.
pub(super) trait Policy<B: Operators> {
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

    /// Learns from an epoch that is over: `losses` holds one value for each sample, valid for those
    /// presented.
    fn learn(&mut self, presented: &[u32], losses: &[f32]) {
        let _ = (presented, losses);
    }

    /// Returns what a resumed run needs beside the history.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes back what [`Policy::state`] gave.
    fn restore(&mut self, state: &State) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// Returns the values of a state, of which there must be `len`.
fn stored(state: &State, name: &str, len: usize) -> Result<Vec<f32>> {
    let values = state.get(name).filter(|v| v.len() == len);
    let found = || format!("a checkpoint without {len} values of {name}");
    values.cloned().ok_or_else(|| {
        Error::invalid("checkpoint", found(), "one of this run; --force starts anew")
    })
}

/// What every policy knows of its job.
#[derive(Clone)]
pub(super) struct Facts {
    order_seed: u64,
    /// Labels of the whole part.
    labels: Vec<u32>,
    classes: usize,
    subset: Vec<u32>,
    batch: usize,
    /// Number of whole epochs of the run, where a rest counts as one.
    epochs: u64,
    class_weights: Option<Vec<f32>>,
    /// One factor for each sample of the part.
    sample_weights: Option<Vec<f32>>,
}

impl Facts {
    fn of<B: Operators>(job: &TrainJob<B>, classes: usize) -> Facts {
        let span = batch_sizes(Mode::Train, job.recipe.batch, job.subset.len()).len() as u64;
        Facts {
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
    fn order(&self, epoch: u32) -> Vec<u32> {
        epoch_order(self.order_seed, epoch, self.labels.len(), &self.subset)
    }

    /// Presents samples in this order, under the recipe's class weights and the job's weights of
    /// samples.
    fn presentation(&self, order: Vec<u32>) -> Presentation {
        let sizes = batch_sizes(Mode::Train, self.batch, order.len());
        let class_weights = self.class_weights.clone().unwrap_or_else(|| vec![1.0; self.classes]);
        let sample_weights = self.sample_weights.as_ref().map(|weights| {
            let of_class = |i: u32| class_weights[self.labels[i as usize] as usize];
            rules::sample_factors(weights, &of_class, &order, &sizes)
        });
        Presentation { sizes, order, class_weights, sample_weights, draws: None }
    }
}

/// Presents every sample once in an epoch.
struct Plain(Facts);

impl<B: Operators> Policy<B> for Plain {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        Ok(self.0.presentation(self.0.order(epoch)))
    }
}

/// Makes the policy of a job. Without a baseline every sample is presented once in an epoch.
pub(super) fn policy<B: Operators>(
    job: &TrainJob<B>,
    classes: usize,
    input: Option<&BaselineInput>,
) -> Result<Box<dyn Policy<B>>> {
    check_sample_weights(job, input)?;
    let facts = Facts::of(job, classes);
    let Some(input) = input else { return Ok(Box::new(Plain(facts))) };
    let baseline = input.baseline;
    baseline.check(job.recipe)?;
    job.record.map_or(Ok(()), |recording| baseline.check_recording(recording))?;
    let groups = || check_groups(input, job.labels.len());
    Ok(match baseline {
        Baseline::CdbW { dynamic } => {
            check_validation(job, baseline)?;
            let set = job.validation.as_ref();
            let totals = set
                .map_or(vec![0; classes], |set| rules::sizes(set.positions, set.labels, classes));
            Box::new(weighing::FromRecalls { facts, totals, dynamic })
        }
        Baseline::ClassBalanced { beta } => {
            let sizes = rules::sizes(job.subset, job.labels, classes);
            let weights = class_weights::class_balanced(&sizes, beta);
            Box::new(weighing::Fixed { facts, weights })
        }
        Baseline::InfoBatch { drop, until, start } => {
            Box::new(info_batch::InfoBatch::new(facts, [drop, until], start))
        }
        Baseline::Rho { candidates, .. } => {
            let irreducible = check_values(input, job.labels.len())?;
            Box::new(rho::Rho::new(facts, irreducible, candidates, baseline.chosen())?)
        }
        Baseline::Rwg => {
            let weights = rules::group_weights(groups()?, job.subset, input.group_count);
            Box::new(draws::Drawing::new(facts, &weights))
        }
        Baseline::Jtt { lambda, .. } => {
            let errors = check_values(input, job.labels.len())?;
            let weight = |&i: &u32| if errors[i as usize] > 0.0 { lambda } else { 1.0 };
            let weights: Vec<f64> = job.subset.iter().map(weight).collect();
            Box::new(draws::Drawing::new(facts, &weights))
        }
        Baseline::GroupDro { eta, balanced } => {
            let groups = groups()?.to_vec();
            let weights = rules::group_weights(&groups, job.subset, input.group_count);
            let drawing = balanced.then(|| draws::Drawing::new(facts.clone(), &weights));
            Box::new(group_dro::GroupDro::new(facts, drawing, groups, input.group_count, eta))
        }
        // What these baselines change comes before or after training.
        Baseline::Subg | Baseline::Dfr { .. } => Box::new(Plain(facts)),
    })
}

/// Checks the weights of samples, which go with plain training and number one for each sample.
fn check_sample_weights<B: Operators>(
    job: &TrainJob<B>,
    input: Option<&BaselineInput>,
) -> Result<()> {
    let Some(weights) = job.sample_weights else { return Ok(()) };
    if let Some(input) = input {
        let what = input.baseline.to_string();
        return Err(Error::invalid(what, "weights of picks", "training without them"));
    }
    if weights.len() != job.labels.len() {
        let (found, samples) = (weights.len(), job.labels.len());
        return Err(Error::Internal(format!("{found} sample weights of {samples} samples")));
    }
    match weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        Some(i) => {
            let expected = "a finite number from 0 up";
            Err(Error::invalid(format!("weight of sample {i}"), weights[i].to_string(), expected))
        }
        None => Ok(()),
    }
}

fn check_validation<B: Operators>(job: &TrainJob<B>, baseline: Baseline) -> Result<()> {
    let found = match &job.validation {
        None => "no validation images",
        Some(set) if set.positions.is_empty() => "no validation images",
        Some(_) if job.evaluate_every != 1 => "an evaluation every few epochs",
        Some(_) => return Ok(()),
    };
    let expected = "class recalls on validation images, every epoch";
    Err(Error::invalid(baseline.to_string(), found, expected))
}

fn check_values(input: &BaselineInput, samples: usize) -> Result<Vec<f32>> {
    match input.values.len() == samples {
        true => Ok(input.values.to_vec()),
        false => Err(Error::Internal(format!(
            "{}: {} values of {samples} samples",
            input.baseline,
            input.values.len()
        ))),
    }
}

fn check_groups<'a>(input: &BaselineInput<'a>, samples: usize) -> Result<&'a [u32]> {
    let inside = input.groups.iter().all(|&g| (g as usize) < input.group_count);
    match inside && input.groups.len() == samples {
        true => Ok(input.groups),
        false => Err(Error::Internal(format!(
            "{}: groups of {} samples for {samples}, or one beyond {}",
            input.baseline,
            input.groups.len(),
            input.group_count
        ))),
    }
}
