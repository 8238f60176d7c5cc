//! The numbers of a table's row.

use serde::{Deserialize, Serialize};

use super::seed_run::{Evaluation, SeedRun};
use crate::metrics::Spread;

/// The numbers of a table's row: over the seeds of one strategy at one density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    pub average_accuracy: Spread,
    pub balanced_accuracy: Spread,
    /// Mean recall of groups, weighted by their training samples; None for classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted_accuracy: Option<Spread>,
    /// Spread of each seed's lowest recall, whichever class that was.
    pub worst_recall: Spread,
    pub worst_5_percent: Option<Spread>,
    pub gap: Spread,
    pub std: Spread,
    /// The class whose recall averaged over seeds is lowest, and that recall: a minimum of means
    /// is never below the mean of minima.
    pub worst_of_means: Option<ClassRecall>,
    /// The class that was worst on full data, and its recall here.
    pub worst_on_full: Option<ClassRecall>,
    pub density_recall_correlation: Option<Spread>,
    /// The fewest samples that any class keeps, over all seeds.
    pub least_kept: Option<ClassCount>,
}

/// A recall of one class over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassRecall {
    pub class: usize,
    pub recall: Spread,
}

/// A count of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassCount {
    pub class: usize,
    pub kept: usize,
}

impl Headline {
    /// Over `runs`; `worst_on_full` is the class of lowest mean recall on full data. None without
    /// runs.
    pub fn of(runs: &[SeedRun], worst_on_full: Option<usize>) -> Option<Headline> {
        let over = |value: fn(&Evaluation) -> f64| Spread::of(runs.iter().map(|r| value(&r.last)));
        let all = |value: fn(&SeedRun) -> Option<f64>| {
            Spread::of(runs.iter().map(value).collect::<Option<Vec<f64>>>()?)
        };
        let recall = |class: usize| {
            let recalls = runs.iter().map(|r| r.last.recalls.get(class).copied().flatten());
            let recall = Spread::of(recalls.collect::<Option<Vec<f64>>>()?)?;
            Some(ClassRecall { class, recall })
        };
        let classes = runs.iter().map(|r| r.last.recalls.len()).max().unwrap_or(0);
        let counts = runs.iter().flat_map(|r| r.class_counts.iter().copied().enumerate());
        Some(Headline {
            average_accuracy: over(|e| e.average_accuracy)?,
            balanced_accuracy: over(|e| e.balanced_accuracy)?,
            weighted_accuracy: all(|r| r.last.weighted_accuracy),
            worst_recall: over(|e| e.worst_recall)?,
            worst_5_percent: all(|r| r.last.worst_5_percent),
            gap: over(|e| e.gap)?,
            std: over(|e| e.std)?,
            worst_of_means: (0..classes)
                .filter_map(recall)
                .min_by(|a, b| a.recall.mean.total_cmp(&b.recall.mean)),
            worst_on_full: worst_on_full.and_then(recall),
            density_recall_correlation: all(|r| r.density_recall_correlation),
            least_kept: counts
                .min_by_key(|&(_, kept)| kept)
                .map(|(class, kept)| ClassCount { class, kept }),
        })
    }
}
