//! The threads that compute.
//!
//! A program has one pool: its own work and that of libraries that ask for no pool run there, so that
//! `threads` 1 is one computing thread. A library's user, who may have a pool already, gets one a backend.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// More workers than any machine has cores: a mistake that would exhaust the system.
const MOST_THREADS: usize = 1024;

/// The number of threads that the program's pool was asked for, once it has one.
static PROGRAM: OnceLock<usize> = OnceLock::new();

/// Makes the program's pool of `threads` workers (0: one a core), once, before anything computes.
///
/// # Errors
/// Too many threads, or more than the system lets this process have.
pub fn for_program(threads: usize) -> Result<()> {
    builder(threads)?.build_global().map_err(|e| unstartable(threads, &e))?;
    PROGRAM.get_or_init(|| threads);
    Ok(())
}

fn builder(threads: usize) -> Result<ThreadPoolBuilder> {
    if threads > MOST_THREADS {
        let expected = format!("at most {MOST_THREADS}, or 0 for one a core");
        return Err(Error::invalid("`threads`", threads.to_string(), expected));
    }
    Ok(ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("fairprune-{i}")))
}

fn unstartable(threads: usize, error: &rayon::ThreadPoolBuildError) -> Error {
    let found = match threads {
        0 => format!("one a core, which cannot be started ({error})"),
        _ => format!("{threads}, which cannot be started ({error})"),
    };
    let expected = "as many as the limits of the system (`ulimit -u`, `ulimit -v`) leave room for";
    Error::invalid("`threads`", found, expected)
}

/// A pool of threads.
pub enum Pool {
    /// One of a backend's own.
    Own(ThreadPool),
    /// The program's.
    Program,
}

impl Pool {
    /// The program's pool where it has as many threads, else a new one of `threads` workers (0: one a core).
    ///
    /// # Errors
    /// Those of [`for_program`].
    pub fn new(threads: usize) -> Result<Pool> {
        if PROGRAM.get() == Some(&threads) {
            return Ok(Pool::Program);
        }
        let pool = builder(threads)?.build().map_err(|e| unstartable(threads, &e))?;
        Ok(Pool::Own(pool))
    }

    /// Does `work` on the pool, whose threads its parallel loops use.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self {
            Pool::Own(pool) => pool.install(work),
            Pool::Program => rayon::scope(|_| work()),
        }
    }

    /// Does `work` on one of the threads, some time, and does not wait for it.
    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        match self {
            Pool::Own(pool) => pool.spawn(work),
            Pool::Program => rayon::spawn(work),
        }
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        match self {
            Pool::Own(pool) => pool.current_num_threads(),
            Pool::Program => rayon::current_num_threads(),
        }
    }
}
