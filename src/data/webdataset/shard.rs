//! The index of one shard: which members make a sample, where its image lies, and what its class
//! is.
//!
//! Grouping is that of the `webdataset` package: members that follow each other and agree up to the
//! first dot of the base name are one sample; extensions count in lower case. Links, folders and other
//! special members are no samples, nor are members without an extension or with a leading dot, nor
//! those called `__…__`.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::sample::{MOST_LABEL, MemberPlace, SampleReader};
pub use super::sample::{ShardIndex, ShardRules, ShardSample};
use crate::data::archive::check_name;
use crate::data::wording::some;
use crate::error::{Error, Result};

/// Number of bytes of a block of an archive.
pub(in crate::data) const BLOCK: u64 = 512;

/// Most names of members that are kept for a message.
const MOST_NAMES: usize = 100;

/// A reader that gives out a bounded number of bytes until that number is set again. The archive's
/// reader would otherwise take names of any length into memory. Skipping costs nothing.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.get().min(buffer.len() as u64) as usize;
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("a header or name of more than a million bytes"));
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// An archive's reader, and what lets it read on after a member.
pub(in crate::data) fn open_archive<R: Read + Seek>(
    input: R,
) -> (tar::Archive<impl Read + Seek>, impl Fn()) {
    let left = Rc::new(Cell::new(MOST_LABEL));
    let archive = tar::Archive::new(Metered { inner: input, left: Rc::clone(&left) });
    (archive, move || left.set(MOST_LABEL))
}

/// Returns the key of a member that is part of a sample.
pub(in crate::data) fn member_key(path: &str) -> Option<&str> {
    split(path).map(|(key, _)| key)
}

/// Lists the samples of a shard of `length` bytes; `what` names it in errors.
///
/// # Errors
/// It is no archive or a truncated one, an image or label is beyond the limits, a sample has several
/// images or none, a class is no whole number, a key comes twice, or a name is not UTF-8.
pub fn index(
    mut input: impl Read + Seek,
    length: u64,
    rules: ShardRules,
    what: &str,
) -> Result<ShardIndex> {
    let mut samples = SampleReader::new(what, rules);
    let mut members = Vec::new();
    let end = read_members(&mut input, length, &mut samples, &mut members)?;
    samples.finish()?;
    let mut found = samples.index();
    if found.samples.is_empty() && !members.is_empty() {
        let found = format!("no samples but {}", some(&members));
        return Err(Error::invalid(what, found, "members KEY.jpg with KEY.cls or KEY.json"));
    }
    if members.is_empty() {
        found.notes.push("is an archive without members".to_owned());
    }
    found.notes.extend(odd_end(&mut input, end, length).map_err(|e| {
        Error::invalid(what, format!("a damaged archive ({e})"), "a tar file, not compressed")
    })?);
    Ok(found)
}

/// Hands the members of an archive to `samples` and returns where the last one ends; `names` gets the
/// first few names.
fn read_members(
    input: &mut (impl Read + Seek),
    length: u64,
    samples: &mut SampleReader,
    names: &mut Vec<String>,
) -> Result<u64> {
    let what = samples.what;
    let (mut archive, reset) = open_archive(input);
    let damaged = |e: io::Error| {
        Error::invalid(what, format!("a damaged archive ({e})"), "a tar file, not compressed")
    };
    let mut last = 0;
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        reset();
        let (start, size) = (entry.raw_file_position(), entry.size());
        let end = start.checked_add(size).filter(|&end| end <= length);
        let kind = entry.header().entry_type();
        let is_file = kind.is_file() || kind.is_contiguous();
        let path = entry.path_bytes();
        check_name(what, &path)?;
        let Some(end) = end else {
            let found =
                format!("{size} bytes of {:?} from {start}", String::from_utf8_lossy(&path));
            let expected = format!("a whole archive, not {length} bytes");
            return Err(Error::invalid(what, found, expected));
        };
        last = end.next_multiple_of(BLOCK);
        if !is_file {
            continue;
        }
        let Ok(path) = std::str::from_utf8(&path).map(str::to_owned) else {
            let found = format!("the name {:?}", String::from_utf8_lossy(&path));
            let expected = "names in UTF-8, since they become sample ids";
            return Err(Error::invalid(what, found, expected));
        };
        if names.len() < MOST_NAMES {
            names.push(path.chars().take(80).collect());
        }
        let Some((key, extension)) = split(&path) else {
            samples.no_member(&path);
            continue;
        };
        samples.begin(key)?;
        let place = MemberPlace { path: &path, extension, start, size };
        if samples.member(place) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(damaged)?;
            reset();
            samples.label(place, &content);
        }
    }
    Ok(last)
}

/// Says what is odd behind the last member, which ends at `end`. Writers put two empty blocks there.
pub(in crate::data) fn odd_end(
    input: &mut (impl Read + Seek),
    end: u64,
    length: u64,
) -> io::Result<Option<String>> {
    if end >= length {
        let text = "ends without the mark of an archive's end: it may have been cut short";
        return Ok((length > 0).then(|| text.to_owned()));
    }
    input.seek(SeekFrom::Start(end))?;
    let mut rest = Vec::new();
    input.take(MOST_LABEL).read_to_end(&mut rest)?;
    let text = "has more behind its end, perhaps another archive, which is not read";
    Ok(rest.iter().any(|&b| b != 0).then(|| text.to_owned()))
}

/// Returns the key and extension of a member; `None` where it is no part of a sample.
fn split(path: &str) -> Option<(&str, &str)> {
    let base = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + path[base..].find('.')?;
    let reserved = base == 0 && path.starts_with("__") && path.ends_with("__");
    (dot > base && !reserved).then(|| (&path[..dot], &path[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot_of_the_base_name() {
        for (path, expected) in [
            ("a.jpg", Some(("a", "jpg"))),
            ("a.seg.png", Some(("a", "seg.png"))),
            ("x.y/b.cls", Some(("x.y/b", "cls"))),
            ("./b.JPG", Some(("./b", "JPG"))),
            ("b", None),
            ("x.y/b", None),
            (".hidden.jpg", None),
            ("x/.jpg", None),
            ("__meta.jpg__", None),
            ("x/__meta.jpg__", Some(("x/__meta", "jpg__"))),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }
}
