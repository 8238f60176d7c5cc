//! All cases on an open device.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::{CaseReport, Subject, cases, steps};
use crate::experiment::Device;
use crate::experiment::device::on_device;
use crate::ops::Operators;

/// Operator and name of every case of a device, in the order in which they run.
pub fn names(device: &Device) -> Vec<(&'static str, &'static str)> {
    on_device!(device, backend => names_on(&backend))
}

fn names_on<B: Operators>(_: &Arc<B>) -> Vec<(&'static str, &'static str)> {
    let operators = cases::<B>().into_iter().map(|case| (case.operator, case.name));
    operators.chain(steps::names().map(|name| (steps::OPERATOR, name))).collect()
}

/// Runs the cases whose `operator::name` contains `only`; `done` gets each as it ends, and says whether
/// to go on. `reduced` takes small shapes, and buffers that end with their tensors.
pub fn run(
    device: &Device,
    reduced: bool,
    only: &str,
    done: &mut dyn FnMut(CaseReport) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let begin_early = |on| {
        if let Some(cuda) = device.card() {
            cuda.set_dependent_launch(on);
        }
    };
    on_device!(device, backend => {
        run_operators(&*backend, reduced, only, done)?;
        steps::run(&backend, reduced, only, begin_early, done)
    })
}

fn run_operators<B: Operators>(
    backend: &B,
    reduced: bool,
    only: &str,
    done: &mut dyn FnMut(CaseReport) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let subject = Subject { backend, reduced };
    for case in cases::<B>() {
        let (operator, name) = (case.operator, case.name);
        if format!("{operator}::{name}").contains(only) {
            let start = Instant::now();
            let failure = case.run(&subject).err().map(|failure| failure.0);
            let seconds = start.elapsed().as_secs_f64();
            done(CaseReport { operator, name, seconds, failure })?;
        }
    }
    ControlFlow::Continue(())
}
