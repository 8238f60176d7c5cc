//! What quotas will do to the recalls, predicted before anything is trained on them.
//!
//! Unequal class densities act on a classifier like a shift of its class priors. With p_k(x) the
//! probabilities that a query network, trained on all samples, gives a validation sample, and d_k the
//! densities, a network trained under d is predicted to answer
//!
//! argmax_k (log p_k(x) + g log d_k),
//!
//! with a gain g of 1 to 2: a class with fewer samples in a short training may lose more than its prior. For g = 1 this is the correction for changed priors of Saerens, Latinne and
//! Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities" (Neural
//! Computation 14, 2002), which logit adjustment (Menon et al., arXiv 2007.07314) applies as well. The
//! prediction tells what *unequal* densities do: the level that all classes lose with the number of
//! samples is not in it.
//!
//! Read in this order: [`ValidationRows`] (what the networks say), [`predict`] (recalls under given
//! densities), [`forecast`] (against equal densities, with intervals), [`fit_gain`] (g from a network
//! that was trained under unequal densities), [`predicted_densities`] (the densities of the best
//! predicted worst class).
//!
//! ```
//! use fairprune::prune::{ValidationRows, ValidationRun, predict};
//!
//! // Three validation samples of each of two classes; class 1 is found in one of three.
//! let p = [0.9f32, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4, 0.6, 0.4, 0.2, 0.8];
//! let (log_probabilities, labels) = (p.map(f32::ln), [0, 0, 0, 1, 1, 1]);
//! let run = ValidationRun {
//!     log_probabilities: &log_probabilities,
//!     labels: &labels,
//!     samples: None,
//!     densities: None,
//! };
//! let rows = ValidationRows::new(2, &[run])?;
//! assert_eq!(predict(&rows, &[1.0, 1.0], 2.0)?.recalls, [Some(1.0), Some(1.0 / 3.0)]);
//! // With three quarters of the density of class 1, class 0 loses nothing: .6 x .75^2 < .4.
//! assert_eq!(predict(&rows, &[0.75, 1.0], 2.0)?.recalls, [Some(1.0), Some(1.0)]);
//! # Ok::<(), fairprune::error::Error>(())
//! ```

mod ascent;
mod forecast;
mod gain;
mod prediction;
mod rows;
mod rule;
mod soft;

pub use forecast::{QuotaForecast, forecast};
pub use gain::{GainFit, MeasuredRecalls, fit_gain};
pub use prediction::{Confusion, Prediction, predict};
pub use rows::{ValidationRows, ValidationRun};
pub use rule::{PredictedDensities, RuleOptions, predicted_densities};

/// The gain where none was fitted: between the 1 of built-in look-alikes, the 1.3 of `shapes:spread` and the
/// 1.4 to 2.1 of CIFAR-10, densities .1 to .8 (`docs/results/quotas.md`). A gain that is too large makes
/// quotas too mild, one that is too small makes them too strong.
pub const DEFAULT_GAIN: f64 = 1.5;

/// Number of rows in one parallel task, and in one step of an ordered sum. It is fixed, so that results
/// do not depend on the number of threads.
const CHUNK: usize = 1024;
