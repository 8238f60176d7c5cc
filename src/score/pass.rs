//! One pass over the samples a kind of score: forward, or forward and backward.

use super::method::Method;
use crate::error::{Error, Result};
use crate::exec::{EvaluationSet, Executor, Mode, run_pass};
use crate::ops::Operators;

/// Scores of one part, one value a sample of the whole part; NaN where a sample was not scored.
pub type Scores = Vec<(Method, Vec<f32>)>;

/// The passes that `methods` need: one forward pass serves all of that kind, and the gradient
/// pass serves them too.
pub fn modes(methods: &[Method]) -> Vec<Mode> {
    let grand = methods.iter().any(|m| m.mode() == Mode::GradNorm);
    let forward = methods.iter().any(|m| m.mode() == Mode::Score);
    match (grand, forward) {
        (true, _) => vec![Mode::GradNorm],
        (false, true) => vec![Mode::Score],
        (false, false) => Vec::new(),
    }
}

/// Scores the set with the executor's network, in batches of `batch`. A value that is not finite
/// is an error that names the sample.
pub fn score<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
    methods: &[Method],
    batch: usize,
) -> Result<Scores> {
    for mode in modes(methods) {
        run_pass(executor, mode, set, batch)?;
    }
    let samples = set.labels.len();
    let mut scores = Vec::with_capacity(methods.len());
    for &method in methods {
        let column = executor.column(method.field(), samples)?;
        let mut values = vec![f32::NAN; samples];
        for &i in set.positions {
            let value = column[i as usize];
            if !value.is_finite() {
                let found = format!("{value} for sample {i}");
                let expected = "finite scores; the query model may have diverged";
                return Err(Error::invalid(method.label(), found, expected));
            }
            values[i as usize] = value;
        }
        scores.push((method, values));
    }
    Ok(scores)
}
