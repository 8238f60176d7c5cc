//! The calls by which files come into being, in one place, so that a test can watch their order.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a new, empty file to write.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    watched::call(|| watched::Call::Create(path.to_owned()));
    Ok(file)
}

/// Makes a new, empty folder.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    watched::call(|| watched::Call::CreateFolder);
    Ok(())
}

/// Makes what was written into a file durable.
pub(super) fn sync(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    watched::call(|| watched::Call::Sync(path.to_owned(), fs::read(path).unwrap_or_default()));
    Ok(())
}

/// Makes the names in `folder` durable, so that created, renamed and removed files stay so after a crash.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // On other systems a folder cannot be opened as a file, and the rename is as durable as it gets.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    watched::call(|| watched::Call::SyncFolder(folder.to_owned()));
    Ok(())
}

/// Makes everything below `folder` durable, whoever wrote it.
pub(super) fn sync_tree(folder: &Path) -> io::Result<()> {
    // One call for the whole file system costs less than one for each of a million files.
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(folder)?)?;
    #[cfg(not(target_os = "linux"))]
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => sync_tree(&entry.path())?,
            kind if kind.is_file() => File::open(entry.path())?.sync_all()?,
            _ => {}
        }
    }
    watched::call(|| watched::Call::SyncTree(folder.to_owned()));
    sync_folder(folder)
}

/// Gives a file or folder its final name.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    watched::call(|| watched::Call::Rename(from.to_owned(), to.to_owned()));
    Ok(())
}

#[cfg(not(test))]
mod watched {
    use std::path::PathBuf;

    /// A call as a test sees it.
    #[allow(dead_code, reason = "only tests look at it")]
    pub enum Call {
        Create(PathBuf),
        CreateFolder,
        Sync(PathBuf, Vec<u8>),
        SyncFolder(PathBuf),
        SyncTree(PathBuf),
        Rename(PathBuf, PathBuf),
    }

    pub fn call(_: impl FnOnce() -> Call) {}
}

#[cfg(test)]
pub(super) mod watched {
    use std::cell::RefCell;
    use std::path::PathBuf;

    #[derive(Clone, Debug)]
    pub enum Call {
        Create(PathBuf),
        CreateFolder,
        /// The file and its content.
        Sync(PathBuf, Vec<u8>),
        SyncFolder(PathBuf),
        SyncTree(PathBuf),
        Rename(PathBuf, PathBuf),
    }

    thread_local! {
        static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
    }

    pub fn call(made: impl FnOnce() -> Call) {
        CALLS.with(|calls| calls.borrow_mut().push(made()));
    }

    /// The calls of this thread during `work`.
    pub fn during(work: impl FnOnce()) -> Vec<Call> {
        CALLS.with(|calls| calls.borrow_mut().clear());
        work();
        CALLS.with(|calls| calls.take())
    }
}

#[cfg(test)]
mod tests {
    use super::watched::{Call, during};
    use crate::artefact::atomic;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    /// What a disk holds: names, and what is in the files.
    type Disk = BTreeMap<PathBuf, Vec<u8>>;

    /// What may be in a file whose content was not made durable before the power went.
    const TORN: &[u8] = b"torn";

    /// Every state that a loss of power after these calls may leave. Names reach the disk in their order and by
    /// themselves at any time, at the latest when `folder`, in which the output lies, is synced; content only by its sync.
    fn after_power_loss(folder: &Path, before: &Disk, calls: &[Call]) -> Vec<Disk> {
        let durable = calls.iter().rposition(|c| matches!(c, Call::SyncFolder(f) if f == folder));
        let first = durable.map_or(0, |at| at + 1);
        (first..=calls.len()).map(|names| disk(before, &calls[..names], calls)).collect()
    }

    fn disk(before: &Disk, names: &[Call], all: &[Call]) -> Disk {
        let mut disk = before.clone();
        // Content follows its file through renames: files are known by the name that they were made under.
        let mut made: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for call in names {
            match call {
                Call::Create(path) => {
                    made.insert(path.clone(), path.clone());
                }
                Call::Rename(from, to) => {
                    let moved: Vec<PathBuf> =
                        made.keys().filter(|p| p.starts_with(from)).cloned().collect();
                    for path in moved {
                        let below = path.strip_prefix(from).unwrap();
                        let new = if below == Path::new("") { to.clone() } else { to.join(below) };
                        let origin = made.remove(&path).unwrap();
                        made.insert(new, origin);
                    }
                }
                _ => {}
            }
        }
        for (name, origin) in made {
            let synced = all.iter().rev().find_map(|call| match call {
                Call::Sync(path, content) if *path == origin => Some(content.clone()),
                Call::SyncTree(folder) if origin.starts_with(folder) => {
                    Some(origin.file_name().unwrap().as_encoded_bytes().to_vec())
                }
                _ => None,
            });
            disk.insert(name, synced.unwrap_or_else(|| TORN.to_vec()));
        }
        disk
    }

    fn visible(disk: &Disk) -> Disk {
        let unfinished = |p: &Path| p.to_string_lossy().contains(atomic::TEMPORARY);
        disk.iter().filter(|(p, _)| !unfinished(p)).map(|(p, c)| (p.clone(), c.clone())).collect()
    }

    fn check(folder: &Path, before: &Disk, after: &Disk, calls: &[Call]) {
        assert!(calls.len() >= 4, "{calls:?}");
        let mut seen = [false; 2];
        for count in 0..=calls.len() {
            for disk in after_power_loss(folder, before, &calls[..count]) {
                let found = visible(&disk);
                let which = [before, after].iter().position(|state| **state == found);
                seen[which.unwrap_or_else(|| panic!("after {count} of {calls:?}: {found:?}"))] =
                    true;
            }
        }
        assert_eq!(seen, [true, true]);
        let last = after_power_loss(folder, before, calls);
        assert!(last.iter().all(|disk| visible(disk) == *after), "durable when it returns");
    }

    #[test]
    fn power_that_goes_at_any_call_leaves_the_old_file_or_the_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for before in [Disk::new(), Disk::from([(path.clone(), b"old".to_vec())])] {
            let after = Disk::from([(path.clone(), b"new content".to_vec())]);
            let calls = during(|| atomic::write_bytes(&path, b"new content").unwrap());
            check(folder.path(), &before, &after, &calls);
        }
    }

    #[test]
    fn power_that_goes_at_any_call_leaves_no_folder_or_the_whole_one() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("set");
        let calls = during(|| {
            atomic::write_folder(&path, |folder| {
                super::create_folder(&folder.join("inner")).unwrap();
                for name in ["a", "inner/b"] {
                    // By other code, which makes nothing durable.
                    super::create(&folder.join(name)).unwrap();
                }
                Ok(())
            })
            .unwrap();
        });
        // The sync of a tree is taken to leave each file's name as its content.
        let content = |name: &str| (path.join(name), name.rsplit('/').next().unwrap().into());
        let after = Disk::from(["a", "inner/b"].map(content));
        check(root.path(), &Disk::new(), &after, &calls);
    }
}
