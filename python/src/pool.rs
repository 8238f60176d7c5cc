//! The threads that compute, and how long work waits for them.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairprune::backend::{Backend, Cpu};
use fairprune::error::{Error, Result};
use pyo3::prelude::*;

use crate::errors::python;

/// How often Python's signals are looked at while other threads compute.
const SIGNALS: Duration = Duration::from_millis(100);

/// The pool, the process that made it, and the number of threads asked for.
struct Pool {
    cpu: Option<(u32, Arc<Cpu>)>,
    wanted: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { cpu: None, wanted: 0 });

/// The processor with its pool of threads. A forked process gets a pool of its own, since it does not have
/// the threads of its parent.
pub fn cpu() -> Result<Arc<Cpu>> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    match &pool.cpu {
        Some((owner, cpu)) if *owner == process => Ok(cpu.clone()),
        _ => {
            // The parent's pool is never waited for: its threads are not in this process.
            std::mem::forget(pool.cpu.take());
            let cpu = Arc::new(Cpu::new(pool.wanted)?);
            pool.cpu = Some((process, cpu.clone()));
            Ok(cpu)
        }
    }
}

/// Sets the number of computing threads; 0 is one a core.
#[pyfunction]
pub fn set_threads(count: usize) -> PyResult<()> {
    let made = Arc::new(Cpu::new(count).map_err(python)?);
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    pool.wanted = count;
    let before = pool.cpu.replace((std::process::id(), made));
    match before {
        Some((owner, cpu)) if owner != std::process::id() => std::mem::forget(cpu),
        before => drop(before),
    }
    Ok(())
}

/// The number of computing threads.
#[pyfunction]
pub fn threads() -> PyResult<usize> {
    Ok(cpu().map_err(python)?.workers())
}

/// The instruction set of the hot loops: `portable`, `avx2` or `avx512`.
#[pyfunction]
pub fn instruction_set() -> PyResult<&'static str> {
    Ok(cpu().map_err(python)?.isa().name())
}

/// Does short work in the pool, without Python's lock.
pub fn compute<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Cpu) -> Result<T> + Send,
) -> PyResult<T> {
    let cpu = cpu().map_err(python)?;
    py.detach(|| cpu.pool().install(|| work(&cpu))).map_err(python)
}

/// Does work that may take long in a thread of its own, without Python's lock. Ctrl-C ends the wait at
/// once; the work then goes on unseen to its end.
pub fn compute_long<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(&Cpu) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let cpu = cpu().map_err(python)?;
    let (send, mut receive) = sync_channel(1);
    let thread = std::thread::Builder::new().name("fairprune-work".to_owned());
    thread.spawn(move || {
        let result = cpu.pool().install(|| work(&cpu));
        // Nobody waits any more where the wait was interrupted.
        let _ = send.send(result);
    })?;
    loop {
        let (back, result) = py.detach(move || {
            let result = receive.recv_timeout(SIGNALS);
            (receive, result)
        });
        receive = back;
        match result {
            Ok(result) => return result.map_err(python),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                let text = "the computation ended without a result".to_owned();
                return Err(python(Error::Internal(text)));
            }
        }
    }
}
