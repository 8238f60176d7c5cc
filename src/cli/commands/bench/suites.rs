//! The rows: train, forward, grand, read; those of `pipeline` have a file of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, ensure};
use fairprune::backend::Cpu;
use fairprune::data::{self, LoadOptions, Part};
use fairprune::exec::{Executor, Mode};
use fairprune::ops::Operators;

use super::card::Card;
use super::floor;
use super::memory::Peak;
use super::pipeline;
use super::results::Row;
use super::settings::{Settings, Suite};
use super::subject::Subject;
use super::timing::{Clock, Rates};
use super::verify::{begin, verify};
use crate::cli::args::Common;
use crate::cli::interrupt;
use crate::cli::progress::Bar;

/// A repeat has as many batches as it takes to last this long, if there are so many: neither the clock's cost
/// nor waiting for the device at its end must show.
const LEAST_SECONDS: f64 = 5e-2;

/// Learning rate of the timed steps: random labels cannot be learnt, only endured.
const LR: f32 = 0.01;

/// Times every row of the chosen suites.
pub fn run<B: Operators>(
    backend: &Arc<B>,
    card: &Card,
    cpu: &Cpu,
    settings: &Settings,
    common: &Common,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if settings.suites.iter().any(|s| matches!(s, Suite::Train | Suite::Score)) {
        let subject = Subject::new(backend, settings)?;
        for suite in &settings.suites {
            let works: &[(&str, Mode)] = match suite {
                Suite::Train => &[("train", Mode::Train)],
                Suite::Score => &[("forward", Mode::Score), ("grand", Mode::GradNorm)],
                Suite::Read | Suite::Pipeline | Suite::Kernels | Suite::Tune => &[],
            };
            for &(work, mode) in works {
                if stopped()? {
                    return Ok(rows);
                }
                rows.push(compute(&subject, work, mode, settings, card, common)?);
            }
        }
    }
    for suite in settings.suites.iter().filter(|s| matches!(s, Suite::Kernels | Suite::Tune)) {
        settings.compute.precision.check(&**backend)?;
        rows.extend(match suite {
            Suite::Tune => super::tune::rows(backend, card, settings, common)?,
            _ => super::kernels::rows(backend, card, settings)?,
        });
    }
    if let Some(folder) = settings.data.as_ref().filter(|_| !matches!(stopped(), Ok(true))) {
        if settings.suites.contains(&Suite::Read) {
            rows.push(read(cpu, folder, settings, common)?);
        }
        if settings.suites.contains(&Suite::Pipeline) {
            rows.extend(pipeline::run(backend, cpu, folder, settings, card, common)?);
        }
    }
    Ok(rows)
}

/// Whether the user, or whoever runs this, asked to stop: what is timed so far is what there is.
pub(super) fn stopped() -> Result<bool> {
    Ok(interrupt::flag()?.load(Ordering::Relaxed))
}

pub(super) fn clock(work: &str, settings: &Settings) -> Clock {
    Clock { seconds: settings.seconds, slowdown: settings.slowdown.of(work) }
}

/// A pass that starts again when its images are used up.
struct Running<'a, B: Operators> {
    executor: Executor<B>,
    subject: &'a Subject<B>,
    mode: Mode,
    lrs: Vec<f32>,
    /// Batches a repeat.
    group: usize,
    next: usize,
}

impl<B: Operators> Running<'_, B> {
    /// Makes room for one more repeat in the pass.
    fn prepare(&mut self) -> Result<()> {
        let subject = self.subject;
        if self.next == 0 || self.next + self.group > subject.batches() {
            let order = &subject.order[..subject.batches() * subject.batch];
            begin(&mut self.executor, subject, order, &self.lrs)?;
            self.next = 0;
        }
        Ok(self.subject.backend.synchronize()?)
    }

    fn repeat(&mut self) -> Result<()> {
        // Passes without updates may run in micro-batches.
        let step = self.executor.batch(self.mode);
        for _ in 0..self.group * self.subject.batch / step {
            self.executor.step(self.mode, step, &self.subject.images)?;
        }
        self.next += self.group;
        Ok(self.subject.backend.synchronize()?)
    }
}

/// One row of a pass over the random images.
fn compute<B: Operators>(
    subject: &Subject<B>,
    work: &str,
    mode: Mode,
    settings: &Settings,
    card: &Card,
    common: &Common,
) -> Result<Row> {
    let bar = Bar::new(common, 1);
    bar.set(0, 1, &format!("{work}: verifying"));
    let mut executor = subject.executor(mode)?;
    verify(&mut executor, subject, mode)?;
    let (planned, step) = (executor.planned_memory(), executor.batch(mode));
    let whole = subject.batch.is_multiple_of(step);
    ensure!(whole, "{work}: memory is free for batches of {step}, which do not divide --batch");
    let lrs = if mode == Mode::Train { vec![LR; subject.batches()] } else { Vec::new() };
    let mut running = Running { executor, subject, mode, lrs, group: 1, next: 0 };
    // Verification has run every step of the plan; one more batch for the clock.
    running.prepare()?;
    let start = Instant::now();
    running.repeat()?;
    let batch_seconds = start.elapsed().as_secs_f64();
    let group = (LEAST_SECONDS / batch_seconds).ceil() as usize;
    running.group = group.clamp(1, subject.batches());
    running.next = 0;

    let clock = clock(work, settings);
    let peak = Peak::start();
    let times = clock.repeat(&mut running, Running::prepare, Running::repeat, |gone| {
        bar.set((gone * 1e3) as u64, (clock.seconds * 1e3) as u64, work);
    })?;
    let peak = peak.bytes();
    bar.finish();
    ensure!(
        running.executor.state()?.bad_step.is_none(),
        "{work}: the loss became NaN or infinite while being timed"
    );
    let images = (running.group * subject.batch) as f64;
    let row = row(work, images, &times, [peak, Some(planned.total())], clock);
    let streams = B::on_host(&subject.images);
    let loads = floor::step(&*subject.backend, mode, settings)?;
    let floor = card.ceilings().map(|c| c.seconds(&loads, settings.compute.precision));
    let floor = floor.map(|f| f.of(subject.batch as f64 / row.images_per_second.median));
    Ok(Row {
        images: streams.then(|| "stream".to_owned()),
        pinned_bytes: streams.then_some(planned.staging),
        fraction_of_floor: floor.map(|(fraction, _)| fraction),
        limits: floor.map(|(_, limits)| limits),
        clocks: card.state(),
        ..row
    })
}

/// One row of loading a folder, all parts, fingerprint included. The first load warms the page
/// cache and says what every later one must give.
fn read(cpu: &Cpu, folder: &str, settings: &Settings, common: &Common) -> Result<Row> {
    let options = LoadOptions { image_size: settings.read_size, ..LoadOptions::default() };
    let load = || cpu.pool().install(|| data::load(folder, &options, &|_, _| ()));
    let bar = Bar::new(common, 1);
    bar.set(0, 1, "read: warming the page cache");
    let first = load()?;
    let parts = [Some(&first.train), first.val.as_ref(), first.test.as_ref()];
    let images: usize = parts.into_iter().flatten().map(Part::len).sum();
    let fingerprint = first.fingerprint.clone();
    drop(first);
    let clock = clock("read", settings);
    let peak = Peak::start();
    let same = |_: &mut ()| {
        let again = load()?.fingerprint;
        ensure!(again == fingerprint, "{folder}: its content changed while it was read");
        Ok(())
    };
    let times = clock.repeat(
        &mut (),
        |_| Ok(()),
        same,
        |gone| {
            bar.set((gone * 1e3) as u64, (clock.seconds * 1e3) as u64, "read");
        },
    )?;
    bar.finish();
    Ok(row("read", images as f64, &times, [peak.bytes(), None], clock))
}

pub(super) fn row(
    work: &str,
    images: f64,
    times: &[f64],
    [peak, planned]: [Option<u64>; 2],
    clock: Clock,
) -> Row {
    let rates: Vec<f64> = times.iter().map(|t| images / t).collect();
    Row {
        work: work.to_owned(),
        images: None,
        images_per_second: Rates::of(&rates),
        peak_bytes: peak.or(planned).unwrap_or(0),
        planned_bytes: planned,
        pinned_bytes: None,
        repeats: times.len(),
        images_a_repeat: images as usize,
        fraction_of_floor: None,
        limits: None,
        planned: false,
        clocks: None,
        tile: None,
        injected_slowdown: clock.slowdown,
    }
}
