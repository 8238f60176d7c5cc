//! What a file is by its first bytes, where it is not what its name says.
//!
//! Downloads end in pointers, error pages and archives that nobody unpacked. Every reader asks here
//! before it takes such bytes for a damaged file of its own kind.

use std::path::Path;

use super::input;
use crate::error::{Error, Result};

/// Number of bytes at the start of a file that decide.
pub const START: usize = 512;

/// A kind of file that lies where another is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// No byte at all.
    Empty,
    /// A text that stands for a file which Git LFS keeps elsewhere.
    LfsPointer,
    /// A page, mostly one that tells of an error.
    Html,
    /// An archive, or PyTorch's weights.
    Zip,
    /// A file compressed by gzip.
    Gzip,
    /// A file compressed by bzip2, xz or Zstandard, or a 7z or RAR archive.
    OtherArchive,
    /// Python's pickle.
    Pickle,
    /// HDF5, as Keras writes weights.
    Hdf5,
    /// What macOS keeps beside a file on a disk of another system.
    AppleDouble,
    /// A NumPy array.
    Npy,
    /// A Parquet file.
    Parquet,
    /// An Arrow file.
    Arrow,
}

impl FileKind {
    /// Returns the kind of a file that starts with `bytes`; `None` where they are nothing known.
    pub fn of(bytes: &[u8]) -> Option<FileKind> {
        let starts = |magic: &[u8]| bytes.starts_with(magic);
        let text = bytes[..bytes.len().min(START)].trim_ascii_start().to_ascii_lowercase();
        let page = [&b"<!doctype html"[..], b"<html", b"<head", b"<error"];
        let has = |tag: &[u8]| text.windows(tag.len()).any(|part| part == tag);
        // Pages of storage services are XML, and so are drawings, which are none.
        let error = text.starts_with(b"<?xml") && (has(b"<error") || has(b"<html"));
        // A pickle of protocol 2 to 5 states it. Older ones start like any text.
        let pickle = matches!(bytes, [0x80, 2..=5, ..]);
        Some(match bytes {
            [] => FileKind::Empty,
            _ if starts(b"version https://git-lfs.github.com/spec/") => FileKind::LfsPointer,
            _ if error || page.iter().any(|start| text.starts_with(start)) => FileKind::Html,
            _ if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") => FileKind::Zip,
            _ if starts(b"\x1f\x8b\x08") => FileKind::Gzip,
            _ if (starts(b"BZh") && bytes[3..].get(1..7) == Some(b"1AY&SY"))
                || starts(b"\xfd7zXZ\0")
                || starts(b"\x28\xb5\x2f\xfd")
                || starts(b"7z\xbc\xaf\x27\x1c")
                || starts(b"Rar!\x1a\x07") =>
            {
                FileKind::OtherArchive
            }
            _ if pickle => FileKind::Pickle,
            _ if starts(b"\x89HDF\r\n\x1a\n") => FileKind::Hdf5,
            _ if starts(b"\0\x05\x16\x07") => FileKind::AppleDouble,
            _ if starts(b"\x93NUMPY") => FileKind::Npy,
            _ if starts(b"PAR1") => FileKind::Parquet,
            _ if starts(b"ARROW1\0\0") => FileKind::Arrow,
            _ => return None,
        })
    }

    /// Says what it is.
    pub fn name(self) -> &'static str {
        match self {
            FileKind::Empty => "an empty file",
            FileKind::LfsPointer => "a Git LFS pointer, which stands for the file",
            FileKind::Html => "an HTML page, as servers send in place of a file",
            FileKind::Zip => "a zip archive",
            FileKind::Gzip => "a gzip file",
            FileKind::OtherArchive => "a compressed archive",
            FileKind::Pickle => "a Python pickle",
            FileKind::Hdf5 => "an HDF5 file",
            FileKind::AppleDouble => "an AppleDouble file, which macOS leaves beside another",
            FileKind::Npy => "a NumPy array",
            FileKind::Parquet => "a Parquet file",
            FileKind::Arrow => "an Arrow file",
        }
    }

    /// Says what to do, where anything helps whatever was expected.
    fn remedy(self) -> Option<&'static str> {
        match self {
            FileKind::Empty => Some("fetch the file again"),
            FileKind::LfsPointer => Some("fetch the file itself, as `git lfs pull` does"),
            FileKind::Html => Some("look at the page, and fetch the file again"),
            FileKind::Zip | FileKind::Gzip | FileKind::OtherArchive => Some("unpack it first"),
            FileKind::AppleDouble => Some("delete it: it holds no data"),
            FileKind::Arrow => Some("write it as Parquet, as `to_parquet` of `datasets` does"),
            _ => None,
        }
    }

    /// Says what was expected in its place, and what to do.
    pub fn expecting(self, expected: &str) -> String {
        match self.remedy() {
            Some(remedy) => format!("{expected}; {remedy}"),
            None => expected.to_owned(),
        }
    }

    /// The refusal of a file of this kind where `expected` was to be; `what` names the file.
    pub fn refusal(self, what: &str, expected: &str) -> Error {
        Error::invalid(what, self.name(), self.expecting(expected))
    }
}

/// Fails where `bytes` are the start of a known kind of file that is none of `allowed`.
pub fn check(bytes: &[u8], what: &str, expected: &str, allowed: &[FileKind]) -> Result<()> {
    match FileKind::of(bytes).filter(|kind| !allowed.contains(kind)) {
        Some(kind) => Err(kind.refusal(what, expected)),
        None => Ok(()),
    }
}

/// Checks the start of the file at `path` as [`check`] does.
pub fn check_file(path: &Path, expected: &str, allowed: &[FileKind]) -> Result<()> {
    check(&input::start(path, START)?, &path.display().to_string(), expected, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        for (bytes, kind) in [
            (&b""[..], Some(FileKind::Empty)),
            (b"version https://git-lfs.github.com/spec/v1\noid", Some(FileKind::LfsPointer)),
            (b"\n <!DOCTYPE HTML><html>", Some(FileKind::Html)),
            (b"<?xml version=\"1.0\"?><Error>", Some(FileKind::Html)),
            (b"<?xml version=\"1.0\"?><svg>", None),
            (b"PK\x03\x04abc", Some(FileKind::Zip)),
            (b"\x1f\x8b\x08\0", Some(FileKind::Gzip)),
            (b"BZh91AY&SY", Some(FileKind::OtherArchive)),
            (b"BZh9.jpg", None),
            (b"\x80\x02}q", Some(FileKind::Pickle)),
            (b"\0\x05\x16\x07\0\x02", Some(FileKind::AppleDouble)),
            (b"\x93NUMPY\x01", Some(FileKind::Npy)),
            (b"version 2 of my list", None),
            (b"\x89PNG\r\n\x1a\n", None),
            (b"a,b\n", None),
            (b"\x80\x06", None),
        ] {
            assert_eq!(FileKind::of(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let text = check(b"", "f.bin", "a CIFAR file", &[]).unwrap_err().to_string();
        assert_eq!(text, "f.bin: found an empty file, expected a CIFAR file; fetch the file again");
        assert!(check(b"PK\x03\x04", "f", "x", &[FileKind::Zip]).is_ok());
    }
}
