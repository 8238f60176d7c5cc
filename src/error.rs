//! The one error type of the library: typed, and worded so that the reader can act.
//!
//! Messages name what was found, what was expected and where.

use std::path::{Path, PathBuf};

/// Result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument, a file's content or a combination of them cannot be used.
    #[error("{what}: found {found}, expected {expected}")]
    Invalid { what: String, found: String, expected: String },
    /// A file is not the one that was written: it was cut, changed or swapped since.
    #[error(
        "{}: found {found}, expected the bytes that were written; the file is damaged: restore it, or have \
         what wrote it write it again", path.display()
    )]
    Damaged { path: PathBuf, found: String },
    /// The operating system refused a read or a write.
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The loss or a score became NaN or infinite.
    #[error(
        "training diverged: {what} is not finite at step {step} (epoch {epoch}); the last good checkpoint, \
         where there is one, is kept. A lower `lr`, or warm-up, usually helps"
    )]
    Diverged { what: String, step: u64, epoch: u64 },
    /// The planned memory does not fit.
    #[error("out of memory: {needed} bytes needed, {free} bytes free{}", hint(*largest_batch))]
    OutOfMemory { needed: u64, free: u64, largest_batch: Option<usize> },
    /// A device that was asked for is not usable.
    #[error("device {device}: {reason}")]
    DeviceUnavailable { device: String, reason: String },
    /// A device refused a call, or one of its kernels failed. Work on it is lost.
    #[error("device {device}: {what}: {reason}")]
    Device { device: String, what: String, reason: String },
    /// Another process works in an output folder.
    #[error("output folder {}: found another process at work in it (number {holder}), expected a \
             folder that nobody is using; wait for it, or choose another `out`", path.display())]
    Busy { path: PathBuf, holder: String },
    /// The user asked to stop; the state on disk can be resumed.
    #[error("interrupted; the state is saved and the same command continues it")]
    Interrupted,
    /// What was timed computed a wrong result, or changed while it was timed: its times mean nothing.
    #[error("{0}")]
    Measurement(String),
    /// A defect of the program: a state that must not occur.
    #[error("internal error: {0} (please report this)")]
    Internal(String),
}

fn hint(largest_batch: Option<usize>) -> String {
    match largest_batch {
        Some(b) => format!("; the largest batch that fits is {b}"),
        None => String::new(),
    }
}

impl Error {
    /// An unusable input: `what` was looked at, `found` is there (nothing, if that is empty), `expected`
    /// should be.
    pub fn invalid(
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let mut found = found.into();
        if found.is_empty() {
            found.push_str("nothing");
        }
        Error::Invalid { what: what.into(), found, expected: expected.into() }
    }

    /// A damaged file: `found` is there instead of what was written.
    pub fn damaged(path: impl AsRef<Path>, found: impl Into<String>) -> Self {
        Error::Damaged { path: path.as_ref().to_owned(), found: found.into() }
    }

    /// An operating-system error at `path`; use as `.map_err(Error::io(path))`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Error::Io { path, source }
    }

    /// Process exit code: 2 for input that cannot be used, 1 for a failure while running.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Invalid { .. }
            | Error::Damaged { .. }
            | Error::Io { .. }
            | Error::Diverged { .. }
            | Error::OutOfMemory { .. }
            | Error::Busy { .. }
            | Error::DeviceUnavailable { .. } => 2,
            Error::Device { .. }
            | Error::Interrupted
            | Error::Measurement(_)
            | Error::Internal(_) => 1,
        }
    }
}
