//! The first stage of BAM (Li, Liu, Hu, "Bias Amplification Enhances Minority Group Performance",
//! arXiv:2309.06717, 2023): every sample has a variable of its own for each class, which is added to its logits and
//! learns what the network does not learn at once. Samples that go against the crowd are then left to
//! their variables, and the network gets them wrong.
//!
//! The variables are on the host. Every step waits for the device between the forward pass and the
//! backward pass.

use super::presentation::{JobFacts, Policy, PolicyState, Presentation, StepAt, stored};
use crate::error::Result;
use crate::exec::Mode;
use crate::ops::Operators;
use crate::train::outcome::EpochRecord;

/// Name of the auxiliary variables in checkpoints.
const AUXILIARY: &str = "auxiliary";

/// The objective of a batch, as far as its gradient needs it.
#[derive(Clone, Copy, Debug)]
pub struct Objective<'a> {
    /// One weight for each class.
    pub class_weights: &'a [f32],
    /// Share of the label that is spread over all classes.
    pub smoothing: f64,
}

impl Objective<'_> {
    /// Returns the gradient of the batch's mean cross-entropy with respect to its `logits`, N x K, for
    /// one of the `labels` each.
    pub fn gradient(&self, logits: &[f32], labels: &[u32]) -> Vec<f64> {
        let classes = self.class_weights.len();
        let weight = |class: usize| f64::from(self.class_weights[class]);
        let divisor: f64 = labels.iter().map(|&y| weight(y as usize)).sum();
        if divisor <= 0.0 {
            return vec![0.0; logits.len()];
        }
        let all: f64 = (0..classes).map(weight).sum();
        let spread = self.smoothing / classes as f64;
        let mut gradient = Vec::with_capacity(logits.len());
        for (row, &label) in logits.chunks(classes).zip(labels) {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let raised = |&z: &f32| libm::exp(f64::from(z) - f64::from(largest));
            let sum: f64 = row.iter().map(raised).sum();
            let own = (1.0 - self.smoothing) * weight(label as usize);
            for (class, z) in row.iter().enumerate() {
                let p = raised(z) / sum;
                let hot = f64::from(u8::from(class == label as usize));
                let value = own * (p - hot) + spread * (p * all - weight(class));
                gradient.push(value / divisor);
            }
        }
        gradient
    }
}

/// The auxiliary variables b of all samples, which enter the logits as lambda b.
#[derive(Clone, Debug)]
pub struct Auxiliary {
    /// N x K values, 0 at first.
    pub values: Vec<f32>,
    classes: usize,
    lambda: f64,
}

impl Auxiliary {
    /// Makes variables of 0 for `samples` samples.
    pub fn new(samples: usize, classes: usize, lambda: f64) -> Auxiliary {
        Auxiliary { values: vec![0.0; samples * classes], classes, lambda }
    }

    fn row(&self, sample: u32) -> std::ops::Range<usize> {
        let start = sample as usize * self.classes;
        start..start + self.classes
    }

    /// Adds lambda b to the `logits` (N x K) of a batch.
    pub fn amplify(&self, batch: &[u32], logits: &mut [f32]) {
        for (&i, row) in batch.iter().zip(logits.chunks_mut(self.classes)) {
            let own = row.iter_mut().zip(&self.values[self.row(i)]);
            own.for_each(|(z, &b)| *z = (f64::from(*z) + self.lambda * f64::from(b)) as f32);
        }
    }

    /// Descends along the `gradient` of the amplified logits (N x K), whose product with lambda is that
    /// of b.
    pub fn descend(&mut self, batch: &[u32], gradient: &[f64], lr: f32) {
        let rate = f64::from(lr) * self.lambda;
        for (&i, row) in batch.iter().zip(gradient.chunks(self.classes)) {
            let place = self.row(i);
            let own = self.values[place].iter_mut().zip(row);
            own.for_each(|(b, g)| *b = (f64::from(*b) - rate * g) as f32);
        }
    }
}

pub(super) struct Amplified {
    pub facts: JobFacts,
    pub auxiliary: Auxiliary,
    /// Share of the label that is spread over all classes.
    pub smoothing: f64,
}

impl<B: Operators> Policy<B> for Amplified {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        Ok(self.facts.presentation(self.facts.order(epoch)))
    }

    fn step(&mut self, at: &mut StepAt<B>) -> Result<usize> {
        let n = at.shown.sizes[at.batch];
        at.executor.step_forward(n, at.images)?;
        let batch = &at.shown.order[at.batch * self.facts.batch..][..n];
        let mut logits = at.executor.logits(Mode::Train, n)?;
        self.auxiliary.amplify(batch, &mut logits);
        at.executor.set_logits(n, &logits)?;
        at.executor.step_backward(n, at.images)?;
        let labels: Vec<u32> = batch.iter().map(|&i| at.labels[i as usize]).collect();
        let (class_weights, smoothing) = (&at.shown.class_weights, self.smoothing);
        let gradient = Objective { class_weights, smoothing }.gradient(&logits, &labels);
        self.auxiliary.descend(batch, &gradient, at.lrs[at.batch]);
        Ok(0)
    }

    fn looks(&self) -> bool {
        true
    }

    fn state(&self) -> Result<PolicyState> {
        Ok(PolicyState::from([(AUXILIARY.to_owned(), self.auxiliary.values.clone())]))
    }

    fn restore(&mut self, state: &PolicyState) -> Result<()> {
        self.auxiliary.values = stored(state, AUXILIARY, self.auxiliary.values.len())?;
        Ok(())
    }
}
