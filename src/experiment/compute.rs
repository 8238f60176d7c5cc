//! The work of one cell: train, score, evaluate.

use std::time::Instant;

use super::baseline::{self, Presentations};
use super::cell::{Cell, CellResult, Extraction, Finished, GroupCounts, SCORING, TestResult};
use super::prepared::{Prepared, positions};
use super::spent::ScorePart;
use super::stage;
use crate::data::PartName;
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode, batch_sizes};
use crate::nn::Weights;
use crate::nn::init::initialise;
use crate::ops::Operators;
use crate::score::features::{self, Evidence};
use crate::score::{Kind, Method, Scores, Watch, pass, recorded};
use crate::train::{Baseline, Control, Outcome, Recorder, TrainJob, measure, train_with};

/// Runs the cell from its checkpoint, if there is one.
pub(super) fn compute<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    identity: String,
    control: &mut Control,
) -> Result<Finished> {
    let subset = positions(&cell.part.train);
    let val = positions(&cell.part.val);
    let test = if cell.test { positions(&prepared.split.test) } else { Vec::new() };
    let recording = cell.record.as_ref().map(|r| r.what);
    let divergences = recording.is_some_and(|r| r.divergence);
    let evidence = stage::before(prepared, cell, &identity, control)?;
    let (recipe, seed) = (baseline::recipe(cell), cell.seeds.augment);
    let mut executor = prepared.executor(&recipe, seed, &cell.passes(prepared), divergences)?;
    let validation =
        if val.is_empty() { None } else { Some(prepared.set(cell.part.val_part, &val)?) };
    let weights = cell.weights.as_ref().map(|weights| {
        let mut all = vec![1.0; prepared.data.train.len()];
        subset.iter().zip(weights).for_each(|(&i, &weight)| all[i as usize] = weight);
        all
    });
    let job = TrainJob {
        recipe: &recipe,
        seeds: cell.seeds,
        total_steps: cell.steps,
        until: cell.until,
        images: prepared.train_images()?,
        labels: &prepared.data.train.labels,
        subset: &subset,
        // DFR's layer belongs to the last weights.
        keep_best: cell.test
            && validation.is_some()
            && !matches!(cell.baseline, Some(Baseline::Dfr { .. })),
        validation,
        evaluate_every: cell.evaluate_every,
        identity: identity.clone(),
        sample_weights: weights.as_deref(),
        initial: None,
        record: recording,
    };
    let mut outcome = match cell.until {
        0 => untrained(&mut executor, cell)?,
        _ => {
            let input = evidence.as_ref().map(stage::Evidence::input);
            train_with(&mut executor, &job, input.as_ref(), control)?
        }
    };
    stage::after(prepared, cell, &mut executor, &mut outcome.weights, control)?;
    let clock = Instant::now();
    let state = control.checkpoint.as_ref();
    let keeping =
        state.map(|(path, interval)| (path.with_file_name(SCORING), *interval, identity.clone()));
    let mut watch = Watch { interrupt: control.interrupt, progress: &mut |_, _| {}, keeping };
    let mut parts = Vec::new();
    let (mut scores, extracted) =
        network_scores(prepared, cell, &mut executor, &mut watch, &mut parts)?;
    if let Some(recorder) = &mut outcome.dynamics {
        let (clock, samples) = (Instant::now(), prepared.data.train.len());
        let recorded = recorded_scores(cell, recorder, samples)?;
        parts.push(ScorePart::new(&names(&recorded), false, clock.elapsed().as_secs_f64()));
        scores.extend(recorded);
    }
    let score_seconds = clock.elapsed().as_secs_f64();
    let last_epoch = outcome.history.last().map_or(0, |r| r.epoch);
    let best_epoch = outcome.best().map(|r| r.epoch);
    let mut on_test = |weights: &Weights, epoch: u32| -> Result<Option<TestResult>> {
        if test.is_empty() {
            return Ok(None);
        }
        executor.set_weights(weights)?;
        let evaluation = measure(&mut executor, &prepared.set(PartName::Test, &test)?)?;
        if !evaluation.loss.is_finite() {
            let step = outcome.steps.saturating_sub(1);
            let what = "the test loss".to_owned();
            return Err(Error::Diverged { what, step, epoch: u64::from(epoch) });
        }
        Ok(Some(TestResult::new(epoch, &evaluation)))
    };
    let last = on_test(&outcome.weights, last_epoch)?;
    let best = match (&outcome.best_weights, best_epoch) {
        (Some(weights), Some(epoch)) if epoch != last_epoch => on_test(weights, epoch)?,
        (Some(_), Some(_)) => last.clone(),
        _ => None,
    };
    let result = CellResult {
        identity,
        steps: outcome.steps,
        history: outcome.history.clone(),
        last,
        best,
        validation: validation_counts(prepared, cell, &outcome),
        train_seconds: outcome.seconds,
        score_seconds,
        score_parts: parts,
        planned_bytes: executor.planned_memory().total(),
        presentations: evidence.map(|evidence| {
            let sizes = batch_sizes(Mode::Train, cell.recipe.batch, subset.len());
            let epochs = outcome.history.len() as u64;
            Presentations {
                trained: outcome.presented,
                selection: outcome.selected,
                before: evidence.before,
                plain: epochs * sizes.iter().sum::<usize>() as u64,
            }
        }),
    };
    Ok(Finished { result, scores, extracted, outcome: Some(outcome) })
}

/// A network as it is before training; its executor has no room for training.
fn untrained<B: Operators>(executor: &mut Executor<B>, cell: &Cell) -> Result<Outcome> {
    let weights = initialise(executor.network(), cell.seeds.init);
    executor.set_weights(&weights)?;
    let (best_weights, history, dynamics) = (None, Vec::new(), None);
    Ok(Outcome {
        weights,
        best_weights,
        history,
        steps: 0,
        presented: 0,
        selected: 0,
        seconds: 0.0,
        dynamics,
    })
}

/// The methods of some scores.
fn names(scores: &Scores) -> Vec<Method> {
    scores.iter().map(|s| s.0).collect()
}

/// Scores of the whole training part that the trained network gives, and its features where they
/// are wanted; `parts` gets what each piece took.
fn network_scores<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    executor: &mut Executor<B>,
    watch: &mut Watch,
    parts: &mut Vec<ScorePart>,
) -> Result<(Scores, Option<Extraction>)> {
    let all: Vec<u32> = (0..prepared.data.train.len() as u32).collect();
    let set = prepared.set(PartName::Train, &all)?;
    let clock = Instant::now();
    let mut scores = pass::score(executor, &set, cell.methods, cell.options, watch)?;
    if !scores.is_empty() {
        parts.push(ScorePart::new(&names(&scores), false, clock.elapsed().as_secs_f64()));
    }
    if !cell.needs_features() {
        return Ok((scores, None));
    }
    let of_features: Vec<Method> =
        cell.methods.iter().filter(|m| m.kind(cell.options) == Kind::Features).copied().collect();
    let clock = Instant::now();
    let extracted = features::extract(executor, &set, watch.interrupt)?;
    let seconds = clock.elapsed().as_secs_f64();
    parts.push(ScorePart::new(&of_features, cell.extract.is_some(), seconds));
    let evidence = Evidence {
        features: &extracted.features,
        probabilities: Some(&extracted.probabilities),
        labels: set.labels,
        eligible: &prepared.split.train,
        classes: prepared.data.classes.len(),
        seed: cell.seeds.subset,
    };
    for method in of_features {
        let clock = Instant::now();
        scores.push((method, features::score(method, cell.options, evidence)?));
        parts.push(ScorePart::new(&[method], false, clock.elapsed().as_secs_f64()));
    }
    let validation = match &cell.extract {
        Some(extract) if extract.validation && !cell.part.val.is_empty() => {
            let val = positions(&cell.part.val);
            let set = prepared.set(cell.part.val_part, &val)?;
            let clock = Instant::now();
            let extracted = features::extract(executor, &set, watch.interrupt)?;
            parts.push(ScorePart::new(&[], true, clock.elapsed().as_secs_f64()));
            Some(extracted)
        }
        _ => None,
    };
    Ok((scores, Some(Extraction { train: extracted, validation })))
}

/// Scores of what the run recorded: NaN for samples that it did not train on.
fn recorded_scores(cell: &Cell, recorder: &mut Recorder, samples: usize) -> Result<Scores> {
    let wanted = cell.methods.iter().filter(|m| matches!(m.kind(cell.options), Kind::Dynamics(_)));
    let wanted: Vec<Method> = wanted.copied().collect();
    let scores = recorded::score(&wanted, cell.options, samples, |q| recorder.all(q))?;
    recorded::check_presented(&scores, &cell.part.train)?;
    Ok(scores)
}

fn validation_counts<B: Operators>(
    prepared: &Prepared<B>,
    cell: &Cell,
    outcome: &Outcome,
) -> Option<TestResult> {
    let record = outcome.best()?;
    let part = prepared.data.part(cell.part.val_part)?;
    let mut total = vec![0; prepared.data.classes.len()];
    cell.part.val.iter().for_each(|&i| total[part.labels[i] as usize] += 1);
    let correct = record.val_correct.clone()?;
    let groups = record.val_groups.clone().map(|correct| {
        let mut total = vec![0; correct.len()];
        let of = prepared.groups(cell.part.val_part);
        cell.part.val.iter().for_each(|&i| total[of[i] as usize] += 1);
        GroupCounts { correct, total }
    });
    Some(TestResult { epoch: record.epoch, correct, total, groups })
}
