//! Strategy x quota: which samples to prefer, and how many of each class; names, and what each needs.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::pick_weights::PickWeights;
use super::picker::{Picker, PickerOptions};
use super::predicted::PredictedQuota;
use crate::error::{Error, Result};
use crate::score::Method;
use crate::train::Baseline;

/// Which samples are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    Random,
    Score(Method),
    Picks(Picker),
    /// A score that another program computed.
    Given,
}

/// How many samples a class keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Whatever the global ranking leaves.
    None,
    Metriq,
    MetriqReleased,
    Uniform,
    Balanced,
    /// NUCS: in proportion to size and difficulty, by this score; None takes the ranking's own.
    Nucs(Option<Ranking>),
    /// The class counts of another ranking's own pruned set.
    From(Ranking),
    /// Densities of the best predicted worst class.
    Predicted(PredictedQuota),
}

/// A way of pruning, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Full,
    Pruned {
        ranking: Ranking,
        quota: Quota,
    },
    /// Full data, in as many steps as a pruned run of the density has.
    Short,
    /// Another way of training.
    Baseline(Baseline),
}

/// Options of everything that chooses samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Choice {
    pub quotas: QuotaSettings,
    pub pickers: PickerOptions,
    /// Which methods' runs train with the weights of their picks.
    pub weights: PickWeights,
}

/// Options of quotas that use recalls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuotaSettings {
    pub laplace: bool,
    pub min_per_class: Option<usize>,
    /// Fraction of each end of a class that NUCS winsorises; None takes [`crate::prune::WINSOR`].
    pub winsor: Option<f64>,
}

impl FromStr for Ranking {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name == "random" {
            return Ok(Ranking::Random);
        }
        if let Ok(picker) = name.parse() {
            return Ok(Ranking::Picks(picker));
        }
        if name == "given" {
            return Ok(Ranking::Given);
        }
        name.parse().map(Ranking::Score).map_err(|_| {
            let (scores, pickers) = (Method::names(), Picker::names());
            let expected = format!("random, a score ({scores}) or a selection method ({pickers})");
            Error::invalid("strategy", name, expected)
        })
    }
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Ranking::Random => f.write_str("random"),
            Ranking::Score(method) => f.write_str(method.name()),
            Ranking::Picks(picker) => f.write_str(picker.name()),
            Ranking::Given => f.write_str("given"),
        }
    }
}

impl Ranking {
    /// The method of selection, if it is one.
    pub fn picker(self) -> Option<Picker> {
        match self {
            Ranking::Picks(picker) => Some(picker),
            _ => None,
        }
    }

    /// The scores it looks at.
    fn methods(self, options: &PickerOptions) -> Vec<Method> {
        match self {
            Ranking::Random | Ranking::Given => Vec::new(),
            Ranking::Score(method) => vec![method],
            Ranking::Picks(picker) => picker.methods(options),
        }
    }

    /// The score whose run tells the recalls that go with it: the only thing that it looks at.
    pub(super) fn recalls_of(self, options: &PickerOptions) -> Option<Method> {
        match self {
            Ranking::Random | Ranking::Given => None,
            Ranking::Score(method) => Some(method),
            Ranking::Picks(p) if p.needs_features(options) || p.needs_probabilities(options) => {
                None
            }
            Ranking::Picks(picker) => picker.base(options),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Ranking::Random => "Random",
            Ranking::Score(method) => method.label(),
            Ranking::Picks(picker) => picker.label(),
            Ranking::Given => "Given score",
        }
    }
}

impl FromStr for Quota {
    type Err = Error;

    /// `none`, `metriq`, `metriq-released`, `uniform`, `balanced`, `predicted` with its options, `nucs`,
    /// `nucs:SCORE`,
    /// `from:STRATEGY`, or `STRATEGYq`.
    fn from_str(name: &str) -> Result<Self> {
        if PredictedQuota::is_name(name) {
            return name.parse().map(Quota::Predicted);
        }
        let other = name.strip_prefix("from:").or_else(|| name.strip_suffix('q'));
        match (name, other.map(str::parse)) {
            ("none", _) => Ok(Quota::None),
            ("metriq" | "drop", _) => Ok(Quota::Metriq),
            ("metriq-released", _) => Ok(Quota::MetriqReleased),
            ("uniform", _) => Ok(Quota::Uniform),
            ("balanced", _) => Ok(Quota::Balanced),
            ("nucs", _) => Ok(Quota::Nucs(None)),
            (name, _) if name.starts_with("nucs:") => Quota::nucs_by(name),
            (_, Some(Ok(ranking))) => Ok(Quota::From(ranking)),
            _ => {
                let expected = "none, metriq, metriq-released, uniform, balanced, predicted, nucs or \
                                from:STRATEGY";
                Err(Error::invalid("quota", name, expected))
            }
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Quota::None => f.write_str("none"),
            Quota::Metriq => f.write_str("metriq"),
            Quota::MetriqReleased => f.write_str("metriq-released"),
            Quota::Uniform => f.write_str("uniform"),
            Quota::Balanced => f.write_str("balanced"),
            Quota::Nucs(None) => f.write_str("nucs"),
            Quota::Nucs(Some(score)) => write!(f, "nucs:{score}"),
            Quota::From(ranking) => write!(f, "from:{ranking}"),
            Quota::Predicted(predicted) => predicted.fmt(f),
        }
    }
}

impl FromStr for Strategy {
    type Err = Error;

    /// `full`, `RANKING`, `metriq` (Random + MetriQ), `predicted` (Random + predicted quotas),
    /// `RANKING+QUOTA` or a baseline.
    fn from_str(name: &str) -> Result<Self> {
        match name.split_once('+') {
            None if name == "full" => Ok(Strategy::Full),
            None if name == "metriq" || name == "drop" => {
                Ok(Strategy::Pruned { ranking: Ranking::Random, quota: Quota::Metriq })
            }
            None if PredictedQuota::is_name(name) => {
                Ok(Strategy::Pruned { ranking: Ranking::Random, quota: name.parse()? })
            }
            None if name == "full-short" => Ok(Strategy::Short),
            None if Baseline::is_name(name) => name.parse().map(Strategy::Baseline),
            None => {
                let ranking = name.parse().map_err(|e| also_baselines(e, name))?;
                Ok(Strategy::Pruned { ranking, quota: Quota::None })
            }
            Some((ranking, quota)) => {
                Ok(Strategy::Pruned { ranking: ranking.parse()?, quota: quota.parse()? })
            }
        }
    }
}

/// What else could stand there alone.
fn also_baselines(error: Error, name: &str) -> Error {
    match error {
        Error::Invalid { what, expected, .. } => {
            let expected = format!(
                "full, full-short, metriq, predicted, {expected}; or a baseline: {}",
                Baseline::names()
            );
            Error::invalid(what, name, expected)
        }
        other => other,
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Strategy::Full => f.write_str("full"),
            Strategy::Short => f.write_str("full-short"),
            Strategy::Baseline(baseline) => baseline.fmt(f),
            Strategy::Pruned { ranking: Ranking::Random, quota: Quota::Metriq } => {
                f.write_str("metriq")
            }
            Strategy::Pruned { ranking: Ranking::Random, quota: quota @ Quota::Predicted(_) } => {
                quota.fmt(f)
            }
            Strategy::Pruned { ranking, quota: Quota::None } => ranking.fmt(f),
            Strategy::Pruned { ranking, quota: Quota::From(other) } => {
                write!(f, "{ranking}+{other}q")
            }
            Strategy::Pruned { ranking, quota } => write!(f, "{ranking}+{quota}"),
        }
    }
}

impl Strategy {
    /// Random selection within MetriQ's quotas: the method this program exists for.
    pub const METRIQ: Strategy =
        Strategy::Pruned { ranking: Ranking::Random, quota: Quota::Metriq };
    /// A uniform draw over the whole set.
    pub const RANDOM: Strategy = Strategy::Pruned { ranking: Ranking::Random, quota: Quota::None };

    /// As in tables and figures: `Random + MetriQ`.
    pub fn label(self) -> String {
        match self {
            Strategy::Full => "Full data".to_owned(),
            Strategy::Short => "Full data, fewer steps".to_owned(),
            Strategy::Baseline(baseline) => baseline.label(),
            Strategy::Pruned { ranking, quota } => {
                let quota = match quota {
                    Quota::None => return ranking.label().to_owned(),
                    Quota::Metriq => "MetriQ".to_owned(),
                    Quota::MetriqReleased => "MetriQ (released)".to_owned(),
                    Quota::Uniform => "uniform".to_owned(),
                    Quota::Balanced => "balanced".to_owned(),
                    Quota::Nucs(None) => "NUCS".to_owned(),
                    Quota::Nucs(Some(score)) => format!("NUCS by {}", score.label()),
                    Quota::From(other) => format!("{}Q", other.label()),
                    Quota::Predicted(predicted) => predicted.label(),
                };
                format!("{} + {quota}", ranking.label())
            }
        }
    }

    /// The baseline, if it is one.
    pub fn baseline(self) -> Option<Baseline> {
        match self {
            Strategy::Baseline(baseline) => Some(baseline),
            _ => None,
        }
    }

    /// Whether it has one run a seed, whatever the densities: full data, and other ways of training.
    pub fn stands_beside_all(self) -> bool {
        matches!(self, Strategy::Full | Strategy::Baseline(_))
    }

    /// Its name in the names of files.
    pub fn stem(self) -> String {
        self.to_string().replace([':', '='], "-")
    }

    /// Its quota rule, as in files.
    pub fn quota(self) -> Quota {
        match self {
            Strategy::Full | Strategy::Short | Strategy::Baseline(_) => Quota::None,
            Strategy::Pruned { quota, .. } => quota,
        }
    }

    /// Whether its quotas follow from class recalls.
    pub fn needs_recalls(self) -> bool {
        matches!(self.quota(), Quota::Metriq | Quota::MetriqReleased | Quota::Predicted(_))
    }

    /// Its predicted quota, if it has one.
    pub fn predicted(self) -> Option<PredictedQuota> {
        match self.quota() {
            Quota::Predicted(predicted) => Some(predicted),
            _ => None,
        }
    }

    /// How its samples are ranked, and those of the strategy whose counts it takes, or the score that
    /// its quotas are made of.
    fn rankings(self, options: &PickerOptions) -> impl Iterator<Item = Ranking> + use<> {
        let (ranking, other) = match self {
            Strategy::Full | Strategy::Short | Strategy::Baseline(_) => (None, None),
            Strategy::Pruned { ranking, quota: Quota::From(other) } => (Some(ranking), Some(other)),
            Strategy::Pruned { ranking, .. } => (Some(ranking), self.difficulty(options)),
        };
        ranking.into_iter().chain(other)
    }

    /// The score whose run tells the recalls that its quotas use; None: the short query runs.
    pub fn recalls_of(self, options: &PickerOptions) -> Option<Method> {
        self.rankings(options).next()?.recalls_of(options)
    }

    /// Whether it needs a score that another program computed.
    pub fn uses_given(self) -> bool {
        self.rankings(&PickerOptions::default()).any(|r| r == Ranking::Given)
    }

    /// The scores it needs.
    pub fn methods(self, options: &PickerOptions) -> BTreeSet<Method> {
        self.rankings(options).flat_map(|r| r.methods(options)).collect()
    }

    /// The methods of selection it needs.
    pub fn pickers(self) -> impl Iterator<Item = Picker> {
        self.rankings(&PickerOptions::default()).filter_map(Ranking::picker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "full",
            "random",
            "el2n",
            "metriq",
            "grand+metriq",
            "random+el2nq",
            "margin+uniform",
            "random+balanced",
            "full-short",
            "coreset",
            "facility-location+metriq",
            "random+coresetq",
            "predicted",
            "predicted:average-loss=0:pilots=1",
            "el2n+predicted:gain=1.5",
            "el2n+nucs",
            "random+nucs:margin",
            "cdb-w",
            "cdb-w:dynamic",
            "class-balanced:beta=0.99",
        ] {
            assert_eq!(name.parse::<Strategy>().unwrap().to_string(), name);
        }
        assert_eq!("random+metriq".parse::<Strategy>().unwrap(), Strategy::METRIQ);
        assert_eq!("random+from:el2n".parse::<Strategy>().unwrap().to_string(), "random+el2nq");
        assert_eq!("el2n+metriq".parse::<Strategy>().unwrap().label(), "EL2N + MetriQ");
        for bad in [
            "",
            "rand",
            "el2n+",
            "el2n+q",
            "full+metriq",
            "random+fullq",
            "cdb-w+metriq",
            "el2n+nucs:coreset",
        ] {
            assert!(bad.parse::<Strategy>().is_err(), "{bad}");
        }
    }
}
