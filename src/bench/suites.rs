//! A measurement from its settings to its rows: train, forward, grand, read, and those of the suites that
//! have files of their own.

use std::time::Instant;

use super::card::TimedCard;
use super::memory::Peak;
use super::network::TimedNetwork;
use super::results::BenchReport;
use super::rows::TimedRow;
use super::settings::{Measurement, Suite};
use super::timing::Timer;
use super::verify::{begin, verify};
use super::watch::Observer;
use super::{floor, kernels, machine, pipeline, tune};
use crate::error::{Error, Result};
use crate::exec::{Executor, Mode};
use crate::experiment::Device;
use crate::experiment::device::on_device;
use crate::ops::Operators;

/// A repeat has as many batches as it takes to last this long, if there are so many: neither the clock's cost
/// nor waiting for the device at its end must show.
const LEAST_SECONDS: f64 = 5e-2;

/// Learning rate of the timed steps: random labels cannot be learnt, only endured.
const LR: f32 = 0.01;

/// Times every row of the chosen suites on a device, until it is asked to stop.
///
/// # Errors
/// Settings that cannot be used, a device that fails, a result that is wrong.
pub fn run(device: &Device, settings: &Measurement, watch: &dyn Observer) -> Result<BenchReport> {
    settings.check()?;
    if let Some(cuda) = device.card() {
        cuda.set_dependent_launch(settings.dependent_launch);
    }
    let (host, card) = (&**device.host(), &TimedCard::of(device));
    let machine = machine::describe(host, card);
    let rows = on_device!(device, backend => {
        rows(&Timer { backend: &backend, host, card, settings, watch })
    })?;
    Ok(BenchReport { rows, machine, stopped: watch.is_stopped() })
}

fn rows<B: Operators>(timer: &Timer<B>) -> Result<Vec<TimedRow>> {
    let Timer { backend, settings, watch, .. } = *timer;
    let mut rows = Vec::new();
    if settings.computes() {
        let network = TimedNetwork::new(backend, settings)?;
        let all = [
            (Suite::Train, "train", Mode::Train),
            (Suite::Score, "forward", Mode::Score),
            (Suite::Score, "grand", Mode::GradNorm),
        ];
        for (_, work, mode) in all.into_iter().filter(|(suite, ..)| settings.times(*suite)) {
            if watch.is_stopped() {
                return Ok(rows);
            }
            rows.push(compute(timer, &network, work, mode)?);
        }
    }
    if settings.times(Suite::Kernels) {
        rows.extend(kernels::rows(timer)?);
    }
    if settings.times(Suite::Tune) {
        rows.extend(tune::rows(timer)?);
    }
    if let Some(folder) = settings.data.as_ref().filter(|_| !watch.is_stopped()) {
        if settings.times(Suite::Read) {
            rows.push(pipeline::read(timer, folder)?);
        }
        if settings.times(Suite::Pipeline) {
            rows.extend(pipeline::rows(timer, folder)?);
        }
    }
    Ok(rows)
}

/// A pass that starts again when its images are used up.
struct Running<'a, B: Operators> {
    executor: Executor<B>,
    network: &'a TimedNetwork<B>,
    mode: Mode,
    lrs: Vec<f32>,
    /// Batches a repeat.
    group: usize,
    next: usize,
}

impl<B: Operators> Running<'_, B> {
    /// Makes room for one more repeat in the pass.
    fn prepare(&mut self) -> Result<()> {
        let network = self.network;
        if self.next == 0 || self.next + self.group > network.batches() {
            let order = &network.order[..network.batches() * network.batch];
            begin(&mut self.executor, network, order, &self.lrs)?;
            self.next = 0;
        }
        self.network.backend.synchronize()
    }

    fn repeat(&mut self) -> Result<()> {
        // Passes without updates may run in micro-batches.
        let step = self.executor.batch(self.mode);
        for _ in 0..self.group * self.network.batch / step {
            self.executor.step(self.mode, step, &self.network.images)?;
        }
        self.next += self.group;
        self.network.backend.synchronize()
    }
}

/// One row of a pass over the random images.
fn compute<B: Operators>(
    timer: &Timer<B>,
    network: &TimedNetwork<B>,
    work: &str,
    mode: Mode,
) -> Result<TimedRow> {
    let Timer { backend, card, settings, watch, .. } = *timer;
    watch.progress(&format!("{work}: verifying"), 0.0, 1.0);
    let mut executor = network.executor(mode)?;
    verify(&mut executor, network, mode)?;
    let (planned, step) = (executor.planned_memory(), executor.batch(mode));
    if !network.batch.is_multiple_of(step) {
        return Err(Error::Measurement(format!(
            "{work}: memory is free for batches of {step}, which do not divide `batch`"
        )));
    }
    let lrs = if mode == Mode::Train { vec![LR; network.batches()] } else { Vec::new() };
    let mut running = Running { executor, network, mode, lrs, group: 1, next: 0 };
    // Verification has run every step of the plan; one more batch for the clock.
    running.prepare()?;
    let start = Instant::now();
    running.repeat()?;
    let batch_seconds = start.elapsed().as_secs_f64();
    let group = (LEAST_SECONDS / batch_seconds).ceil() as usize;
    running.group = group.clamp(1, network.batches());
    running.next = 0;

    let clock = timer.clock(work);
    let peak = Peak::start();
    let times = clock.repeat(&mut running, Running::prepare, Running::repeat)?;
    let peak = peak.bytes();
    if running.executor.state()?.bad_step.is_some() {
        let text = format!("{work}: the loss became NaN or infinite while being timed");
        return Err(Error::Measurement(text));
    }
    let streams = B::on_host(&network.images);
    let precision = settings.compute.precision;
    let loads = floor::step(&**backend, mode, &settings.spec(), network.batch, precision)?;
    let seconds = card.ceilings().map(|c| c.seconds(&loads, precision));
    let row = TimedRow::new(&clock, running.group * network.batch, &times)
        .with_memory(peak, Some(planned.total()))
        .with_floor(seconds, network.batch);
    Ok(TimedRow {
        images: streams.then(|| "stream".to_owned()),
        pinned_bytes: streams.then_some(planned.staging),
        clocks: card.state(),
        ..row
    })
}
