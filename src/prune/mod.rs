//! How many samples each class keeps, and which ones.
//!
//! The method is that of Vysogorets, Ahuja and Kempe, "Robust Data Pruning: Uncovering and
//! Overcoming Implicit Bias" (arXiv 2404.05579): class quotas from validation recalls, random
//! samples inside each class. Everything here works on slices and standard types, so any score and
//! any partition of the samples (classes, or groups such as class x attribute) can be used.
//!
//! Read in this order: [`Budget`] (how many samples in all), [`quotas`] (how many in each class),
//! [`ranking`] (in which order samples are kept), [`select`] (the subset itself).

mod budget;
mod fill;
mod indices;
mod quota;
mod rank;
mod rounding;
mod select;
mod warning;

pub use budget::{Budget, density_of_prune_rate};
pub use indices::{check_indices, check_within};
pub use quota::{QuotaOptions, QuotaRule, Quotas, Smoothing, error_ratio, quotas};
pub use rank::{Direction, Order, ranking};
pub use select::{Population, Selection, Subset, select, strategy_counts};
pub use warning::{ERROR_RATIO_LIMIT, FEW_SAMPLES, FEW_VALIDATION_SAMPLES, Warning};
