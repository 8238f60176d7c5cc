//! The work of one training run: train, score, evaluate.

use std::time::Instant;

use super::result::{
    Extraction, Finished, Presentations, RunResult, ScorePart, ValidationPredictions,
};
use super::run::TrainingRun;
use super::scores::{NetworkScores, names, network_scores};
use super::stages;
use super::test_results::{TestResults, test_results};
use crate::data::QueryPart;
use crate::error::Result;
use crate::exec::{Executor, Mode, batch_sizes};
use crate::experiment::counts::{EvaluationCounts, GroupCounts};
use crate::experiment::session::{OnBackend, Session, on_backend, positions};
use crate::nn::init::initialise;
use crate::ops::Operators;
use crate::score::{Kind, Method, PassControl, Scores, features, recorded};
use crate::train::baseline::plan;
use crate::train::{Baseline, Control, Recorder, TrainJob, TrainOutcome, train_with};

/// State of a half-done scoring pass, beside the checkpoint.
pub(super) const SCORING: &str = "scoring.safetensors";

/// Does the run, from its checkpoint if there is one.
pub(super) fn compute(
    session: &Session,
    run: &TrainingRun,
    identity: String,
    control: &mut Control,
) -> Result<Finished> {
    on_backend!(session, on => compute_on(&on, run, identity, control))
}

fn compute_on<B: Operators>(
    on: &OnBackend<B>,
    run: &TrainingRun,
    identity: String,
    control: &mut Control,
) -> Result<Finished> {
    let session = on.session;
    let subset = positions(&run.part.train);
    let val = positions(&run.part.val);
    let recording = run.record.as_ref().map(|r| r.what);
    let divergences = recording.is_some_and(|r| r.divergence);
    let evidence = stages::before(on, run, &identity, control)?;
    let (recipe, seed) = (plan::recipe(run.baseline, run.recipe), run.seeds.augment);
    let device_recipe = plan::device_recipe(run.baseline, run.recipe);
    let mut executor = on.executor(&device_recipe, seed, &run.passes(session), divergences)?;
    let twin = run.twin_memory(session)?;
    let validation = if val.is_empty() { None } else { Some(on.set(run.part.val_part, &val)?) };
    let weights = run.weights.as_ref().map(|weights| {
        let mut all = vec![1.0; session.data.train.len()];
        subset.iter().zip(weights).for_each(|(&i, &weight)| all[i as usize] = weight);
        all
    });
    let job = TrainJob {
        recipe: &recipe,
        seeds: run.seeds,
        total_steps: run.steps,
        until: run.until,
        images: on.train_images()?,
        labels: &session.data.train.labels,
        subset: &subset,
        // DFR's layer belongs to the last weights.
        keep_best: run.test
            && validation.is_some()
            && !matches!(run.baseline, Some(Baseline::Dfr { .. })),
        validation,
        evaluate_every: run.evaluate_every,
        identity: identity.clone(),
        sample_weights: weights.as_deref(),
        initial: evidence.as_ref().and_then(|evidence| evidence.weights.as_ref()),
        record: recording,
    };
    let mut outcome = match run.until {
        0 => untrained(&mut executor, run)?,
        _ => {
            let input = evidence.as_ref().map(stages::FirstStage::input);
            train_with(&mut executor, &job, input.as_ref(), control)?
        }
    };
    stages::after(on, run, &mut executor, &mut outcome.weights, control)?;
    let predictions = match run.predictions {
        true => Some(validation_predictions(on, run, &mut executor, control)?),
        false => None,
    };
    let scored = score(on, run, &mut executor, &mut outcome, &identity, control)?;
    let TestResults { last, best, confusion } = test_results(on, run, &mut executor, &outcome)?;
    let result = RunResult {
        mean_class_counts: mean_class_counts(session, &outcome),
        identity,
        steps: outcome.steps,
        history: outcome.history.clone(),
        last,
        best,
        confusion,
        validation: validation_counts(session, run, &outcome),
        train_seconds: outcome.seconds,
        score_seconds: scored.seconds,
        score_parts: scored.parts,
        planned_bytes: executor.planned_memory().total() + twin.total(),
        presentations: evidence.map(|evidence| {
            let sizes = batch_sizes(Mode::Train, run.recipe.batch, subset.len());
            let epochs = outcome.history.len() as u64;
            Presentations {
                trained: outcome.presented,
                selection: outcome.selected,
                before: match run.baseline {
                    // The other network's updates, of the same samples in the same steps.
                    Some(baseline) if baseline.trains_two() => outcome.presented,
                    _ => evidence.before,
                },
                plain: epochs * sizes.iter().sum::<usize>() as u64,
            }
        }),
    };
    Ok(Finished {
        result,
        scores: scored.scores,
        extracted: scored.extracted,
        predictions,
        outcome: Some(outcome),
    })
}

/// Mean number of samples of each class in an epoch, where a baseline chose them.
fn mean_class_counts(session: &Session, outcome: &TrainOutcome) -> Option<Vec<f64>> {
    let times = outcome.times_presented.as_ref()?;
    let mut sums = vec![0.0; session.data.classes.len()];
    let of_samples = times.iter().zip(&session.data.train.labels);
    of_samples.for_each(|(&times, &label)| sums[label as usize] += f64::from(times));
    let epochs = outcome.history.len().max(1) as f64;
    Some(sums.into_iter().map(|sum| sum / epochs).collect())
}

/// What a trained network and its recording say of the samples.
struct Scored {
    scores: Scores,
    extracted: Option<Extraction>,
    /// Where the seconds went.
    parts: Vec<ScorePart>,
    seconds: f64,
}

/// Scores with the last weights, which `executor` holds, and from what training recorded.
fn score<B: Operators>(
    on: &OnBackend<B>,
    run: &TrainingRun,
    executor: &mut Executor<B>,
    outcome: &mut TrainOutcome,
    identity: &str,
    control: &mut Control,
) -> Result<Scored> {
    let clock = Instant::now();
    let keeping = control
        .checkpoint
        .as_ref()
        .map(|(path, interval)| (path.with_file_name(SCORING), *interval, identity.to_owned()));
    let mut watch = PassControl { requests: control.requests, progress: &mut |_, _| {}, keeping };
    let mut parts = Vec::new();
    let extracts_validation = run.extract.as_ref().is_some_and(|e| e.validation);
    let other_parts = run.extracted_parts(on.session);
    let wanted = NetworkScores {
        methods: run.methods,
        options: run.options,
        positions: run.scored.as_deref(),
        extract: run.extract.is_some(),
        validation: extracts_validation.then_some((run.part.val_part, run.part.val.as_slice())),
        parts: &other_parts,
        seed: run.seeds.subset,
    };
    let (mut scores, extracted) = network_scores(on, executor, &wanted, &mut watch, &mut parts)?;
    if let Some(recorder) = &mut outcome.dynamics {
        let (clock, samples) = (Instant::now(), on.session.data.train.len());
        let recorded = recorded_scores(run, recorder, samples)?;
        parts.push(ScorePart::new(&names(&recorded), false, clock.elapsed().as_secs_f64()));
        scores.extend(recorded);
    }
    Ok(Scored { scores, extracted, parts, seconds: clock.elapsed().as_secs_f64() })
}

/// What the executor's weights say of the run's validation images.
fn validation_predictions<B: Operators>(
    on: &OnBackend<B>,
    run: &TrainingRun,
    executor: &mut Executor<B>,
    control: &Control,
) -> Result<ValidationPredictions> {
    let val = positions(&run.part.val);
    let log_probabilities = match val.is_empty() {
        true => Vec::new(),
        false => {
            let set = on.set(run.part.val_part, &val)?;
            features::log_probabilities(executor, &set, control.requests)?
        }
    };
    let QueryPart { val_part, val, .. } = &run.part;
    Ok(ValidationPredictions::of(on.session, *val_part, val, log_probabilities))
}

/// A network as it is before training; its executor has no room for training.
fn untrained<B: Operators>(executor: &mut Executor<B>, run: &TrainingRun) -> Result<TrainOutcome> {
    let weights = initialise(executor.network(), run.seeds.init);
    executor.set_weights(&weights)?;
    let (best_weights, history, dynamics, times_presented) = (None, Vec::new(), None, None);
    Ok(TrainOutcome {
        weights,
        best_weights,
        history,
        steps: 0,
        presented: 0,
        selected: 0,
        times_presented,
        seconds: 0.0,
        dynamics,
    })
}

/// Scores of what the run recorded: NaN for samples that it did not train on.
fn recorded_scores(run: &TrainingRun, recorder: &mut Recorder, samples: usize) -> Result<Scores> {
    let wanted = run.methods.iter().filter(|m| matches!(m.kind(run.options), Kind::Dynamics(_)));
    let wanted: Vec<Method> = wanted.copied().collect();
    let scores = recorded::score(&wanted, run.options, samples, |q| recorder.all(q))?;
    recorded::check_presented(&scores, &run.part.train)?;
    Ok(scores)
}

fn validation_counts(
    session: &Session,
    run: &TrainingRun,
    outcome: &TrainOutcome,
) -> Option<EvaluationCounts> {
    let record = outcome.best()?;
    let part = session.data.part(run.part.val_part)?;
    let mut total = vec![0; session.data.classes.len()];
    run.part.val.iter().for_each(|&i| total[part.labels[i] as usize] += 1);
    let correct = record.val_correct.clone()?;
    let groups = record.val_groups.clone().map(|correct| {
        let mut total = vec![0; correct.len()];
        let of = session.groups(run.part.val_part);
        run.part.val.iter().for_each(|&i| total[of[i] as usize] += 1);
        GroupCounts { correct, total }
    });
    Some(EvaluationCounts { epoch: record.epoch, correct, total, groups })
}
