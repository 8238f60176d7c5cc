//! The control files of an output folder: whose they are, and the lock that keeps other processes out.

use super::input;
use super::ledger;
use crate::error::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

/// Refuses control files that lead elsewhere: what is behind a link is somebody else's.
pub(super) fn check_links(control: &Path) -> Result<()> {
    let places =
        [(control.to_owned(), true), (control.join("lock"), false), (control.join("files"), false)];
    for (path, folder) in places {
        let right = |about: &fs::Metadata| if folder { about.is_dir() } else { about.is_file() };
        match fs::symlink_metadata(&path) {
            Ok(about) if !right(&about) => {
                let found =
                    if about.is_symlink() { "a symbolic link" } else { "another kind of file" };
                let expected = if folder { "a folder" } else { "a regular file" };
                return Err(Error::invalid(path.display().to_string(), found, expected));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a control folder that no run of this program made: without a job, its name alone says nothing.
pub(super) fn check_ours(control: &Path) -> Result<()> {
    let refusal = |name: &str| {
        let expected = "a control folder as a run of this program leaves it, or none: it is neither \
                        overwritten nor deleted, not even by `force`";
        Err(Error::invalid(
            control.join(name).display().to_string(),
            "somebody else's file",
            expected,
        ))
    };
    for entry in fs::read_dir(control).into_iter().flatten() {
        let name = entry.map_err(Error::io(control))?.file_name();
        if name != "lock" && name != "files" {
            return refusal(&name.to_string_lossy());
        }
    }
    let text = |name: &str, most| -> Result<String> {
        let bytes = input::read_if_there(&control.join(name), most)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    // A process writes its number; a killed one may have written nothing.
    let lock = text("lock", 1 << 10)?;
    if !lock.trim_end().bytes().all(|b| b.is_ascii_digit()) || lock.len() > 20 {
        return refusal("lock");
    }
    match text("files", input::MOST_DOCUMENT)?.lines().all(|name| ledger::check(name).is_ok()) {
        true => Ok(()),
        false => refusal("files"),
    }
}

/// Takes the folder's lock and leaves the process number in the file, for the message of a process
/// that is refused.
pub(super) fn lock(root: &Path, path: &Path) -> Result<Option<Lock>> {
    let mut file = input::open_own(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = (&file).take(20).read_to_string(&mut holder);
            return Err(Error::Busy { path: root.to_owned(), holder: holder.trim().to_owned() });
        }
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(Error::io(path)(e)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(Error::io(path))?;
    Ok(Some(Lock(file)))
}

/// A locked file, unlocked when dropped. Closing the file is not enough, because a child process
/// that another thread is starting holds a copy of the descriptor, and the lock with it, until it
/// runs its own program.
#[derive(Debug)]
pub(super) struct Lock(pub(super) File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
