//! Work split into tasks, and memory that tasks share.

use rayon::prelude::*;

use crate::backend::{Backend, Cpu};

/// A buffer that tasks write disjoint parts of.
pub struct Shared<T = f32> {
    start: *mut T,
    len: usize,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: a pointer and a length; every access through it states its own disjointness.
unsafe impl<T: Send> Send for Shared<T> {}
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Shares `buffer` for as long as it is borrowed by the tasks.
    pub fn new(buffer: &mut [T]) -> Self {
        Shared { start: buffer.as_mut_ptr(), len: buffer.len() }
    }

    /// Values of the whole buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// `len` values from `at`.
    ///
    /// # Safety
    /// No other reference to any of these values is alive.
    pub unsafe fn slice<'a>(&self, at: usize, len: usize) -> &'a mut [T] {
        assert!(at + len <= self.len, "part {at}+{len} of a buffer of {}", self.len);
        // SAFETY: inside the buffer (checked) and not otherwise referenced (caller).
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }

    /// Pointer to value `at`, which may be one past the end.
    pub fn at(&self, at: usize) -> *mut T {
        assert!(at <= self.len, "position {at} of a buffer of {}", self.len);
        // SAFETY: inside the buffer or one past its end.
        unsafe { self.start.add(at) }
    }
}

/// Rounds up to whole 64-byte lines.
pub fn lines(len: usize) -> usize {
    len.next_multiple_of(16)
}

/// Cuts a workspace into consecutive parts, each starting on a 64-byte line.
pub struct Cutter<'a>(pub &'a mut [f32]);

impl<'a> Cutter<'a> {
    /// The next `len` values.
    pub fn take(&mut self, len: usize) -> &'a mut [f32] {
        let (part, rest) = std::mem::take(&mut self.0).split_at_mut(lines(len));
        self.0 = rest;
        &mut part[..len]
    }
}

/// Runs `body(task, scratch)` for every task. `scratch` holds one part of `per_worker` values a
/// worker; a task has the part of the worker that runs it to itself.
pub fn run_tasks(
    cpu: &Cpu,
    tasks: usize,
    scratch: &mut [f32],
    per_worker: usize,
    body: impl Fn(usize, &mut [f32]) + Sync,
) {
    assert!(scratch.len() >= cpu.workers() * per_worker, "scratch for every worker");
    let shared = Shared::new(scratch);
    cpu.pool().install(|| {
        (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
            let worker = rayon::current_thread_index().unwrap_or(0);
            // SAFETY: a worker runs one task at a time (bodies never wait for other tasks).
            let part = unsafe { shared.slice(worker * per_worker, per_worker) };
            body(task, part);
        });
    });
}
