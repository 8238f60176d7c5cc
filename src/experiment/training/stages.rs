//! What a baseline does before its training run and after it: the model of irreducible losses (RHO-loss),
//! the model whose errors are drawn more often (JTT, BAM), the last layer anew (DFR).
//!
//! A first stage keeps its state beside the run's checkpoint; a finished one is not trained again.

use std::path::PathBuf;

use super::run::TrainingRun;
use crate::data::PartName;
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode};
use crate::experiment::session::{OnBackend, positions};
use crate::nn::{ParameterKind, Weights};
use crate::ops::Operators;
use crate::ops::loss_score::Field;
use crate::score::features::extract;
use crate::tensor::Tensor;
use crate::train::baseline::last_layer::{HeldOut, refit};
use crate::train::{
    Baseline, BaselineInput, Control, Seeds, StepBudget, TrainJob, TrainOutcome, TrainProgress,
    run_pass, train_with,
};

/// State of a first stage, beside the checkpoint.
pub(super) const FIRST_STAGE: &str = "first-stage.safetensors";

/// Where the seeds of first stages start.
const FIRST_SEEDS: u64 = 1 << 34;

/// What the trainer is given beside the job.
pub(super) struct FirstStage<'a> {
    baseline: Baseline,
    values: Vec<f32>,
    groups: &'a [u32],
    group_count: usize,
    /// Weights that training goes on from, where the method keeps the first stage's network.
    pub weights: Option<Weights>,
    /// Samples that the first stage was trained with.
    pub before: u64,
}

impl FirstStage<'_> {
    pub(super) fn input(&self) -> BaselineInput<'_> {
        BaselineInput {
            baseline: self.baseline,
            values: &self.values,
            groups: self.groups,
            group_count: self.group_count,
            first_stage: false,
        }
    }
}

/// Does what comes before training; None for runs without a baseline.
pub(super) fn before<'a, B: Operators>(
    on: &OnBackend<'a, B>,
    run: &TrainingRun,
    identity: &str,
    control: &mut Control,
) -> Result<Option<FirstStage<'a>>> {
    let Some(baseline) = run.baseline else { return Ok(None) };
    let (groups, group_count) = on.session.all_groups(PartName::Train);
    let none =
        FirstStage { baseline, values: Vec::new(), groups, group_count, weights: None, before: 0 };
    Ok(Some(match baseline {
        Baseline::Rho { .. } | Baseline::Jtt { .. } | Baseline::Bam { .. } => {
            let (values, outcome) = first_stage(on, run, baseline, identity, control)?;
            let goes_on = matches!(baseline, Baseline::Bam { .. });
            let weights = goes_on.then_some(outcome.weights);
            FirstStage { values, weights, before: outcome.presented, ..none }
        }
        _ => none,
    }))
}

/// Trains the first model and asks it about every sample of the training part: its loss (RHO-loss), or
/// whether it is wrong (JTT, BAM).
fn first_stage<B: Operators>(
    on: &OnBackend<B>,
    run: &TrainingRun,
    baseline: Baseline,
    identity: &str,
    control: &mut Control,
) -> Result<(Vec<f32>, TrainOutcome)> {
    let rho = matches!(baseline, Baseline::Rho { .. });
    let (part, list) = match rho {
        true => (run.part.val_part, &run.part.val),
        false => (PartName::Train, &run.part.train),
    };
    let subset = positions(list);
    let mut recipe = run.recipe.clone();
    recipe.epochs = if rho { recipe.epochs } else { baseline.first_epochs(recipe.epochs) };
    let steps = recipe.steps(StepBudget::Fixed, subset.len(), subset.len());
    // A network that training goes on with starts as the other runs of the seed do.
    let seeds = match baseline {
        Baseline::Bam { .. } => run.seeds,
        _ => Seeds::derive(run.seeds.init, FIRST_SEEDS),
    };
    let all: Vec<u32> = (0..on.session.data.train.len() as u32).collect();
    let passes = [(Mode::Train, subset.len()), (Mode::Score, all.len())];
    let mut executor = on.executor(&recipe, seeds.augment, &passes, false)?;
    let set = on.set(part, &subset)?;
    let job = TrainJob {
        recipe: &recipe,
        seeds,
        total_steps: steps,
        until: steps,
        images: set.images,
        labels: set.labels,
        subset: &subset,
        validation: None,
        evaluate_every: 1,
        keep_best: false,
        identity: format!("{identity}, first stage"),
        sample_weights: None,
        initial: None,
        record: None,
    };
    let checkpoint = control.checkpoint.as_ref();
    let checkpoint: Option<(PathBuf, _)> =
        checkpoint.map(|(path, interval)| (path.with_file_name(FIRST_STAGE), *interval));
    // The run's own progress starts when its own training does.
    let mut quiet = |_: TrainProgress| {};
    let mut own = Control { requests: control.requests, progress: &mut quiet, checkpoint };
    let amplifies = matches!(baseline, Baseline::Bam { .. });
    let input = BaselineInput { first_stage: true, ..BaselineInput::new(baseline) };
    let outcome = train_with(&mut executor, &job, amplifies.then_some(&input), &mut own)?;
    run_pass(&mut executor, Mode::Score, &on.set(PartName::Train, &all)?)?;
    let field = if rho { Field::Loss } else { Field::Correct };
    let mut values = executor.column(field, all.len())?;
    if !rho {
        values.iter_mut().for_each(|correct| *correct = 1.0 - *correct);
    }
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        let found = format!("{} for sample {i}", values[i]);
        return Err(Error::invalid(format!("{baseline}, first stage"), found, "finite losses"));
    }
    Ok((values, outcome))
}

/// Does what comes after training, to `weights`, which the executor has.
pub(super) fn after<B: Operators>(
    on: &OnBackend<B>,
    run: &TrainingRun,
    executor: &mut Executor<B>,
    weights: &mut Weights,
    control: &Control,
) -> Result<()> {
    let Some(Baseline::Dfr { resamples, c }) = run.baseline else { return Ok(()) };
    executor.set_weights(weights)?;
    let val = positions(&run.part.val);
    let set = on.set(run.part.val_part, &val)?;
    let extracted = extract(executor, &set, control.requests)?;
    let part = on.session.data.part(run.part.val_part);
    let part = part.ok_or_else(|| Error::Internal("validation images of no part".to_owned()))?;
    let (groups, _) = on.session.all_groups(run.part.val_part);
    let of = |values: &[u32]| run.part.val.iter().map(|&i| values[i]).collect::<Vec<u32>>();
    let held_out = HeldOut {
        features: &extracted.features.values,
        width: extracted.features.width,
        labels: &of(&part.labels),
        classes: on.session.data.classes.len(),
        groups: &of(groups),
    };
    let layer = refit(held_out, resamples, c, run.seeds.subset)?;
    for parameter in executor.network().parameters() {
        let values = match parameter.kind {
            ParameterKind::LinearWeight => &layer.weight,
            ParameterKind::LinearBias => &layer.bias,
            _ => continue,
        };
        let data = values.iter().map(|&v| v as f32).collect();
        weights.tensors.insert(parameter.name, Tensor::new(parameter.shape, data)?);
    }
    executor.set_weights(weights)
}
