//! An output folder belongs to one job at a time.
//!
//! `job.json` names the job: a map of settings that decide the result. Claiming the folder again
//! with the same map continues the job; with another map it is refused, naming the key. Starting
//! anew deletes the files that earlier runs recorded as theirs and nothing else. A folder whose
//! files nobody recorded is never used, not even when told to start anew, because what it holds may
//! be the user's own.
//!
//! `.fairprune/lock` is locked as long as a process works in the folder. The operating system
//! releases the lock when the process ends, even by `kill -9`. `.fairprune/files` records the
//! files.

use super::atomic;
use super::control::{self, Lock};
use super::input;
use super::integrity;
use super::ledger::{self, Ledger};
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const FORMAT_VERSION: u64 = 1;
const TOOL: &str = "fairprune";
const JOB: &str = "job.json";
const CONTROL: &str = ".fairprune";
/// Most bytes of a job.
const MOST_JOB: u64 = 1 << 24;
/// What the name of a file that is set aside ends with.
const DAMAGED: &str = ".damaged";

/// What to do with a folder that already holds a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Continue the same job, start one in an empty folder, and refuse another job.
    Continue,
    /// Continue the same job, and refuse everything else, an empty folder included.
    Resume,
    /// Delete what earlier runs wrote, and start.
    Restart,
}

/// A claimed output folder; the claim ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct OutputDir {
    root: PathBuf,
    continued: bool,
    ledger: Mutex<Ledger>,
    // The folder's lock; `None` where the file system knows no locks, so that nobody is kept out.
    lock: Option<Lock>,
}

impl OutputDir {
    /// Claims the folder `root`, created with its parents if need be, for `job`: the settings that
    /// decide the result (nested maps allowed), not those that may change between continuations.
    ///
    /// # Errors
    /// [`Error::Invalid`]: `root` is no folder, holds files that no run recorded, holds another job
    /// (the message names the keys and both values), is in use by another process, or nothing is
    /// there to resume. [`Error::Io`]: the folder cannot be written. A refused folder is unchanged.
    pub fn claim(root: &Path, job: &Map<String, Value>, existing: Existing) -> Result<OutputDir> {
        // The folder is looked at twice: before anything is created, and again when nobody else can
        // change it.
        look(root, existing)?;
        let folder = root.join(CONTROL);
        fs::create_dir_all(&folder).map_err(Error::io(root))?;
        let lock = control::lock(root, &folder.join("lock"))?;
        let stored = look(root, existing)?;
        if let (Some(stored), true) = (&stored, existing != Existing::Restart) {
            same_job(root, stored, job)?;
        }
        let mut ledger = Ledger::open(&folder.join("files"))?;
        for folder in ledger.folders(root) {
            remove_unfinished(&folder)?;
        }
        let continued = stored.is_some() && existing != Existing::Restart;
        if !continued {
            // The job goes first, so that a kill in between leaves a record without a job, and
            // never a job without its files.
            ledger::remove_if_there(&root.join(JOB))?;
            ledger.delete_files(root)?;
        }
        let whole = json!({"format_version": FORMAT_VERSION, "tool": TOOL, "job": job});
        atomic::write_json(&root.join(JOB), &whole)?;
        Ok(OutputDir { root: root.to_owned(), continued, ledger: Mutex::new(ledger), lock })
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells whether an earlier process began this job here.
    pub fn continued(&self) -> bool {
        self.continued
    }

    /// Tells whether other processes are kept out, which file systems without locks cannot do.
    pub fn locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Returns the path of the output file `name` (relative, `/` between folders), records it as
    /// this job's and creates its folder. This is for files that other code writes, such as
    /// checkpoints and logs that grow.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        if name == JOB || name.starts_with(CONTROL) {
            return Err(Error::Internal(format!("{name} is not an output file's name")));
        }
        let path = self.root.join(name);
        let new = self.ledger.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).add(name)?;
        if new && !self.continued {
            // The record of an earlier job was damaged. A job that starts anew goes on from nothing of
            // it, and deletes nothing that is not recorded.
            keep_unrecorded(&path)?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        Ok(path)
    }

    /// Writes the output file `name` as [`atomic::write`] does and returns its path.
    pub fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<PathBuf> {
        let path = self.file(name)?;
        atomic::write(&path, fill)?;
        Ok(path)
    }

    /// Writes `value`, a structure or a map, as the JSON file `name` that carries the digest of its
    /// content, and returns its path. This is for files that a later step believes.
    pub fn write_sealed<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<PathBuf> {
        let path = self.file(name)?;
        integrity::write_json(&path, value)?;
        Ok(path)
    }

    /// Does `work`. State of this folder that it finds damaged is set aside as `NAME.damaged`, which
    /// `tell` is told in one line, and the work is done again without it.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Damaged`] for files of other folders, and for a file that is damaged
    /// again when it was made anew.
    pub fn without_damaged<T>(
        &self,
        tell: &dyn Fn(&str),
        mut work: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut seen = BTreeSet::new();
        loop {
            match work() {
                Err(Error::Damaged { path, found })
                    if path.starts_with(&self.root) && seen.insert(path.clone()) =>
                {
                    let aside = self.set_aside(&path)?;
                    let aside = aside.file_name().unwrap_or_default().to_string_lossy();
                    tell(&format!(
                        "{}: found {found}; it is set aside as {aside}, and what it held is \
                         computed anew",
                        path.display()
                    ));
                }
                other => return other,
            }
        }
    }

    /// Renames a file of this folder to `NAME.damaged` and records that name.
    fn set_aside(&self, path: &Path) -> Result<PathBuf> {
        let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy();
        let aside = self.file(&format!("{name}{DAMAGED}"))?;
        match fs::rename(path, &aside) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(path)(e)),
            _ => Ok(aside),
        }
    }

    /// Writes `value` as the JSON file `name` and returns its path.
    pub fn write_json<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<PathBuf> {
        let path = self.file(name)?;
        atomic::write_json(&path, value)?;
        Ok(path)
    }
}

/// Renames a file that nobody recorded to a free name, so that it is neither read nor overwritten.
fn keep_unrecorded(path: &Path) -> Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|m| m.is_file()) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut names = (1..).map(|n| path.with_file_name(format!("{name}.unrecorded-{n}")));
    match names.find(|other| fs::symlink_metadata(other).is_err()) {
        Some(other) => fs::rename(path, other).map_err(Error::io(path)),
        None => Ok(()),
    }
}

/// Refuses a folder that must not be touched; otherwise returns the stored job, if there is one.
fn look(root: &Path, existing: Existing) -> Result<Option<Value>> {
    let what = || format!("output folder {}", root.display());
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound && existing != Existing::Resume => {
            return Ok(None);
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(Error::invalid(what(), "no folder", "an earlier run to resume"));
        }
        Err(e) if e.kind() == ErrorKind::NotADirectory && root.exists() => {
            return Err(Error::invalid(what(), "a file", "a folder"));
        }
        Err(e) => return Err(Error::io(root)(e)),
    };
    let mut others = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io(root))?.file_name();
        if name != CONTROL && name != JOB {
            others.push(name.to_string_lossy().into_owned());
        }
    }
    others.sort();
    control::check_links(&root.join(CONTROL))?;
    let recorded = root.join(CONTROL).join("files").is_file();
    let job = match read_job(&root.join(JOB)) {
        // What is recorded can be deleted, whatever became of the job.
        Err(_) if recorded && existing == Existing::Restart => None,
        Err(Error::Invalid { what, found, expected }) if recorded => {
            let expected = format!("{expected}; `force` deletes that run's files and starts anew");
            return Err(Error::invalid(what, found, expected));
        }
        job => job?,
    };
    let unfinished = |n: &String| n.ends_with(atomic::TEMPORARY);
    if !others.iter().all(unfinished) && !recorded {
        let found = match &job {
            Some(_) => "a job.json whose record of files (.fairprune/files) is missing".to_owned(),
            None => format!("files that no run wrote, such as {:?}", others[0]),
        };
        let expected = "an empty folder, a new one, or one of an earlier run; files without a \
                        record are never deleted or mixed with results, not even by `force`";
        if job.is_none() || existing == Existing::Restart {
            return Err(Error::invalid(what(), found, expected));
        }
    }
    if job.is_none() {
        control::check_ours(&root.join(CONTROL))?;
    } else if !recorded && existing == Existing::Restart {
        let found = "a job.json whose record of files (.fairprune/files) is missing";
        return Err(Error::invalid(what(), found, "a folder whose files a run recorded"));
    }
    match (&job, existing) {
        (None, Existing::Resume) => {
            Err(Error::invalid(what(), "no job.json", "an earlier run to resume"))
        }
        (None, Existing::Continue) if !others.iter().all(unfinished) => Err(Error::invalid(
            what(),
            "files of a run, but no job.json that tells its settings",
            "an empty folder, a new one, or `force` to delete that run's files",
        )),
        _ => Ok(job),
    }
}

/// Reads the `job` of a job.json; `None` if there is no such file.
fn read_job(path: &Path) -> Result<Option<Value>> {
    let Some(text) = input::read_if_there(path, MOST_JOB)? else { return Ok(None) };
    let what = || path.display().to_string();
    let expected = format!("the job of a {TOOL} run, format_version {FORMAT_VERSION}");
    let mut whole: Value = serde_json::from_slice(&text).map_err(|e| {
        Error::invalid(what(), format!("no readable JSON ({e})"), expected.as_str())
    })?;
    if whole["tool"] != TOOL || whole["format_version"] != FORMAT_VERSION {
        let found = format!("tool {}, format_version {}", whole["tool"], whole["format_version"]);
        return Err(Error::invalid(what(), found, expected));
    }
    Ok(Some(whole["job"].take()))
}

/// Fails with an error that names the first key in which two jobs differ, and the others.
fn same_job(root: &Path, stored: &Value, asked: &Map<String, Value>) -> Result<()> {
    let mut keys = Vec::new();
    differences("", stored, &Value::Object(asked.clone()), &mut keys);
    let Some((key, old, new)) = keys.first() else { return Ok(()) };
    let mut more = String::new();
    if keys.len() > 1 {
        let names: Vec<&str> = keys[1..].iter().take(8).map(|k| k.0.as_str()).collect();
        let rest = if keys.len() > 9 { ", …" } else { "" };
        more = format!(" (also different: {}{rest})", names.join(", "));
    }
    Err(Error::invalid(
        format!("output folder {} holds another job, {key}", root.display()),
        format!("{old} there"),
        format!(
            "{new} as asked now{more}; use the same settings to continue it, another `out`, or \
             `force` to delete its files and start anew"
        ),
    ))
}

/// Collects (dotted key, old, new) of all leaves that differ, in the stored order.
fn differences(key: &str, old: &Value, new: &Value, into: &mut Vec<(String, String, String)>) {
    let show = |v: Option<&Value>| match v {
        None => "nothing".to_owned(),
        Some(v) => {
            let text = v.to_string();
            if text.chars().count() <= 120 {
                return text;
            }
            text.chars().take(119).chain(['…']).collect()
        }
    };
    if let (Value::Object(a), Value::Object(b)) = (old, new) {
        let new_keys = b.keys().filter(|k| !a.contains_key(*k));
        for name in a.keys().chain(new_keys) {
            let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            match (a.get(name), b.get(name)) {
                (Some(x), Some(y)) => differences(&inner, x, y, into),
                (x, y) => into.push((inner, show(x), show(y))),
            }
        }
    } else if old != new {
        into.push((key.to_owned(), show(Some(old)), show(Some(new))));
    }
}

/// Removes what a killed process left of files that it was writing.
fn remove_unfinished(folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(Error::io(folder))?;
        if entry.file_name().to_string_lossy().ends_with(atomic::TEMPORARY) {
            ledger::remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_claim() {
        let folder = tempfile::tempdir().unwrap();
        let claim = || OutputDir::claim(folder.path(), &Map::new(), Existing::Continue);
        let first = claim().unwrap();
        let copy = first.lock.as_ref().map(|lock| lock.0.try_clone().unwrap());
        assert!(matches!(claim(), Err(Error::Busy { .. })));
        drop(first);
        claim().unwrap();
        drop(copy);
    }
}
