//! Opening files that anybody may have placed: inputs, and state that a later step believes.
//!
//! A path may name anything: a pipe that nobody writes to, a terminal, `/dev/zero`, a file of any size, a
//! link to somebody's file. Every input and state file is therefore opened here: without waiting, regular
//! files alone, and whole only up to a stated size and to the memory that is there.

use crate::error::{Error, Result};
use crate::memory;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

/// Most bytes of a file that is read whole and may be large: weights, scores, state.
pub const MOST: u64 = 1 << 36;

/// Most bytes of a document of settings or results.
pub const MOST_DOCUMENT: u64 = 1 << 30;

/// Opens the regular file at `path` for reading.
///
/// # Errors
/// [`Error::Io`]; [`Error::Invalid`]: a folder, a pipe, a device or a socket, none of which is waited for.
pub fn open(path: &Path) -> Result<File> {
    // A device may do something when it is opened, so that it is looked at before.
    let about = fs::metadata(path).map_err(Error::io(path))?;
    check(path, about.file_type())?;
    let file = without_waiting(path).map_err(Error::io(path))?;
    // Another may have taken its place since.
    check(path, file.metadata().map_err(Error::io(path))?.file_type())?;
    Ok(file)
}

/// Opens a file as [`open`] does; `None` where there is none.
pub fn open_if_there(path: &Path) -> Result<Option<File>> {
    match open(path) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Opens whatever is at `path` for reading, without waiting for a writer at its other end.
pub(super) fn without_waiting(path: &Path) -> io::Result<File> {
    flagged(OpenOptions::new().read(true), false).open(path)
}

/// Opens a file of this program's own that grows or is locked, to read and write, and makes it where it is
/// not there. A link is not followed: what it points at is somebody else's.
///
/// # Errors
/// [`Error::Invalid`]: a link, or no regular file. [`Error::Io`].
pub fn open_own(path: &Path) -> Result<File> {
    if let Ok(about) = fs::symlink_metadata(path) {
        check(path, about.file_type())?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = flagged(&mut options, true).open(path).map_err(Error::io(path))?;
    check(path, file.metadata().map_err(Error::io(path))?.file_type())?;
    Ok(file)
}

#[cfg(unix)]
fn flagged(options: &mut OpenOptions, own: bool) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = if own { flags | OFlags::NOFOLLOW } else { flags };
    options.custom_flags(flags.bits() as i32)
}

#[cfg(not(unix))]
fn flagged(options: &mut OpenOptions, _: bool) -> &mut OpenOptions {
    options
}

fn check(path: &Path, kind: FileType) -> Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let found = format!("no regular file but {}", name(kind));
    Err(Error::invalid(path.display().to_string(), found, "a regular file"))
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match () {
        _ if kind.is_dir() => "a folder",
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn name(kind: FileType) -> &'static str {
    if kind.is_dir() { "a folder" } else { "something else" }
}

/// Reads the regular file at `path`, of at most `most` bytes, whole.
///
/// # Errors
/// Those of [`open`]; [`Error::Invalid`]: it is longer. [`Error::OutOfMemory`]: longer than what is free.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(path, most, "a file", &mut bytes)?;
    Ok(bytes)
}

/// Reads a file as [`read`] does; `None` where there is none.
pub fn read_if_there(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    match read(path, most) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    }
}

/// Reads a file as [`read`] does into `bytes`, whose content is replaced; `what` says what is expected.
pub fn read_into(path: &Path, most: u64, what: &str, bytes: &mut Vec<u8>) -> Result<()> {
    let file = open(path)?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let too_long = |length: u64| {
        let expected = format!("{what} of at most {most} bytes");
        Error::invalid(path.display().to_string(), format!("{length} bytes"), expected)
    };
    if length > most {
        return Err(too_long(length));
    }
    bytes.clear();
    memory::reserve(bytes, length as usize)?;
    // It may grow while it is read, and some files of the system have no length at all.
    let count = file.take(most.saturating_add(1)).read_to_end(bytes).map_err(Error::io(path))?;
    match count as u64 > most {
        true => Err(too_long(count as u64)),
        false => Ok(()),
    }
}

/// Copies what is left of `from` to `to`, and names the one of the two that failed; the number of bytes.
pub fn copy(
    (from, from_path): (&mut impl Read, &Path),
    (to, to_path): (&mut impl Write, &Path),
) -> Result<u64> {
    let mut block = vec![0; 1 << 16];
    let mut copied = 0;
    loop {
        let count = match from.read(&mut block) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::io(from_path)(e)),
        };
        to.write_all(&block[..count]).map_err(Error::io(to_path))?;
        copied += count as u64;
    }
}

/// Reads the first `count` bytes of the regular file at `path`, or all where it is shorter.
pub fn start(path: &Path, count: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(count as u64).read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        symlink(at("pipe"), at("to-pipe")).unwrap();
        for (name, kind) in [
            ("pipe", "a pipe"),
            ("to-pipe", "a pipe"),
            ("socket", "a socket"),
            ("zero", "a device"),
            ("", "a folder"),
        ] {
            let path = at(name);
            for error in [open(&path).unwrap_err(), read(&path, 9).unwrap_err()] {
                let text = error.to_string();
                assert!(text.ends_with(&format!("{kind}, expected a regular file")), "{text}");
            }
            assert!(open_own(&path).is_err(), "{name}");
        }
        fs::write(at("file"), b"0123456789").unwrap();
        assert_eq!(read(&at("file"), 10).unwrap(), b"0123456789");
        assert!(read(&at("file"), 9).unwrap_err().to_string().contains("at most 9 bytes"));
        assert_eq!(start(&at("file"), 3).unwrap(), b"012");
        assert!(read_if_there(&at("none"), 9).unwrap().is_none());
        File::create(at("sparse")).unwrap().set_len(1 << 43).unwrap();
        assert!(matches!(read(&at("sparse"), u64::MAX), Err(Error::OutOfMemory { .. })));
    }

    #[test]
    fn a_copy_names_the_side_that_failed() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (from, to) = (Path::new("from"), Path::new("to"));
        let error = copy((&mut &b"abc"[..], from), (&mut Full, to)).unwrap_err();
        assert!(matches!(error, Error::Io { path, .. } if path == to));
        let mut out = Vec::new();
        assert_eq!(copy((&mut &b"abc"[..], from), (&mut out, to)).unwrap(), 3);
        assert_eq!(out, b"abc");
    }

    #[test]
    fn own_files_are_never_those_behind_links() {
        let folder = tempfile::tempdir().unwrap();
        let (theirs, link) = (folder.path().join("theirs"), folder.path().join("link"));
        fs::write(&theirs, b"x").unwrap();
        symlink(&theirs, &link).unwrap();
        let text = open_own(&link).unwrap_err().to_string();
        assert!(text.contains("a symbolic link"), "{text}");
        symlink(folder.path().join("nothing"), folder.path().join("dangling")).unwrap();
        assert!(open_own(&folder.path().join("dangling")).is_err());
        assert!(!folder.path().join("nothing").exists());
        assert!(open_own(&theirs).is_ok());
    }
}
