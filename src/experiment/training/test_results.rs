//! What a finished run reaches on the test images.

use std::collections::BTreeMap;

use super::run::TrainingRun;
use crate::data::PartName;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::experiment::counts::EvaluationCounts;
use crate::experiment::session::{OnBackend, positions};
use crate::nn::Weights;
use crate::ops::Operators;
use crate::train::{TrainOutcome, measure};

/// Test results of the last epoch's weights and of the best on the validation part.
#[derive(Default)]
pub(super) struct TestResults {
    pub last: Option<EvaluationCounts>,
    pub best: Option<EvaluationCounts>,
    /// Images by class and answer: [class, answer, images], of the last epoch's weights.
    pub confusion: Vec<[u32; 3]>,
}

/// Evaluates what `outcome` holds, where the run asks for it; the executor ends with other weights.
pub(super) fn test_results<B: Operators>(
    on: &OnBackend<B>,
    run: &TrainingRun,
    executor: &mut Executor<B>,
    outcome: &TrainOutcome,
) -> Result<TestResults> {
    if !run.test || on.session.split.test.is_empty() {
        return Ok(TestResults::default());
    }
    let last_epoch = outcome.history.last().map_or(0, |r| r.epoch);
    let steps = outcome.steps;
    let (last, confusion) = on_test(on, executor, &outcome.weights, last_epoch, steps)?;
    let best = match (&outcome.best_weights, outcome.best().map(|r| r.epoch)) {
        (Some(weights), Some(epoch)) if epoch != last_epoch => {
            Some(on_test(on, executor, weights, epoch, steps)?.0)
        }
        (Some(_), Some(_)) => Some(last.clone()),
        _ => None,
    };
    Ok(TestResults { last: Some(last), best, confusion })
}

/// What `weights` answer for the test images, and how many of each class are answered as which.
fn on_test<B: Operators>(
    on: &OnBackend<B>,
    executor: &mut Executor<B>,
    weights: &Weights,
    epoch: u32,
    steps: u64,
) -> Result<(EvaluationCounts, Vec<[u32; 3]>)> {
    executor.set_weights(weights)?;
    let test = positions(&on.session.split.test);
    let set = on.set(PartName::Test, &test)?;
    let evaluation = measure(executor, &set)?;
    if !evaluation.loss.is_finite() {
        let step = steps.saturating_sub(1);
        let what = "the test loss".to_owned();
        return Err(Error::Diverged { what, step, epoch: u64::from(epoch) });
    }
    let mut confusion: BTreeMap<[u32; 2], u32> = BTreeMap::new();
    for (&i, &answer) in test.iter().zip(&evaluation.predictions) {
        *confusion.entry([set.labels[i as usize], answer]).or_insert(0) += 1;
    }
    let confusion = confusion.into_iter().map(|([label, answer], n)| [label, answer, n]).collect();
    Ok((EvaluationCounts::new(epoch, &evaluation), confusion))
}
