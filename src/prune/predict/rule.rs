//! Class densities of the best predicted worst class.
//!
//! The rule maximises the smooth minimum of the predicted recalls plus lambda times their mean, over
//! densities in (0, 1] that spend the budget. lambda is the smallest of a short list for which the mean
//! recall is predicted to fall by no more than it may, compared with equal densities; where there is none,
//! these are taken.
//!
//! Validation recalls are noisy, and a maximum over noise promises too much. The validation samples are
//! therefore cut in four folds: densities are chosen without each fold and judged on it. The geometric
//! mean of the four is shrunk towards equal densities by the factor that does best in this judgement,
//! down to equal densities where nothing is predicted to help. With two folds each choice would know
//! half of the samples, so that the factor would be one for far noisier densities than their mean.

use super::ascent::{Allowed, Goal, climb};
use super::prediction::predict;
use super::rows::{ValidationRows, check_gain};
use super::soft::SoftRows;
use crate::error::{Error, Result};
use crate::prune::budget::Budget;

/// Weights of the mean recall that are tried, least first.
const LAMBDAS: [f64; 9] = [0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// Parts of the chosen log densities that are tried.
const SHRINKAGES: [f64; 9] = [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0];

/// Parts that the validation samples are cut into.
const FOLDS: usize = 4;

/// Probabilities that one ascent looks at: of more, rows are left out evenly.
const MOST_VALUES: usize = 1 << 25;

/// Options of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleOptions {
    /// g of [`predict`].
    pub gain: f64,
    /// How much the mean recall may be predicted to fall, compared with equal densities.
    pub average_loss: f64,
}

impl Default for RuleOptions {
    fn default() -> Self {
        RuleOptions { gain: super::DEFAULT_GAIN, average_loss: 0.01 }
    }
}

/// What the rule chose.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedDensities {
    /// d_k in [0, 1], with sum_k N_k d_k = d N; 0 for empty classes.
    pub densities: Vec<f64>,
    /// Weight of the mean recall.
    pub lambda: f64,
    /// Part of the log densities that was kept; 0 is equal densities.
    pub shrinkage: f64,
    /// Lowest and mean recall that are predicted where each fold judges the densities that were chosen
    /// without it, less those of equal densities.
    pub judged: (f64, f64),
}

/// Chooses densities for classes of the given `sizes`. `min_per_class`: every class keeps at least this
/// many samples, or all it has.
///
/// # Errors
/// Sizes that do not fit the rows; a class with samples but fewer than two validation samples; minimum
/// counts above the budget; options out of range.
pub fn predicted_densities(
    rows: &ValidationRows,
    sizes: &[usize],
    density: f64,
    min_per_class: Option<usize>,
    options: RuleOptions,
) -> Result<PredictedDensities> {
    check(rows, sizes, options)?;
    let samples: usize = sizes.iter().sum();
    let budget = Budget::new(density, samples)?;
    let lower: Vec<f64> = sizes.iter().map(|&n| n.min(min_per_class.unwrap_or(0)) as f64).collect();
    if lower.iter().sum::<f64>() > budget.exact {
        let found = format!("{} samples over all classes", lower.iter().sum::<f64>());
        let expected = format!("at most the {} that the density keeps", budget.exact);
        return Err(Error::invalid("minimum per class", found, expected));
    }
    let allowed = Allowed { sizes: sizes.to_vec(), lower, total: budget.exact };
    let gain = options.gain;
    let folds = folds(rows);
    let soft = |chosen: &[usize]| SoftRows::new(rows, &thinned(rows, chosen), gain);
    let others: Vec<SoftRows> = (0..FOLDS).map(|fold| soft(&without(&folds, fold))).collect();
    let judges: Vec<SoftRows> = folds.iter().map(|fold| soft(fold)).collect();
    let equal = allowed.equal();
    let on_equal = judge(rows, &folds, &vec![equal.clone(); FOLDS], gain)?;
    let densities = |x: &[f64]| -> Vec<f64> {
        let density = |(&x, &n): (&f64, &usize)| if n > 0 { libm::exp(x).min(1.0) } else { 0.0 };
        x.iter().zip(sizes).map(density).collect()
    };
    for lambda in LAMBDAS {
        let goal = Goal { average: lambda };
        let ends: Vec<Vec<f64>> = others.iter().map(|rows| climb(rows, &allowed, goal)).collect();
        let shrunk = |x: &[f64], part: f64| {
            let mixed = x.iter().zip(&equal).map(|(x, e)| part * x + (1.0 - part) * e);
            allowed.project(&mixed.collect::<Vec<f64>>())
        };
        // Judged by the smooth goal, which is less noisy than counted recalls.
        let worth = |part: f64| -> f64 {
            let on = |(judge, x): (&SoftRows, &Vec<f64>)| {
                goal.value(&judge.recalls(&shrunk(x, part)).0, &judge.weights).0
            };
            judges.iter().zip(&ends).map(on).sum()
        };
        // The largest part of several that are worth as much.
        let best = SHRINKAGES.into_iter().map(|part| (worth(part), part));
        let (_, part) = best.fold((f64::NEG_INFINITY, 1.0), |a, b| if b.0 > a.0 { b } else { a });
        let of_folds: Vec<Vec<f64>> = ends.iter().map(|x| shrunk(x, part)).collect();
        let on = judge(rows, &folds, &of_folds, gain)?;
        if on.1 < on_equal.1 - options.average_loss {
            continue;
        }
        let mean: Vec<f64> = (0..sizes.len())
            .map(|k| ends.iter().map(|x| x[k]).sum::<f64>() / FOLDS as f64)
            .collect();
        return Ok(PredictedDensities {
            densities: densities(&shrunk(&mean, part)),
            lambda,
            shrinkage: part,
            judged: (on.0 - on_equal.0, on.1 - on_equal.1),
        });
    }
    // Equal densities cost nothing.
    let [.., lambda] = LAMBDAS;
    let densities = densities(&equal);
    Ok(PredictedDensities { densities, lambda, shrinkage: 0.0, judged: (0.0, 0.0) })
}

fn check(rows: &ValidationRows, sizes: &[usize], options: RuleOptions) -> Result<()> {
    check_gain(options.gain)?;
    if !(0.0..=1.0).contains(&options.average_loss) {
        let found = options.average_loss.to_string();
        return Err(Error::invalid("`average_loss`", found, "a number in [0, 1]"));
    }
    if sizes.len() != rows.classes() {
        let expected = format!("{}, one for each class", rows.classes());
        return Err(Error::invalid("class sizes", sizes.len().to_string(), expected));
    }
    let mut samples = vec![0u32; sizes.len()];
    let mut seen = vec![false; rows.samples.len()];
    for (&sample, &label) in rows.samples.iter().zip(&rows.labels) {
        samples[label as usize] += u32::from(!std::mem::replace(&mut seen[sample as usize], true));
    }
    let poor = (0..sizes.len()).find(|&k| sizes[k] > 0 && samples[k] < 2);
    match poor {
        None => Ok(()),
        Some(k) => {
            let what = format!("validation samples of class {k}");
            let expected = "at least 2: the rule judges on samples that it did not choose by";
            Err(Error::invalid(what, samples[k].to_string(), expected))
        }
    }
}

/// The rows of the folds, alike in every class: samples go to them in turn, with all their rows.
fn folds(rows: &ValidationRows) -> Vec<Vec<usize>> {
    let mut fold_of: Vec<Option<usize>> = vec![None; rows.samples.len()];
    let mut next = vec![0; rows.classes()];
    let mut folds = vec![Vec::new(); FOLDS];
    for (i, (&sample, &label)) in rows.samples.iter().zip(&rows.labels).enumerate() {
        let next = &mut next[label as usize];
        let fold = *fold_of[sample as usize].get_or_insert_with(|| {
            *next = (*next + 1) % FOLDS;
            (*next + FOLDS - 1) % FOLDS
        });
        folds[fold].push(i);
    }
    folds
}

/// The rows of all folds but one, ascending.
fn without(folds: &[Vec<usize>], left_out: usize) -> Vec<usize> {
    let others = folds.iter().enumerate().filter(|(fold, _)| *fold != left_out);
    let mut rows: Vec<usize> = others.flat_map(|(_, rows)| rows.iter().copied()).collect();
    rows.sort_unstable();
    rows
}

/// Every n-th of the rows of each class, the first included, so that [`MOST_VALUES`] holds.
fn thinned(rows: &ValidationRows, chosen: &[usize]) -> Vec<usize> {
    let every = (chosen.len() * rows.classes()).div_ceil(MOST_VALUES).max(1);
    let mut seen = vec![0usize; rows.classes()];
    let keep = |i: &usize| {
        let seen = &mut seen[rows.labels[*i] as usize];
        *seen += 1;
        (*seen - 1).is_multiple_of(every)
    };
    chosen.iter().copied().filter(keep).collect()
}

/// Lowest and mean predicted recall where each fold answers under the log densities that were chosen
/// without it.
fn judge(
    rows: &ValidationRows,
    folds: &[Vec<usize>],
    log_densities: &[Vec<f64>],
    gain: f64,
) -> Result<(f64, f64)> {
    let mut right = vec![0u64; rows.classes()];
    let mut total = vec![0u64; rows.classes()];
    for (log_densities, fold) in log_densities.iter().zip(folds) {
        let densities: Vec<f64> = log_densities.iter().map(|&x| libm::exp(x).min(1.0)).collect();
        let predicted = predict(rows, &densities, gain)?;
        for &i in fold {
            let label = rows.labels[i];
            total[label as usize] += 1;
            right[label as usize] += u64::from(predicted.answers[i] == label);
        }
    }
    let known = (0..right.len()).filter(|&k| total[k] > 0);
    let recalls: Vec<f64> = known.map(|k| right[k] as f64 / total[k] as f64).collect();
    let mean = recalls.iter().sum::<f64>() / recalls.len().max(1) as f64;
    Ok((recalls.iter().copied().fold(f64::INFINITY, f64::min), mean))
}
