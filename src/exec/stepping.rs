//! Runs batches: step by step or recorded, on images of the device or of the host.

use super::executor::Executor;
use super::layout::GRADIENTS;
use super::pass::Mode;
use super::recorded::Recorded;
use super::streaming::Streaming;
use crate::error::{Error, Result};
use crate::ops::Operators;

impl<B: Operators> Executor<B> {
    /// The first half of a training step: forward, with the losses of the batch in their column, so
    /// that its sample weights may depend on them. [`Executor::step_backward`] must follow. Not
    /// where divergences are kept, which would see the batch twice.
    pub fn step_forward(&mut self, n: usize, images: &B::Images) -> Result<()> {
        let forward = self.plan(Mode::Train, n)?.forward_steps();
        self.run_steps(Mode::Train, n, 0..forward, images)
    }

    /// The second half: the gradient of the objective under the weights as they are now, backward,
    /// update.
    pub fn step_backward(&mut self, n: usize, images: &B::Images) -> Result<()> {
        let forward = self.plan(Mode::Train, n)?.forward_steps();
        let all = self.plan(Mode::Train, n)?.steps.len();
        self.run_steps(Mode::Train, n, forward.saturating_sub(1)..all, images)
    }

    /// Replaces the logits (N x classes) of the batch of `n` between [`Executor::step_forward`] and
    /// [`Executor::step_backward`], which then takes losses and gradients of these.
    pub fn set_logits(&mut self, n: usize, logits: &[f32]) -> Result<()> {
        let view = self.plan(Mode::Train, n)?.logits;
        self.backend.upload(&mut self.memory, view, logits)
    }

    /// Forward and backward of the next training batch, of `n` samples, without the update. The gradient
    /// is then [`Executor::flat_gradient`]. [`Executor::step_update`] or [`Executor::advance`] must follow.
    pub fn step_gradient(&mut self, n: usize, images: &B::Images) -> Result<()> {
        let gradient = self.plan(Mode::Train, n)?.gradient_steps();
        self.run_steps(Mode::Train, n, 0..gradient, images)
    }

    /// The update of a training batch of `n` samples by the gradient as it is now.
    pub fn step_update(&mut self, n: usize, images: &B::Images) -> Result<()> {
        let plan = self.plan(Mode::Train, n)?;
        let (gradient, all) = (plan.gradient_steps(), plan.steps.len());
        self.run_steps(Mode::Train, n, gradient..all, images)
    }

    /// Goes on to the next training batch without an update.
    pub fn advance(&mut self) -> Result<()> {
        self.backend.advance(&mut self.memory, self.layout.batch.state)?;
        self.streaming.iter_mut().for_each(Streaming::advanced);
        Ok(())
    }

    /// The gradient of the last training step as one vector, in the order of the device's memory; what
    /// lies between parameters is 0.
    pub fn flat_gradient(&self) -> Result<Vec<f32>> {
        let view = self.layout.whole(GRADIENTS);
        let mut values = vec![0.0; view.len];
        self.backend.download(&self.memory, view, &mut values)?;
        Ok(values)
    }

    /// Replaces the gradient that [`Executor::flat_gradient`] gave, for [`Executor::step_update`].
    pub fn set_flat_gradient(&mut self, values: &[f32]) -> Result<()> {
        let view = self.layout.whole(GRADIENTS);
        self.backend.upload(&mut self.memory, view, values)
    }

    /// Some steps of a batch, one by one.
    fn run_steps(
        &mut self,
        mode: Mode,
        n: usize,
        range: std::ops::Range<usize>,
        images: &B::Images,
    ) -> Result<()> {
        let plan = self.plans.get(&(mode, n));
        let plan =
            plan.ok_or_else(|| Error::Internal(format!("no plan for {mode:?} batches of {n}")))?;
        let (backend, memory) = (&*self.backend, &mut self.memory);
        let streaming = streaming_of(&mut self.streaming, images)?;
        let Some(streaming) = streaming else {
            return plan.steps[range].iter().try_for_each(|step| step.run(backend, memory, images));
        };
        if range.start == 0 {
            streaming.gather(backend, memory, plan, images)?;
        }
        let rest = &plan.steps[range.start.max(1)..range.end];
        rest.iter().try_for_each(|step| step.run(backend, memory, images))?;
        streaming.issued(backend, plan, rest, images)
    }

    /// Runs the next batch of the pass, of `n` samples.
    pub fn step(&mut self, mode: Mode, n: usize, images: &B::Images) -> Result<()> {
        let plan = self.plans.get(&(mode, n));
        let plan =
            plan.ok_or_else(|| Error::Internal(format!("no plan for {mode:?} batches of {n}")))?;
        let (backend, memory) = (&*self.backend, &mut self.memory);
        let mut streaming = streaming_of(&mut self.streaming, images)?;
        // What is streamed lies in another place every time, so that no recorded work can read it.
        let steps = match &mut streaming {
            Some(streaming) => {
                streaming.gather(backend, memory, plan, images)?;
                &plan.steps[1..]
            }
            None => &plan.steps[..],
        };
        let identity = B::identity(images);
        let mut issue = || steps.iter().try_for_each(|step| step.run(backend, memory, images));
        let known = self.recorded.get(&(mode, n)).filter(|r| r.images == identity);
        match known.filter(|_| self.record).map(|known| known.tried) {
            None => {
                // The first time may be the only one: a last batch, a probe.
                let new = Recorded { images: identity, work: None, tried: false };
                self.recorded.insert((mode, n), new);
                issue()?;
            }
            Some(tried) => {
                if !tried {
                    let work = backend.record(&mut issue)?;
                    let new = Recorded { images: identity, work, tried: true };
                    self.recorded.insert((mode, n), new);
                }
                match self.recorded.get(&(mode, n)).and_then(|r| r.work.as_ref()) {
                    // SAFETY: the memory is this executor's own and never replaced, the images are
                    // those that the work was recorded with (no others have their number) and are
                    // borrowed, or the work does not read them.
                    Some(work) => unsafe { backend.replay(work) }?,
                    None => issue()?,
                }
            }
        }
        match streaming {
            Some(streaming) => streaming.issued(backend, plan, steps, images),
            None => Ok(()),
        }
    }

    /// What was recorded of training steps holds the views that they had.
    pub(super) fn forget_training_steps(&mut self) {
        self.recorded.retain(|(mode, _), _| *mode != Mode::Train);
    }
}

/// What streams `images`, where they are on the host.
fn streaming_of<'a, B: Operators>(
    streaming: &'a mut Option<Streaming<B>>,
    images: &B::Images,
) -> Result<Option<&'a mut Streaming<B>>> {
    match (B::on_host(images), streaming.as_mut()) {
        (false, _) => Ok(None),
        (true, Some(streaming)) => Ok(Some(streaming)),
        (true, None) => Err(Error::Internal("images on the host, but no room for them".to_owned())),
    }
}
