//! Projected gradient ascent over class densities.

use super::soft::SoftRows;
use crate::prune::fill::{Bin, water_fill};

/// The smooth minimum of recalls is -(1/s) log mean exp(-s R): for s = 40 it lies at most
/// log(K) / 40 above the minimum.
const SHARPNESS: f64 = 40.0;

/// Evaluations of one ascent, and the step in log density below which it ends.
const MOST_EVALUATIONS: usize = 400;
const SMALLEST_STEP: f64 = 1e-4;
const FIRST_STEP: f64 = 0.25;
const LARGEST_STEP: f64 = 1.0;

/// The densities that are allowed: d_k in [l_k, 1] with sum_k N_k d_k = d N.
pub(super) struct Allowed {
    /// N_k.
    pub sizes: Vec<usize>,
    /// Samples that class k keeps at least.
    pub lower: Vec<f64>,
    /// d N.
    pub total: f64,
}

impl Allowed {
    /// The logarithms of the allowed densities in the ratios of exp(x).
    pub fn project(&self, x: &[f64]) -> Vec<f64> {
        let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let bin = |k: usize| Bin {
            weight: libm::exp(x[k] - top) * self.sizes[k] as f64,
            lower: self.lower[k],
            upper: self.sizes[k] as f64,
        };
        let bins: Vec<Bin> = (0..x.len()).map(bin).collect();
        let shares = water_fill(&bins, self.total);
        let log = |(share, &size): (&f64, &usize)| match size {
            0 => 0.0,
            n => libm::log((share / n as f64).min(1.0)),
        };
        shares.iter().zip(&self.sizes).map(log).collect()
    }

    /// Equal densities, as far as the minimum counts allow.
    pub fn equal(&self) -> Vec<f64> {
        self.project(&vec![0.0; self.sizes.len()])
    }
}

/// What an ascent climbs: the smooth minimum of the soft recalls plus `average` times their mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub average: f64,
}

impl Goal {
    /// The value for these recalls, and how much each recall pulls (its derivative). Classes without rows
    /// (weight 0) take no part.
    pub fn value(self, recalls: &[f64], weights: &[f64]) -> (f64, Vec<f64>) {
        let known: Vec<usize> = (0..recalls.len()).filter(|&k| weights[k] > 0.0).collect();
        let count = known.len().max(1) as f64;
        let least = known.iter().map(|&k| recalls[k]).fold(f64::INFINITY, f64::min);
        let mut pull = vec![0.0; recalls.len()];
        let (mut sum, mut mean) = (0.0, 0.0);
        for &k in &known {
            pull[k] = libm::exp(-SHARPNESS * (recalls[k] - least));
            sum += pull[k];
            mean += recalls[k] / count;
        }
        if known.is_empty() {
            return (0.0, pull);
        }
        known.iter().for_each(|&k| pull[k] = pull[k] / sum + self.average / count);
        (least - libm::log(sum / count) / SHARPNESS + self.average * mean, pull)
    }
}

/// Climbs from equal densities; the logarithms of the densities that it ends at. A step that lowers the
/// goal is taken back and halved.
pub(super) fn climb(rows: &SoftRows, allowed: &Allowed, goal: Goal) -> Vec<f64> {
    let mut x = allowed.equal();
    let (recalls, mut sums) = rows.recalls(&x);
    let (mut value, mut pull) = goal.value(&recalls, &rows.weights);
    let mut step = FIRST_STEP;
    let mut direction = direction(rows, allowed, &x, &pull, &sums);
    for _ in 0..MOST_EVALUATIONS {
        let Some(along) = &direction else { break };
        let next: Vec<f64> = x.iter().zip(along).map(|(x, g)| x + step * g).collect();
        let next = allowed.project(&next);
        let (recalls, next_sums) = rows.recalls(&next);
        let (next_value, next_pull) = goal.value(&recalls, &rows.weights);
        if next_value > value {
            (x, value, pull, sums) = (next, next_value, next_pull, next_sums);
            direction = self::direction(rows, allowed, &x, &pull, &sums);
            step = (1.5 * step).min(LARGEST_STEP);
        } else {
            step *= 0.5;
            if step < SMALLEST_STEP {
                break;
            }
        }
    }
    x
}

/// The direction of steepest ascent among the densities that spend the budget, its largest entry 1; None
/// where there is none. A class that is full, or at its minimum, is not pushed further.
fn direction(
    rows: &SoftRows,
    allowed: &Allowed,
    x: &[f64],
    pull: &[f64],
    sums: &[f64],
) -> Option<Vec<f64>> {
    let gradient = rows.gradient(x, pull, sums);
    let share = |k: usize| allowed.sizes[k] as f64 * libm::exp(x[k]);
    let mut free: Vec<usize> = (0..x.len()).filter(|&k| allowed.sizes[k] > 0).collect();
    // What a sample of class k is worth is its gradient a sample; the price is what all pay alike.
    loop {
        let paid: f64 = free.iter().map(|&k| share(k)).sum();
        let price = free.iter().map(|&k| gradient[k]).sum::<f64>() / paid;
        let push = |k: usize| gradient[k] - price * share(k);
        let stuck = |k: usize| {
            (push(k) > 0.0 && share(k) >= allowed.sizes[k] as f64 * (1.0 - 1e-12))
                || (push(k) < 0.0 && share(k) <= allowed.lower[k] * (1.0 + 1e-12))
        };
        let before = free.len();
        let kept: Vec<usize> = free.iter().copied().filter(|&k| !stuck(k)).collect();
        if kept.len() == before {
            let mut along = vec![0.0; x.len()];
            free.iter().for_each(|&k| along[k] = push(k));
            let largest = along.iter().fold(0.0f64, |m, g| m.max(g.abs()));
            return (largest > 1e-12).then(|| along.iter().map(|g| g / largest).collect());
        }
        free = kept;
        if free.len() < 2 {
            return None;
        }
    }
}
