//! Strategies and quotas put together: which samples a subset keeps.
//!
//! | strategy | [`Selection::order`] | [`Selection::quota`] |
//! |---|---|---|
//! | Random | `Order::Random` | none |
//! | a score (EL2N, GraNd, ...) | `Order::Score` | none: its global ranking |
//! | Random + MetriQ | `Order::Random` | `QuotaRule::Metriq` |
//! | score + MetriQ | `Order::Score` | `QuotaRule::Metriq` |
//! | Random + quotas of a score | `Order::Random` | `QuotaRule::From(strategy_counts(..))` |
//! | Random + predicted | `Order::Random` | `QuotaRule::Densities(predicted_densities(..))` |
//! | uniform, balanced | any | `QuotaRule::Uniform`, `QuotaRule::Balanced` |
//! | a method of [`super::Selector`] | `Order::Picked` of [`super::pick`] | any |
//!
//! A subset is a prefix of one fixed ranking, of the whole set or inside each class. Subsets of
//! growing density nest exactly without quotas, and up to one sample of each class with quotas
//! (largest remainder may take one back).

use super::budget::Budget;
use super::pick::Picks;
use super::population::Population;
use super::predict::{PredictedDensities, QuotaForecast};
use super::quota::{QuotaOptions, Quotas, quotas};
use super::rank::{Order, ranking};
use super::warning::Warning;
use crate::error::{Error, Result};

/// What to keep of a population.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// Which samples come first.
    pub order: Order<'a>,
    /// How many of each class, or `None` for one ranking over all classes.
    pub quota: Option<QuotaOptions<'a>>,
    /// Kept fraction of the eligible samples, in (0, 1].
    pub density: f64,
    /// Seed of the random order, of ties of scores and of ties of rounding, each from its own
    /// stream.
    pub seed: u64,
}

/// A kept subset.
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    /// Kept positions in the original training set, ascending.
    pub kept: Vec<usize>,
    /// Eligible samples of each class, N_k.
    pub sizes: Vec<usize>,
    /// Kept samples of each class.
    pub counts: Vec<usize>,
    /// Kept fraction of each class, counts / sizes; 0 for empty classes.
    pub densities: Vec<f64>,
    /// The class densities that the quota rule asked for, before rounding; `None` without quotas.
    pub quota_densities: Option<Vec<f64>>,
    /// The kept samples in the order in which a method picked them, with their weights; `None`
    /// where no method picked.
    pub picks: Option<Picks>,
    /// What the quotas are predicted to do; None where no validation rows tell.
    pub forecast: Option<QuotaForecast>,
    /// What the rule of predicted quotas chose, where it made them.
    pub predicted: Option<PredictedDensities>,
    /// Findings that a user should see.
    pub warnings: Vec<Warning>,
}

impl Subset {
    /// Returns the number of kept samples.
    pub fn total(&self) -> usize {
        self.kept.len()
    }

    /// Returns one flag for each of the `len` samples of the original training set.
    ///
    /// # Errors
    /// A kept position is not below `len`.
    pub fn mask(&self, len: usize) -> Result<Vec<bool>> {
        let mut mask = vec![false; len];
        for &position in &self.kept {
            let flag = mask.get_mut(position).ok_or_else(|| {
                Error::invalid("kept position", position.to_string(), format!("below {len}"))
            })?;
            *flag = true;
        }
        Ok(mask)
    }
}

/// Returns the subset that `selection` keeps of `population`.
///
/// # Errors
/// [`Error::Invalid`]: what [`Population::sizes`], [`ranking`] and [`quotas`] refuse, a density
/// that keeps no sample at all, and picks that do not fill the budget.
pub fn select(population: Population<'_>, selection: &Selection<'_>) -> Result<Subset> {
    let sizes = population.sizes()?;
    let budget = Budget::new(selection.density, population.eligible.len())?;
    if budget.count == 0 {
        return Err(Error::invalid(
            "density",
            format!("{}, no sample of {}", selection.density, population.eligible.len()),
            "a density that keeps at least one sample",
        ));
    }
    let quota = selection
        .quota
        .as_ref()
        .map(|options| quotas(&sizes, selection.density, options, selection.seed))
        .transpose()?;
    let ranked = ranking(population.eligible, selection.order, selection.seed)?;

    let class_of = |position: usize| population.labels[position] as usize;
    let mut counts = vec![0; sizes.len()];
    let mut kept = Vec::with_capacity(budget.count);
    for position in ranked {
        let count = &mut counts[class_of(position)];
        let open = match &quota {
            Some(quota) => *count < quota.counts[class_of(position)],
            None => kept.len() < budget.count,
        };
        if open {
            *count += 1;
            kept.push(position);
        }
    }
    if kept.len() < budget.count {
        return Err(Error::invalid(
            "picks",
            format!("{} that the quotas leave room for", kept.len()),
            format!("the {} samples that the density keeps", budget.count),
        ));
    }
    kept.sort_unstable();

    let densities = counts.iter().zip(&sizes).map(|(&n, &size)| n as f64 / size.max(1) as f64);
    let densities = densities.collect();
    let (quota_densities, warnings) = match quota {
        Some(Quotas { densities, warnings, .. }) => (Some(densities), warnings),
        None => (None, Warning::few_samples(&counts, &sizes).into_iter().collect()),
    };
    Ok(Subset {
        kept,
        sizes,
        counts,
        densities,
        quota_densities,
        picks: None,
        forecast: None,
        predicted: None,
        warnings,
    })
}

/// Returns the class counts of the subset that `order` keeps without quotas: what
/// [`QuotaRule::From`] takes.
///
/// [`QuotaRule::From`]: super::QuotaRule::From
///
/// # Errors
/// Fails as [`select`] does.
pub fn strategy_counts(
    population: Population<'_>,
    order: Order<'_>,
    density: f64,
    seed: u64,
) -> Result<Vec<usize>> {
    let selection = Selection { order, quota: None, density, seed };
    select(population, &selection).map(|subset| subset.counts)
}
