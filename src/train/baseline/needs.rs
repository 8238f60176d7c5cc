//! What a baseline needs of a run: images, groups, steps, batches, and what it does not go with.

use super::method::Baseline;
use super::rules;
use crate::error::{Error, Result};
use crate::exec::{Mode, batch_sizes};
use crate::train::recipe::Recipe;
use crate::train::recorder::Recording;

impl Baseline {
    /// Tells whether the baseline needs validation images, to look at them or to train on them.
    pub fn needs_validation(self) -> bool {
        matches!(self, Baseline::CdbW { .. } | Baseline::Rho { .. } | Baseline::Dfr { .. })
    }

    /// Tells whether an epoch may present a sample more than once.
    pub fn draws(self) -> bool {
        let balanced = matches!(self, Baseline::GroupDro { balanced: true, .. });
        balanced || matches!(self, Baseline::Rwg | Baseline::Jtt { .. } | Baseline::Bam { .. })
    }

    /// Tells whether the best epoch is that of the least class difference, instead of the best
    /// validation accuracy.
    pub fn selects_by_class_difference(self) -> bool {
        matches!(self, Baseline::Bam { .. })
    }

    /// Tells whether a second network is trained in step with the run's.
    pub fn trains_two(self) -> bool {
        matches!(self, Baseline::Lff { .. })
    }

    /// Returns the number of samples that the device sees at once in training, for a recipe whose
    /// batches have `batch`.
    pub fn device_batch(self, batch: usize) -> usize {
        match self {
            Baseline::Rho { .. } => self.chosen(),
            Baseline::MicroBatchClipping { size } => size as usize,
            _ => batch,
        }
    }

    /// Returns the number of samples that a step of RHO-loss trains on.
    pub fn chosen(self) -> usize {
        match self {
            Baseline::Rho { candidates, keep } => (f64::from(candidates) * keep).round() as usize,
            _ => 0,
        }
    }

    /// Returns the number of steps in an epoch over `samples` in batches of `batch`, with nothing
    /// dropped.
    pub fn epoch_steps(self, batch: usize, samples: usize) -> u64 {
        let sizes = match self {
            Baseline::Rho { candidates, .. } => {
                rules::rho_sizes(samples, candidates as usize, self.chosen())
            }
            _ => batch_sizes(Mode::Train, batch, samples),
        };
        sizes.len() as u64
    }

    /// Returns the number of epochs in the first run of JTT and of BAM.
    pub fn first_epochs(self, epochs: usize) -> usize {
        match self {
            Baseline::Jtt { epochs: own, .. } | Baseline::Bam { epochs: own, .. } if own > 0 => {
                own as usize
            }
            // On Waterbirds this gives the authors' 60 of 300.
            _ => epochs.div_ceil(5),
        }
    }

    /// Refuses to record what has no one value in an epoch: a sample that is drawn twice, and the
    /// divergence from the last presentation where a step in two halves would compare a sample with
    /// itself.
    pub fn check_recording(self, recording: Recording) -> Result<()> {
        if self.draws() {
            let found = format!("{self}, which draws samples more than once an epoch");
            return Err(Error::invalid("`dynamics`", found, "a method that does not"));
        }
        let halves =
            matches!(self, Baseline::GroupDro { .. } | Baseline::OrderedSgd | Baseline::Lff { .. });
        if recording.divergence && halves {
            let found = format!("all, with {self}");
            return Err(Error::invalid("`dynamics`", found, "`dynamics`=plain"));
        }
        Ok(())
    }

    /// Refuses a recipe that sets what the method decides.
    pub fn check(self, recipe: &Recipe) -> Result<()> {
        let weighs = match self {
            Baseline::CdbW { .. } | Baseline::ClassBalanced { .. } => "sets the class weights",
            Baseline::GroupDro { .. } => "weighs groups",
            Baseline::MicroBatchClipping { size } => return check_size(size, recipe.batch),
            _ => return Ok(()),
        };
        if recipe.class_weights.is_some() {
            let found = format!("{self}, which {weighs}");
            return Err(Error::invalid("`class_weights`", found, "one of the two"));
        }
        Ok(())
    }
}

/// Refuses micro-batches into which batches cannot be cut.
fn check_size(size: u32, batch: usize) -> Result<()> {
    match batch.is_multiple_of(size as usize) {
        true => Ok(()),
        false => {
            let what = "micro-batch-clipping, size";
            Err(Error::invalid(what, size.to_string(), format!("a divisor of `batch` {batch}")))
        }
    }
}
