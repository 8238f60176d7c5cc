//! The samples that a strategy keeps.

use super::evidence::{QueryData, Recalls};
use super::name::{Choice, Quota, QuotaSettings, Ranking, Strategy};
use super::picker::{Asked, PickerOptions};
use super::predicted::PredictedQuota;
use crate::error::{Error, Result};
use crate::prune::{
    Order, Picks, Population, PredictedDensities, QuotaOptions, QuotaRule, Score, Selection,
    Smoothing, Subset, Wanted, Warning, forecast, predicted_densities, select, strategy_counts,
};
use crate::score::Method;

impl Strategy {
    /// The subset it keeps at `density`.
    pub fn subset(
        self,
        population: Population,
        density: f64,
        seed: u64,
        query: &QueryData,
        choice: &Choice,
    ) -> Result<Subset> {
        self.subset_of_picks(population, density, seed, query, choice, None)
    }

    /// The same, where a method that picks picked `picks` before: nothing is picked again.
    pub fn subset_of_picks(
        self,
        population: Population,
        density: f64,
        seed: u64,
        query: &QueryData,
        choice: &Choice,
        picks: Option<Picks>,
    ) -> Result<Subset> {
        let (ranking, quota) = match self {
            Strategy::Full | Strategy::Short | Strategy::Baseline(_) => {
                (Ranking::Random, Quota::None)
            }
            Strategy::Pruned { ranking, quota } => (ranking, quota),
        };
        let density = if matches!(self, Strategy::Pruned { .. }) { density } else { 1.0 };
        let settings = choice.quotas;
        let recalls_of = query.recalls_of(ranking.recalls_of(&choice.pickers));
        let mut predicted = None;
        let rule = match quota {
            Quota::None => None,
            Quota::Predicted(quota) => {
                let found = recalls_of.densities(quota, population, density, settings)?;
                let rule = QuotaRule::Densities(found.densities.clone());
                predicted = Some(found);
                Some(rule)
            }
            Quota::Metriq => Some(QuotaRule::Metriq),
            Quota::MetriqReleased => Some(QuotaRule::MetriqReleased),
            Quota::Uniform => Some(QuotaRule::Uniform),
            Quota::Balanced => Some(QuotaRule::Balanced),
            Quota::Nucs(_) => Some(QuotaRule::Nucs(query.difficulties(self, population, choice)?)),
            Quota::From(other) => {
                let order = query.order(other, population, density, None, seed, &choice.pickers)?;
                Some(QuotaRule::From(strategy_counts(population, order.as_order(), density, seed)?))
            }
        };
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
        let order = match (ranking, picks) {
            (Ranking::Picks(_), Some(picks)) => Ordering::Picked(picks),
            _ => query.order(
                ranking,
                population,
                density,
                options.as_ref(),
                seed,
                &choice.pickers,
            )?,
        };
        let selection = Selection { order: order.as_order(), quota: options, density, seed };
        let mut subset = select(population, &selection)?;
        // Exactly the wanted samples were picked.
        subset.picks = order.into_picks();
        if let (Some(rows), true) = (&recalls_of.rows, quota != Quota::None) {
            let options = self.predicted().unwrap_or_default().options(recalls_of.gain);
            let forecast = forecast(rows, &subset.densities, options.gain, seed)?;
            subset.warnings.extend(Warning::lowers_worst(&forecast));
            subset.forecast = Some(forecast);
        }
        subset.predicted = predicted;
        Ok(subset)
    }
}

impl Recalls {
    /// The densities of the quota `predicted`.
    fn densities(
        &self,
        quota: PredictedQuota,
        population: Population,
        density: f64,
        settings: QuotaSettings,
    ) -> Result<PredictedDensities> {
        let what = || format!("`quota` {quota}");
        let Some(rows) = &self.rows else {
            let expected =
                "query runs over classes, whose answers for each validation sample it needs";
            return Err(Error::invalid(what(), "no validation predictions", expected));
        };
        if quota.pilots > 0 && self.gain.is_none() {
            let expected = "`run` or `study`, which train pilots; or no pilots";
            return Err(Error::invalid(what(), "no pilots", expected));
        }
        let options = quota.options(self.gain);
        predicted_densities(rows, &population.sizes()?, density, settings.min_per_class, options)
    }
}

/// How samples are ordered, with what was made for it.
pub enum Ordering<'a> {
    /// Nothing was.
    Known(Order<'a>),
    Picked(Picks),
}

impl Ordering<'_> {
    /// As the selection takes it.
    pub fn as_order(&self) -> Order<'_> {
        match self {
            Ordering::Known(order) => *order,
            Ordering::Picked(picks) => Order::Picked(&picks.order),
        }
    }

    fn into_picks(self) -> Option<Picks> {
        match self {
            Ordering::Known(_) => None,
            Ordering::Picked(picks) => Some(picks),
        }
    }
}

impl QueryData {
    /// The order of a ranking, for a subset of this density under these quotas; its scores, features
    /// and predictions must be there.
    pub fn order(
        &self,
        ranking: Ranking,
        population: Population,
        density: f64,
        quotas: Option<&QuotaOptions>,
        seed: u64,
        options: &PickerOptions,
    ) -> Result<Ordering<'_>> {
        match ranking {
            Ranking::Random => Ok(Ordering::Known(Order::Random)),
            Ranking::Score(_) | Ranking::Given => {
                let Score { values, direction } = self.score(ranking)?;
                Ok(Ordering::Known(Order::Score { values, direction }))
            }
            Ranking::Picks(picker) => {
                let wanted = Wanted::new(population, density, quotas, seed)?;
                let quotas = quotas.is_some();
                let asked = Asked { population, wanted: &wanted, quotas, seed };
                let picks = self.material.pick(picker, options, asked, |m| self.values(m))?;
                Ok(Ordering::Picked(picks))
            }
        }
    }

    /// The values of a ranking that is a score, and which end of them is hard.
    pub(super) fn score(&self, ranking: Ranking) -> Result<Score<'_>> {
        match (ranking, &self.given) {
            (Ranking::Score(method), _) => {
                Ok(Score { values: self.values(method)?, direction: method.direction() })
            }
            (Ranking::Given, Some((values, direction))) => {
                Ok(Score { values, direction: *direction })
            }
            (Ranking::Given, None) => {
                let expected = "a file of scores: `fairprune prune --scores FILE`";
                Err(Error::invalid("strategy given", "no given scores", expected))
            }
            _ => Err(Error::Internal(format!("{ranking} is no score"))),
        }
    }

    fn values(&self, method: Method) -> Result<&[f64]> {
        self.scores.get(&method).map(Vec::as_slice).ok_or_else(|| {
            let known: Vec<&str> = self.scores.keys().map(|m| m.name()).collect();
            let found = if known.is_empty() { "no scores".to_owned() } else { known.join(", ") };
            Error::invalid("scores", found, format!("{method} among them"))
        })
    }
}
