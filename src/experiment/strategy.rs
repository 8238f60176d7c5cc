//! Strategy x quota: which samples to prefer, and how many of each class.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::query::QueryData;
use crate::error::{Error, Result};
use crate::prune::{
    Order, Population, QuotaOptions, QuotaRule, Selection, Smoothing, Subset, select,
    strategy_counts,
};
use crate::score::Method;

/// Which samples are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    Random,
    Score(Method),
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
    /// The class counts of another ranking's own pruned set.
    From(Ranking),
}

/// A way of pruning, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Full,
    Pruned { ranking: Ranking, quota: Quota },
}

/// Options of quotas that use recalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaSettings {
    pub laplace: bool,
    pub min_per_class: Option<usize>,
}

impl FromStr for Ranking {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name == "random" {
            return Ok(Ranking::Random);
        }
        if name == "given" {
            return Ok(Ranking::Given);
        }
        name.parse().map(Ranking::Score).map_err(|_| {
            Error::invalid("strategy", name, format!("random or a score: {}", Method::names()))
        })
    }
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Ranking::Random => f.write_str("random"),
            Ranking::Score(method) => f.write_str(method.name()),
            Ranking::Given => f.write_str("given"),
        }
    }
}

impl Ranking {
    /// The score, if it is one.
    pub fn method(self) -> Option<Method> {
        match self {
            Ranking::Random | Ranking::Given => None,
            Ranking::Score(method) => Some(method),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Ranking::Random => "Random",
            Ranking::Score(method) => method.label(),
            Ranking::Given => "Given score",
        }
    }
}

impl FromStr for Quota {
    type Err = Error;

    /// `none`, `metriq`, `metriq-released`, `uniform`, `balanced`, `from:STRATEGY`, or `STRATEGYq`.
    fn from_str(name: &str) -> Result<Self> {
        let other = name.strip_prefix("from:").or_else(|| name.strip_suffix('q'));
        match (name, other.map(str::parse)) {
            ("none", _) => Ok(Quota::None),
            ("metriq" | "drop", _) => Ok(Quota::Metriq),
            ("metriq-released", _) => Ok(Quota::MetriqReleased),
            ("uniform", _) => Ok(Quota::Uniform),
            ("balanced", _) => Ok(Quota::Balanced),
            (_, Some(Ok(ranking))) => Ok(Quota::From(ranking)),
            _ => {
                let expected = "none, metriq, metriq-released, uniform, balanced or from:STRATEGY";
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
            Quota::From(ranking) => write!(f, "from:{ranking}"),
        }
    }
}

impl FromStr for Strategy {
    type Err = Error;

    /// `full`, `RANKING`, `metriq` (Random + MetriQ) or `RANKING+QUOTA`.
    fn from_str(name: &str) -> Result<Self> {
        match name.split_once('+') {
            None if name == "full" => Ok(Strategy::Full),
            None if name == "metriq" || name == "drop" => {
                Ok(Strategy::Pruned { ranking: Ranking::Random, quota: Quota::Metriq })
            }
            None => Ok(Strategy::Pruned { ranking: name.parse()?, quota: Quota::None }),
            Some((ranking, quota)) => {
                Ok(Strategy::Pruned { ranking: ranking.parse()?, quota: quota.parse()? })
            }
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Strategy::Full => f.write_str("full"),
            Strategy::Pruned { ranking: Ranking::Random, quota: Quota::Metriq } => {
                f.write_str("metriq")
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
            Strategy::Pruned { ranking, quota } => {
                let quota = match quota {
                    Quota::None => return ranking.label().to_owned(),
                    Quota::Metriq => "MetriQ".to_owned(),
                    Quota::MetriqReleased => "MetriQ (released)".to_owned(),
                    Quota::Uniform => "uniform".to_owned(),
                    Quota::Balanced => "balanced".to_owned(),
                    Quota::From(other) => format!("{}Q", other.label()),
                };
                format!("{} + {quota}", ranking.label())
            }
        }
    }

    /// Its quota rule, as in files.
    pub fn quota(self) -> Quota {
        match self {
            Strategy::Full => Quota::None,
            Strategy::Pruned { quota, .. } => quota,
        }
    }

    /// Whether its quotas follow from class recalls.
    pub fn needs_recalls(self) -> bool {
        matches!(self.quota(), Quota::Metriq | Quota::MetriqReleased)
    }

    /// The score that ranks the samples, if one does.
    pub fn ranking_method(self) -> Option<Method> {
        match self {
            Strategy::Full => None,
            Strategy::Pruned { ranking, .. } => ranking.method(),
        }
    }

    /// Whether it needs a score that another program computed.
    pub fn uses_given(self) -> bool {
        match self {
            Strategy::Full => false,
            Strategy::Pruned { ranking, quota } => {
                ranking == Ranking::Given || quota == Quota::From(Ranking::Given)
            }
        }
    }

    /// The scores it needs.
    pub fn methods(self) -> BTreeSet<Method> {
        let other = match self.quota() {
            Quota::From(other) => other.method(),
            _ => None,
        };
        self.ranking_method().into_iter().chain(other).collect()
    }

    /// The subset it keeps at `density`.
    pub fn subset(
        self,
        population: Population,
        density: f64,
        seed: u64,
        query: &QueryData,
        settings: QuotaSettings,
    ) -> Result<Subset> {
        let (ranking, quota) = match self {
            Strategy::Full => (Ranking::Random, Quota::None),
            Strategy::Pruned { ranking, quota } => (ranking, quota),
        };
        let density = if self == Strategy::Full { 1.0 } else { density };
        let rule = match quota {
            Quota::None => None,
            Quota::Metriq => Some(QuotaRule::Metriq),
            Quota::MetriqReleased => Some(QuotaRule::MetriqReleased),
            Quota::Uniform => Some(QuotaRule::Uniform),
            Quota::Balanced => Some(QuotaRule::Balanced),
            Quota::From(other) => {
                let order = query.order(other)?;
                Some(QuotaRule::From(strategy_counts(population, order, density, seed)?))
            }
        };
        let recalls_of = query.recalls_of(ranking.method());
        let recalls = recalls_of.mean();
        let options = rule.map(|rule| {
            let smooth = settings.laplace && rule.needs_recalls();
            QuotaOptions {
                rule,
                recalls: &recalls,
                validation_sizes: recalls_of.validation_sizes.as_deref(),
                smoothing: if smooth { Smoothing::Laplace } else { Smoothing::None },
                min_per_class: settings.min_per_class,
            }
        });
        select(
            population,
            &Selection { order: query.order(ranking)?, quota: options, density, seed },
        )
    }
}

impl QueryData {
    /// The order of a ranking; its score must be there.
    pub fn order(&self, ranking: Ranking) -> Result<Order<'_>> {
        match ranking {
            Ranking::Random => Ok(Order::Random),
            Ranking::Score(method) => {
                let values = self.scores.get(&method).ok_or_else(|| {
                    let known: Vec<&str> = self.scores.keys().map(|m| m.name()).collect();
                    let found =
                        if known.is_empty() { "no scores".to_owned() } else { known.join(", ") };
                    Error::invalid("scores", found, format!("{method} among them"))
                })?;
                Ok(Order::Score { values, direction: method.direction() })
            }
            Ranking::Given => match &self.given {
                Some((values, direction)) => Ok(Order::Score { values, direction: *direction }),
                None => {
                    let expected = "a file of scores: `fairprune prune --scores FILE`";
                    Err(Error::invalid("strategy given", "no given scores", expected))
                }
            },
        }
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
        ] {
            assert_eq!(name.parse::<Strategy>().unwrap().to_string(), name);
        }
        assert_eq!("random+metriq".parse::<Strategy>().unwrap(), Strategy::METRIQ);
        assert_eq!("random+from:el2n".parse::<Strategy>().unwrap().to_string(), "random+el2nq");
        assert_eq!("el2n+metriq".parse::<Strategy>().unwrap().label(), "EL2N + MetriQ");
        for bad in ["", "rand", "el2n+", "el2n+q", "full+metriq", "random+fullq"] {
            assert!(bad.parse::<Strategy>().is_err(), "{bad}");
        }
    }
}
