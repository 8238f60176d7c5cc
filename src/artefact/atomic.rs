//! Writing a file so that a reader sees the old content or the new, whatever happens in between.
//!
//! The content goes to a temporary name in the same folder (a rename is atomic only inside one file
//! system), is synced, takes its final name, and then the folder is synced, since the new name is
//! the folder's content. A temporary file that a killed process left behind carries [`TEMPORARY`]
//! and is removed by the next [`OutputDir::claim`](super::OutputDir::claim), or beside a file or folder
//! that is an output of its own by [`remove_abandoned`]. The writer holds a lock on it as long as it lives.

use super::{disk, input};
use crate::error::{Error, Result};
use serde::Serialize;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The ending of the name of every unfinished file.
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
    write_with(path, |out| fill(out).map_err(Error::io(path)))
}

/// Writes a file as [`write()`] does, for content that can be refused for other reasons than the
/// system's.
pub fn write_with<T>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
) -> Result<T> {
    if path.file_name().is_none() {
        return Err(Error::invalid("output file", path.display().to_string(), "a file name"));
    }
    let (temporary, file) = Temporary::beside(path).map_err(Error::io(path))?;
    let mut out = BufWriter::new(file);
    let value = fill(&mut out)?;
    let finish = || {
        // The buffer is flushed here and not when it is dropped, because the last block is where a
        // full disk shows.
        let file = out.into_inner().map_err(|e| e.into_error())?;
        disk::sync(&file, &temporary.path)?;
        disk::rename(&temporary.path, path)?;
        disk::sync_folder(parent(path))
    };
    finish().map_err(Error::io(path))?;
    Ok(value)
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

/// Makes the folder `path` with what `fill` puts into it. There is all of it afterwards or no
/// folder at all.
///
/// The content is built beside `path`, which must not exist or be an empty folder; the folder above
/// it must exist.
///
/// # Errors
/// [`Error::Invalid`] where something is at `path`; [`Error::Io`]; an error of `fill`.
pub fn write_folder<T>(path: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let what = || format!("output folder {}", path.display());
    if path.file_name().is_none() {
        return Err(Error::invalid(what(), "no name", "a folder name"));
    }
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io(path)(e)),
        Ok(about) if about.is_dir() => {
            if fs::read_dir(path).map_err(Error::io(path))?.next().is_some() {
                let expected = "a folder that is empty or not there";
                return Err(Error::invalid(what(), "a folder that holds something", expected));
            }
        }
        Ok(_) => return Err(Error::invalid(what(), "a file", "a folder that is not there")),
    }
    let temporary = Temporary::folder(path).map_err(Error::io(path))?;
    let value = fill(&temporary.path)?;
    let finish = || {
        disk::sync_tree(&temporary.path)?;
        disk::rename(&temporary.path, path)?;
        disk::sync_folder(parent(path))
    };
    finish().map_err(Error::io(path))?;
    Ok(value)
}

/// Removes what killed processes left unfinished beside `path`, the output of a command: files and
/// folders that nobody holds the lock of.
pub fn remove_abandoned(path: &Path) {
    let prefix = format!(".{}.", stem(path).to_string_lossy());
    for entry in fs::read_dir(parent(path)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(&prefix) || !name.ends_with(TEMPORARY) {
            continue;
        }
        // The lock is held until the file is gone: its writer, if it has only just made it, sees that.
        if let Ok(file) = input::without_waiting(&entry.path())
            && file.try_lock().is_ok()
        {
            drop(Temporary { path: entry.path(), _lock: None });
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    }
}

/// Longest part of a temporary name that is the file's own: file systems allow 255 bytes in all.
const LONGEST_STEM: usize = 160;

/// The part of a temporary name that tells which file it becomes: its name, or a digest of a long one.
fn stem(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default();
    match name.len() > LONGEST_STEM {
        true => super::digest(name.as_encoded_bytes()).into(),
        false => name.to_owned(),
    }
}

/// The unfinished file or folder, and for a folder its lock; dropping it removes it unless it was
/// renamed.
struct Temporary {
    path: PathBuf,
    _lock: Option<File>,
}

impl Temporary {
    /// Makes a new, empty file beside `path` under a name of our own and locks it. The process and
    /// a counter keep concurrent writers apart, and names that a killed process left behind are
    /// skipped.
    fn beside(path: &Path) -> io::Result<(Temporary, File)> {
        let (name, file) = Self::create(path, disk::create)?;
        Ok((Temporary { path: name, _lock: None }, file))
    }

    /// Makes a new, empty folder beside `path` in the same way.
    fn folder(path: &Path) -> io::Result<Temporary> {
        let new = |name: &Path| disk::create_folder(name).and_then(|()| File::open(name));
        let (name, lock) = Self::create(path, new)?;
        Ok(Temporary { path: name, _lock: Some(lock) })
    }

    fn create(
        path: &Path,
        make: impl Fn(&Path) -> io::Result<File>,
    ) -> io::Result<(PathBuf, File)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let n = COUNTER.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(".");
            name.push(stem(path));
            name.push(format!(".{}-{n}{TEMPORARY}", std::process::id()));
            let temporary = parent(path).join(name);
            let file = match make(&temporary) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            // Where locks do not exist, nobody takes the file for abandoned either.
            let _ = file.lock();
            if fs::symlink_metadata(&temporary).is_ok() {
                return Ok((temporary, file));
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let is_folder = fs::symlink_metadata(&self.path).is_ok_and(|m| m.is_dir());
        let _ =
            if is_folder { fs::remove_dir_all(&self.path) } else { fs::remove_file(&self.path) };
    }
}
