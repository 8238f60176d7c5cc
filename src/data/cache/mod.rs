//! Decoded images of a data set in one file, mapped into memory when it is loaded.
//!
//! ```text
//! 0    "FPCACHE\0", format_version u32, 0 u32, bytes of the JSON u64, bytes of the file u64, zeros
//! 64   JSON: the data set, its source, where its sections lie; zeros to a multiple of 64
//! ...  of each part: labels u32, attributes u32 (where there are any), ends of the ids u64,
//!      ids in UTF-8, pixels u8 (N H W 3); each section starts at a multiple of 64
//! ```
//! Numbers are little-endian. Loading checks the whole content against the fingerprint, and the source,
//! where it is there, against the signature that was taken when the cache was made.

mod header;
mod layout;
mod signature;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use super::format::built_in;
use super::{Attributes, Contents, DataSet, LoadOptions, Part, PartName, Progress};
use crate::artefact::atomic;
use crate::artefact::input;
use crate::artefact::sniff::check;
use crate::error::{Error, Result};
pub use header::{CacheSource, Header, Sections};
use header::{MAGIC, PREFIX};
pub use layout::{ALIGN, EXTENSION, FORMAT_VERSION};
pub use signature::Signature;

/// Returns the name that `spec` has in a cache made of it: its full path, or a built-in set's name.
pub fn place(spec: &str, options: &LoadOptions) -> Result<String> {
    if built_in(spec, options.format)?.is_some() {
        return Ok(spec.to_owned());
    }
    let path = std::fs::canonicalize(spec).map_err(Error::io(spec))?;
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::invalid(format!("data {spec}"), "a path that is not UTF-8", "a UTF-8 path")
    })
}

/// Describes where `spec` is now and what it looks like from outside, for the cache that is made of
/// it.
pub fn source(spec: &str, set: &DataSet, options: &LoadOptions) -> Result<CacheSource> {
    Ok(CacheSource {
        signature: signature_of(spec, options)?,
        path: place(spec, options)?,
        format: set.format.name().to_owned(),
        image_size: options.image_size,
        seed: set.format.is_built_in().then_some(options.seed),
        stated: options.stated.clone(),
    })
}

/// Returns what the source `spec` looks like now; `None` for a built-in set.
pub fn signature_of(spec: &str, options: &LoadOptions) -> Result<Option<Signature>> {
    match built_in(spec, options.format)? {
        Some(_) => Ok(None),
        None => Signature::of(Path::new(spec)).map(Some),
    }
}

/// Writes `set`, which was read from `source`, to `path`. The file is whole or not there.
pub fn write(path: &Path, set: &DataSet, source: CacheSource) -> Result<()> {
    let header = Header::of(set, source);
    let prefix = header.to_bytes()?;
    atomic::write(path, |out| {
        let mut out = Aligned { inner: out, at: 0 };
        out.section(&prefix)?;
        for name in [PartName::Train, PartName::Val, PartName::Test] {
            let Some(part) = set.part(name) else { continue };
            out.numbers(&part.labels)?;
            if set.attributes.is_some() {
                out.numbers(&part.attributes)?;
            }
            let mut end = 0;
            let ends = part.ids.iter().flat_map(|id| {
                end += id.len() as u64;
                end.to_le_bytes()
            });
            out.section(&ends.collect::<Vec<u8>>())?;
            out.section(part.ids.concat().as_bytes())?;
            out.section(&part.images)?;
        }
        Ok(())
    })
}

/// Writes sections, each at a multiple of [`ALIGN`].
struct Aligned<W> {
    inner: W,
    at: u64,
}

impl<W: Write> Aligned<W> {
    fn section(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.at += bytes.len() as u64;
        let fill = (self.at.next_multiple_of(ALIGN) - self.at) as usize;
        self.inner.write_all(&[0; ALIGN as usize][..fill])?;
        self.at += fill as u64;
        Ok(())
    }

    fn numbers(&mut self, values: &[u32]) -> io::Result<()> {
        self.section(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    }
}

/// Reads the header of a cache file.
///
/// # Errors
/// Another kind of file, another version, or a file that is shorter or longer than it says.
pub fn header(path: &Path) -> Result<Header> {
    let mut file = input::open(path)?;
    read_header(&mut file, path)
}

/// Whether a file begins as caches do, however it goes on; one that ends before that counts as one.
pub fn begins_as_cache(path: &Path) -> Result<bool> {
    Ok(MAGIC.starts_with(&input::start(path, MAGIC.len())?))
}

fn read_header(file: &mut File, path: &Path) -> Result<Header> {
    let length = file.metadata().map_err(Error::io(path))?.len();
    let what = path.display().to_string();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(Error::io(path))?;
    file.take(PREFIX as u64).read_to_end(&mut bytes).map_err(Error::io(path))?;
    check(&bytes, &what, "a cache file", &[])?;
    let json = header::json_length(&bytes, length, &what)?;
    file.take(json).read_to_end(&mut bytes).map_err(Error::io(path))?;
    Header::parse(&bytes, length, &what)
}

/// Loads a cache. Its source must be as it was, if it is there, and its content must be whole.
pub(super) fn load(
    path: &Path,
    _: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let mut file = input::open(path)?;
    let header = read_header(&mut file, path)?;
    let what = path.display().to_string();
    if let Some(side) = options.image_size
        && (header.height, header.width) != (side, side)
    {
        return Err(Error::invalid(
            what,
            format!("images of {}x{}", header.width, header.height),
            format!("{side}x{side}; `fairprune data cache` makes a cache of that size"),
        ));
    }
    let mut notes = header.notes.clone();
    notes.extend(check_source(&header.source, &what)?);
    let mut set = whole(header, &file, path)?;
    set.notes = notes;
    progress(1, 1);
    Ok(set)
}

/// Checks that the content of a cache file is that of its fingerprint.
///
/// # Errors
/// It is not: the file is damaged.
pub fn check_content(path: &Path) -> Result<()> {
    let mut file = input::open(path)?;
    let header = read_header(&mut file, path)?;
    whole(header, &file, path).map(drop)
}

fn whole(header: Header, file: &File, path: &Path) -> Result<DataSet> {
    // SAFETY: the mapping is read-only and of a regular file that this program replaces but never
    // writes to. Another program that shortens the file meanwhile ends this one with a signal, as
    // it would end any program that maps files.
    let map = unsafe { Mmap::map(file) }.map_err(Error::io(path))?;
    assemble(header, Bytes::from_owner(map), &path.display().to_string())
}

/// Returns the data set in the bytes of a whole cache file, whose content must have the stated
/// fingerprint.
pub fn assemble(header: Header, file: Bytes, what: &str) -> Result<DataSet> {
    let mut parts = [None, None, None];
    for sections in &header.parts {
        parts[sections.part as usize] = Some(read_part(&header, sections, &file, what)?);
    }
    let [train, val, test] = parts;
    let format = header.source.format.parse()?;
    let contents = Contents {
        classes: header.classes,
        size: (header.height, header.width),
        train: train.unwrap_or_default(),
        val,
        test,
        attributes: header.attributes.map(|(name, values)| Attributes { name, values }),
    };
    let expected = format!("fingerprint {}; make the cache again", header.fingerprint);
    let set = DataSet::of(header.name, format, contents)
        .map_err(|e| Error::invalid(what, format!("damaged content ({e})"), &expected))?;
    if set.fingerprint != header.fingerprint {
        return Err(Error::invalid(
            what,
            format!("damaged content (fingerprint {})", set.fingerprint),
            expected,
        ));
    }
    Ok(set)
}

fn read_part(header: &Header, sections: &Sections, file: &Bytes, what: &str) -> Result<Part> {
    let damaged = |found: &str| Error::invalid(what, found, "a whole cache file");
    let cut = |start: u64, length: u64| {
        let range = usize::try_from(start).ok().zip(usize::try_from(start + length).ok());
        let range = range.filter(|r| r.1 <= file.len());
        range.map(|(a, b)| file.slice(a..b)).ok_or_else(|| damaged("a section beyond the end"))
    };
    let n = sections.images;
    let numbers = |start: u64| -> Result<Vec<u32>> {
        let bytes = cut(start, 4 * n)?;
        let each = bytes.as_chunks::<4>().0.iter();
        Ok(each.map(|b| u32::from_le_bytes(*b)).collect())
    };
    let ends = cut(sections.id_ends, 8 * n)?;
    let text = cut(sections.ids, sections.id_bytes)?;
    let text = std::str::from_utf8(&text).map_err(|_| damaged("ids that are not UTF-8"))?;
    let mut start = 0;
    let ids = ends.as_chunks::<8>().0.iter().map(|end| {
        let end = usize::try_from(u64::from_le_bytes(*end)).unwrap_or(usize::MAX);
        let id = text.get(start..end).ok_or_else(|| damaged("an id that ends too late"))?;
        start = end;
        Ok(id.to_owned())
    });
    Ok(Part {
        ids: ids.collect::<Result<_>>()?,
        labels: numbers(sections.labels)?,
        attributes: sections.attributes.map_or(Ok(Vec::new()), numbers)?,
        images: cut(sections.pixels, n * header.image_bytes())?,
    })
}

/// Refuses a source that has changed, and returns a note where the source is not there.
pub fn check_source(source: &CacheSource, what: &str) -> Result<Option<String>> {
    let Some(stored) = &source.signature else { return Ok(None) };
    let path = Path::new(&source.path);
    if !path.exists() {
        return Ok(Some(format!(
            "{what}: its source {} is not there to compare with",
            source.path
        )));
    }
    let now = Signature::of(path)?;
    if now == *stored {
        return Ok(None);
    }
    Err(Error::invalid(
        format!("{what}, made of {}", source.path),
        format!("a source that has changed since: {now}"),
        format!("{stored}; `fairprune data cache` with `force` makes the cache again"),
    ))
}
