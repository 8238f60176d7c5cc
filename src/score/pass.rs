//! One pass over the samples that computes scores: forward, or forward and backward.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::method::{Kind, Method, Scores};
use super::options::Options;
use super::state::{self, PassPosition};
use crate::error::{Error, Result};
use crate::exec::{EvaluationSet, Executor, Mode, run_pass_from};
use crate::ops::Operators;
use crate::ops::loss_score::Field;
use crate::requests::Requests;

/// How a pass is watched and stopped.
pub struct PassControl<'a> {
    /// Looked at between batches: to stop, the state being saved first, or to save it and go on.
    pub requests: &'a Requests,
    /// Called with the samples done and the samples in all.
    pub progress: &'a mut dyn FnMut(usize, usize),
    /// Where the state is kept, how often at least, and what determines the scores.
    pub keeping: Option<(PathBuf, Duration, String)>,
}

/// Returns the passes that `methods` need. One pass serves all of those that read logits, because a
/// pass with gradient norms scores the logits, too. Features are kept by the forward pass.
pub fn modes(methods: &[Method], options: &Options) -> Vec<Mode> {
    let (_, pass) = columns_of(methods, options);
    let features = methods.iter().any(|m| m.kind(options) == Kind::Features);
    let mut modes: Vec<Mode> = pass.into_iter().chain(features.then_some(Mode::Score)).collect();
    modes.dedup();
    modes
}

/// Returns the methods that read logits with their columns, and the pass that fills them.
fn columns_of(methods: &[Method], options: &Options) -> (Vec<(Method, Field)>, Option<Mode>) {
    let (mut columns, mut pass) = (Vec::new(), None);
    for &method in methods {
        if let Kind::Pass { mode, field } = method.kind(options) {
            columns.push((method, field));
            if pass.is_none() || mode.has_norms() {
                pass = Some(mode);
            }
        }
    }
    (columns, pass)
}

/// Scores the set under the executor's network by those of `methods` that read logits; or, when
/// interrupted, saves the state and returns [`Error::Interrupted`]. An unfinished pass of the same
/// job is continued. A value that is not finite is an error that names the sample.
pub fn score<B: Operators>(
    executor: &mut Executor<B>,
    set: &EvaluationSet<B>,
    methods: &[Method],
    options: &Options,
    watch: &mut PassControl,
) -> Result<Scores> {
    let (fields, mode) = columns_of(methods, options);
    let Some(mode) = mode else { return Ok(Vec::new()) };
    run(executor, mode, set, &fields, watch)?;
    let scores = columns(executor, &fields, set.labels.len())?;
    let mut masked = Vec::with_capacity(scores.len());
    for (method, column) in scores {
        let mut values = vec![f32::NAN; column.len()];
        for &i in set.positions {
            let value = column[i as usize];
            if !value.is_finite() {
                let found = format!("{value} for sample {i}");
                let expected = "finite scores; the query model may have diverged";
                return Err(Error::invalid(method.label(), found, expected));
            }
            values[i as usize] = value;
        }
        masked.push((method, values));
    }
    if let Some((path, ..)) = &watch.keeping {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path)(e)),
            _ => {}
        }
    }
    Ok(masked)
}

fn run<B: Operators>(
    executor: &mut Executor<B>,
    mode: Mode,
    set: &EvaluationSet<B>,
    fields: &[(Method, Field)],
    watch: &mut PassControl,
) -> Result<()> {
    let (batch, samples) = (executor.batch(mode), set.positions.len());
    let mut start = 0;
    if let Some((path, _, job)) = &watch.keeping
        && let Some((done, columns)) =
            state::load(path, job, [batch, samples.div_ceil(batch)], fields)?
    {
        for ((_, values), (_, field)) in columns.iter().zip(fields) {
            executor.set_column(*field, values)?;
        }
        start = done;
    }
    let mut saved = Instant::now();
    run_pass_from(executor, mode, set, start, &mut |executor, done| {
        (watch.progress)((done * batch).min(samples), samples);
        let interrupted = watch.requests.stop();
        if let Some((path, interval, job)) = &watch.keeping
            && (interrupted || watch.requests.take_save() || saved.elapsed() >= *interval)
        {
            let columns = columns(executor, fields, set.labels.len())?;
            state::save(path, &PassPosition::new(job, batch, done), &columns)?;
            saved = Instant::now();
        }
        if interrupted { Err(Error::Interrupted) } else { Ok(()) }
    })
}

fn columns<B: Operators>(
    executor: &Executor<B>,
    fields: &[(Method, Field)],
    samples: usize,
) -> Result<Vec<(Method, Vec<f32>)>> {
    fields.iter().map(|&(method, field)| Ok((method, executor.column(field, samples)?))).collect()
}
