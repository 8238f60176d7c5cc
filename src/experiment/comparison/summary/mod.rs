//! What a run found, as plain data: `summary.json` for scripts, and all that the report shows.
//!
//! Shares (accuracies, recalls, densities) are numbers from 0 to 1, class indices count from 0, and
//! lists over classes have one entry a class (or a group, with `--groups`), in the order of
//! [`RunSummary::classes`]. What was not
//! measured is None, `null` in the file; a run that did not finish is absent from its list.

mod agreement;
mod headline;
mod seed_run;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::agreement::{Agreement, ForecastFit, class_means};
pub use self::headline::{ClassCount, ClassRecall, Headline};
pub use self::seed_run::{BestEpoch, CurvePoint, Evaluation, Preparation, SeedRun};
pub use crate::experiment::forecast::ForecastSummary;
pub use crate::experiment::training::Presentations;
pub use crate::metrics::Spread;

/// The whole result of `fairprune run`, for one density or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    pub format_version: u32,
    pub settings: Settings,
    pub classes: Vec<Class>,
    /// Recalls of the models trained on full data, which set the quotas.
    pub query: Option<Query>,
    /// In display order, full data first where it was trained.
    pub strategies: Vec<StrategySummary>,
    /// The comparisons that were asked for; the first is the headline.
    pub verdicts: Vec<Verdict>,
    pub phases: Vec<Phase>,
    pub warnings: Vec<String>,
    pub strips: Vec<Strip>,
}

impl RunSummary {
    /// The version that this program writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
}

/// What was run, on what, and how to run it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub version: String,
    pub commit: String,
    /// The command line that repeats the run, quoted for a shell.
    pub command: String,
    pub data: Data,
    pub arch: String,
    /// Channels of the first stage, where the family has that option.
    pub width: Option<usize>,
    pub parameters: u64,
    /// Densities that were asked for, without the 1 of full data.
    pub densities: Vec<f64>,
    /// `matched`, `fixed` or `steps`.
    pub budget: String,
    /// `holdout`, `half-test`, `crossfit` or `shipped`.
    pub split: String,
    /// The attribute that divides the classes into groups; None where [`RunSummary::classes`] are the
    /// classes themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// Length of the full-data run; pruned runs state their own steps.
    pub epochs: f64,
    pub steps: u64,
    pub batch: usize,
    pub learning_rate: f64,
    pub seeds: Vec<u64>,
    pub device: String,
    pub threads: usize,
    pub precision: String,
    /// Everything else that decides the result, in display order.
    pub recipe: Map<String, Value>,
}

impl Settings {
    /// Epochs to try where networks were trained too little: four times as many, and at least the 250
    /// steps that the quick recipe takes.
    pub fn epochs_to_try(&self) -> u64 {
        const STEPS: f64 = 250.0;
        let steps_an_epoch = self.steps as f64 / self.epochs.max(1.0);
        (4.0 * self.epochs).max(STEPS / steps_an_epoch.max(1.0)).ceil() as u64
    }
}

/// The data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// As the user named it.
    pub name: String,
    pub fingerprint: String,
    /// Samples that training may use, held out for validation, and reported on.
    pub train: usize,
    pub validation: usize,
    pub test: usize,
    /// Height, width, channels.
    pub image: [usize; 3],
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    pub name: String,
    /// N_k: samples of the class that training may use.
    pub train_size: usize,
}

/// Validation recalls of the query runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    pub runs: Vec<RunRecalls>,
    /// Mean and standard deviation over the runs, one a class.
    pub mean: Vec<Option<f64>>,
    pub sd: Vec<Option<f64>>,
    /// Validation samples, one count a class.
    pub validation_counts: Vec<usize>,
    /// max (1 - r) / min (1 - r) of the mean recalls; None if a class has no error.
    pub error_ratio: Option<f64>,
}

/// One query run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecalls {
    pub seed: u64,
    pub recalls: Vec<Option<f64>>,
}

/// One way of choosing samples, at every density it was tried at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategySummary {
    /// As on the command line: `full`, `random`, `el2n`, `metriq`.
    pub name: String,
    /// As shown: `Random + MetriQ`.
    pub label: String,
    /// How many a class keeps: `none`, `metriq`, `uniform`, …
    pub quota: String,
    /// Whether this is training on everything, the reference of all the others.
    pub full_data: bool,
    /// Whether its one point stands beside every density: full data, and baselines that do not prune.
    #[serde(default)]
    pub every_density: bool,
    /// One a density, in ascending order of density.
    pub points: Vec<Point>,
}

/// One strategy at one density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub density: f64,
    /// Runs that were asked for.
    pub planned: usize,
    /// None without any finished run.
    pub headline: Option<Headline>,
    /// How near the prediction of what the quotas do came; None where nothing was predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_fit: Option<ForecastFit>,
    pub runs: Vec<SeedRun>,
}

/// One comparison of two strategies over paired runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub metric: Metric,
    pub density: f64,
    /// Names of the two strategies: differences are `strategy` minus `baseline`.
    pub strategy: String,
    pub baseline: String,
    pub differences: Vec<Difference>,
    pub mean: f64,
    /// Paired interval of the mean; None with one seed.
    pub interval: Option<[f64; 2]>,
    /// The interval's level, .95.
    pub confidence: f64,
    pub outcome: Outcome,
    /// The comparison as one line of text.
    pub text: String,
}

/// One pair of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub seed: u64,
    pub difference: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The lowest recall: of a group, where there are groups.
    #[serde(alias = "worst_group")]
    WorstClass,
    AverageAccuracy,
    Gap,
    Std,
}

impl Metric {
    /// As written in a sentence.
    pub fn label(self) -> &'static str {
        match self {
            Metric::WorstClass => "worst class",
            Metric::AverageAccuracy => "average",
            Metric::Gap => "gap",
            Metric::Std => "std",
        }
    }

    /// As written in a sentence about groups.
    pub fn label_of_groups(self) -> &'static str {
        match self {
            Metric::WorstClass => "worst group",
            other => other.label(),
        }
    }

    /// Whether a positive difference is an improvement.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Metric::WorstClass | Metric::AverageAccuracy)
    }
}

/// What a comparison says: decided only where its interval excludes 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Improved,
    Worsened,
    NotDecided,
    /// Both sides are near chance, or a class is never recognised on either: nothing is compared.
    Undertrained,
}

impl Outcome {
    /// As written in a verdict.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Improved => "improved",
            Outcome::Worsened => "worsened",
            Outcome::NotDecided => "not decided",
            Outcome::Undertrained => "undertrained: no verdict",
        }
    }
}

/// What one phase of the run cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    pub seconds: f64,
    /// Images that went through the network, if any did.
    pub samples: Option<u64>,
    pub peak_bytes: Option<u64>,
}

/// Examples of what one strategy kept and dropped of one class: positions in the training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Strip {
    pub strategy: String,
    pub density: f64,
    pub seed: u64,
    pub class: usize,
    pub kept: Vec<usize>,
    pub dropped: Vec<usize>,
}
