//! What an evaluation counted, as results keep it: correct and total samples of classes and groups.

use serde::{Deserialize, Serialize};

use crate::data::Partition;
use crate::error::{Error, Result};
use crate::metrics::ClassCounts;
use crate::train::EvaluationTotals;

/// Correct and total samples of every class in one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationCounts {
    pub epoch: u32,
    pub correct: Vec<u64>,
    pub total: Vec<u64>,
    /// Counts of every group, where the samples have an attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupCounts>,
}

/// Correct and total samples of every group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCounts {
    pub correct: Vec<u64>,
    pub total: Vec<u64>,
}

impl EvaluationCounts {
    /// The counts of an evaluation after `epoch`.
    pub fn new(epoch: u32, evaluation: &EvaluationTotals) -> Self {
        let split = |counts: &[ClassCounts]| GroupCounts {
            correct: counts.iter().map(|c| c.correct).collect(),
            total: counts.iter().map(|c| c.total).collect(),
        };
        let GroupCounts { correct, total } = split(&evaluation.counts);
        let groups = evaluation.groups.as_deref().map(split);
        EvaluationCounts { epoch, correct, total, groups }
    }

    /// The counts of `partition`: of its groups instead of the classes, where it is one of groups.
    pub fn by(&self, partition: &Partition) -> Result<EvaluationCounts> {
        let GroupCounts { correct, total } = match (&partition.attribute, &self.groups) {
            (None, _) => return Ok(EvaluationCounts { groups: None, ..self.clone() }),
            (Some(_), Some(groups)) => groups.clone(),
            (Some(name), None) => {
                return Err(Error::Internal(format!("nothing was counted by {name}")));
            }
        };
        Ok(EvaluationCounts { epoch: self.epoch, correct, total, groups: None })
    }

    /// One pair a class.
    pub fn counts(&self) -> Vec<ClassCounts> {
        let pairs = self.correct.iter().zip(&self.total);
        pairs.map(|(&correct, &total)| ClassCounts { correct, total }).collect()
    }
}
