//! Which policy a job has: the plain one, or that of its baseline.

use super::method::Baseline;
use super::presentation::{BaselineInput, JobFacts, Policy, Presentation};
use super::{bam, class_weights, clipping, draws, group_dro, info_batch, lff, ordered_sgd};
use super::{rcap, rho, rules, weighing};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::ops::Operators;
use crate::train::job::TrainJob;
use crate::train::outcome::EpochRecord;

/// Presents every sample once in an epoch.
struct Plain(JobFacts);

impl<B: Operators> Policy<B> for Plain {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        Ok(self.0.presentation(self.0.order(epoch)))
    }
}

/// Makes the policy of a job that `executor` does. Without a baseline every sample is presented once in an epoch.
pub(in crate::train) fn policy<'p, B: Operators + 'p>(
    job: &TrainJob<B>,
    executor: &Executor<B>,
    input: Option<&BaselineInput>,
) -> Result<Box<dyn Policy<B> + 'p>> {
    check_sample_weights(job, input)?;
    let classes = executor.network().classes;
    let facts = JobFacts::of(job, classes);
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
        Baseline::Rcap { keep, beta, mean_loss } => {
            Box::new(rcap::Rcap::new(facts, [keep, beta], mean_loss))
        }
        Baseline::OrderedSgd => {
            let q = job.recipe.batch;
            Box::new(ordered_sgd::OrderedSgd { facts, q })
        }
        Baseline::MicroBatchClipping { size } => {
            Box::new(clipping::MicroBatchClipping { facts, size: size as usize })
        }
        Baseline::Lff { q, decay } => {
            Box::new(lff::Lff::new(facts, executor.twin()?, job.seeds.init, [q, decay])?)
        }
        Baseline::Bam { lambda, .. } if input.first_stage => {
            let auxiliary = bam::Auxiliary::new(job.labels.len(), classes, lambda);
            let smoothing = f64::from(job.recipe.label_smoothing);
            Box::new(bam::Amplified { facts, auxiliary, smoothing })
        }
        Baseline::Rho { candidates, .. } => {
            let irreducible = check_values(input, job.labels.len())?;
            Box::new(rho::Rho::new(facts, irreducible, candidates, baseline.chosen())?)
        }
        Baseline::Rwg => {
            let weights = rules::group_weights(groups()?, job.subset, input.group_count);
            Box::new(draws::Drawing::new(facts, &weights))
        }
        Baseline::Jtt { lambda: copies, .. } | Baseline::Bam { mu: copies, .. } => {
            let errors = check_values(input, job.labels.len())?;
            let weight = |&i: &u32| if errors[i as usize] > 0.0 { copies } else { 1.0 };
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
