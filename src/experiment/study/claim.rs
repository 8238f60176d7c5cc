//! Claims that are written down before the runs, and what a panel says of them.

use serde::{Deserialize, Serialize};

use crate::experiment::comparison::summary::Metric;
use crate::metrics::ClaimedDirection;

/// A claim: a metric of `method` is higher or lower than that of `baseline`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub text: String,
    pub metric: Metric,
    /// A strategy, as the command line names it.
    pub method: String,
    #[serde(default = "random")]
    pub baseline: String,
    pub direction: ClaimedDirection,
    /// The densities that it is about; all where the list is empty.
    #[serde(default)]
    pub density: Vec<f64>,
    /// The panels that it is about; all where the list is empty.
    #[serde(default)]
    pub panels: Vec<String>,
}

fn random() -> String {
    "random".to_owned()
}

/// What one panel says about a claim at one density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimResult {
    pub claim: Claim,
    pub panel: String,
    pub density: f64,
    pub seeds: usize,
    pub mean: f64,
    pub interval: Option<[f64; 2]>,
    /// `seen`, `reversed` or `undecided`.
    pub outcome: String,
}
