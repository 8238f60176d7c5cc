//! Baselines that change training, as strategies: beside which densities they stand, what they need,
//! what the trainer is given.

use super::cell::Cell;
use super::prepared::Prepared;
use super::run_plan::RunPlan;
use super::strategy::Strategy;
use crate::error::{Error, Result};
use crate::ops::Operators;
use crate::train::{Baseline, BaselineInput, Recipe};

impl Strategy {
    /// The baseline, if it is one.
    pub fn baseline(self) -> Option<Baseline> {
        match self {
            Strategy::Baseline(baseline) => Some(baseline),
            _ => None,
        }
    }

    /// Whether it has one run a seed, whatever the densities: full data, and what does not prune.
    pub fn stands_beside_all(self) -> bool {
        !matches!(self, Strategy::Pruned { .. })
    }

    /// Its name in the names of files.
    pub fn stem(self) -> String {
        self.to_string().replace([':', '='], "-")
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
    if baseline.needs_validation() && split.val.is_empty() {
        let found = format!("no validation images under --split {}", split.kind);
        let expected = "--split holdout, or another that leaves some: its weights come from them";
        return Err(Error::invalid(baseline.to_string(), found, expected));
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

/// What the trainer has to know of the cell's baseline.
pub(super) fn input(cell: &Cell) -> Option<BaselineInput> {
    Some(BaselineInput { baseline: cell.baseline? })
}
