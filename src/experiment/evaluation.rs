//! The metrics of one model, from what an evaluation counted.

use super::comparison::summary::Evaluation;
use crate::data::Partition;
use crate::error::{Error, Result};
use crate::metrics::{ClassCounts, ClassMetrics, weighted_accuracy};

/// The metrics of one model as the summary has them.
pub fn evaluation(counts: &[ClassCounts]) -> Result<Evaluation> {
    let m = ClassMetrics::new(counts);
    let missing = || Error::invalid("evaluation", "no samples", "at least one sample to report on");
    let (worst_class, worst_recall) = m.worst.ok_or_else(missing)?;
    Ok(Evaluation {
        average_accuracy: m.average_accuracy.ok_or_else(missing)?,
        balanced_accuracy: m.balanced_accuracy.ok_or_else(missing)?,
        weighted_accuracy: None,
        worst_class,
        worst_recall,
        worst_5_percent: m.worst_five_percent,
        gap: m.gap.ok_or_else(missing)?,
        std: m.std.ok_or_else(missing)?,
        recalls: m.recalls,
    })
}

/// The metrics over `partition`; of groups also the mean weighted by their training samples, `sizes`.
pub fn evaluation_over(
    partition: &Partition,
    counts: &[ClassCounts],
    sizes: &[usize],
) -> Result<Evaluation> {
    let evaluation = evaluation(counts)?;
    let weighted_accuracy = match partition.attribute {
        Some(_) => weighted_accuracy(&evaluation.recalls, sizes)?,
        None => None,
    };
    Ok(Evaluation { weighted_accuracy, ..evaluation })
}
