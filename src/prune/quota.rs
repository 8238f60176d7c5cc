//! Class quotas: how many samples each class keeps.
//!
//! With class sizes N_k, recalls r_k and density d, every rule is water-filling with its own
//! weights: the share of class k is clamp(c w_k, l_k, N_k) with the one c that spends d N samples.
//!
//! | rule | w_k |
//! |---|---|
//! | metriq | (1 - r_k) N_k, that is d_k = min(1, c (1 - r_k)) |
//! | metriq-released | 1 - r_k |
//! | uniform | N_k |
//! | balanced | 1 |
//! | nucs | S_k N_k, S_k a difficulty given by the caller |
//! | from | counts given by the caller |
//! | densities | d_k N_k with densities given by the caller, such as those of [`predicted_densities`] |
//!
//! l_k is 0, or min(n, N_k) with a minimum n per class. Shares become counts by largest remainder.
//! Formula: Algorithm 1 of arXiv 2404.05579, in closed form; of nucs arXiv 2504.13234, whose budgets
//! b_k = d S_k N_k / T with T = sum_i S_i N_i / N are these until a class is full.
//!
//! Edge cases: if all recalls are equal, the quotas are uniform; if all are 1, they are uniform
//! too, with a warning. If some are 1, those classes keep nothing (or their minimum) until every
//! class with an error is full; what is then left is shared among them in proportion to N_k. Empty
//! classes keep 0, need no recall and take no part in the error ratio.
//!
//! [`predicted_densities`]: super::predicted_densities

use super::budget::Budget;
use super::fill::{Bin, water_fill};
use super::rounding::largest_remainder;
use super::warning::{ERROR_RATIO_LIMIT, FEW_VALIDATION_SAMPLES, Warning};
use crate::error::{Error, Result};

/// Where the weights of the classes come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum QuotaRule {
    /// Density proportional to the error: MetriQ (DRoP in later versions of the paper).
    #[default]
    Metriq,
    /// Count proportional to the error, as in the authors' released code. It equals
    /// [`QuotaRule::Metriq`] on balanced data only.
    MetriqReleased,
    /// The original class ratios.
    Uniform,
    /// The same count for every class; classes that are too small keep everything.
    Balanced,
    /// Density proportional to the difficulty of each class, finite and not negative: NUCS.
    /// [`super::class_difficulties`] makes difficulties of a score. If all are 0 the quotas are
    /// uniform.
    Nucs(Vec<f64>),
    /// Counts of another subset, one for each class, usually from [`super::strategy_counts`].
    From(Vec<usize>),
    /// Relative densities, one for each class: of [`super::predicted_densities`], or the caller's own.
    Densities(Vec<f64>),
}

impl QuotaRule {
    /// Returns the rule's name as people write it.
    pub fn name(&self) -> &'static str {
        match self {
            QuotaRule::Metriq => "metriq",
            QuotaRule::MetriqReleased => "metriq-released",
            QuotaRule::Uniform => "uniform",
            QuotaRule::Balanced => "balanced",
            QuotaRule::Nucs(_) => "nucs",
            QuotaRule::From(_) => "from",
            QuotaRule::Densities(_) => "densities",
        }
    }

    /// Whether the quotas depend on recalls.
    pub fn needs_recalls(&self) -> bool {
        matches!(self, QuotaRule::Metriq | QuotaRule::MetriqReleased)
    }
}

/// What is done to recalls before they are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Smoothing {
    /// Recalls are used as they are.
    #[default]
    None,
    /// (correct + 1) / (total + 2), with correct = r_k times the class's validation samples, so
    /// that recalls averaged over query runs can be used as well.
    Laplace,
}

/// A rule and its options.
#[derive(Clone, Debug, Default)]
pub struct QuotaOptions<'a> {
    /// The rule that gives the weights.
    pub rule: QuotaRule,
    /// Recall of each class on validation data; `None` for a class without validation samples. It
    /// may be empty for rules that use no recalls.
    pub recalls: &'a [Option<f64>],
    /// Validation samples behind each recall. Smoothing needs them; without them no warning about
    /// doubtful recalls is given.
    pub validation_sizes: Option<&'a [u64]>,
    /// Smoothing of the recalls.
    pub smoothing: Smoothing,
    /// Every class keeps at least this many samples, or all it has.
    pub min_per_class: Option<usize>,
}

/// Quotas of all classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Quotas {
    /// Samples each class keeps; they sum to round-half-up(d N).
    pub counts: Vec<usize>,
    /// Class densities d_k **before** rounding, in [0, 1]; 0 for empty classes. The density after
    /// rounding is `counts[k] / N_k`.
    pub densities: Vec<f64>,
    /// Findings, most general first.
    pub warnings: Vec<Warning>,
}

/// Computes the quotas of classes of the given `sizes` at `density`.
///
/// `seed` decides ties of the rounding only.
///
/// # Errors
/// [`Error::Invalid`], with the class where there is one: no samples, density outside [0, 1],
/// slices of different lengths, a recall that is missing, NaN or outside [0, 1], smoothing without
/// validation sizes, minimum counts above the budget, given counts that exceed a class or do not
/// sum to the budget, a difficulty that is negative or not finite.
pub fn quotas(
    sizes: &[usize],
    density: f64,
    options: &QuotaOptions<'_>,
    seed: u64,
) -> Result<Quotas> {
    let samples = sizes.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    let samples =
        samples.ok_or_else(|| Error::invalid("class sizes", "an overflow", "at most 2^40"))?;
    if samples == 0 {
        return Err(Error::invalid("class sizes", "no samples", "at least one"));
    }
    let budget = Budget::new(density, samples)?;
    check_recalls(sizes.len(), options)?;
    let recalls = recalls_to_use(sizes, options)?;
    let lower = minimum_counts(sizes, budget, options.min_per_class)?;

    let bins: Vec<Bin> = weights(sizes, &recalls, budget, &options.rule)?
        .into_iter()
        .zip(lower.iter().zip(sizes))
        .map(|(weight, (&lower, &size))| Bin { weight, lower: lower as f64, upper: size as f64 })
        .collect();
    let total = match options.rule {
        QuotaRule::From(_) => budget.count as f64,
        _ => budget.exact,
    };
    let shares = water_fill(&bins, total);
    let counts = largest_remainder(&shares, sizes, budget.count, seed)?;

    let density_of = |(share, &size): (&f64, &usize)| match size {
        0 => 0.0,
        _ => (share / size as f64).min(1.0),
    };
    let densities = shares.iter().zip(sizes).map(density_of).collect();
    let warnings = warnings(sizes, &counts, &recalls, options);
    Ok(Quotas { counts, densities, warnings })
}

/// Returns max (1 - r) / min (1 - r) over the classes that have samples and a recall. It is
/// infinite when some but not all recalls are 1, and `None` when all are or there is none.
pub fn error_ratio(sizes: &[usize], recalls: &[Option<f64>]) -> Option<f64> {
    extremes(sizes, recalls).map(|(ratio, _, _)| ratio)
}

/// Returns (error ratio, class of largest error, class of smallest error).
fn extremes(sizes: &[usize], recalls: &[Option<f64>]) -> Option<(f64, usize, usize)> {
    let known = sizes.iter().zip(recalls).enumerate();
    let errors = known.filter(|(_, (size, _))| **size > 0);
    let errors: Vec<(f64, usize)> =
        errors.filter_map(|(class, (_, r))| r.map(|r| (1.0 - r, class))).collect();
    let hardest = errors.iter().copied().min_by(|a, b| b.0.total_cmp(&a.0))?;
    let easiest = errors.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0))?;
    (hardest.0 > 0.0).then_some((hardest.0 / easiest.0, hardest.1, easiest.1))
}

fn check_recalls(classes: usize, options: &QuotaOptions<'_>) -> Result<()> {
    let same_length = |what: &str, found: usize| match found == classes {
        true => Ok(()),
        false => Err(Error::invalid(
            what,
            format!("{found} values"),
            format!("{classes}, one for each class size"),
        )),
    };
    if !options.recalls.is_empty() || options.rule.needs_recalls() {
        same_length("recalls", options.recalls.len())?;
    }
    if let Some(totals) = options.validation_sizes {
        same_length("validation sizes", totals.len())?;
    }
    for (class, recall) in options.recalls.iter().enumerate() {
        if let Some(r) = recall.filter(|r| !(0.0..=1.0).contains(r)) {
            let what = format!("recall of class {class}");
            return Err(Error::invalid(what, r.to_string(), "a number in [0, 1]"));
        }
    }
    Ok(())
}

/// Returns the recalls after smoothing, all known where the rule needs them and the class has
/// samples. The list is empty when the rule needs none.
fn recalls_to_use(sizes: &[usize], options: &QuotaOptions<'_>) -> Result<Vec<Option<f64>>> {
    if !options.rule.needs_recalls() {
        return Ok(Vec::new());
    }
    let recalls = match (options.smoothing, options.validation_sizes) {
        (Smoothing::None, _) => options.recalls.to_vec(),
        (Smoothing::Laplace, Some(totals)) => {
            let pairs = options.recalls.iter().zip(totals).enumerate();
            pairs.map(|(class, (&r, &n))| laplace(class, r, n).map(Some)).collect::<Result<_>>()?
        }
        (Smoothing::Laplace, None) => {
            return Err(Error::invalid(
                "laplace smoothing",
                "no validation sizes",
                "the number of validation samples of each class",
            ));
        }
    };
    for (class, (recall, &size)) in recalls.iter().zip(sizes).enumerate() {
        if recall.is_none() && size > 0 {
            return Err(Error::invalid(
                format!("recall of class {class}"),
                format!("none, though the class has {size} samples"),
                "a recall for every class that has samples (laplace smoothing also takes classes \
                 without validation samples)",
            ));
        }
    }
    Ok(recalls)
}

fn laplace(class: usize, recall: Option<f64>, total: u64) -> Result<f64> {
    let what = || format!("recall of class {class}");
    match (recall, total) {
        (None, 0) => Ok(0.5),
        (Some(r), n) if n > 0 => Ok((r * n as f64 + 1.0) / (n as f64 + 2.0)),
        (Some(r), _) => Err(Error::invalid(
            what(),
            format!("{r} on 0 validation samples"),
            "no recall where there is no validation sample",
        )),
        (None, n) => Err(Error::invalid(
            what(),
            format!("none on {n} validation samples"),
            "a recall where there are validation samples",
        )),
    }
}

fn minimum_counts(
    sizes: &[usize],
    budget: Budget,
    min_per_class: Option<usize>,
) -> Result<Vec<usize>> {
    let least = min_per_class.unwrap_or(0);
    let lower: Vec<usize> = sizes.iter().map(|&size| size.min(least)).collect();
    let needed: usize = lower.iter().sum();
    if needed > budget.count {
        return Err(Error::invalid(
            "minimum per class",
            format!("{least}, which takes {needed} samples over all classes"),
            format!("at most the {} samples that the density keeps", budget.count),
        ));
    }
    Ok(lower)
}

fn weights(
    sizes: &[usize],
    recalls: &[Option<f64>],
    budget: Budget,
    rule: &QuotaRule,
) -> Result<Vec<f64>> {
    // A class without recall is empty here, and an empty class takes nothing whatever its weight.
    let error = |r: &Option<f64>| r.map_or(0.0, |r| 1.0 - r);
    Ok(match rule {
        QuotaRule::Metriq => recalls.iter().zip(sizes).map(|(r, &n)| error(r) * n as f64).collect(),
        QuotaRule::MetriqReleased => recalls.iter().map(error).collect(),
        QuotaRule::Uniform => sizes.iter().map(|&n| n as f64).collect(),
        QuotaRule::Balanced => vec![1.0; sizes.len()],
        QuotaRule::Nucs(difficulties) => by_difficulty(sizes, difficulties)?,
        QuotaRule::From(counts) => {
            check_given_counts(sizes, counts, budget)?;
            counts.iter().map(|&n| n as f64).collect()
        }
        QuotaRule::Densities(densities) => {
            check_given_densities(sizes, densities)?;
            densities.iter().zip(sizes).map(|(d, &n)| d * n as f64).collect()
        }
    })
}

fn check_given_densities(sizes: &[usize], densities: &[f64]) -> Result<()> {
    if densities.len() != sizes.len() {
        let expected = format!("{}, one for each class size", sizes.len());
        return Err(Error::invalid("given densities", densities.len().to_string(), expected));
    }
    match densities.iter().position(|d| !(d.is_finite() && *d >= 0.0)) {
        None => Ok(()),
        Some(k) => {
            let what = format!("given density of class {k}");
            Err(Error::invalid(what, densities[k].to_string(), "a finite number, at least 0"))
        }
    }
}

/// Returns S_k N_k, with S_k as a share of the greatest so that no product overflows.
fn by_difficulty(sizes: &[usize], difficulties: &[f64]) -> Result<Vec<f64>> {
    if difficulties.len() != sizes.len() {
        return Err(Error::invalid(
            "difficulties of classes",
            format!("{} values", difficulties.len()),
            format!("{}, one for each class size", sizes.len()),
        ));
    }
    for (class, value) in difficulties.iter().enumerate() {
        if !(0.0..f64::INFINITY).contains(value) {
            let what = format!("difficulty of class {class}");
            return Err(Error::invalid(what, value.to_string(), "a finite number from 0 up"));
        }
    }
    let most = difficulties.iter().copied().fold(0.0, f64::max);
    let share = |s: f64| if most > 0.0 { s / most } else { 0.0 };
    Ok(difficulties.iter().zip(sizes).map(|(&s, &n)| share(s) * n as f64).collect())
}

fn check_given_counts(sizes: &[usize], counts: &[usize], budget: Budget) -> Result<()> {
    if counts.len() != sizes.len() {
        return Err(Error::invalid(
            "given counts",
            format!("{} values", counts.len()),
            format!("{}, one for each class size", sizes.len()),
        ));
    }
    if let Some(class) = (0..sizes.len()).find(|&class| counts[class] > sizes[class]) {
        return Err(Error::invalid(
            format!("given count of class {class}"),
            counts[class].to_string(),
            format!("at most its {} samples", sizes[class]),
        ));
    }
    let sum: usize = counts.iter().sum();
    if sum != budget.count {
        return Err(Error::invalid(
            "sum of the given counts",
            sum.to_string(),
            format!("the {} samples that the density keeps", budget.count),
        ));
    }
    Ok(())
}

fn warnings(
    sizes: &[usize],
    counts: &[usize],
    used: &[Option<f64>],
    options: &QuotaOptions<'_>,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let perfect = |class: &usize| used[*class] == Some(1.0) && sizes[*class] > 0;
    let perfect: Vec<usize> = (0..used.len()).filter(perfect).collect();
    if options.rule.needs_recalls() {
        if options.smoothing != Smoothing::None {
            found.push(Warning::Smoothed);
        }
        match extremes(sizes, used) {
            None => found.push(Warning::NoErrors),
            Some((ratio, hardest, easiest)) if ratio > ERROR_RATIO_LIMIT => {
                found.push(Warning::ErrorRatio { ratio, hardest, easiest });
            }
            Some(_) => {}
        }
    }
    // With a budget of 0, or no errors at all, it is not the recall that leaves a class empty.
    if counts.iter().any(|&n| n > 0) && !found.contains(&Warning::NoErrors) {
        let classes: Vec<usize> = perfect.iter().copied().filter(|&k| counts[k] == 0).collect();
        if !classes.is_empty() {
            found.push(Warning::KeepsNothing { classes });
        }
    }
    if let Some(totals) = options.validation_sizes {
        let few = perfect.iter().map(|&class| (class, totals[class]));
        let classes: Vec<(usize, u64)> = few.filter(|f| f.1 < FEW_VALIDATION_SAMPLES).collect();
        if !classes.is_empty() {
            found.push(Warning::DoubtfulRecall { classes });
        }
    }
    found.extend(Warning::few_samples(counts, sizes));
    found
}
