//! Strategies that prune nothing by ranking: full data in fewer steps, and baselines that change training.

use crate::data::PartName;
use crate::error::Result;
use crate::experiment::session::Session;
use crate::experiment::strategy::Strategy;
use crate::experiment::training::TrainingRun;
use crate::prune::{Budget as Kept, Population, Subset, Warning};
use crate::train::StepBudget;
use crate::train::baseline::plan;

/// What a strategy that is no pruning trains on; None for those that prune by ranking and quota.
pub(super) fn whole_subset(
    strategy: Strategy,
    session: &Session,
    seed: u64,
) -> Result<Option<Subset>> {
    let labels = session.train_labels();
    let eligible = &session.split.train;
    let classes = session.partition.len();
    let kept = match strategy {
        Strategy::Short | Strategy::Baseline(_) => {
            let groups = session.all_groups(PartName::Train).0;
            plan::trained_on(strategy.baseline(), groups, eligible, seed)?
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
        forecast: None,
        predicted: None,
        warnings,
    }))
}

/// Makes a final run one of a strategy: its baseline, and the steps that follow.
pub(super) fn of_strategy<'a>(
    run: TrainingRun<'a>,
    strategy: Strategy,
    density: f64,
    budget: StepBudget,
    session: &Session,
) -> TrainingRun<'a> {
    let all = session.split.train.len();
    let steps = match strategy {
        // The steps that a pruned run of this density has.
        Strategy::Short => {
            let kept = Kept::new(density, all).map_or(0, |b| b.count);
            run.recipe.steps(budget, kept, all).max(1)
        }
        _ => plan::steps(strategy.baseline(), run.recipe, run.part.train.len(), run.steps),
    };
    // Epochs of all data under few steps are long: each is worth a look.
    TrainingRun { steps, until: steps, baseline: strategy.baseline(), ..run }
}
