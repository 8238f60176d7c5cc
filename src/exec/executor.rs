//! Runs plans on a backend.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::arena::ArenaMode;
use super::layout::{GRADIENTS, Layout, PARAMETERS, VELOCITIES};
use super::plan::{Mode, Plan, TrainOptions};
use crate::backend::View;
use crate::error::{Error, Result};
use crate::nn::{Network, ParameterKind, Weights, weights};
use crate::ops::Operators;
use crate::ops::loss_score::Field;
use crate::tensor::{Tensor, kcrs_to_krsc, krsc_to_kcrs};

/// What an executor must be able to run; memory is planned from it before the first step.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// Kind, batch size and number of samples of every pass.
    pub passes: Vec<(Mode, usize, usize)>,
    /// Samples of the largest part that a pass reads from.
    pub capacity: usize,
    pub options: TrainOptions,
    /// Per-channel mean and standard deviation of the input, of values in [0, 1].
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub arena: ArenaMode,
    /// Bytes that may be used; None asks the backend what is free.
    pub memory_limit: Option<u64>,
}

/// One pass over samples of a part.
pub struct Pass<'a> {
    /// A label for every sample of the part.
    pub labels: &'a [u32],
    /// Positions in the part, in the order of the pass.
    pub order: &'a [u32],
    pub epoch: u32,
    /// First batch to run: 0, or where a resumed epoch goes on.
    pub start: u32,
    /// Steps done before the pass, over the whole run.
    pub steps_done: u32,
    /// One learning rate a batch (training), else empty.
    pub lrs: &'a [f32],
    /// One weight a class (training), else empty.
    pub class_weights: &'a [f32],
}

/// Counters of the running pass, as the device keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub batch: u32,
    pub epoch: u32,
    /// First step whose loss was not finite, counted from 0 over the run.
    pub bad_step: Option<u32>,
    pub steps: u32,
}

/// A network on a backend, with all memory it will ever use.
pub struct Executor<B: Operators> {
    backend: Arc<B>,
    network: Network,
    layout: Layout,
    memory: B::Memory,
    plans: HashMap<(Mode, usize), Plan>,
    batches: HashMap<Mode, usize>,
    planned: PlannedMemory,
}

/// Bytes an executor allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedMemory {
    /// Parameters, gradients, velocities, statistics, tables.
    pub persistent: u64,
    /// Activations, their gradients and workspace.
    pub arena: u64,
}

impl PlannedMemory {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.persistent + self.arena
    }
}

/// Sizes of the batches of a pass over `samples`: full ones, and the rest if there is one. A
/// training pass drops a rest of one sample: batch norm has no variance there.
pub fn batch_sizes(mode: Mode, batch: usize, samples: usize) -> Vec<usize> {
    let (full, rest) = (samples / batch, samples % batch);
    let least = if mode == Mode::Train { 2 } else { 1 };
    let mut sizes = vec![batch; full];
    if rest >= least {
        sizes.push(rest);
    }
    sizes
}

impl<B: Operators> Executor<B> {
    /// Plans and allocates. Passes without updates get smaller batches where memory is short
    /// (their results do not depend on it); training never does, and the error then states needed
    /// and free bytes and the largest batch that fits.
    pub fn new(backend: Arc<B>, network: Network, requirements: &Requirements) -> Result<Self> {
        let free = requirements.memory_limit.or(backend.free_bytes()).unwrap_or(u64::MAX);
        let (fitting, layout, plans) = fit(&*backend, &network, requirements, free)?;
        let planned = planned_memory(&layout, &plans);
        let batches = fitting.passes.iter().map(|&(mode, batch, _)| (mode, batch)).collect();
        let mut sizes = layout.sizes();
        sizes.extend(arena_sizes(&plans));
        let memory = backend.allocate(&sizes, requirements.arena == ArenaMode::Debug)?;
        let mut executor = Executor { backend, network, layout, memory, plans, batches, planned };
        // Poison is for the arena; gradients' padding and velocities must start at zero.
        for buffer in [PARAMETERS, GRADIENTS, VELOCITIES] {
            if executor.layout.sizes()[buffer as usize] > 0 {
                let whole = executor.layout.whole(buffer);
                executor.backend.fill(&mut executor.memory, whole, 0.0)?;
            }
        }
        Ok(executor)
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
            if p.kind == ParameterKind::ConvWeight {
                let shape = [t.shape[0], t.shape[1], t.shape[2], t.shape[3]];
                self.backend.upload(&mut self.memory, view, &kcrs_to_krsc(&t.data, shape))?;
            } else {
                self.backend.upload(&mut self.memory, view, &t.data)?;
            }
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
            if p.kind == ParameterKind::ConvWeight {
                let shape = [t.shape[0], t.shape[1], t.shape[2], t.shape[3]];
                self.backend.upload(&mut self.memory, view, &kcrs_to_krsc(&t.data, shape))?;
            } else {
                self.backend.upload(&mut self.memory, view, &t.data)?;
            }
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
        Ok(())
    }

    /// Runs the next batch of the pass, of `n` samples.
    pub fn step(&mut self, mode: Mode, n: usize, images: &B::Images) -> Result<()> {
        let plan = self
            .plans
            .get(&(mode, n))
            .ok_or_else(|| Error::Internal(format!("no plan for {mode:?} batches of {n}")))?;
        for step in &plan.steps {
            step.run(&*self.backend, &mut self.memory, images)?;
        }
        Ok(())
    }

    /// The counters; waits for the device.
    pub fn state(&self) -> Result<State> {
        let mut words = [0; 4];
        self.backend.download_u32(&self.memory, self.layout.batch.state, &mut words)?;
        Ok(State {
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
        let plan = self
            .plans
            .get(&(mode, n))
            .ok_or_else(|| Error::Internal(format!("no plan for {mode:?} batches of {n}")))?;
        self.read(plan.logits)
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
            let mut data = self.read(self.layout.place(i, buffer))?;
            if p.kind == ParameterKind::ConvWeight {
                data = krsc_to_kcrs(&data, [p.shape[0], p.shape[1], p.shape[2], p.shape[3]]);
            }
            tensors.insert(p.name.clone(), Tensor { shape: p.shape.clone(), data });
        }
        Ok(tensors)
    }
}

type Plans = HashMap<(Mode, usize), Plan>;

fn plan_all<B: Operators>(
    backend: &B,
    network: &Network,
    requirements: &Requirements,
) -> Result<(Layout, Plans)> {
    let passes = &requirements.passes;
    let capacity = requirements.capacity;
    let trains = passes.iter().any(|p| p.0 == Mode::Train);
    let steps = passes.iter().map(|&(_, batch, samples)| samples.div_ceil(batch.max(1))).max();
    let layout = Layout::new(network, capacity, steps.unwrap_or(0), trains);
    let mut plans = HashMap::new();
    for &(mode, batch, samples) in passes {
        if batch == 0 {
            return Err(Error::invalid("--batch", "0", "at least 1"));
        }
        // A plan finds its samples at a multiple of the batch size, and is found by its own size.
        if passes.iter().any(|p| p.0 == mode && p.1 != batch) {
            return Err(Error::Internal(format!("{mode:?} passes with two batch sizes")));
        }
        for n in batch_sizes(mode, batch, samples) {
            if plans.contains_key(&(mode, n)) {
                continue;
            }
            let plan = Plan::new(
                backend,
                network,
                &layout,
                mode,
                [n, batch],
                &requirements.options,
                [requirements.mean, requirements.std],
                requirements.arena,
            )?;
            plans.insert((mode, n), plan);
        }
    }
    Ok((layout, plans))
}

/// All plans share the arena's buffers, each as large as its largest user.
fn arena_sizes(plans: &Plans) -> Vec<usize> {
    let mut sizes = Vec::new();
    for plan in plans.values() {
        sizes.resize(sizes.len().max(plan.arena.len()), 0);
        for (size, &bytes) in sizes.iter_mut().zip(&plan.arena) {
            *size = bytes.max(*size);
        }
    }
    sizes
}

fn planned_memory(layout: &Layout, plans: &Plans) -> PlannedMemory {
    PlannedMemory {
        persistent: layout.sizes().iter().sum::<usize>() as u64,
        arena: arena_sizes(plans).iter().sum::<usize>() as u64,
    }
}

/// Requirements that fit in `free` bytes, with their plans.
fn fit<B: Operators>(
    backend: &B,
    network: &Network,
    wanted: &Requirements,
    free: u64,
) -> Result<(Requirements, Layout, Plans)> {
    let mut requirements = wanted.clone();
    loop {
        let (layout, plans) = plan_all(backend, network, &requirements)?;
        let needed = planned_memory(&layout, &plans).total();
        if needed <= free {
            return Ok((requirements, layout, plans));
        }
        let others = requirements.passes.iter_mut().filter(|p| p.0 != Mode::Train && p.1 > 1);
        let mut shrunk = false;
        for pass in others {
            pass.1 = pass.1.div_ceil(2);
            shrunk = true;
        }
        if !shrunk {
            let largest_batch = largest_batch(backend, network, &requirements, free);
            return Err(Error::OutOfMemory { needed, free, largest_batch });
        }
    }
}

/// The largest batch whose plans fit in `free` bytes; all passes are cut to it.
fn largest_batch<B: Operators>(
    backend: &B,
    network: &Network,
    requirements: &Requirements,
    free: u64,
) -> Option<usize> {
    let fits = |batch: usize| {
        let mut smaller = requirements.clone();
        smaller.passes.iter_mut().for_each(|p| p.1 = p.1.min(batch));
        let planned = plan_all(backend, network, &smaller).map(|(l, p)| planned_memory(&l, &p));
        planned.is_ok_and(|memory| memory.total() <= free)
    };
    let (mut good, mut bad) = (0, requirements.passes.iter().map(|p| p.1).max()?);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    (good > 1).then_some(good)
}
