//! How many samples each class keeps, and which ones.
//!
//! The method is that of Vysogorets, Ahuja and Kempe, "Robust Data Pruning: Uncovering and
//! Overcoming Implicit Bias" (arXiv 2404.05579): class quotas from validation recalls, random
//! samples inside each class. Everything here works on slices and standard types, so any score and
//! any partition of the samples (classes, or groups such as class x attribute) can be used.
//!
//! Read in this order: [`Budget`] (how many samples in all), [`quotas`] (how many in each class),
//! [`ranking`] (in which order samples are kept), [`select`] (the subset itself). [`predict`] tells what
//! quotas will do to the recalls, and [`predicted_densities`] makes quotas of that.
//!
//! Methods that look at features, gradients, predictions or a score's neighbourhood are
//! [`Selector`]s; [`pick`] runs one, and [`Selector::cost`] tells what it will take. Scores of the
//! same inputs are functions that return a [`SampleScore`].
//!
//! ```
//! use fairprune::prune::{Order, Population, QuotaOptions, Selection, select};
//!
//! // 60 samples of class 0 and 40 of class 1, of which validation finds .9 and .6.
//! let labels: Vec<u32> = (0..100).map(|i| u32::from(i >= 60)).collect();
//! let eligible: Vec<usize> = (0..100).collect();
//! let recalls = [Some(0.9), Some(0.6)];
//! let subset = select(
//!     Population { labels: &labels, eligible: &eligible, classes: 2 },
//!     &Selection {
//!         order: Order::Random,
//!         quota: Some(QuotaOptions { recalls: &recalls, ..QuotaOptions::default() }),
//!         density: 0.33,
//!         seed: 0,
//!     },
//! )?;
//! assert_eq!(subset.counts, [9, 24]); // 33 in proportion to .1 x 60 and .4 x 40
//!
//! // The same class counts, chosen by greedy k-center on two-dimensional features.
//! use fairprune::prune::{Features, Inputs, MEMORY, Picking, Scope, Selector, Wanted, pick};
//!
//! let values: Vec<f32> = (0..200).map(|i| (i * i % 83) as f32).collect();
//! let population = Population { labels: &labels, eligible: &eligible, classes: 2 };
//! let picking = Picking {
//!     selector: "coreset".parse()?,
//!     scope: Scope::Class,
//!     inputs: Inputs { features: Some(Features::new(&values, 2)?), ..Inputs::default() },
//!     seed: 0,
//!     memory: MEMORY,
//! };
//! let picks = pick(population, &picking, &Wanted::of_classes(vec![9, 24]))?;
//! assert_eq!(picks.order.len(), 33);
//! # Ok::<(), fairprune::error::Error>(())
//! ```

mod budget;
mod cost;
mod difficulty;
mod extrapolate;
mod fill;
mod greedy;
mod indices;
mod names;
mod pick;
mod population;
mod predict;
mod prototype;
mod quality;
mod quota;
mod rank;
mod rounding;
mod select;
mod selector;
mod space;
mod unit;
mod wanted;
mod warning;
mod weights;

pub use budget::{Budget, density_of_prune_rate};
pub use cost::{InputSizes, PickCost};
pub use difficulty::{WINSOR, check_fraction, class_difficulties, winsorised_mean};
pub use extrapolate::extrapolate;
pub use indices::{check_indices, check_within};
#[cfg(feature = "train")]
pub(crate) use names::names;
pub use pick::{MEMORY, Picking, Picks, pick};
pub use population::Population;
pub use predict::{
    Confusion, DEFAULT_GAIN, GainFit, MeasuredRecalls, PredictedDensities, Prediction,
    QuotaForecast, RuleOptions, ValidationRows, ValidationRun, fit_gain, forecast, predict,
    predicted_densities,
};
pub use prototype::{
    Centre, ClusterMetric, KMeans, SampleScore, cal, class_distances, last_layer_grand,
    least_confidence, prototype_distances,
};
pub use quality::{
    ALIKE, ConfidentLearning, LabelPair, LabelSuspect, Looks, NEAR, NearDuplicate, Nearness,
    SuspectRanking, centred, confident_learning, exact_duplicates, near_duplicates, original,
};
pub use quota::{QuotaOptions, QuotaRule, Quotas, Smoothing, error_ratio, quotas};
pub use rank::{Direction, Order, ranking};
pub use select::{Selection, Subset, select, strategy_counts};
pub use selector::{Inputs, KCenterStart, Need, Scope, Score, Selector, Space, Validation};
pub use space::{Features, Probabilities};
pub use unit::over;
pub use wanted::Wanted;
pub use warning::{ERROR_RATIO_LIMIT, FEW_SAMPLES, FEW_VALIDATION_SAMPLES, Warning};
pub use weights::training_weights;
