//! The methods that look at more than one number for each sample: their names, their options, and
//! what they need.

use std::fmt;
use std::str::FromStr;

use super::names::names;
use super::prototype::Centre;
use super::rank::Direction;
use super::space::{Features, Probabilities};
use crate::error::{Error, Result};

/// More strata than this are of no use.
const MOST_STRATA: usize = 1_000_000;

/// Where k-center starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KCenterStart {
    /// The sample nearest to the mean.
    #[default]
    Mean,
    /// A sample drawn by the seed.
    Random,
}

/// What similarity is computed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Space {
    /// Features.
    #[default]
    Features,
    /// Last-layer gradients.
    Gradients,
}

/// Among which samples a method picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Inside each class, as if it were the whole set. Without quotas the classes keep their
    /// ratios.
    Class,
    /// Among all samples at once. With quotas this order is filtered: a pick whose class is full
    /// is passed over.
    Whole,
}

names!(KCenterStart, "start", "mean" => KCenterStart::Mean, "random" => KCenterStart::Random);
names!(Space, "space", "features" => Space::Features, "gradients" => Space::Gradients);
names!(Scope, "scope", "class" => Scope::Class, "whole" => Scope::Whole);

/// A method and its options. Formulas and sources: `docs/scores/selection.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Selector {
    /// Greedy k-center on features, Euclidean.
    CoreSet {
        /// The first pick.
        start: KCenterStart,
    },
    /// Greedy k-center under symmetric Kullback-Leibler divergence of predictions.
    ContextualDiversity {
        /// The first pick.
        start: KCenterStart,
    },
    /// Herding on features.
    Herding,
    /// Facility location with cosine similarity.
    FacilityLocation {
        /// What similarity is computed on.
        space: Space,
    },
    /// Facility location on the distances of last-layer gradients; weights are cluster sizes.
    Craig,
    /// Graph cut with cosine similarity.
    GraphCut {
        /// What similarity is computed on.
        space: Space,
        /// Weight of a sample's likeness to all samples.
        lambda: f64,
    },
    /// Orthogonal matching pursuit of the mean last-layer gradient; weights are its solution.
    GradMatch {
        /// Weight of the squared weights, above 0.
        lambda: f64,
    },
    /// Greedy first-order decrease of the validation loss.
    Glister {
        /// eta, the length of a step.
        step: f64,
        /// Picks between two validation gradients.
        refresh: usize,
    },
    /// The middle of the distances to the class centre.
    Moderate {
        /// The centre.
        centre: Centre,
    },
    /// Strata of a score without the hardest samples.
    Ccs {
        /// Fraction of samples that is dropped.
        beta: f64,
        /// Number of strata, which are equally wide.
        strata: usize,
    },
    /// Drawn by a score and a Beta density of the mean probability of the label, which turns to easy
    /// samples as less is kept.
    BetaSampling {
        /// c_D, above 0: the greater, the later it turns.
        exponent: f64,
    },
    /// The window of difficulties that ends at a quantile.
    Window {
        /// The quantile k, above 0 and at most 1, the hardest.
        endpoint: f64,
    },
    /// A score spread over neighbours, then picked with distance.
    D2 {
        /// Number of nearest neighbours that count.
        neighbours: usize,
        /// Decay with distance when the score is spread.
        forward: f64,
        /// Decay with distance when the neighbours of a pick lose.
        reverse: f64,
    },
}

/// Something that a method must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Features of every eligible sample.
    Features,
    /// Predictions for every eligible sample.
    Probabilities,
    /// A score of every eligible sample.
    Score,
    /// The mean probability of the label of every eligible sample.
    Confidence,
    /// Features, predictions and labels of a validation set.
    Validation,
}

impl Selector {
    /// Every method with its default options, in the order of help and tables.
    pub const ALL: [Selector; 13] = [
        Selector::CoreSet { start: KCenterStart::Mean },
        Selector::Herding,
        Selector::Moderate { centre: Centre::Median },
        Selector::Ccs { beta: 0.1, strata: 50 },
        Selector::BetaSampling { exponent: 4.0 },
        Selector::Window { endpoint: 1.0 },
        Selector::D2 { neighbours: 5, forward: 1.0, reverse: 0.1 },
        Selector::Craig,
        Selector::GradMatch { lambda: 0.5 },
        Selector::Glister { step: 0.1, refresh: 1 },
        Selector::GraphCut { space: Space::Features, lambda: 1.0 },
        Selector::FacilityLocation { space: Space::Features },
        Selector::ContextualDiversity { start: KCenterStart::Mean },
    ];

    /// Returns the name as it is written by users and in files.
    pub fn name(&self) -> &'static str {
        match self {
            Selector::CoreSet { .. } => "coreset",
            Selector::ContextualDiversity { .. } => "contextual-diversity",
            Selector::Herding => "herding",
            Selector::FacilityLocation { .. } => "facility-location",
            Selector::Craig => "craig",
            Selector::GraphCut { .. } => "graph-cut",
            Selector::GradMatch { .. } => "grad-match",
            Selector::Glister { .. } => "glister",
            Selector::Moderate { .. } => "moderate",
            Selector::Ccs { .. } => "ccs",
            Selector::BetaSampling { .. } => "beta-sampling",
            Selector::Window { .. } => "difficulty-window",
            Selector::D2 { .. } => "d2",
        }
    }

    /// Returns the name as it stands in tables and figures.
    pub fn label(&self) -> &'static str {
        match self {
            Selector::CoreSet { .. } => "CoreSet",
            Selector::ContextualDiversity { .. } => "Contextual diversity",
            Selector::Herding => "Herding",
            Selector::FacilityLocation { .. } => "Facility location",
            Selector::Craig => "CRAIG",
            Selector::GraphCut { .. } => "GraphCut",
            Selector::GradMatch { .. } => "GradMatch",
            Selector::Glister { .. } => "Glister",
            Selector::Moderate { .. } => "Moderate",
            Selector::Ccs { .. } => "CCS",
            Selector::BetaSampling { .. } => "Beta sampling",
            Selector::Window { .. } => "Difficulty window",
            Selector::D2 { .. } => "D2",
        }
    }

    /// Returns the method with its options, for the record of a run.
    pub fn variant(&self) -> String {
        match self {
            Selector::CoreSet { start } => format!("Euclidean, start {start}"),
            Selector::ContextualDiversity { start } => {
                format!("symmetric divergence, start {start}")
            }
            Selector::Herding => "features, Euclidean".to_owned(),
            Selector::FacilityLocation { space } => format!("cosine of {space}"),
            Selector::Craig => "last-layer gradients, Euclidean".to_owned(),
            Selector::GraphCut { space, lambda } => format!("cosine of {space}, lambda {lambda}"),
            Selector::GradMatch { lambda } => {
                format!("last-layer gradients, mean gradient, lambda {lambda}")
            }
            Selector::Glister { step, refresh } => {
                format!("last-layer gradients, step {step}, refresh {refresh}")
            }
            Selector::Moderate { centre } => format!("distance to the class {centre}"),
            Selector::Ccs { beta, strata } => format!("beta {beta}, {strata} strata"),
            Selector::BetaSampling { exponent } => format!("exponent {exponent}"),
            Selector::Window { endpoint } => format!("endpoint {endpoint}"),
            Selector::D2 { neighbours, forward, reverse } => {
                format!("{neighbours} neighbours, forward {forward}, reverse {reverse}")
            }
        }
    }

    /// Lists what the method must be given.
    pub fn needs(&self) -> &'static [Need] {
        const GRADIENTS: &[Need] = &[Need::Features, Need::Probabilities];
        match self {
            Selector::CoreSet { .. }
            | Selector::Herding
            | Selector::Moderate { .. }
            | Selector::FacilityLocation { space: Space::Features }
            | Selector::GraphCut { space: Space::Features, .. } => &[Need::Features],
            Selector::ContextualDiversity { .. } => &[Need::Probabilities],
            Selector::FacilityLocation { space: Space::Gradients }
            | Selector::GraphCut { space: Space::Gradients, .. }
            | Selector::Craig
            | Selector::GradMatch { .. } => GRADIENTS,
            Selector::Glister { .. } => &[Need::Features, Need::Probabilities, Need::Validation],
            Selector::Ccs { .. } | Selector::Window { .. } => &[Need::Score],
            Selector::BetaSampling { .. } => &[Need::Score, Need::Confidence],
            Selector::D2 { .. } => &[Need::Features, Need::Score],
        }
    }

    /// Tells whether picks come with weights for training.
    pub fn gives_weights(&self) -> bool {
        matches!(
            self,
            Selector::Craig | Selector::FacilityLocation { .. } | Selector::GradMatch { .. }
        )
    }

    /// Tells whether the method's authors train with the weights of the picks.
    pub fn trains_with_weights(&self) -> bool {
        matches!(self, Selector::Craig | Selector::GradMatch { .. })
    }

    /// Returns where the method usually picks: inside each class with quotas and where its authors
    /// do so, else among all samples.
    pub fn scope(&self, quotas: bool) -> Scope {
        match self {
            Selector::Craig | Selector::GradMatch { .. } => Scope::Class,
            _ if quotas => Scope::Class,
            _ => Scope::Whole,
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the option that is out of range.
    pub fn check(&self) -> Result<()> {
        let number = |what: &str, value: f64, good: bool, expected: &str| match good {
            true => Ok(()),
            false => Err(Error::invalid(
                format!("{what} of {}", self.name()),
                value.to_string(),
                expected,
            )),
        };
        let count = |what: &str, value: usize| number(what, value as f64, value > 0, "at least 1");
        let finite = |what: &str, value: f64| {
            number(what, value, (0.0..f64::INFINITY).contains(&value), "a finite number from 0 up")
        };
        match *self {
            Selector::GraphCut { lambda, .. } => finite("lambda", lambda),
            Selector::GradMatch { lambda } => {
                let good = lambda > 0.0 && lambda < f64::INFINITY;
                number("lambda", lambda, good, "a finite number above 0")
            }
            Selector::Glister { step, refresh } => {
                finite("step", step)?;
                count("refresh", refresh)
            }
            Selector::Ccs { beta, strata } => {
                number("beta", beta, (0.0..=1.0).contains(&beta), "a number in [0, 1]")?;
                number("strata", strata as f64, (1..=MOST_STRATA).contains(&strata), "1 to 1000000")
            }
            Selector::BetaSampling { exponent } => {
                let good = exponent > 0.0 && exponent < f64::INFINITY;
                number("exponent", exponent, good, "a finite number above 0")
            }
            Selector::Window { endpoint } => {
                let good = endpoint > 0.0 && endpoint <= 1.0;
                number("endpoint", endpoint, good, "above 0 and at most 1")
            }
            Selector::D2 { forward, reverse, .. } => {
                finite("forward", forward)?;
                finite("reverse", reverse)
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for Selector {
    type Err = Error;

    /// Reads a name, which gets the default options.
    fn from_str(name: &str) -> Result<Self> {
        Selector::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Selector::ALL.iter().map(|s| s.name()).collect();
            Error::invalid("selection method", name, format!("one of {}", known.join(", ")))
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A score that a method starts from.
#[derive(Clone, Copy, Debug)]
pub struct Score<'a> {
    /// One value for each sample of the original training set; finite where it is eligible.
    pub values: &'a [f64],
    /// Which end is hard and kept.
    pub direction: Direction,
}

/// A validation set, all of which is used.
#[derive(Clone, Copy, Debug)]
pub struct Validation<'a> {
    /// Features, one row for each validation sample.
    pub features: Features<'a>,
    /// Predictions, one row for each validation sample.
    pub probabilities: Probabilities<'a>,
    /// Classes, one for each validation sample.
    pub labels: &'a [u32],
}

/// What is known of the samples; [`Selector::needs`] tells what a method needs of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// Features in data-set order.
    pub features: Option<Features<'a>>,
    /// Predictions in data-set order.
    pub probabilities: Option<Probabilities<'a>>,
    /// The score that CCS divides into strata, D2 spreads, Beta sampling draws by (not negative)
    /// and the difficulty window orders.
    pub score: Option<Score<'a>>,
    /// The score whose hardest samples CCS drops: the area under the margin in the paper.
    /// [`Inputs::score`] is used where it is missing.
    pub hardness: Option<Score<'a>>,
    /// The mean probability of the label over the first epochs, for Beta sampling: one value for
    /// each sample of the original training set, in [0, 1] where it is eligible.
    pub confidence: Option<&'a [f64]>,
    /// The validation set for Glister.
    pub validation: Option<Validation<'a>>,
}

/// Checks what Beta sampling draws by at `positions`: `scores` of those, `confidence` of all samples.
pub(super) fn check_chances(positions: &[usize], scores: &[f64], confidence: &[f64]) -> Result<()> {
    for (&position, &score) in positions.iter().zip(scores) {
        if score < 0.0 {
            let what = format!("score of training sample {position}");
            return Err(Error::invalid(what, score.to_string(), "a chance, a number from 0 up"));
        }
        let found = confidence.get(position);
        if !found.is_some_and(|mean| (0.0..=1.0).contains(mean)) {
            return Err(Error::invalid(
                format!("confidence of training sample {position}"),
                found.map_or("none".to_owned(), |mean| mean.to_string()),
                "a number in [0, 1]",
            ));
        }
    }
    Ok(())
}
