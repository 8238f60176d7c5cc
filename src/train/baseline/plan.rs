//! What a baseline changes of a training run: what it trains on, in how many steps, in which passes.

use super::method::Baseline;
use super::rules;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::exec::{Mode, batch_sizes};
use crate::prune::{Order, ranking};
use crate::train::recipe::Recipe;

/// Refuses what a baseline cannot be run with: now, not when other runs are done.
pub fn check(baseline: Baseline, split: &Split, recipe: &Recipe) -> Result<()> {
    baseline.check(recipe)?;
    if baseline.needs_validation() && split.val.len() < 2 {
        let found = format!("no validation images under `split` {}", split.kind);
        let expected = "`split` holdout, or another that leaves some";
        return Err(Error::invalid(baseline.to_string(), found, expected));
    }
    if baseline.epoch_steps(recipe.batch, split.train.len()) == 0 {
        let found = format!("{} training samples", split.train.len());
        return Err(Error::invalid(baseline.to_string(), found, "enough for one step"));
    }
    Ok(())
}

/// What SUBG keeps of `eligible`: as many of every group as the smallest has that has any. Positions,
/// ascending; a prefix of each group of one random order.
pub fn balanced_groups(groups: &[u32], eligible: &[usize], seed: u64) -> Result<Vec<usize>> {
    let count = groups.iter().max().map_or(0, |&g| g as usize + 1);
    let mut sizes = vec![0usize; count];
    eligible.iter().for_each(|&i| sizes[groups[i] as usize] += 1);
    let least = sizes.iter().copied().filter(|&n| n > 0).min().unwrap_or(0);
    let mut counts = vec![0; count];
    let mut kept = ranking(eligible, Order::Random, seed)?;
    kept.retain(|&i| {
        let count = &mut counts[groups[i] as usize];
        *count += 1;
        *count <= least
    });
    kept.sort_unstable();
    Ok(kept)
}

/// What of `eligible` a baseline trains on; `groups` are those of all training samples.
pub fn trained_on(
    baseline: Option<Baseline>,
    groups: &[u32],
    eligible: &[usize],
    seed: u64,
) -> Result<Vec<usize>> {
    match baseline {
        Some(Baseline::Subg) => balanced_groups(groups, eligible, seed),
        _ => Ok(eligible.to_vec()),
    }
}

/// Steps of a baseline's run over `samples` that without it has `plain` steps: as many epochs.
pub fn steps(baseline: Option<Baseline>, recipe: &Recipe, samples: usize, plain: u64) -> u64 {
    let span = batch_sizes(Mode::Train, recipe.batch, samples).len().max(1) as u64;
    match baseline {
        Some(baseline @ Baseline::Rho { .. }) => {
            plain.div_ceil(span) * baseline.epoch_steps(recipe.batch, samples)
        }
        _ => plain,
    }
}

/// The recipe of the run's updates: RHO-loss has batches of its own.
pub fn recipe(baseline: Option<Baseline>, recipe: &Recipe) -> Recipe {
    match baseline {
        Some(baseline @ Baseline::Rho { .. }) => {
            Recipe { batch: baseline.chosen(), ..recipe.clone() }
        }
        _ => recipe.clone(),
    }
}

/// The recipe as the device runs it: micro-batch clipping passes parts of a batch.
pub fn device_recipe(baseline: Option<Baseline>, recipe: &Recipe) -> Recipe {
    let batch = baseline.map_or(recipe.batch, |b| b.device_batch(recipe.batch));
    Recipe { batch, ..recipe.clone() }
}

/// The passes of training on `samples` samples.
pub fn training_passes(
    baseline: Option<Baseline>,
    recipe: &Recipe,
    samples: usize,
) -> Vec<(Mode, usize)> {
    match baseline {
        // Epochs may end in a rest of any size.
        Some(Baseline::InfoBatch { .. } | Baseline::Rcap { .. }) => {
            let rests = (2..recipe.batch.min(samples)).map(|n| (Mode::Train, n));
            std::iter::once((Mode::Train, samples)).chain(rests).collect()
        }
        Some(baseline @ Baseline::Rho { candidates, .. }) => {
            let steps = baseline.epoch_steps(recipe.batch, samples) as usize;
            let rest = samples % candidates as usize;
            let chosen = baseline.chosen();
            let mut passes = vec![(Mode::Train, chosen * steps)];
            let sizes = rules::rho_sizes(samples, candidates as usize, chosen);
            passes.extend(sizes.last().map(|&n| (Mode::Train, n)));
            passes.extend([(Mode::Score, candidates as usize), (Mode::Score, rest)]);
            passes
        }
        _ => vec![(Mode::Train, samples)],
    }
}
