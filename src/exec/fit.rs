//! Plans for all passes of an executor, made to fit in memory.

use std::collections::HashMap;

use super::compute::Compute;
use super::layout::Layout;
use super::pass::{Mode, Requirements};
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::ops::Operators;
use crate::ops::gather::Staging;
use crate::tensor::Dtype;

/// Bytes an executor allocates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedMemory {
    /// Parameters, gradients, velocities, statistics, tables.
    pub persistent: u64,
    /// Activations, their gradients and workspace.
    pub arena: u64,
    /// Batches of images on their way from the host, which pins as many bytes of its own memory.
    pub staging: u64,
}

impl PlannedMemory {
    /// The memory of two executors.
    pub fn and(self, other: PlannedMemory) -> PlannedMemory {
        PlannedMemory {
            persistent: self.persistent + other.persistent,
            arena: self.arena + other.arena,
            staging: self.staging + other.staging,
        }
    }

    /// The sum: the device's memory. Bytes that the host pins are not in it.
    pub fn total(&self) -> u64 {
        self.persistent + self.arena + self.staging
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

/// Plans by kind and number of samples.
pub(super) type Plans = HashMap<(Mode, usize), Plan>;

fn plan_all<B: Operators>(
    backend: &B,
    network: &Network,
    requirements: &Requirements,
) -> Result<(Layout, Plans)> {
    let passes = &requirements.passes;
    let capacity = requirements.capacity;
    let trains = passes.iter().any(|p| p.0 == Mode::Train);
    let steps = passes.iter().map(|&(_, batch, samples)| samples.div_ceil(batch.max(1))).max();
    let steps = steps.unwrap_or(0);
    let Compute { precision, .. } = requirements.compute;
    let layout = Layout::new(network, capacity, steps, trains, requirements.divergences, precision);
    let mut plans = HashMap::new();
    for &(mode, batch, samples) in passes {
        if batch == 0 {
            return Err(Error::invalid("`batch`", "0", "at least 1"));
        }
        // A plan finds its samples at a multiple of the batch size, and is found by its own size.
        if passes.iter().any(|p| p.0 == mode && p.1 != batch) {
            return Err(Error::Internal(format!("{mode:?} passes with two batch sizes")));
        }
        for n in batch_sizes(mode, batch, samples) {
            if plans.contains_key(&(mode, n)) {
                continue;
            }
            let plan = Plan::new(backend, network, &layout, requirements, mode, [n, batch])?;
            plans.insert((mode, n), plan);
        }
    }
    Ok((layout, plans))
}

/// All plans share the arena's buffers, each as large as its largest user.
pub(super) fn arena_sizes(plans: &Plans) -> Vec<usize> {
    let mut sizes = Vec::new();
    for plan in plans.values() {
        sizes.resize(sizes.len().max(plan.arena.len()), 0);
        for (size, &bytes) in sizes.iter_mut().zip(&plan.arena) {
            *size = bytes.max(*size);
        }
    }
    sizes
}

/// Bytes of an image and images of a batch that are staged, where passes may stream.
pub(super) fn staged_batch(network: &Network, requirements: &Requirements) -> Option<[usize; 2]> {
    let [h, w, c] = network.input();
    let [h, w] = requirements.stored.unwrap_or([h, w]);
    let most = requirements.passes.iter().map(|p| p.1.min(p.2)).max()?;
    requirements.stream.then_some([h * w * c, most])
}

/// Bytes of persistent buffers, of the arena and of staged images.
pub(super) fn total_memory<B: Operators>(
    network: &Network,
    requirements: &Requirements,
    layout: &Layout,
    plans: &Plans,
) -> PlannedMemory {
    let staged = staged_batch(network, requirements);
    PlannedMemory {
        staging: staged.map_or(0, |[image, images]| B::Staging::bytes(image, images)),
        persistent: layout.sizes().iter().sum::<usize>() as u64,
        arena: arena_sizes(plans).iter().sum::<usize>() as u64,
    }
}

/// Requirements that fit in memory, with their plans.
pub(super) struct Fitted {
    pub requirements: Requirements,
    pub layout: Layout,
    pub plans: Plans,
}

/// Images of a micro-batch at least, as convolutions of few images leave workers idle.
const LEAST_IMAGES: usize = 32;

/// Halves an even batch of a pass without updates while its activations exceed what the backend
/// likes, or keeps it. Results of such passes do not depend on how they are cut.
fn micro_batch<B: Operators>(backend: &B, network: &Network, stored: Dtype, batch: usize) -> usize {
    let Some(bytes) = backend.activation_bytes(stored) else { return batch };
    let image = stored.size() * network.largest_value();
    let most = (bytes / image.max(1)).max(LEAST_IMAGES);
    let mut cut = batch;
    while cut > most && cut.is_multiple_of(2) {
        cut /= 2;
    }
    cut
}

/// Cuts the batches of passes without updates to what the backend likes, and halves them until
/// everything fits.
pub(super) fn fit<B: Operators>(
    backend: &B,
    network: &Network,
    wanted: &Requirements,
) -> Result<Fitted> {
    let free = wanted.memory_limit.or(backend.free_bytes()).unwrap_or(u64::MAX);
    let mut requirements = wanted.clone();
    let stored = wanted.compute.precision.dtype();
    for (_, batch, _) in requirements.passes.iter_mut().filter(|p| p.0 != Mode::Train) {
        *batch = micro_batch(backend, network, stored, *batch);
    }
    loop {
        let (layout, plans) = plan_all(backend, network, &requirements)?;
        let needed = total_memory::<B>(network, &requirements, &layout, &plans).total();
        if needed <= free {
            return Ok(Fitted { requirements, layout, plans });
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

/// What [`Executor::new`](super::Executor::new) would allocate, without allocating it; its errors.
pub fn planned_memory<B: Operators>(
    backend: &B,
    network: &Network,
    requirements: &Requirements,
) -> Result<PlannedMemory> {
    let fitted = fit(backend, network, requirements)?;
    let Fitted { requirements, layout, plans } = fitted;
    Ok(total_memory::<B>(network, &requirements, &layout, &plans))
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
        let planned = plan_all(backend, network, &smaller);
        let total = |(l, p): (Layout, Plans)| total_memory::<B>(network, &smaller, &l, &p).total();
        planned.map(total).is_ok_and(|total| total <= free)
    };
    let (mut good, mut bad) = (0, requirements.passes.iter().map(|p| p.1).max()?);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    (good > 1).then_some(good)
}
