//! Baselines that change training, as strategies: beside which densities they stand, what they need,
//! what they train on, and what that costs.

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::cost::Cost;
use super::prepared::{PassSize, Prepared};
use super::run_plan::RunPlan;
use super::strategy::Strategy;
use crate::data::PartName;
use crate::error::{Error, Result};
use crate::exec::{Mode, batch_sizes};
use crate::ops::Operators;
use crate::prune::{Budget as Kept, Order, Population, Subset, Warning, ranking};
use crate::train::{Baseline, Recipe};

/// Samples of one run through the network, each time that they went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presentations {
    /// Forward, backward and update.
    pub trained: u64,
    /// Forward only, to choose what is trained on.
    pub selection: u64,
    /// Trained in a run before this one, which its method needs.
    pub before: u64,
    /// Trained in as many epochs without the method.
    pub plain: u64,
}

impl Presentations {
    /// Part of the plain run's that were saved; negative where more were needed.
    pub fn saved(&self) -> f64 {
        1.0 - (self.trained + self.before) as f64 / self.plain.max(1) as f64
    }
}

impl Strategy {
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
}

/// Class and attribute of every sample of a part together, class by class; classes alone where the data
/// set has no attributes. With the number of groups.
pub fn groups<B: Operators>(prepared: &Prepared<B>, part: PartName) -> (&[u32], usize) {
    let data = &prepared.data;
    let classes = data.classes.len();
    match &data.attributes {
        Some(attributes) => (prepared.groups(part), attributes.groups(classes)),
        None => (data.part(part).map_or(&[], |p| &p.labels), classes),
    }
}

/// Refuses what a baseline cannot be run with: now, not when other runs are done.
pub fn check<B: Operators>(
    baseline: Baseline,
    prepared: &Prepared<B>,
    recipe: &Recipe,
) -> Result<()> {
    baseline.check(recipe)?;
    let split = &prepared.split;
    if baseline.needs_validation() && split.val.len() < 2 {
        let found = format!("no validation images under --split {}", split.kind);
        let expected = "--split holdout, or another that leaves some";
        return Err(Error::invalid(baseline.to_string(), found, expected));
    }
    if baseline.epoch_steps(recipe.batch, split.train.len()) == 0 {
        let found = format!("{} training samples", split.train.len());
        return Err(Error::invalid(baseline.to_string(), found, "enough for one step"));
    }
    Ok(())
}

/// Checks every baseline of a plan.
pub fn check_plan<B: Operators>(plan: &RunPlan, prepared: &Prepared<B>) -> Result<()> {
    let baselines = plan.strategies().into_iter().filter_map(Strategy::baseline);
    for baseline in baselines {
        check(baseline, prepared, &plan.recipe)?;
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

/// What a strategy that is no pruning trains on; None for those that prune by ranking and quota.
pub(super) fn subset<B: Operators>(
    strategy: Strategy,
    prepared: &Prepared<B>,
    seed: u64,
) -> Result<Option<Subset>> {
    let labels = prepared.train_labels();
    let eligible = &prepared.split.train;
    let classes = prepared.partition.len();
    let kept = match strategy {
        Strategy::Short | Strategy::Baseline(_) => {
            trained_on(strategy.baseline(), prepared, eligible, seed)?
        }
        Strategy::Full | Strategy::Pruned { .. } => return Ok(None),
    };
    let sizes = Population { labels, eligible, classes }.sizes()?;
    let counts = Population { labels, eligible: &kept, classes }.sizes()?;
    let densities = counts.iter().zip(&sizes).map(|(&n, &size)| n as f64 / size.max(1) as f64);
    let densities = densities.collect();
    let warnings = Warning::few_samples(&counts, &sizes).into_iter().collect();
    Ok(Some(Subset {
        kept,
        sizes,
        counts,
        densities,
        quota_densities: None,
        picks: None,
        warnings,
    }))
}

/// What of `eligible` a baseline trains on.
pub fn trained_on<B: Operators>(
    baseline: Option<Baseline>,
    prepared: &Prepared<B>,
    eligible: &[usize],
    seed: u64,
) -> Result<Vec<usize>> {
    match baseline {
        Some(Baseline::Subg) => {
            balanced_groups(groups(prepared, PartName::Train).0, eligible, seed)
        }
        _ => Ok(eligible.to_vec()),
    }
}

/// Makes a final cell that of a strategy: its baseline, and the steps that follow.
pub(super) fn set<'a, B: Operators>(
    cell: Cell<'a>,
    strategy: Strategy,
    density: f64,
    plan: &RunPlan,
    prepared: &Prepared<B>,
) -> Cell<'a> {
    let all = prepared.split.train.len();
    let steps = match strategy {
        // The steps that a pruned run of this density has.
        Strategy::Short => {
            let kept = Kept::new(density, all).map_or(0, |b| b.count);
            plan.recipe.steps(plan.budget, kept, all).max(1)
        }
        _ => steps(strategy.baseline(), cell.recipe, cell.part.train.len(), cell.steps),
    };
    // Epochs of all data under few steps are long: each is worth a look.
    Cell { steps, until: steps, baseline: strategy.baseline(), ..cell }
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

/// The recipe of the cell's updates: RHO-loss has batches of its own.
pub(super) fn recipe(cell: &Cell) -> Recipe {
    match cell.baseline {
        Some(baseline @ Baseline::Rho { .. }) => {
            Recipe { batch: baseline.chosen(), ..cell.recipe.clone() }
        }
        _ => cell.recipe.clone(),
    }
}

/// The passes of training.
pub(super) fn training_passes(cell: &Cell) -> Vec<PassSize> {
    let samples = cell.part.train.len();
    match cell.baseline {
        // Epochs may end in a rest of any size.
        Some(Baseline::InfoBatch { .. }) => {
            let rests = (2..cell.recipe.batch.min(samples)).map(|n| (Mode::Train, n));
            std::iter::once((Mode::Train, samples)).chain(rests).collect()
        }
        Some(baseline @ Baseline::Rho { candidates, .. }) => {
            let steps = baseline.epoch_steps(cell.recipe.batch, samples) as usize;
            let rest = samples % candidates as usize;
            let chosen = baseline.chosen();
            let mut passes = vec![(Mode::Train, chosen * steps)];
            let sizes = crate::train::rules::rho_sizes(samples, candidates as usize, chosen);
            passes.extend(sizes.last().map(|&n| (Mode::Train, n)));
            passes.extend([(Mode::Score, candidates as usize), (Mode::Score, rest)]);
            passes
        }
        _ => vec![(Mode::Train, samples)],
    }
}

/// Steps and samples of the run that a baseline needs before its own: (trained, scored).
fn first_cost<B: Operators>(prepared: &Prepared<B>, cell: &Cell) -> Option<(u64, u64)> {
    let all = prepared.data.train.len() as u64;
    match cell.baseline? {
        Baseline::Rho { .. } => Some((cell.recipe.epochs as u64 * cell.part.val.len() as u64, all)),
        baseline @ Baseline::Jtt { .. } => {
            let epochs = baseline.first_epochs(cell.recipe.epochs) as u64;
            Some((epochs * cell.part.train.len() as u64, all))
        }
        _ => None,
    }
}

/// Adds what the cell's baseline takes beyond a plain run.
pub(super) fn add_cost<B: Operators>(prepared: &Prepared<B>, cell: &Cell, cost: &mut Cost) {
    let samples = cell.part.train.len() as u64;
    if let Some(baseline @ Baseline::Rho { .. }) = cell.baseline {
        cost.trained = cell.until * baseline.chosen() as u64;
    }
    if let Some((trained, scored)) = first_cost(prepared, cell) {
        cost.trained += trained;
        cost.passed.push((Mode::Score, scored));
    }
    if let Some(baseline @ Baseline::Rho { .. }) = cell.baseline {
        let epochs = cell.until / baseline.epoch_steps(cell.recipe.batch, samples as usize).max(1);
        cost.passed.push((Mode::Score, epochs * samples));
    }
}
