//! What is measured on a classifier, class by class, and compared over seeds.
//!
//! Counts come first ([`ConfusionMatrix`], [`ClassCounts`]), then the metrics of one run
//! ([`ClassMetrics`] and the functions behind it), then several seeds ([`Spread`],
//! [`PairedDifference`], [`WorstOverSeeds`]). A class without samples has no recall: it is `None`,
//! never NaN, and takes no part in any mean, minimum or deviation.

mod class;
mod confusion;
mod paired;
mod rank;
mod seeds;
mod student;
mod text;

pub use class::{
    ClassMetrics, WORST_SHARE_CLASSES, average_accuracy, balanced_accuracy, class_difference, gap,
    least_samples, pearson, recalls, std, weighted_accuracy, worst_class, worst_five_percent,
};
pub use confusion::{ClassCounts, ConfusionMatrix, tally, tally_groups};
pub use paired::{
    ClaimVerdict, ClaimedDirection, DECIDING_SEEDS, PairedDifference, PairedVerdict, undertrained,
};
pub use rank::rank_correlation;
pub use seeds::{Spread, WorstOverSeeds, mean_recalls};
pub use student::{normal_quantile, t_quantile};
pub use text::{fraction, signed, verdict_line};
