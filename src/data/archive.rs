//! Archives whose members are images: where each lies, also in archives that are compressed.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use memmap2::Mmap;

use super::DecodeLimits;
use super::images::Store;
use crate::artefact::input;
use crate::artefact::sniff::{FileKind, START, check};
use crate::error::{Error, Result};

/// Endings of the names of archives, of which the compressed ones come first.
pub(super) const EXTENSIONS: [&str; 3] = [".tar.gz", ".tgz", ".tar"];

/// Most bytes that a compressed archive may unpack to.
const MOST_UNPACKED: u64 = 1 << 36;

/// What an archive is read from.
pub(super) trait Seekable: Read + Seek {}

impl<T: Read + Seek> Seekable for T {}

/// An archive that members can be read from at any place.
pub(super) struct ArchiveFile {
    path: PathBuf,
    length: u64,
    /// The content of a compressed archive: a mapped file without a name.
    unpacked: Option<Bytes>,
}

impl ArchiveFile {
    /// Looks at the archive at `path`, and unpacks it where its name says that it is compressed: into a
    /// file in `scratch`, or where temporary files are.
    ///
    /// # Errors
    /// It is another kind of file, or what it unpacks to finds no room.
    pub fn open(path: &Path, scratch: Option<&Path>) -> Result<ArchiveFile> {
        let what = path.display().to_string();
        let mut file = input::open(path)?;
        let mut start = Vec::new();
        (&mut file).take(START as u64).read_to_end(&mut start).map_err(Error::io(path))?;
        let name = path.to_string_lossy().to_ascii_lowercase();
        let packed = EXTENSIONS[..2].iter().any(|e| name.ends_with(e));
        let allowed: &[FileKind] = if packed { &[FileKind::Gzip] } else { &[] };
        let expected = "a tar file, not compressed unless it is called .tar.gz";
        // The first member's name may look like anything.
        if start.get(257..262) != Some(b"ustar") {
            check(&start, &what, expected, allowed)?;
        }
        if !packed {
            let length = file.metadata().map_err(Error::io(path))?.len();
            return Ok(ArchiveFile { path: path.to_owned(), length, unpacked: None });
        }
        file.seek(SeekFrom::Start(0)).map_err(Error::io(path))?;
        let unpacked = unpack(file, scratch).map_err(|e| {
            let found = format!("a compressed archive that cannot be unpacked ({e})");
            Error::invalid(what, found, "a whole tar.gz, and room on the disk for its content")
        })?;
        let length = unpacked.len() as u64;
        Ok(ArchiveFile { path: path.to_owned(), length, unpacked: Some(unpacked) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of bytes of the archive, unpacked.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Opens the archive at its start.
    pub fn reader(&self) -> Result<Box<dyn Seekable>> {
        match &self.unpacked {
            Some(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            None => Ok(Box::new(input::open(&self.path)?)),
        }
    }

    /// Reads `bytes` at `start`.
    pub fn read_at(&self, start: u64, bytes: &mut [u8]) -> Result<()> {
        let mut reader = self.reader()?;
        reader.seek(SeekFrom::Start(start)).map_err(Error::io(&self.path))?;
        reader.read_exact(bytes).map_err(Error::io(&self.path))
    }
}

fn unpack(file: File, scratch: Option<&Path>) -> io::Result<Bytes> {
    let mut out = match scratch {
        Some(folder) => tempfile::tempfile_in(folder)?,
        None => tempfile::tempfile()?,
    };
    let mut unpacked = MultiGzDecoder::new(BufReader::new(file)).take(MOST_UNPACKED + 1);
    if io::copy(&mut unpacked, &mut out)? > MOST_UNPACKED {
        return Err(io::Error::other(format!("more than {MOST_UNPACKED} bytes")));
    }
    out.flush()?;
    if out.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the file has no name, so that nobody else can open, change or shorten it.
    let map = unsafe { Mmap::map(&out) }?;
    Ok(Bytes::from_owner(map))
}

/// Checks the name of a member, whatever is done with it: archives cannot name what lies outside of them.
///
/// # Errors
/// The name is absolute, or goes up by `..`.
pub(super) fn check_name(archive: &str, name: &[u8]) -> Result<()> {
    let separator = |b: &u8| matches!(b, b'/' | b'\\');
    let outside = name.first().is_some_and(separator) || name.get(1..3) == Some(b":\\");
    if !outside && !name.split(separator).any(|part| part == b"..") {
        return Ok(());
    }
    let found = format!("the member {:?}", String::from_utf8_lossy(name));
    let expected = "members with relative names below the archive's own root";
    Err(Error::invalid(archive, found, expected))
}

/// Images that are members of archives.
#[derive(Default)]
pub(super) struct MemberImages {
    pub archives: Vec<ArchiveFile>,
    /// Archive, first byte and length of each image. The length is within the limits and the archive.
    pub places: Vec<(u32, u64, u64)>,
    /// What each image is called inside its archive.
    pub names: Vec<String>,
}

impl Store for MemberImages {
    fn read(&self, i: usize, _: DecodeLimits, bytes: &mut Vec<u8>) -> Result<()> {
        let (archive, start, length) = self.places[i];
        bytes.resize(length as usize, 0);
        self.archives[archive as usize].read_at(start, bytes)
    }

    fn place(&self, i: usize) -> String {
        let archive = &self.archives[self.places[i].0 as usize];
        format!("{}, sample {}", archive.path().display(), self.names[i])
    }
}
