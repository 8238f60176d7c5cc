//! By which score NUCS weighs classes.

use super::evidence::QueryData;
use super::name::{Choice, Quota, QuotaSettings, Ranking, Strategy};
use super::picker::{Idle, PickerOptions};
use crate::error::{Error, Result};
use crate::prune::{Population, WINSOR, class_difficulties};
use crate::score::Method;

/// The difficulty of samples that nothing ranks by a score.
const DEFAULT: Method = Method::El2n;

impl Quota {
    /// Reads `nucs:SCORE`.
    pub(super) fn nucs_by(name: &str) -> Result<Quota> {
        let score = name.strip_prefix("nucs:").and_then(|score| score.parse().ok());
        match score {
            Some(score @ (Ranking::Score(_) | Ranking::Given)) => Ok(Quota::Nucs(Some(score))),
            _ => {
                let expected = format!("nucs: and a score ({}, or given)", Method::names());
                Err(Error::invalid("quota", name, expected))
            }
        }
    }
}

impl Ranking {
    /// The score that says how hard samples are where NUCS is given no other: the one that ranks
    /// them, the one that their method of selection starts from, or else EL2N.
    pub(super) fn difficulty(self, options: &PickerOptions) -> Ranking {
        match self {
            Ranking::Score(_) | Ranking::Given => self,
            Ranking::Picks(picker) => Ranking::Score(picker.base(options).unwrap_or(DEFAULT)),
            Ranking::Random => Ranking::Score(DEFAULT),
        }
    }
}

impl Strategy {
    /// The score that says how hard classes are, where its quotas are those of NUCS.
    pub fn difficulty(self, options: &PickerOptions) -> Option<Ranking> {
        match self {
            Strategy::Pruned { ranking, quota: Quota::Nucs(named) } => {
                Some(named.unwrap_or(ranking.difficulty(options)))
            }
            _ => None,
        }
    }
}

impl QuotaSettings {
    /// The fraction of each end of a class that NUCS winsorises.
    pub fn winsor(&self) -> f64 {
        self.winsor.unwrap_or(WINSOR)
    }

    /// The fraction where it is not the usual one, as identities of results state it: those from
    /// before it could be chosen stay valid.
    pub fn own_winsor(&self) -> Option<f64> {
        Some(self.winsor()).filter(|&fraction| fraction != WINSOR)
    }

    /// The fraction, where it is set and does nothing to `quotas`.
    pub fn idle(&self, mut quotas: impl Iterator<Item = Quota>) -> Option<Idle> {
        let used = quotas.any(|q| matches!(q, Quota::Nucs(_)));
        let about = "quotas of nucs, which are not asked for".to_owned();
        (self.winsor.is_some() && !used).then_some(Idle { setting: "winsor", about })
    }
}

impl QueryData {
    /// The difficulty of each class or group that a strategy's quotas are made of; its score must be
    /// there.
    pub(super) fn difficulties(
        &self,
        strategy: Strategy,
        population: Population,
        choice: &Choice,
    ) -> Result<Vec<f64>> {
        let score = strategy.difficulty(&choice.pickers).ok_or_else(|| {
            Error::Internal(format!("the quotas of {strategy} are not made of difficulties"))
        })?;
        class_difficulties(population, self.score(score)?, choice.quotas.winsor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(name: &str, options: &PickerOptions) -> Vec<Method> {
        name.parse::<Strategy>().unwrap().methods(options).into_iter().collect()
    }

    #[test]
    fn the_difficulty_is_the_ranking_s_own_unless_it_is_named() {
        let default = PickerOptions::default();
        assert_eq!(methods("margin+nucs", &default), [Method::Margin]);
        assert_eq!(methods("random+nucs", &default), [Method::El2n]);
        assert_eq!(methods("coreset+nucs", &default), [Method::El2n]);
        assert_eq!(methods("ccs+nucs", &default), [Method::Aum]);
        let loss = PickerOptions { base: Some(Method::Loss), ..default };
        assert_eq!(methods("ccs+nucs", &loss), [Method::Loss, Method::Aum]);
        assert_eq!(methods("random+nucs:aum", &default), [Method::Aum]);
        assert_eq!(methods("el2n+nucs:loss", &default), [Method::El2n, Method::Loss]);
        let given: Strategy = "random+nucs:given".parse().unwrap();
        assert!(given.uses_given() && !given.needs_recalls());
        assert!("given+nucs".parse::<Strategy>().unwrap().uses_given());
        let message = "random+nucs:coreset".parse::<Strategy>().unwrap_err().to_string();
        assert!(message.contains("nucs:coreset") && message.contains("el2n"), "{message}");
    }

    #[test]
    fn a_hard_class_keeps_more_and_outliers_are_winsorised() {
        // 20 samples a class; class 1 is twice as hard, and one sample of class 0 is an outlier.
        let labels: Vec<u32> = (0..40).map(|i| i / 20).collect();
        let eligible: Vec<usize> = (0..40).collect();
        let population = Population { labels: &labels, eligible: &eligible, classes: 2 };
        let mut values: Vec<f64> = labels.iter().map(|&k| f64::from(k + 1)).collect();
        values[7] = 1000.0;
        let scores = [(Method::El2n, values)].into_iter().collect();
        let query = QueryData { scores, ..QueryData::default() };
        let counts = |name: &str, winsor| {
            let quotas = QuotaSettings { winsor, ..QuotaSettings::default() };
            let choice = Choice { quotas, ..Choice::default() };
            let strategy: Strategy = name.parse().unwrap();
            strategy.subset(population, 0.3, 5, &query, &choice).unwrap().counts
        };
        assert_eq!(counts("random+nucs", None), [4, 8]);
        assert_eq!(counts("el2n+nucs", Some(0.05)), [4, 8]);
        // As a plain mean the outlier makes class 0 the hard one.
        assert_eq!(counts("random+nucs:el2n", Some(0.0)), [12, 0]);
    }
}
