//! Training dynamics of a network that the caller trains: what every epoch says of every sample.

mod folder;
mod state;
mod tally;

pub use state::RecorderState;

use super::logits::{LogitScores, score_logits};
use crate::artefact::dynamics::Quantity;
use crate::backend::Cpu;
use crate::error::{Error, Result};
use crate::memory;
use crate::ops::loss_score::Field;
use crate::score::{Kind, Method, Options, Scores, recorded};
use crate::train::recorder::{Recorder, Recording, field};
use tally::ClassTally;

/// No sample of this epoch has the label yet.
const UNKNOWN: u32 = u32::MAX;

/// Records what [`LogitRecorder::update`] is told of each batch, as this program's own runs are recorded.
#[derive(Debug)]
pub struct LogitRecorder {
    recording: Recording,
    classes: usize,
    /// Class of each sample, [`UNKNOWN`] until it was first presented.
    labels: Vec<u32>,
    rows: Recorder,
    /// The columns of the epoch at hand, in the order of [`Recording::quantities`].
    columns: Vec<Vec<f32>>,
    /// Samples that the epoch at hand presented.
    presented: Vec<u32>,
    /// ln p of each sample's previous presentation, N x K; empty where divergence is not recorded.
    previous: Vec<f32>,
    /// Correct and total validation samples of each class, of the epoch at hand and of the finished ones.
    validation: ClassTally,
    validated: Vec<ClassTally>,
    updates: u64,
}

impl LogitRecorder {
    /// A recorder of `samples` samples of `classes` classes; with `divergence` it keeps the probabilities of
    /// each sample's last presentation, which TDDS needs.
    ///
    /// # Errors
    /// No samples, or fewer than two classes.
    pub fn new(samples: usize, classes: usize, divergence: bool) -> Result<LogitRecorder> {
        if samples == 0 || samples > u32::MAX as usize || classes < 2 {
            let found = format!("{samples} samples of {classes} classes");
            return Err(Error::invalid(
                "recorder",
                found,
                "a sample or more of two classes or more",
            ));
        }
        let recording = Recording { divergence };
        let column = |_: &Quantity| memory::filled(f32::NAN, samples);
        let columns = recording.quantities().iter().map(column).collect::<Result<_>>()?;
        let previous = if divergence { samples * classes } else { 0 };
        Ok(LogitRecorder {
            recording,
            classes,
            labels: memory::filled(UNKNOWN, samples)?,
            rows: Recorder::open(None, recording, samples, 0)?,
            columns,
            presented: Vec::new(),
            previous: memory::filled(f32::NAN, previous)?,
            validation: ClassTally::new(classes),
            validated: Vec::new(),
            updates: 0,
        })
    }

    /// Bytes that the recorder holds after `epochs` epochs.
    pub fn bytes(&self, epochs: usize) -> u64 {
        self.recording.bytes(epochs + 1, self.labels.len())
            + 4 * (self.previous.len() + self.labels.len()) as u64
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of finished epochs.
    pub fn epochs(&self) -> usize {
        self.rows.epochs()
    }

    /// Records a batch: positions of its samples, their logits (B x K) in train mode, before the step, and
    /// their labels. Returns what the logits say.
    ///
    /// # Errors
    /// What [`score_logits`] refuses; a position that is no sample's or that the epoch had before; a label
    /// that differs from the sample's earlier one. Nothing is recorded then.
    pub fn update(
        &mut self,
        cpu: &Cpu,
        positions: &[u32],
        logits: &[f32],
        labels: &[u32],
    ) -> Result<LogitScores> {
        if positions.len() != labels.len() {
            let expected = format!("{}, one a label", labels.len());
            return Err(Error::invalid("indices", format!("{}", positions.len()), expected));
        }
        self.check_positions(positions, labels)?;
        let k = self.classes;
        let mut previous = Vec::new();
        if !self.previous.is_empty() {
            previous.reserve_exact(positions.len() * k);
            positions.iter().for_each(|&i| previous.extend(&self.previous[i as usize * k..][..k]));
        }
        let scores = score_logits(cpu, k, logits, labels, &mut previous)?;
        for (&i, row) in positions.iter().zip(previous.chunks(k)) {
            self.previous[i as usize * k..][..k].copy_from_slice(row);
        }
        for (column, &quantity) in self.columns.iter_mut().zip(self.recording.quantities()) {
            let values = scores.column(field(quantity));
            positions.iter().zip(values).for_each(|(&i, value)| column[i as usize] = value);
        }
        positions.iter().zip(labels).for_each(|(&i, &l)| self.labels[i as usize] = l);
        self.presented.extend(positions);
        self.updates += 1;
        Ok(scores)
    }

    fn check_positions(&self, positions: &[u32], labels: &[u32]) -> Result<()> {
        let samples = self.labels.len();
        let mut sorted = positions.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let what = format!("index {}", pair[0]);
            return Err(Error::invalid(what, "twice in one batch", "once an epoch"));
        }
        // The loss of a sample is NaN until the epoch presents it.
        let losses = &self.columns[0];
        for (&i, &label) in positions.iter().zip(labels) {
            let Some(loss) = losses.get(i as usize) else {
                let expected = format!("below {samples}, the number of samples");
                return Err(Error::invalid("index", i.to_string(), expected));
            };
            if !loss.is_nan() {
                let what = format!("index {i}");
                let found = "twice in one epoch";
                return Err(Error::invalid(what, found, "once; `end_epoch` begins the next one"));
            }
            let known = self.labels[i as usize];
            if known != UNKNOWN && known != label {
                let what = format!("label of sample {i}");
                let expected = format!("{known}, as in its earlier presentation");
                return Err(Error::invalid(what, label.to_string(), expected));
            }
        }
        Ok(())
    }

    /// Counts a batch of validation samples: logits (B x K) in eval mode, and labels.
    ///
    /// # Errors
    /// What [`score_logits`] refuses.
    pub fn validate(&mut self, cpu: &Cpu, logits: &[f32], labels: &[u32]) -> Result<()> {
        let scores = score_logits(cpu, self.classes, logits, labels, &mut [])?;
        for (&label, correct) in labels.iter().zip(scores.column(Field::Correct)) {
            self.validation.total[label as usize] += 1;
            self.validation.correct[label as usize] += correct as u64;
        }
        Ok(())
    }

    /// Ends an epoch.
    ///
    /// # Errors
    /// No sample was presented since the last one.
    pub fn end_epoch(&mut self) -> Result<()> {
        if self.presented.is_empty() {
            let expected = "`update` with every batch of the epoch first";
            return Err(Error::invalid("epoch", "no batches", expected));
        }
        self.rows.push(&mut self.columns, &self.presented)?;
        self.presented.clear();
        self.columns.iter_mut().for_each(|c| c.fill(f32::NAN));
        let fresh = ClassTally::new(self.classes);
        self.validated.push(std::mem::replace(&mut self.validation, fresh));
        Ok(())
    }

    /// Scores of the finished epochs, NaN for samples that no epoch presented.
    ///
    /// # Errors
    /// A method that is not made from dynamics or that needs more epochs; too few presentations of a
    /// sample.
    pub fn scores(&mut self, methods: &[Method], options: &Options) -> Result<Scores> {
        for method in methods {
            if !matches!(method.kind(options), Kind::Dynamics(_)) {
                let expected = "a score of training dynamics, such as forgetting, aum or tdds";
                return Err(Error::invalid("score", method.name(), expected));
            }
            if *method == Method::Tdds && !self.recording.divergence {
                let expected = "a recorder that keeps the divergence";
                return Err(Error::invalid("score tdds", "none recorded", expected));
            }
            method.check(options, self.rows.epochs())?;
        }
        let samples = self.labels.len();
        let rows = &mut self.rows;
        let scores = recorded::score(methods, options, samples, |quantity| rows.all(quantity))?;
        recorded::check_presented(&scores, &self.trained())?;
        let in_order = |m: &Method| scores.iter().find(|s| s.0 == *m).cloned();
        Ok(methods.iter().filter_map(in_order).collect())
    }

    /// Positions of the samples that were presented at least once.
    fn trained(&self) -> Vec<usize> {
        (0..self.labels.len()).filter(|&i| self.labels[i] != UNKNOWN).collect()
    }

    /// The finished epoch with the best validation accuracy, the first of equals.
    fn best(&self) -> Option<(usize, &ClassTally)> {
        let mut best: Option<(usize, &ClassTally)> = None;
        for (epoch, tally) in self.validated.iter().enumerate() {
            if tally.accuracy() > best.and_then(|(_, t)| t.accuracy()) {
                best = Some((epoch, tally));
            }
        }
        best
    }

    /// Validation recalls of the best finished epoch, None for a class without validation samples.
    ///
    /// # Errors
    /// No finished epoch was validated.
    pub fn recalls(&self) -> Result<Vec<Option<f64>>> {
        let expected = "`validate` with every validation batch before `end_epoch`";
        let none = || Error::invalid("recalls", "no validation samples", expected);
        let (_, tally) = self.best().ok_or_else(none)?;
        let pairs = tally.correct.iter().zip(&tally.total);
        Ok(pairs.map(|(&c, &n)| (n > 0).then(|| c as f64 / n as f64)).collect())
    }

    /// Validation samples behind each recall of the best epoch.
    pub fn validation_sizes(&self) -> Option<Vec<u64>> {
        self.best().map(|(_, tally)| tally.total.clone())
    }

    /// One quantity of the finished epochs, T x N.
    ///
    /// # Errors
    /// The divergence, where it is not recorded.
    pub fn trajectories(&mut self, quantity: Quantity) -> Result<Vec<f32>> {
        if !self.recording.quantities().contains(&quantity) {
            return Err(Error::invalid(
                quantity.name(),
                "none recorded",
                "a recorder that keeps it",
            ));
        }
        self.rows.all(quantity)
    }
}
