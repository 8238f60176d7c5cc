//! Whole steps of a network: training and scores have the same bits however they are computed. What a
//! missing wait, a race or a stale recording would change is seen here, and by no single operator.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::CaseReport;
use crate::error::{Error, Result};
use crate::exec::{
    ArenaMode, Compute, EvaluationSet, Executor, Mode, Pass, Requirements, TrainOptions, run_pass,
};
use crate::nn::{NetworkSpec, Stem, init};
use crate::ops::gather::Augmentation;
use crate::ops::loss_score::Field;
use crate::ops::sgd::SgdProblem;
use crate::ops::{Operators, Precision};
use crate::rng::{Philox, Stream};

const CLASSES: usize = 10;
const STEPS: usize = 8;

/// A network and its batches.
#[derive(Clone, Copy)]
struct Job {
    arch: &'static str,
    width: usize,
    side: usize,
    batch: usize,
}

const SMALL: Job = Job { arch: "resnet8", width: 8, side: 12, batch: 6 };
const NARROW: Job = Job { arch: "resnet20", width: 16, side: 32, batch: 64 };
/// For devices with tensor cores.
const WIDE: Job = Job { arch: "resnet18", width: 64, side: 32, batch: 128 };

/// How a job is computed.
#[derive(Clone, Copy)]
struct StepForm {
    record: bool,
    /// Kernels may begin before the one before them has ended.
    early: bool,
    /// Images stay on the host.
    stream: bool,
    arena: ArenaMode,
}

/// Kernel by kernel, in one arena.
const PLAIN: StepForm =
    StepForm { record: false, early: false, stream: false, arena: ArenaMode::Shared };

/// What must not change a bit: the name of the case, and the way.
const WAYS: [(&str, StepForm); 6] = [
    ("repeated_steps_are_the_same", PLAIN),
    ("a_buffer_a_tensor_gives_the_same", StepForm { arena: ArenaMode::Debug, ..PLAIN }),
    ("recorded_steps_are_the_steps", StepForm { record: true, ..PLAIN }),
    ("kernels_that_begin_early_wait", StepForm { early: true, ..PLAIN }),
    ("recorded_kernels_that_begin_early_wait", StepForm { record: true, early: true, ..PLAIN }),
    (
        "streamed_images_are_the_images",
        StepForm { record: true, early: true, stream: true, ..PLAIN },
    ),
];

/// What the cases are named for.
pub const OPERATOR: &str = "steps";

/// The names of all cases.
pub fn names() -> impl Iterator<Item = &'static str> {
    WAYS.iter().map(|(name, _)| *name)
}

/// Runs the cases whose `steps::name` contains `only`. `begin_early` tells the device whether kernels
/// may; `done` gets every case as it ends.
pub fn run<B: Operators>(
    backend: &Arc<B>,
    reduced: bool,
    only: &str,
    begin_early: impl Fn(bool),
    done: &mut dyn FnMut(CaseReport) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut jobs = Vec::new();
    for precision in [Precision::F32, Precision::Bf16] {
        match (reduced, precision) {
            (true, _) => jobs.push((SMALL, precision)),
            (false, Precision::F32) => jobs.push((NARROW, precision)),
            (false, Precision::Bf16) => jobs.extend([(NARROW, precision), (WIDE, precision)]),
        }
    }
    let chosen = WAYS.iter().filter(|(name, _)| format!("{OPERATOR}::{name}").contains(only));
    let mut plain: Vec<Option<Vec<u32>>> = vec![None; jobs.len()];
    let mut checked = chosen.map(|&(name, way)| {
        let start = Instant::now();
        let mut check = |i: usize| -> Result<Option<String>> {
            let (job, precision) = jobs[i];
            let bits = |way: StepForm| {
                begin_early(way.early);
                results(backend, job, precision, way)
            };
            let expected = match plain[i].take() {
                Some(known) => known,
                None => bits(PLAIN)?,
            };
            let found = bits(way)?;
            let wrong = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            let what = || format!("{} of width {} in {precision}", job.arch, job.width);
            let failure = (wrong > 0)
                .then(|| format!("{}: {wrong} of {} values have other bits", what(), found.len()));
            plain[i] = Some(expected);
            Ok(failure)
        };
        let failures = (0..jobs.len()).map(|i| check(i).unwrap_or_else(|e| Some(e.to_string())));
        let failure = failures.flatten().next();
        CaseReport { operator: OPERATOR, name, seconds: start.elapsed().as_secs_f64(), failure }
    });
    let outcome = checked.try_for_each(done);
    begin_early(true);
    outcome
}

/// Bits of what training leaves and of the scores after it.
fn results<B: Operators>(
    backend: &Arc<B>,
    job: Job,
    precision: Precision,
    way: StepForm,
) -> Result<Vec<u32>> {
    let Job { arch, width, side, batch } = job;
    // The last batch of a pass without updates is smaller.
    let (samples, scored) = (STEPS * batch, 2 * batch - 1);
    let size = [side; 2];
    let spec =
        NetworkSpec { arch: arch.parse()?, width, stem: Stem::Cifar, classes: CLASSES, size };
    let requirements = Requirements {
        passes: vec![
            (Mode::Train, batch, samples),
            (Mode::Score, batch, scored),
            (Mode::GradNorm, batch, scored),
        ],
        capacity: samples,
        options: TrainOptions {
            sgd: SgdProblem { momentum: 0.9, weight_decay: 5e-4, nesterov: true },
            smoothing: 0.1,
            augmentation: Augmentation { flip: true, translate: 2, resized_crop: false },
            seed: 1,
        },
        mean: [0.5; 3],
        std: [0.25; 3],
        arena: way.arena,
        compute: Compute { record: way.record, ..Compute::new(precision) },
        divergences: false,
        stored: None,
        stream: way.stream,
        memory_limit: None,
    };
    let mut draws = Philox::new(1, Stream::Shapes).sequence(0);
    let pixels: Vec<u8> = (0..samples * side * side * 3).map(|_| draws.below(256) as u8).collect();
    let labels: Vec<u32> = (0..samples).map(|_| draws.below(CLASSES as u32)).collect();
    let mut order: Vec<u32> = (0..samples as u32).collect();
    draws.shuffle(&mut order);
    let images = match way.stream {
        true => backend.host_images(&pixels.into())?,
        false => backend.images(&pixels.into())?,
    };
    let mut executor = Executor::new(Arc::clone(backend), spec.build()?, &requirements)?;
    executor.set_weights(&init::initialise(executor.network(), 1))?;
    executor.zero_velocities()?;
    executor.begin(&Pass {
        labels: &labels,
        order: &order,
        epoch: 0,
        start: 0,
        steps_done: 0,
        lrs: &[0.05; STEPS],
        class_weights: &[1.0; CLASSES],
    })?;
    for _ in 0..STEPS {
        executor.step(Mode::Train, batch, &images)?;
    }
    if let Some(step) = executor.state()?.bad_step {
        return Err(Error::Internal(format!("step {step} is not finite")));
    }
    let mut bits = Vec::new();
    let mut add = |values: &[f32]| bits.extend(values.iter().map(|v| v.to_bits()));
    executor.weights()?.tensors.values().for_each(|t| add(&t.data));
    executor.velocities()?.values().for_each(|t| add(&t.data));
    let positions: Vec<u32> = (0..scored as u32).collect();
    let set = EvaluationSet {
        images: &images,
        labels: &labels[..scored],
        positions: &positions,
        groups: None,
    };
    run_pass(&mut executor, Mode::Score, &set)?;
    add(&executor.column(Field::El2n, scored)?);
    run_pass(&mut executor, Mode::GradNorm, &set)?;
    add(&executor.column(Field::Grand, scored)?);
    Ok(bits)
}
