//! The training loop: epochs of steps, evaluation, log, checkpoints, interruption.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::baseline::{BaselineInput, Policy, StepAt, policy};
use super::checkpoint::{self, Checkpoint, RunPosition};
use super::evaluate::measure;
use super::job::{Control, TrainJob, TrainProgress};
use super::outcome::{EpochRecord, TrainOutcome};
use super::recorder::{Recorder, field};
use crate::artefact::dynamics::Quantity;
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode, Pass, batch_sizes};
use crate::metrics::{ClassCounts, class_difference, recalls};
use crate::nn::Weights;
use crate::nn::init::initialise;
use crate::ops::Operators;

/// Trains to the end, or saves the state and returns [`Error::Interrupted`]. Afterwards the
/// executor's weights are the result's. A checkpoint of the same job is continued.
pub fn train<B: Operators>(
    executor: &mut Executor<B>,
    job: &TrainJob<B>,
    control: &mut Control,
) -> Result<TrainOutcome> {
    train_with(executor, job, None, control)
}

/// Trains as [`train`] does, with a baseline's order and weights.
pub fn train_with<B: Operators>(
    executor: &mut Executor<B>,
    job: &TrainJob<B>,
    baseline: Option<&BaselineInput>,
    control: &mut Control,
) -> Result<TrainOutcome> {
    let path = control.checkpoint.as_ref().map(|c| &c.0);
    let mut run = TrainingLoop::start(executor, job, baseline, path)?;
    // A checkpoint can hold all steps of the last epoch, but not yet its record.
    while run.begin() < job.until {
        run.epoch(control)?;
    }
    run.finish(control)
}

struct TrainingLoop<'a, 'j, B: Operators> {
    executor: &'a mut Executor<B>,
    job: &'a TrainJob<'j, B>,
    policy: Box<dyn Policy<B> + 'a>,
    /// Whether the best epoch is that of the least class difference.
    by_difference: bool,
    position: RunPosition,
    /// Number of the schedule's steps in an epoch: batches of the whole subset.
    span: u64,
    /// Number of batches in the current epoch, which may be fewer.
    batches: u64,
    best: Option<Weights>,
    resumed_columns: Option<BTreeMap<String, Vec<f32>>>,
    recorder: Option<Recorder>,
    clock: Instant,
    saved: Instant,
    /// A checkpoint that was taken after the last step, to be written once the next step is seen to
    /// be finite.
    pending: Option<Checkpoint>,
}

impl<'a, 'j, B: Operators> TrainingLoop<'a, 'j, B> {
    fn start(
        executor: &'a mut Executor<B>,
        job: &'a TrainJob<'j, B>,
        baseline: Option<&BaselineInput>,
        path: Option<&PathBuf>,
    ) -> Result<Self> {
        let inside = job.subset.last().is_none_or(|&i| (i as usize) < job.labels.len());
        if !inside || !job.subset.is_sorted_by(|a, b| a < b) {
            let expected = format!("ascending positions below {}", job.labels.len());
            return Err(Error::invalid("training subset", "positions out of order", expected));
        }
        let span = batch_sizes(Mode::Train, job.recipe.batch, job.subset.len()).len() as u64;
        if span == 0 {
            let found = format!("{} samples", job.subset.len());
            return Err(Error::invalid("training subset", found, "at least 2 samples"));
        }
        let mut policy = policy(job, executor, baseline)?;
        let span = policy.span().unwrap_or(span);
        let stored = match path {
            Some(path) => checkpoint::load(path, &job.identity)?,
            None => None,
        };
        let (position, best, resumed_columns) = match stored {
            Some(stored) => {
                if let (Some(path), Some(found)) =
                    (path, stored.position.impossible(job.until, span))
                {
                    return Err(Error::damaged(path, found));
                }
                executor.set_weights(&stored.weights)?;
                executor.set_velocities(&stored.velocities)?;
                policy.restore(&stored.policy)?;
                if job.record.is_some_and(|r| r.divergence) {
                    let (found, classes) = (stored.previous.len(), executor.network().classes);
                    if found != job.labels.len() * classes {
                        let what = "checkpoint: previous presentations";
                        let expected = format!("{classes} a sample; `force` starts anew");
                        return Err(Error::invalid(what, format!("{found} values"), expected));
                    }
                    executor.set_previous(&stored.previous)?;
                }
                (stored.position, stored.best, Some(stored.columns))
            }
            None => {
                let fresh;
                let weights = match job.initial {
                    Some(weights) => weights,
                    None => {
                        fresh = initialise(executor.network(), job.seeds.init);
                        &fresh
                    }
                };
                executor.set_weights(weights)?;
                executor.zero_velocities()?;
                executor.forget_presentations()?;
                (RunPosition::start(job.identity.clone()), None, None)
            }
        };
        let samples = job.labels.len();
        let (epochs, stated) = (position.epoch as usize, &position.rows);
        let checkpoint = path.map(PathBuf::as_path);
        let resume = |what| Recorder::resume(checkpoint, what, samples, epochs, stated);
        let recorder = job.record.map(resume).transpose()?;
        let now = Instant::now();
        Ok(TrainingLoop {
            recorder,
            executor,
            job,
            policy,
            by_difference: baseline.is_some_and(|b| b.baseline.selects_by_class_difference()),
            position,
            span,
            batches: span,
            best,
            resumed_columns,
            clock: now,
            saved: now,
            pending: None,
        })
    }

    /// Trains for the rest of the current epoch, as far as the budget goes.
    fn epoch(&mut self, control: &mut Control) -> Result<()> {
        let job = self.job;
        let (epoch, first) = (self.position.epoch, self.position.batch as usize);
        let shown = self.policy.epoch(epoch, &self.position.history)?;
        let (begin, order, sizes) = (self.begin(), &shown.order, &shown.sizes);
        // An epoch of fewer batches spans the same part of the schedule.
        let all = sizes.len() as u64;
        self.batches = all.max(1);
        let left = (job.until - begin).min(self.span);
        let batches = (all * left).div_ceil(self.span) as usize;
        let lrs: Vec<f32> = (0..all)
            .map(|i| job.recipe.lr_at(begin + i * self.span / all, job.total_steps))
            .collect();
        let labels = shown.draws.as_ref().map_or(job.labels, |d| &d.labels);
        self.executor.set_sample_weights(shown.sample_weights.as_deref())?;
        self.executor.set_sources(shown.draws.as_ref().map(|d| d.sources.as_slice()))?;
        self.executor.begin(&Pass {
            labels,
            order,
            epoch,
            start: first as u32,
            steps_done: self.position.steps as u32,
            lrs: &lrs,
            class_weights: &shown.class_weights,
        })?;
        if let Some(columns) = self.resumed_columns.take().filter(|_| first > 0) {
            for quantity in self.tracked() {
                let values = columns.get(quantity.name()).ok_or_else(|| {
                    let found = format!("a checkpoint without {}", quantity.name());
                    Error::invalid("checkpoint", found, "one of this run; `force` starts anew")
                })?;
                self.executor.set_column(field(quantity), values)?;
            }
        }
        for batch in first..batches {
            let looked = self.policy.step(&mut StepAt {
                executor: &mut *self.executor,
                images: job.images,
                labels,
                shown: &shown,
                epoch,
                batch,
                step: self.position.steps,
                lrs: &lrs,
            })?;
            self.position.batch += 1;
            self.position.steps += 1;
            self.position.presented += sizes[batch] as u64;
            self.position.selected += looked as u64;
            if self.policy.looks() {
                self.check_finite()?;
            }
            self.look(control)?;
        }
        self.check_finite()?;
        let chosen = self.policy.presented();
        let presented = match &chosen {
            Some(chosen) => chosen.as_slice(),
            None => &order[..order.len().min(sizes[..batches].iter().sum())],
        };
        let lr = batches.checked_sub(1).map_or(0.0, |last| lrs[last]);
        let record = self.record(presented, lr)?;
        if self.job.keep_best && record.merit() > self.best_merit() {
            self.best = Some(self.executor.weights()?);
        }
        self.position.history.push(record);
        self.position.epoch += 1;
        self.position.batch = 0;
        self.look(control)
    }

    /// Returns the number of the schedule's steps before the current epoch.
    fn begin(&self) -> u64 {
        u64::from(self.position.epoch) * self.span
    }

    /// Lists what is read at the end of an epoch.
    fn tracked(&self) -> Vec<Quantity> {
        match &self.recorder {
            Some(recorder) => recorder.recording().quantities().to_vec(),
            None => vec![Quantity::Loss, Quantity::Correct],
        }
    }

    fn best_merit(&self) -> Option<f64> {
        let merits = self.position.history.iter().filter_map(EpochRecord::merit);
        merits.max_by(f64::total_cmp)
    }

    fn check_finite(&self) -> Result<()> {
        match self.executor.state()?.bad_step {
            Some(step) => Err(self.diverged("the loss", u64::from(step))),
            None => Ok(()),
        }
    }

    fn diverged(&self, what: &str, step: u64) -> Error {
        Error::Diverged { what: what.to_owned(), step, epoch: u64::from(self.position.epoch) }
    }

    /// Returns the weights, which the last update may have driven to infinity after a finite loss.
    fn finite_weights(&self) -> Result<Weights> {
        let weights = self.executor.weights()?;
        match weights.tensors.iter().find(|(_, t)| t.data.iter().any(|v| !v.is_finite())) {
            Some((name, _)) => Err(self.diverged(name, self.position.steps.saturating_sub(1))),
            None => Ok(weights),
        }
    }

    /// Reports progress, looks for divergence and interruption, and writes a checkpoint where one
    /// is due.
    fn look(&mut self, control: &mut Control) -> Result<()> {
        let RunPosition { epoch, batch, .. } = self.position;
        let step = self.begin() + u64::from(batch) * self.span / self.batches;
        let finished = self.position.history.last().filter(|_| batch == 0);
        (control.progress)(TrainProgress { epoch, step, total_steps: self.job.until, finished });
        let interrupted = control.requests.stop();
        let Some((path, interval)) = &control.checkpoint else {
            return if interrupted { Err(Error::Interrupted) } else { Ok(()) };
        };
        if interrupted {
            self.check_finite()?;
            let snapshot = self.snapshot()?;
            self.save(path, &snapshot)?;
            return Err(Error::Interrupted);
        }
        // A state is good once the next step's loss is finite, because one step may blow the
        // weights up.
        if let Some(snapshot) = self.pending.take() {
            self.check_finite()?;
            self.save(path, &snapshot)?;
            self.saved = Instant::now();
        }
        if control.requests.take_save() || self.saved.elapsed() >= *interval {
            self.check_finite()?;
            self.pending = Some(self.snapshot()?);
        }
        Ok(())
    }

    /// Saves the rows of the epochs that the checkpoint counts as done, and then the checkpoint.
    fn save(&mut self, path: &Path, checkpoint: &Checkpoint) -> Result<()> {
        self.recorder.as_mut().map_or(Ok(()), Recorder::sync)?;
        checkpoint::save(path, checkpoint)
    }

    fn snapshot(&mut self) -> Result<Checkpoint> {
        self.position.seconds += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
        self.position.rows =
            self.recorder.as_ref().map_or(Vec::new(), |recorder| recorder.digests().to_vec());
        let samples = self.job.labels.len();
        let columns = self.tracked().into_iter();
        let columns =
            columns.map(|q| Ok((q.name().to_owned(), self.executor.column(field(q), samples)?)));
        Ok(Checkpoint {
            position: self.position.clone(),
            weights: self.finite_weights()?,
            velocities: self.executor.velocities()?,
            best: self.best.clone(),
            columns: columns.collect::<Result<_>>()?,
            previous: self.executor.previous(samples)?,
            policy: self.policy.state()?,
        })
    }

    fn record(&mut self, presented: &[u32], lr: f32) -> Result<EpochRecord> {
        let samples = self.job.labels.len();
        let mean = |column: &[f32]| {
            let sum: f64 = presented.iter().map(|&i| f64::from(column[i as usize])).sum();
            sum / presented.len().max(1) as f64
        };
        // All columns are read before the validation, which writes to the same table.
        let tracked = self.tracked();
        let read = |q: &Quantity| self.executor.column(field(*q), samples);
        let mut columns = tracked.iter().map(read).collect::<Result<Vec<_>>>()?;
        let of = |q: Quantity| tracked.iter().position(|t| *t == q).map(|i| mean(&columns[i]));
        let train_loss = of(Quantity::Loss).unwrap_or(f64::NAN);
        let train_accuracy = of(Quantity::Correct).unwrap_or(f64::NAN);
        if let Some(losses) = tracked.iter().position(|t| *t == Quantity::Loss) {
            self.policy.learn(presented, &columns[losses]);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.push(&mut columns, presented)?;
        }
        let epoch = self.position.epoch;
        let last = self.begin() + self.span >= self.job.until;
        let due = last || (epoch + 1).is_multiple_of(self.job.evaluate_every.max(1));
        let evaluation = match &self.job.validation {
            Some(set) if due => Some(measure(self.executor, set)?),
            _ => None,
        };
        if evaluation.as_ref().is_some_and(|e| !e.loss.is_finite()) {
            return Err(self.diverged("the validation loss", self.position.steps - 1));
        }
        let counts = evaluation.as_ref().map(|e| e.counts.as_slice());
        let groups = evaluation.as_ref().and_then(|e| e.groups.as_ref());
        let correct = |c: &[ClassCounts]| c.iter().map(|c| c.correct).collect();
        Ok(EpochRecord {
            epoch,
            steps: self.position.steps,
            lr,
            train_loss,
            train_accuracy,
            val_loss: evaluation.as_ref().map(|e| e.loss),
            val_accuracy: counts.and_then(crate::metrics::average_accuracy),
            val_correct: counts.map(correct),
            val_groups: groups.map(|c| correct(c)),
            val_class_difference: counts
                .filter(|_| self.by_difference)
                .and_then(|c| class_difference(&recalls(c))),
            seconds: self.position.seconds + self.clock.elapsed().as_secs_f64(),
        })
    }

    fn finish(mut self, control: &mut Control) -> Result<TrainOutcome> {
        if let Some((path, _)) = &control.checkpoint {
            let snapshot = self.snapshot()?;
            self.save(path, &snapshot)?;
        } else {
            self.position.seconds += self.clock.elapsed().as_secs_f64();
        }
        Ok(TrainOutcome {
            weights: self.finite_weights()?,
            best_weights: self.best,
            steps: self.position.steps,
            presented: self.position.presented,
            selected: self.position.selected,
            seconds: self.position.seconds,
            history: self.position.history,
            times_presented: self.policy.times_presented(),
            dynamics: self.recorder,
        })
    }
}
