//! Learning from Failure (Nam, Cha, Ahn, Lee, Shin, "Learning from Failure: Training Debiased Classifier
//! from Biased Classifier", NeurIPS 2020): a network that is biased on purpose, by generalised
//! cross-entropy, is trained in step with the run's own, whose samples weigh more the harder they are
//! for the biased one.
//!
//! Weights depend on the losses of the batch itself, so that every step waits for the device between
//! the forward passes and the backward passes.

use super::presentation::{JobFacts, Policy, PolicyState, Presentation, StepAt, stored};
use super::presentation::{batch_column, batch_losses};
use crate::error::{Error, Result};
use crate::exec::{Executor, Pass};
use crate::nn::Weights;
use crate::nn::init::initialise;
use crate::ops::Operators;
use crate::ops::loss_score::Field;
use crate::rng::{Philox, Stream};
use crate::train::outcome::EpochRecord;

/// Names in checkpoints: moving averages of losses, and tensors of the biased network.
const BIASED_LOSSES: &str = "biased-losses";
const LOSSES: &str = "losses";
const MODEL: &str = "biased-model.";
const VELOCITY: &str = "biased-velocity.";

/// Returns p_y^q of each sample, by which the gradient of the cross-entropy becomes that of the
/// generalised cross-entropy (1 - p_y^q) / q (Zhang and Sabuncu 2018).
pub fn generalised_weights(probabilities: &[f32], q: f64) -> Vec<f32> {
    probabilities.iter().map(|&p| libm::pow(f64::from(p), q) as f32).collect()
}

/// Moving averages of the losses of every sample, NaN before its first presentation.
#[derive(Clone, Debug)]
pub struct MovingLosses {
    /// One average for each sample of the part.
    pub averages: Vec<f32>,
    decay: f64,
}

impl MovingLosses {
    /// Makes averages of `samples` samples, of which each keeps the part `decay` in an update.
    pub fn new(samples: usize, decay: f64) -> MovingLosses {
        MovingLosses { averages: vec![f32::NAN; samples], decay }
    }

    /// Takes in the losses of a batch. A first loss is the average.
    pub fn update(&mut self, batch: &[u32], losses: &[f32]) {
        for (&i, &loss) in batch.iter().zip(losses) {
            let average = &mut self.averages[i as usize];
            let mixed = self.decay * f64::from(*average) + (1.0 - self.decay) * f64::from(loss);
            *average = if average.is_nan() { loss } else { mixed as f32 };
        }
    }

    /// Returns the averages of a batch, each divided by the largest of its class.
    fn relative(&self, batch: &[u32], labels: &[u32], classes: usize) -> Vec<f64> {
        let mut largest = vec![0.0f32; classes];
        for (average, &label) in self.averages.iter().zip(labels) {
            let most = &mut largest[label as usize];
            *most = most.max(*average);
        }
        let relative = |&i: &u32| {
            let most = f64::from(largest[labels[i as usize] as usize]);
            if most > 0.0 { f64::from(self.averages[i as usize]) / most } else { 0.0 }
        };
        batch.iter().map(relative).collect()
    }
}

/// Returns the relative difficulty b / (b + d) of each sample of a batch, where b and d are its moving
/// losses under the biased and under the debiased network, each over the largest of its class. `labels`
/// are those of all samples.
pub fn relative_difficulty(
    [biased, debiased]: [&MovingLosses; 2],
    batch: &[u32],
    labels: &[u32],
    classes: usize,
) -> Vec<f32> {
    let b = biased.relative(batch, labels, classes);
    let d = debiased.relative(batch, labels, classes);
    // The authors' guard of the quotient.
    b.iter().zip(d).map(|(b, d)| (b / (b + d + 1e-8)) as f32).collect()
}

pub(super) struct Lff<B: Operators> {
    facts: JobFacts,
    biased: Executor<B>,
    q: f64,
    biased_losses: MovingLosses,
    losses: MovingLosses,
    /// Epoch for which the biased network's pass has begun.
    begun: Option<u32>,
}

impl<B: Operators> Lff<B> {
    /// Trains `biased` beside the run's network, from fresh weights of its own.
    pub(super) fn new(
        facts: JobFacts,
        mut biased: Executor<B>,
        seed: u64,
        [q, decay]: [f64; 2],
    ) -> Result<Lff<B>> {
        let own = Philox::new(seed, Stream::Seeds).sequence(BIASED_SEEDS).next_u64();
        let weights = initialise(biased.network(), own);
        biased.set_weights(&weights)?;
        biased.zero_velocities()?;
        let losses = MovingLosses::new(facts.labels.len(), decay);
        Ok(Lff { facts, biased, q, biased_losses: losses.clone(), losses, begun: None })
    }
}

/// Line of the seeds on which the biased network's is.
const BIASED_SEEDS: u64 = 1 << 35;

impl<B: Operators> Policy<B> for Lff<B> {
    fn epoch(&mut self, epoch: u32, _: &[EpochRecord]) -> Result<Presentation> {
        Ok(self.facts.presentation(self.facts.order(epoch)))
    }

    fn step(&mut self, at: &mut StepAt<B>) -> Result<usize> {
        let (n, samples) = (at.shown.sizes[at.batch], at.labels.len());
        if self.begun != Some(at.epoch) {
            self.biased.begin(&Pass {
                labels: at.labels,
                order: &at.shown.order,
                epoch: at.epoch,
                start: at.batch as u32,
                steps_done: at.step as u32,
                lrs: at.lrs,
                class_weights: &at.shown.class_weights,
            })?;
            self.begun = Some(at.epoch);
        }
        at.executor.step_forward(n, at.images)?;
        self.biased.step_forward(n, at.images)?;
        let batch = &at.shown.order[at.batch * self.facts.batch..][..n];
        let losses = batch_losses(at.executor, batch, samples)?;
        let biased_losses = batch_losses(&self.biased, batch, samples)?;
        if biased_losses.iter().any(|loss| !loss.is_finite()) {
            let (what, epoch) = ("the biased network's loss".to_owned(), u64::from(at.epoch));
            return Err(Error::Diverged { what, step: at.step, epoch });
        }
        let probabilities = batch_column(&self.biased, Field::LabelProbability, batch, samples)?;
        self.losses.update(batch, &losses);
        self.biased_losses.update(batch, &biased_losses);
        let both = [&self.biased_losses, &self.losses];
        let difficulty = relative_difficulty(both, batch, at.labels, self.facts.classes);
        let spread = |of_batch: &[f32]| {
            let mut weights = vec![1.0; samples];
            batch.iter().zip(of_batch).for_each(|(&i, &w)| weights[i as usize] = w);
            weights
        };
        let generalised = generalised_weights(&probabilities, self.q);
        self.biased.set_sample_weights(Some(&spread(&generalised)))?;
        self.biased.step_backward(n, at.images)?;
        at.executor.set_sample_weights(Some(&spread(&difficulty)))?;
        at.executor.step_backward(n, at.images)?;
        Ok(0)
    }

    fn looks(&self) -> bool {
        true
    }

    fn state(&self) -> Result<PolicyState> {
        let mut state = PolicyState::from([
            (BIASED_LOSSES.to_owned(), self.biased_losses.averages.clone()),
            (LOSSES.to_owned(), self.losses.averages.clone()),
        ]);
        let tensors =
            [(MODEL, self.biased.weights()?.tensors), (VELOCITY, self.biased.velocities()?)];
        for (prefix, tensors) in tensors {
            state.extend(tensors.into_iter().map(|(name, t)| (format!("{prefix}{name}"), t.data)));
        }
        Ok(state)
    }

    fn restore(&mut self, state: &PolicyState) -> Result<()> {
        let samples = self.facts.labels.len();
        self.biased_losses.averages = stored(state, BIASED_LOSSES, samples)?;
        self.losses.averages = stored(state, LOSSES, samples)?;
        let mut tensors = self.biased.weights()?.tensors;
        for (name, tensor) in &mut tensors {
            tensor.data = stored(state, &format!("{MODEL}{name}"), tensor.data.len())?;
        }
        self.biased.set_weights(&Weights { tensors })?;
        let mut velocities = self.biased.velocities()?;
        for (name, tensor) in &mut velocities {
            tensor.data = stored(state, &format!("{VELOCITY}{name}"), tensor.data.len())?;
        }
        self.biased.set_velocities(&velocities)
    }
}
