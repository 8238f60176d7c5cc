//! Nothing damaged is believed: files state the digest of what they hold, and readers check it.
//!
//! A JSON document or a safetensors file carries [`CONTENT_DIGEST`]: the BLAKE3 hash of the whole file
//! with the hash's own 32 digits as zeros. Files that cannot carry one, such as arrays, are listed with
//! theirs ([`FileDigests`]) in a document that does.

use super::{atomic, input};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::Path;

/// The key of a file's own digest: the first of a document, or among the metadata of safetensors.
pub const CONTENT_DIGEST: &str = "content_digest";

/// Number of hexadecimal digits of a digest.
const DIGITS: usize = 32;

/// Stands for the digest in what is hashed.
pub const ZEROS: &str = "00000000000000000000000000000000";

/// What a file says of its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// The digest is that of the bytes.
    Whole,
    /// The file has no digest: another program wrote it, or an earlier version of this one.
    Absent,
}

/// Writes the digest over the [`ZEROS`] that a whole file has for it.
///
/// # Errors
/// [`Error::Internal`]: there are none.
pub fn seal(bytes: &mut [u8]) -> Result<()> {
    let place = place(bytes)
        .ok_or_else(|| Error::Internal("a file without room for its digest".to_owned()))?;
    let digest = digest_around(bytes, &place);
    bytes[place].copy_from_slice(digest.as_bytes());
    Ok(())
}

/// Checks the digest that the file `path` carries in its `bytes`.
///
/// # Errors
/// [`Error::Damaged`]: it is another than that of the bytes.
pub fn check(path: &Path, bytes: &[u8]) -> Result<Seal> {
    let Some(place) = place(bytes) else { return Ok(Seal::Absent) };
    let digest = digest_around(bytes, &place);
    match bytes[place] == *digest.as_bytes() {
        true => Ok(Seal::Whole),
        false => Err(Error::damaged(path, "other content than its digest states")),
    }
}

/// Checks a file that only this program writes, so that one without a digest is not believed.
///
/// # Errors
/// [`Error::Damaged`]: the digest is another, or there is none.
pub fn check_own(path: &Path, bytes: &[u8]) -> Result<()> {
    match check(path, bytes)? {
        Seal::Whole => Ok(()),
        Seal::Absent => Err(Error::damaged(
            path,
            "no digest of its content, as in files of earlier versions of this program",
        )),
    }
}

/// Where the digits of a file's own digest are. Quotation marks inside of JSON strings are escaped, so
/// that the key with its marks is never part of a text.
fn place(bytes: &[u8]) -> Option<Range<usize>> {
    let head = &bytes[..head(bytes)];
    let key = format!("\"{CONTENT_DIGEST}\":");
    let found = head.windows(key.len()).position(|w| w == key.as_bytes())?;
    let rest = &head[found + key.len()..];
    let spaces = rest.iter().take_while(|b| **b == b' ').count();
    let start = found + key.len() + spaces + 1;
    let quoted = head.get(start - 1) == Some(&b'"') && head.get(start + DIGITS) == Some(&b'"');
    quoted.then_some(start..start + DIGITS)
}

/// The length of what can hold the key: a document, or the header of safetensors.
fn head(bytes: &[u8]) -> usize {
    let document =
        bytes.first() == Some(&b'{') && bytes.get(1).is_some_and(u8::is_ascii_whitespace);
    let length = bytes.get(..8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    match length {
        Some(length) if !document => bytes.len().min(length.saturating_add(8) as usize),
        _ => bytes.len(),
    }
}

fn digest_around(bytes: &[u8], place: &Range<usize>) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(&bytes[..place.start]).update(ZEROS.as_bytes()).update(&bytes[place.end..]);
    hash.finalize().to_hex()[..DIGITS].to_owned()
}

/// A document with room for its digest.
#[derive(Serialize)]
struct Sealed<'a, T: ?Sized> {
    content_digest: &'static str,
    #[serde(flatten)]
    content: &'a T,
}

/// Writes `value`, a structure or a map, as indented JSON that carries its digest.
pub fn write_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<()> {
    let sealed = Sealed { content_digest: ZEROS, content: value };
    let mut text = serde_json::to_vec_pretty(&sealed)
        .map_err(|e| Error::Internal(format!("{}: {e}", path.display())))?;
    text.push(b'\n');
    seal(&mut text)?;
    atomic::write_bytes(path, &text)
}

/// Checks the digest of a JSON document that may be anybody's; `value` is what `text` says.
///
/// # Errors
/// [`Error::Damaged`]: another digest, or one whose key is damaged.
pub(super) fn check_document(path: &Path, text: &str, value: &Value) -> Result<()> {
    if check(path, text.as_bytes())? == Seal::Whole {
        return Ok(());
    }
    // Documents of this program begin with their digest; a first text of its length is one.
    let first = value.as_object().and_then(|map| map.iter().next());
    let like_one = first.and_then(|(_, v)| v.as_str()).is_some_and(|v| v.len() == DIGITS);
    match like_one || value.get(CONTENT_DIGEST).is_some() {
        true => Err(Error::damaged(path, "a digest of its content that is not readable")),
        false => Ok(()),
    }
}

/// The digest of a whole file.
///
/// # Errors
/// [`Error::Io`]: the file cannot be read.
pub fn digest_of_file(path: &Path) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let file = input::open(path)?;
    hash.update_reader(file).map_err(Error::io(path))?;
    Ok(hash.finalize().to_hex()[..DIGITS].to_owned())
}

/// Files below one folder and their digests, by relative name with `/` between folders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileDigests(BTreeMap<String, String>);

impl FileDigests {
    /// Reads the files `names` below `root`.
    ///
    /// # Errors
    /// [`Error::Io`]: one of them cannot be read.
    pub fn of<'a>(root: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<FileDigests> {
        let one = |name: &str| Ok((name.to_owned(), digest_of_file(&root.join(name))?));
        names.into_iter().map(one).collect::<Result<_>>().map(FileDigests)
    }

    /// Adds those of `others`, which take the place of those that are there.
    pub fn extend(&mut self, others: FileDigests) {
        self.0.extend(others.0);
    }

    /// The stated digest of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether all files are there; the first that is not.
    ///
    /// # Errors
    /// [`Error::Damaged`]: one of them has other bytes. [`Error::Io`]: one cannot be read.
    pub fn missing(&self, root: &Path) -> Result<Option<&str>> {
        for (name, stated) in &self.0 {
            let path = root.join(name);
            match digest_of_file(&path) {
                Ok(found) if found == *stated => {}
                Ok(_) => return Err(Error::damaged(&path, OTHER_BYTES)),
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return Ok(Some(name));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// What is found where a file is not the one whose digest is stated.
const OTHER_BYTES: &str = "other bytes than the digest that is stated of it";

/// Hashes what is read through it.
pub struct DigestReader<R> {
    inner: R,
    hash: blake3::Hasher,
}

impl<R: Read> DigestReader<R> {
    /// Starts with the first byte of `inner`.
    pub fn new(inner: R) -> Self {
        DigestReader { inner, hash: blake3::Hasher::new() }
    }

    /// Compares what was read, which must be the whole file `path`, with its stated digest.
    ///
    /// # Errors
    /// [`Error::Damaged`]: it is another.
    pub fn check(&self, path: &Path, stated: &str) -> Result<()> {
        match self.hash.finalize().to_hex()[..DIGITS] == *stated {
            true => Ok(()),
            false => Err(Error::damaged(path, OTHER_BYTES)),
        }
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hash.write_all(&into[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_changed_bit_and_every_cut_of_a_document_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &json!({"format_version": 1, "text": "x\"content_digest\": y"})).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let accepted = |bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return false };
            let Ok(value) = serde_json::from_str(text) else { return false };
            check_document(&path, text, &value).is_ok()
        };
        assert!(accepted(&whole));
        for i in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[i] ^= 1 << bit;
                assert!(!accepted(&bytes), "bit {bit} of byte {i}");
            }
            assert!(!accepted(&whole[..i]) || i + 1 == whole.len(), "cut at {i}");
        }
        assert!(accepted(b"{\"format_version\": 1, \"text\": \"of another program\"}"));
    }

    #[test]
    fn files_of_a_list_are_whole_missing_or_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/b"), b"bytes").unwrap();
        let list = FileDigests::of(root, ["a/b"]).unwrap();
        assert_eq!(list.missing(root).unwrap(), None);
        std::fs::write(root.join("a/b"), b"bytEs").unwrap();
        assert!(matches!(list.missing(root), Err(Error::Damaged { .. })));
        std::fs::remove_file(root.join("a/b")).unwrap();
        assert_eq!(list.missing(root).unwrap(), Some("a/b"));
    }
}
