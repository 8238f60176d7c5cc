//! Runs plans on a backend.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::arena::ArenaMode;
use super::fit::{Fitted, PlannedMemory, Plans, arena_sizes, fit, staged_batch, total_memory};
use super::layout::{GRADIENTS, Layout, PARAMETERS, VELOCITIES};
use super::pass::{Counters, Mode, Pass, Requirements};
use super::plan::Plan;
use super::recorded::Recorded;
use super::streaming::Streaming;
use crate::backend::View;
use crate::error::{Error, Result};
use crate::nn::{Network, Weights, weights};
use crate::ops::Operators;
use crate::ops::gather::Staging;
use crate::ops::loss_score::Field;
use crate::tensor::Tensor;

/// A network on a backend, with all memory it will ever use.
pub struct Executor<B: Operators> {
    pub(super) backend: Arc<B>,
    network: Network,
    pub(super) layout: Layout,
    pub(super) memory: B::Memory,
    pub(super) plans: Plans,
    batches: HashMap<Mode, usize>,
    planned: PlannedMemory,
    /// What it was made for.
    requirements: Requirements,
    /// Whether steps that come again are recorded, and those that came.
    pub(super) record: bool,
    pub(super) recorded: HashMap<(Mode, usize), Recorded<B>>,
    /// Where passes may read images that are on the host.
    pub(super) streaming: Option<Streaming<B>>,
}

impl<B: Operators> Executor<B> {
    /// Plans and allocates. Passes without updates get smaller batches where memory is short
    /// (their results do not depend on it); training never does, and the error then states needed
    /// and free bytes and the largest batch that fits.
    pub fn new(backend: Arc<B>, network: Network, requirements: &Requirements) -> Result<Self> {
        let Fitted { requirements: fitting, layout, plans } =
            fit(&*backend, &network, requirements)?;
        let planned = total_memory::<B>(&network, &fitting, &layout, &plans);
        let batches = fitting.passes.iter().map(|&(mode, batch, _)| (mode, batch)).collect();
        let mut sizes = layout.sizes();
        sizes.extend(arena_sizes(&plans));
        let memory = backend.allocate(&sizes, requirements.arena == ArenaMode::Debug)?;
        let staging = match staged_batch(&network, &fitting) {
            Some([image, images]) => B::Staging::new(&backend, image, images)?,
            None => None,
        };
        let streaming = staging.map(Streaming::new);
        let (record, recorded) = (requirements.compute.record, HashMap::new());
        let mut executor = Executor {
            backend,
            network,
            layout,
            memory,
            plans,
            batches,
            planned,
            requirements: requirements.clone(),
            record,
            recorded,
            streaming,
        };
        // Poison is for the arena; padding and velocities must start at zero.
        for buffer in [PARAMETERS, GRADIENTS, VELOCITIES] {
            if executor.layout.sizes()[buffer as usize] > 0 {
                let whole = executor.layout.whole(buffer);
                executor.backend.fill(&mut executor.memory, whole, 0.0)?;
            }
        }
        Ok(executor)
    }

    /// Another executor of the network that trains in the same batches, with memory and weights of its
    /// own: for methods that train two networks in step.
    ///
    /// # Errors
    /// There is not enough memory for it beside this one.
    pub fn twin(&self) -> Result<Executor<B>> {
        let all = &self.requirements;
        let limit = all.memory_limit.map(|bytes| bytes.saturating_sub(self.planned.total()));
        let training = all.passes.iter().copied().filter(|p| p.0 == Mode::Train);
        let requirements = Requirements {
            passes: training.collect(),
            divergences: false,
            memory_limit: limit,
            ..all.clone()
        };
        Executor::new(Arc::clone(&self.backend), self.network.clone(), &requirements)
    }

    /// The network this executor runs.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The backend it runs on.
    pub fn backend(&self) -> &Arc<B> {
        &self.backend
    }

    /// Batch size of a kind of pass; 1 for kinds that were not planned.
    pub fn batch(&self, mode: Mode) -> usize {
        self.batches.get(&mode).copied().unwrap_or(1)
    }

    /// Bytes allocated.
    pub fn planned_memory(&self) -> PlannedMemory {
        self.planned
    }

    /// Loads parameters and running statistics after checking names and shapes.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        weights::check(weights, &self.network, "weights")?;
        for (i, p) in self.layout.parameters.iter().enumerate() {
            let t = &weights.tensors[&p.name];
            let view = self.layout.place(i, PARAMETERS);
            self.backend.upload(&mut self.memory, view, &self.layout.pack(i, &t.data))?;
        }
        if let Some([all, halves]) = self.layout.halves() {
            self.backend.cast(&mut self.memory, all, halves)?;
        }
        for (name, view) in self.statistics() {
            self.backend.upload(&mut self.memory, view, &weights.tensors[&name].data)?;
        }
        Ok(())
    }

    /// Parameters and running statistics in PyTorch's layouts.
    pub fn weights(&self) -> Result<Weights> {
        let mut tensors = self.parameter_tensors(PARAMETERS)?;
        for (name, view) in self.statistics() {
            tensors.insert(name, Tensor { shape: vec![view.len], data: self.read(view)? });
        }
        Ok(Weights { tensors })
    }

    /// Gradients of the last training step, by parameter name, in PyTorch's layouts.
    pub fn gradients(&self) -> Result<BTreeMap<String, Tensor>> {
        self.parameter_tensors(GRADIENTS)
    }

    /// Momentum buffers, by parameter name, in PyTorch's layouts.
    pub fn velocities(&self) -> Result<BTreeMap<String, Tensor>> {
        self.parameter_tensors(VELOCITIES)
    }

    /// Restores momentum buffers that [`Executor::velocities`] gave.
    pub fn set_velocities(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        for (i, p) in self.layout.parameters.iter().enumerate() {
            let t = tensors.get(&p.name).filter(|t| t.shape == p.shape).ok_or_else(|| {
                Error::invalid(
                    format!("velocity {}", p.name),
                    "missing or mis-shaped",
                    format!("{:?}", p.shape),
                )
            })?;
            let view = self.layout.place(i, VELOCITIES);
            self.backend.upload(&mut self.memory, view, &self.layout.pack(i, &t.data))?;
        }
        Ok(())
    }

    /// Sets all momentum buffers to zero, for a new run.
    pub fn zero_velocities(&mut self) -> Result<()> {
        let whole = self.layout.whole(VELOCITIES);
        self.backend.fill(&mut self.memory, whole, 0.0)
    }

    /// Starts a pass: uploads order, labels, learning rates and counters.
    pub fn begin(&mut self, pass: &Pass) -> Result<()> {
        let io = self.layout.batch;
        let capacity = io.labels.len;
        if pass.labels.len() > capacity || pass.order.len() > capacity {
            return Err(Error::Internal(format!(
                "a pass of {} over {} samples exceeds the planned {capacity}",
                pass.order.len(),
                pass.labels.len()
            )));
        }
        let classes = self.network.classes as u32;
        if let Some(label) = pass.labels.iter().find(|&&l| l >= classes) {
            return Err(Error::Internal(format!("label {label} of {classes} classes")));
        }
        if let Some(i) = pass.order.iter().find(|&&i| i as usize >= pass.labels.len()) {
            let samples = pass.labels.len();
            return Err(Error::Internal(format!("position {i} in a part of {samples} samples")));
        }
        if pass.lrs.len() > self.layout.lrs.len {
            let (found, planned) = (pass.lrs.len(), self.layout.lrs.len);
            return Err(Error::Internal(format!("{found} learning rates, {planned} planned")));
        }
        let (backend, memory) = (&*self.backend, &mut self.memory);
        backend.upload_u32(memory, io.labels.prefix(pass.labels.len()), pass.labels)?;
        backend.upload_u32(memory, io.order.prefix(pass.order.len()), pass.order)?;
        backend.upload_u32(memory, io.state, &[pass.start, pass.epoch, 0, pass.steps_done])?;
        if !pass.lrs.is_empty() {
            backend.upload(memory, self.layout.lrs.prefix(pass.lrs.len()), pass.lrs)?;
        }
        if !pass.class_weights.is_empty() {
            backend.upload(memory, self.layout.class_weights, pass.class_weights)?;
        }
        if let Some(streaming) = &mut self.streaming {
            streaming.begin(pass);
        }
        Ok(())
    }

    /// Loss weights of the part's samples for training, from the next step on; none: all are 1,
    /// which has the same bits as weights of 1.
    pub fn set_sample_weights(&mut self, weights: Option<&[f32]>) -> Result<()> {
        let view = match weights {
            Some(weights) if weights.len() <= self.layout.sample_weights.len => {
                let view = self.layout.sample_weights;
                self.backend.upload(&mut self.memory, view.prefix(weights.len()), weights)?;
                view
            }
            Some(weights) => {
                let (found, planned) = (weights.len(), self.layout.sample_weights.len);
                return Err(Error::Internal(format!("{found} sample weights, {planned} planned")));
            }
            None => View::EMPTY,
        };
        self.point_training_steps(|plan| plan.set_sample_weights(view));
        Ok(())
    }

    /// Images of the positions that training passes present, from the next step on: for epochs that
    /// draw with replacement, where a position is a draw. None: a position is its image's.
    pub fn set_sources(&mut self, sources: Option<&[u32]>) -> Result<()> {
        let view = match sources {
            Some(sources) if sources.len() <= self.layout.sources.len => {
                let view = self.layout.sources.prefix(sources.len());
                self.backend.upload_u32(&mut self.memory, view, sources)?;
                view
            }
            Some(sources) => {
                let (found, planned) = (sources.len(), self.layout.sources.len);
                return Err(Error::Internal(format!("{found} draws, {planned} planned")));
            }
            None => View::EMPTY,
        };
        self.point_training_steps(|plan| plan.set_sources(view));
        if let Some(streaming) = &mut self.streaming {
            streaming.set_sources(sources);
        }
        Ok(())
    }

    /// Gives all training plans a view; what was recorded of them is void where it was another before.
    fn point_training_steps(&mut self, point: impl Fn(&mut Plan) -> bool) {
        let plans = self.plans.iter_mut().filter(|p| p.0.0 == Mode::Train);
        let moved = plans.fold(false, |moved, (_, plan)| point(plan) | moved);
        if moved {
            self.forget_training_steps();
        }
    }

    /// How many kinds of batches are recorded, to be replayed.
    pub fn recorded_steps(&self) -> usize {
        self.recorded.values().filter(|r| r.is_work()).count()
    }

    /// The counters; waits for the device.
    pub fn state(&self) -> Result<Counters> {
        let mut words = [0; 4];
        self.backend.download_u32(&self.memory, self.layout.batch.state, &mut words)?;
        Ok(Counters {
            batch: words[0],
            epoch: words[1],
            bad_step: words[2].checked_sub(1),
            steps: words[3],
        })
    }

    /// One score of the first `samples` samples of the part; those never presented hold old or
    /// zero values.
    pub fn column(&self, field: Field, samples: usize) -> Result<Vec<f32>> {
        self.read(self.layout.column(field, samples))
    }

    /// Restores a column, for a resumed pass.
    pub fn set_column(&mut self, field: Field, values: &[f32]) -> Result<()> {
        let view = self.layout.column(field, values.len());
        self.backend.upload(&mut self.memory, view, values)
    }

    /// Logits (N x classes) of the last batch that ran with this mode and size.
    pub fn logits(&self, mode: Mode, n: usize) -> Result<Vec<f32>> {
        self.read(self.plan(mode, n)?.logits)
    }

    /// The last layer's input (N x features) of the last scoring batch of this size.
    pub fn features(&self, n: usize) -> Result<Vec<f32>> {
        self.read(self.plan(Mode::Score, n)?.features)
    }

    /// ln p of the last presentation of the first `samples` samples (x classes), NaN before the
    /// first one; empty where divergences were not planned.
    pub fn previous(&self, samples: usize) -> Result<Vec<f32>> {
        self.read(self.previous_view(samples))
    }

    /// Restores what [`Executor::previous`] gave, for a resumed run.
    pub fn set_previous(&mut self, values: &[f32]) -> Result<()> {
        let view = self.previous_view(values.len() / self.network.classes);
        self.backend.upload(&mut self.memory, view, values)
    }

    /// Forgets all presentations, for a new run.
    pub fn forget_presentations(&mut self) -> Result<()> {
        self.backend.fill(&mut self.memory, self.layout.batch.previous, f32::NAN)
    }

    fn previous_view(&self, samples: usize) -> View {
        let view = self.layout.batch.previous;
        view.prefix(view.len.min(samples * self.network.classes))
    }

    pub(super) fn plan(&self, mode: Mode, n: usize) -> Result<&Plan> {
        let plan = self.plans.get(&(mode, n));
        plan.ok_or_else(|| Error::Internal(format!("no plan for {mode:?} batches of {n}")))
    }

    fn read(&self, view: View) -> Result<Vec<f32>> {
        let mut values = vec![0.0; view.len];
        self.backend.download(&self.memory, view, &mut values)?;
        Ok(values)
    }

    /// Name and place of every running statistic.
    fn statistics(&self) -> Vec<(String, View)> {
        let name = |node: usize, what: &str| format!("{}.{what}", self.network.nodes[node].name);
        self.layout
            .running
            .iter()
            .flat_map(|&(node, mean, var)| {
                [(name(node, "running_mean"), mean), (name(node, "running_var"), var)]
            })
            .collect()
    }

    fn parameter_tensors(&self, buffer: u32) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for (i, p) in self.layout.parameters.iter().enumerate() {
            let stored = self.read(self.layout.place(i, buffer))?;
            let data = self.layout.unpack(i, stored);
            tensors.insert(p.name.clone(), Tensor { shape: p.shape.clone(), data });
        }
        Ok(tensors)
    }
}
