//! The training loop: epochs of steps, evaluation, log, checkpoints, interruption.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Checkpoint, Position};
use super::evaluate::{EvaluationSet, measure};
use super::order::epoch_order;
use super::recipe::{Recipe, Seeds};
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode, Pass, batch_sizes};
use crate::metrics::ClassCounts;
use crate::nn::Weights;
use crate::nn::init::initialise;
use crate::ops::Operators;
use crate::ops::loss_score::Field;

/// What one run trains on and how.
pub struct TrainJob<'a, B: Operators> {
    pub recipe: &'a Recipe,
    pub seeds: Seeds,
    /// Steps of the whole run (see [`Recipe::steps`]).
    pub total_steps: u64,
    pub images: &'a B::Images,
    /// Labels of the whole training part.
    pub labels: &'a [u32],
    /// Positions to train on, ascending.
    pub subset: &'a [u32],
    /// Evaluated after every `evaluate_every` epochs and after the last.
    pub validation: Option<EvaluationSet<'a, B>>,
    pub evaluate_every: u32,
    /// Keep the weights of the best validation accuracy, too.
    pub keep_best: bool,
    /// Everything that determines the result, as text: a checkpoint of another job is refused.
    pub identity: String,
    /// Start from these weights instead of fresh ones.
    pub initial: Option<&'a Weights>,
}

/// How a run is watched and stopped.
pub struct Control<'a> {
    /// Set from outside to stop at the next step; the state is saved first.
    pub interrupt: &'a AtomicBool,
    pub progress: &'a mut dyn FnMut(Progress),
    /// Where the state is kept, and how often at least.
    pub checkpoint: Option<(PathBuf, Duration)>,
}

/// Where a run stands, for people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    pub epoch: u32,
    pub step: u64,
    pub total_steps: u64,
}

/// One finished epoch (or the part of one that the budget allowed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    pub epoch: u32,
    /// Steps done in the run at the epoch's end.
    pub steps: u64,
    /// Learning rate of the last step.
    pub lr: f32,
    /// Means over the epoch's presentations, in train mode.
    pub train_loss: f64,
    pub train_accuracy: f64,
    pub val_loss: Option<f64>,
    pub val_accuracy: Option<f64>,
    /// Correct validation samples of each class.
    pub val_correct: Option<Vec<u64>>,
    pub seconds: f64,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub weights: Weights,
    /// Weights at the best validation accuracy (the first of equals), if the job keeps them.
    pub best_weights: Option<Weights>,
    pub history: Vec<EpochRecord>,
    pub steps: u64,
    /// Training and validation, over all interruptions.
    pub seconds: f64,
}

impl Outcome {
    /// The record of best validation accuracy (the first of equals), if there was validation.
    pub fn best(&self) -> Option<&EpochRecord> {
        let mut best: Option<&EpochRecord> = None;
        for record in self.history.iter().filter(|r| r.val_accuracy.is_some()) {
            if best.is_none_or(|b| record.val_accuracy > b.val_accuracy) {
                best = Some(record);
            }
        }
        best
    }
}

/// Trains to the end, or saves and returns [`Error::Interrupted`]. The executor's weights are the
/// result's. A checkpoint of the same job is continued.
pub fn train<B: Operators>(
    executor: &mut Executor<B>,
    job: &TrainJob<B>,
    control: &mut Control,
) -> Result<Outcome> {
    let mut run = Run::start(executor, job, control.checkpoint.as_ref().map(|c| &c.0))?;
    // A checkpoint can hold all steps of the last epoch, but not yet its record.
    while run.position.steps < job.total_steps || run.position.batch > 0 {
        run.epoch(control)?;
    }
    run.finish(control)
}

struct Run<'a, 'j, B: Operators> {
    executor: &'a mut Executor<B>,
    job: &'a TrainJob<'j, B>,
    position: Position,
    /// Batch sizes of a full epoch over the subset.
    sizes: Vec<usize>,
    best: Option<Weights>,
    resumed_columns: Option<[Vec<f32>; 2]>,
    clock: Instant,
    saved: Instant,
    /// Taken after the last step, to be written once the next one is seen to be finite.
    pending: Option<Checkpoint>,
}

impl<'a, 'j, B: Operators> Run<'a, 'j, B> {
    fn start(
        executor: &'a mut Executor<B>,
        job: &'a TrainJob<'j, B>,
        path: Option<&PathBuf>,
    ) -> Result<Self> {
        let inside = job.subset.last().is_none_or(|&i| (i as usize) < job.labels.len());
        if !inside || !job.subset.is_sorted_by(|a, b| a < b) {
            let expected = format!("ascending positions below {}", job.labels.len());
            return Err(Error::invalid("training subset", "positions out of order", expected));
        }
        let sizes = batch_sizes(Mode::Train, job.recipe.batch, job.subset.len());
        if sizes.is_empty() {
            let found = format!("{} samples", job.subset.len());
            return Err(Error::invalid("training subset", found, "at least 2 samples"));
        }
        let stored = match path {
            Some(path) => checkpoint::load(path, &job.identity)?,
            None => None,
        };
        let (position, best, resumed_columns) = match stored {
            Some(stored) => {
                executor.set_weights(&stored.weights)?;
                executor.set_velocities(&stored.velocities)?;
                (stored.position, stored.best, Some([stored.loss, stored.correct]))
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
                (Position::start(job.identity.clone()), None, None)
            }
        };
        let now = Instant::now();
        Ok(Run {
            executor,
            job,
            position,
            sizes,
            best,
            resumed_columns,
            clock: now,
            saved: now,
            pending: None,
        })
    }

    /// The rest of the current epoch, as far as the budget goes.
    fn epoch(&mut self, control: &mut Control) -> Result<()> {
        let job = self.job;
        let (epoch, first) = (self.position.epoch, self.position.batch as usize);
        let order = epoch_order(job.seeds.order, epoch, job.labels.len(), job.subset);
        let begin = self.position.steps - first as u64;
        let batches = self.sizes.len().min((job.total_steps - begin) as usize);
        let lrs: Vec<f32> = (0..self.sizes.len() as u64)
            .map(|i| job.recipe.lr_at(begin + i, job.total_steps))
            .collect();
        self.executor.begin(&Pass {
            labels: job.labels,
            order: &order,
            epoch,
            start: first as u32,
            steps_done: self.position.steps as u32,
            lrs: &lrs,
            class_weights: &self.class_weights(),
        })?;
        if let Some([loss, correct]) = self.resumed_columns.take().filter(|_| first > 0) {
            self.executor.set_column(Field::Loss, &loss)?;
            self.executor.set_column(Field::Correct, &correct)?;
        }
        for batch in first..batches {
            self.executor.step(Mode::Train, self.sizes[batch], job.images)?;
            self.position.batch += 1;
            self.position.steps += 1;
            self.look(control)?;
        }
        self.check_finite()?;
        let presented = &order[..order.len().min(self.sizes[..batches].iter().sum())];
        let record = self.record(presented, lrs[batches - 1])?;
        if self.job.keep_best && record.val_accuracy > self.best_accuracy() {
            self.best = Some(self.executor.weights()?);
        }
        self.position.history.push(record);
        self.position.epoch += 1;
        self.position.batch = 0;
        self.look(control)
    }

    fn best_accuracy(&self) -> Option<f64> {
        let accuracies = self.position.history.iter().filter_map(|r| r.val_accuracy);
        accuracies.max_by(f64::total_cmp)
    }

    fn class_weights(&self) -> Vec<f32> {
        let classes = self.executor.network().classes;
        self.job.recipe.class_weights.clone().unwrap_or_else(|| vec![1.0; classes])
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

    /// The weights, which the last update may have driven to infinity after a finite loss.
    fn finite_weights(&self) -> Result<Weights> {
        let weights = self.executor.weights()?;
        match weights.tensors.iter().find(|(_, t)| t.data.iter().any(|v| !v.is_finite())) {
            Some((name, _)) => Err(self.diverged(name, self.position.steps.saturating_sub(1))),
            None => Ok(weights),
        }
    }

    /// Progress, divergence, interruption, and a checkpoint where one is due.
    fn look(&mut self, control: &mut Control) -> Result<()> {
        let Position { epoch, steps: step, .. } = self.position;
        (control.progress)(Progress { epoch, step, total_steps: self.job.total_steps });
        let interrupted = control.interrupt.load(Ordering::Relaxed);
        let Some((path, interval)) = &control.checkpoint else {
            return if interrupted { Err(Error::Interrupted) } else { Ok(()) };
        };
        if interrupted {
            self.check_finite()?;
            checkpoint::save(path, &self.snapshot()?)?;
            return Err(Error::Interrupted);
        }
        // A state is good once the next step's loss is finite: one step may blow the weights up.
        if let Some(snapshot) = self.pending.take() {
            self.check_finite()?;
            checkpoint::save(path, &snapshot)?;
            self.saved = Instant::now();
        }
        if self.saved.elapsed() >= *interval {
            self.check_finite()?;
            self.pending = Some(self.snapshot()?);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Checkpoint> {
        self.position.seconds += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
        let samples = self.job.labels.len();
        Ok(Checkpoint {
            position: self.position.clone(),
            weights: self.finite_weights()?,
            velocities: self.executor.velocities()?,
            best: self.best.clone(),
            loss: self.executor.column(Field::Loss, samples)?,
            correct: self.executor.column(Field::Correct, samples)?,
        })
    }

    fn record(&mut self, presented: &[u32], lr: f32) -> Result<EpochRecord> {
        let samples = self.job.labels.len();
        let mean = |column: &[f32]| {
            let sum: f64 = presented.iter().map(|&i| f64::from(column[i as usize])).sum();
            sum / presented.len().max(1) as f64
        };
        let train_loss = mean(&self.executor.column(Field::Loss, samples)?);
        let train_accuracy = mean(&self.executor.column(Field::Correct, samples)?);
        let epoch = self.position.epoch;
        let last = self.position.steps >= self.job.total_steps;
        let due = last || (epoch + 1).is_multiple_of(self.job.evaluate_every.max(1));
        let evaluation = match &self.job.validation {
            Some(set) if due => Some(measure(self.executor, set)?),
            _ => None,
        };
        if evaluation.as_ref().is_some_and(|e| !e.loss.is_finite()) {
            return Err(self.diverged("the validation loss", self.position.steps - 1));
        }
        let counts = evaluation.as_ref().map(|e| e.counts.as_slice());
        Ok(EpochRecord {
            epoch,
            steps: self.position.steps,
            lr,
            train_loss,
            train_accuracy,
            val_loss: evaluation.as_ref().map(|e| e.loss),
            val_accuracy: counts.and_then(crate::metrics::average_accuracy),
            val_correct: counts.map(|c| c.iter().map(|c: &ClassCounts| c.correct).collect()),
            seconds: self.position.seconds + self.clock.elapsed().as_secs_f64(),
        })
    }

    fn finish(mut self, control: &mut Control) -> Result<Outcome> {
        if let Some((path, _)) = &control.checkpoint {
            checkpoint::save(path, &self.snapshot()?)?;
        } else {
            self.position.seconds += self.clock.elapsed().as_secs_f64();
        }
        Ok(Outcome {
            weights: self.finite_weights()?,
            best_weights: self.best,
            steps: self.position.steps,
            seconds: self.position.seconds,
            history: self.position.history,
        })
    }
}
