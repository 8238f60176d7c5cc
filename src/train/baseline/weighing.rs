//! Methods that weigh classes and present every sample once in an epoch.

use super::class_weights;
use super::presentation::{JobFacts, Policy, Presentation};
use crate::error::{Error, Result};
use crate::ops::Operators;
use crate::train::outcome::EpochRecord;

/// Weighs by CDB-W: from the previous epoch's validation recalls, and 1 in the first epoch.
pub(super) struct FromRecalls {
    pub facts: JobFacts,
    /// Validation samples of each class.
    pub totals: Vec<u64>,
    pub dynamic: bool,
}

impl<B: Operators> Policy<B> for FromRecalls {
    fn epoch(&mut self, epoch: u32, history: &[EpochRecord]) -> Result<Presentation> {
        let class_weights = match history.last() {
            None => vec![1.0; self.totals.len()],
            Some(last) => {
                let missing = || Error::Internal(format!("no recalls before epoch {epoch}"));
                let correct = last.val_correct.as_ref().ok_or_else(missing)?.iter().copied();
                let counts: Vec<(u64, u64)> = correct.zip(self.totals.iter().copied()).collect();
                class_weights::cdb_w(&counts, self.dynamic)
            }
        };
        Ok(Presentation { class_weights, ..self.facts.presentation(self.facts.order(epoch)) })
    }
}

/// Weighs alike in every epoch.
pub(super) struct Fixed {
    pub facts: JobFacts,
    pub weights: Vec<f32>,
}

impl<B: Operators> Policy<B> for Fixed {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        let class_weights = self.weights.clone();
        Ok(Presentation { class_weights, ..self.facts.presentation(self.facts.order(epoch)) })
    }
}
