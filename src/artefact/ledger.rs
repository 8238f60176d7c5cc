//! The list of files that runs wrote into an output folder: what starting anew may delete, and no
//! more.
//!
//! There is one relative name in a line, with `/` between folders. A name is recorded and synced
//! before its file is created, so that a killed process leaves no file without a record; the
//! reverse does no harm.

use super::{disk, input};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

/// The record of one folder.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    names: BTreeSet<String>,
}

impl Ledger {
    /// Opens the record at `path`, or starts an empty one.
    pub(super) fn open(path: &Path) -> Result<Ledger> {
        let mut file = input::open_own(path)?;
        let mut bytes = Vec::new();
        (&file).take(input::MOST_DOCUMENT).read_to_end(&mut bytes).map_err(Error::io(path))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // A line that a crash tore has no line feed, and its file was never created.
        let names: BTreeSet<String> = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .filter(|name| check(name).is_ok())
            .map(str::to_owned)
            .collect();
        file.seek(SeekFrom::End(0)).map_err(Error::io(path))?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(Error::io(path))?;
        }
        Ok(Ledger { path: path.to_owned(), file, names })
    }

    /// Records `name`, durably when it returns; whether it is new.
    pub(super) fn add(&mut self, name: &str) -> Result<bool> {
        check(name)?;
        if self.names.contains(name) {
            return Ok(false);
        }
        self.file
            .write_all(format!("{name}\n").as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io(&self.path))?;
        self.names.insert(name.to_owned());
        Ok(true)
    }

    /// Returns the folders below `root` that recorded files lie in, `root` itself among them; inner
    /// ones come after outer ones.
    pub(super) fn folders(&self, root: &Path) -> BTreeSet<PathBuf> {
        let real = |f: &&Path| f.ancestors().all(|a| is_real_folder(&root.join(a)));
        let inner = self.names.iter().flat_map(|n| folders(n)).filter(real);
        inner.map(|f| root.join(f)).chain([root.to_owned()]).collect()
    }

    /// Deletes every recorded file below `root` and then the folders that became empty.
    /// Whatever is not recorded stays, and so does all that lies behind a symbolic link.
    pub(super) fn delete_files(&mut self, root: &Path) -> Result<()> {
        for name in &self.names {
            if folders(name).all(|f| is_real_folder(&root.join(f))) {
                remove_if_there(&root.join(name))?;
            }
        }
        // Only empty folders can be removed this way.
        for folder in self.folders(root).iter().rev().filter(|f| *f != root) {
            let _ = fs::remove_dir(folder);
        }
        disk::sync_folder(root).map_err(Error::io(root))?;
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(Error::io(&self.path))?;
        self.names.clear();
        Ok(())
    }
}

/// Checks that `name` is a relative name of plain components in one line.
pub(super) fn check(name: &str) -> Result<()> {
    let plain = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
    if name.is_empty() || !plain || name.contains(['\n', '\r', '\\']) || name.ends_with('/') {
        return Err(Error::invalid(
            "name of an output file",
            format!("{name:?}"),
            "a relative path inside the output folder",
        ));
    }
    Ok(())
}

/// Returns the folders above `name`, below the root.
fn folders(name: &str) -> impl Iterator<Item = &Path> {
    Path::new(name).ancestors().skip(1).filter(|p| *p != Path::new(""))
}

fn is_real_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}

/// Removes a file if it exists.
pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if !absent(&e) => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

fn absent(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
