//! Writing a file so that a reader sees the old content or the new, whatever happens in between.
//!
//! The content goes to a temporary name in the same folder (a rename is atomic only inside one file
//! system), is synced, takes its final name, and then the folder is synced, since the new name is
//! the folder's content. A temporary file that a killed process left behind carries [`TEMPORARY`]
//! and is removed by the next [`OutputDir::claim`](super::OutputDir::claim).

use crate::error::{Error, Result};
use serde::Serialize;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the name of every unfinished file ends.
pub const TEMPORARY: &str = ".fairprune-tmp";

/// Writes the file `path` with what `fill` writes, and returns what `fill` returns.
///
/// The folder must exist. A symbolic link at `path` is replaced, not followed. On an error the file
/// at `path` is as it was before and the temporary file is gone; only if the very last step, the
/// folder's sync, fails is the new file already in place.
///
/// # Errors
/// [`Error::Io`] with `path`: no such folder, no permission, disk full, or an error of `fill`.
pub fn write<T>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> Result<T> {
    if path.file_name().is_none() {
        return Err(Error::invalid("output file", path.display().to_string(), "a file name"));
    }
    let attempt = || {
        let (temporary, file) = Temporary::beside(path)?;
        let mut out = BufWriter::new(file);
        let value = fill(&mut out)?;
        // Not left to the drop: the last block is where a full disk shows.
        let file = out.into_inner().map_err(|e| e.into_error())?;
        file.sync_all()?;
        fs::rename(&temporary.0, path)?;
        sync_folder(parent(path))?;
        Ok(value)
    };
    attempt().map_err(Error::io(path))
}

/// Writes `bytes` as the file `path`.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, |out| out.write_all(bytes))
}

/// Writes `value` as indented JSON with a final line feed.
pub fn write_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<()> {
    write(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

/// Makes the names in `folder` durable: created, renamed and removed files stay so after a crash.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and the rename is as durable as it gets.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    }
}

/// The unfinished file; dropping it removes it unless it was renamed.
struct Temporary(PathBuf);

impl Temporary {
    /// A new, empty file beside `path` under a name of our own: process and counter keep concurrent
    /// writers apart, and names that a killed process left behind are skipped.
    fn beside(path: &Path) -> io::Result<(Temporary, File)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let n = COUNTER.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(".");
            name.push(path.file_name().unwrap_or_default());
            name.push(format!(".{}-{n}{TEMPORARY}", std::process::id()));
            let temporary = parent(path).join(name);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => return Ok((Temporary(temporary), opened?)),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
