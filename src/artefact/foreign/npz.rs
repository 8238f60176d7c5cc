//! Scores in a `.npz`, the zip archive of arrays that `numpy.savez` writes.
//!
//! The archive's directory is read from its end, and one array is unpacked: stored or deflated, as NumPy
//! writes them. Source: APPNOTE.TXT of PKWARE.

use std::io::Read;
use std::path::Path;

use flate2::read::DeflateDecoder;

use super::numbers;
use crate::artefact::input;
use crate::artefact::npy;
use crate::artefact::sniff::{FileKind, check};
use crate::error::{Error, Result};

/// Most members of an archive.
const MOST_MEMBERS: usize = 10_000;

/// Number of bytes of the record at the end, and of the fixed part of one of the directory and of a
/// member's header.
const END: usize = 22;
const ENTRY: usize = 46;
const HEADER: usize = 30;

/// Most that a deflate stream can grow.
const MOST_GROWTH: u64 = 1032;

/// A member as the directory has it.
struct Member {
    name: String,
    deflated: bool,
    packed: usize,
    unpacked: u64,
    at: usize,
}

/// Returns the numbers of the array `key` of an archive, or of its only one, and what it is called.
///
/// # Errors
/// It is no such archive or a damaged one, has no such array, several where none is asked for, or one
/// that is no list of numbers.
pub fn read(path: &Path, key: Option<&str>) -> Result<(String, Vec<f64>)> {
    let bytes = input::read(path, input::MOST)?;
    from_bytes(&bytes, key, &path.display().to_string())
}

fn from_bytes(bytes: &[u8], key: Option<&str>, what: &str) -> Result<(String, Vec<f64>)> {
    let expected = "a .npz file as numpy.savez writes it";
    check(bytes, what, expected, &[FileKind::Zip])?;
    let damaged = || Error::invalid(what, "a damaged archive", expected);
    let members = members(bytes).ok_or_else(damaged)?;
    let names: Vec<&str> = members.iter().map(|m| m.name.trim_end_matches(".npy")).collect();
    let wanted = match (key, &names[..]) {
        (Some(key), _) => names.iter().position(|name| *name == key),
        (None, [_]) => Some(0),
        (None, _) => None,
    };
    let Some(i) = wanted else {
        let found =
            format!("the arrays {}", names.join(", ").chars().take(300).collect::<String>());
        let expected = match key {
            Some(key) => format!("an array {key:?}"),
            None => "one array; or `score_column` NAME, which says which".to_owned(),
        };
        return Err(Error::invalid(what, found, expected));
    };
    let member = &members[i];
    let packed = content(bytes, member).ok_or_else(damaged)?;
    if member.unpacked > (packed.len() as u64 + 1) * MOST_GROWTH {
        return Err(damaged());
    }
    let place = format!("{what}, array {}", names[i]);
    let input: Box<dyn Read> = match member.deflated {
        true => Box::new(DeflateDecoder::new(packed)),
        false => Box::new(packed),
    };
    let array = npy::read_from(input, member.unpacked, &place)?;
    Ok((names[i].to_owned(), numbers(array, place)?))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes([pair[0], pair[1]])))
}

fn double(bytes: &[u8], at: usize) -> Option<usize> {
    Some(word(bytes, at)? | word(bytes, at.checked_add(2)?)? << 16)
}

/// Lists the members; `None` where the directory cannot be read.
fn members(bytes: &[u8]) -> Option<Vec<Member>> {
    let last = bytes.len().checked_sub(END)?;
    let first = last.saturating_sub(1 << 16);
    let end = (first..=last).rev().find(|&at| bytes[at..].starts_with(b"PK\x05\x06"))?;
    let (count, mut at) = (word(bytes, end + 10)?, double(bytes, end + 16)?);
    if count > MOST_MEMBERS {
        return None;
    }
    let mut members = Vec::new();
    for _ in 0..count {
        let entry = bytes.get(at..).filter(|e| e.starts_with(b"PK\x01\x02"))?;
        let length = word(entry, 28)?;
        let method = word(entry, 10)?;
        let member = Member {
            name: String::from_utf8_lossy(entry.get(ENTRY..ENTRY + length)?).into_owned(),
            deflated: method == 8,
            packed: double(entry, 20)?,
            unpacked: double(entry, 24)? as u64,
            at: double(entry, 42)?,
        };
        if method != 0 && method != 8 {
            return None;
        }
        at += ENTRY + length + word(entry, 30)? + word(entry, 32)?;
        members.push(member);
    }
    Some(members)
}

/// Returns the packed content of a member.
fn content<'a>(bytes: &'a [u8], member: &Member) -> Option<&'a [u8]> {
    let header = bytes.get(member.at..).filter(|h| h.starts_with(b"PK\x03\x04"))?;
    let start = HEADER + word(header, 26)? + word(header, 28)?;
    header.get(start..start.checked_add(member.packed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `numpy.savez_compressed` and `numpy.savez`: labels [0, 1, 1], scores [.5, -1, 2].
    const PACKED: &[u8] = include_bytes!("../../../tests/golden/layouts/packed.npz");
    const STORED: &[u8] = include_bytes!("../../../tests/golden/layouts/stored.npz");

    #[test]
    fn an_array_is_found_by_its_name() {
        for bytes in [PACKED, STORED] {
            let (name, values) = from_bytes(bytes, Some("scores"), "x").unwrap();
            assert_eq!((name.as_str(), values), ("scores", vec![0.5, -1.0, 2.0]));
            let text = from_bytes(bytes, None, "x").unwrap_err().to_string();
            assert!(text.contains("labels, scores") && text.contains("`score_column`"), "{text}");
            let text = from_bytes(bytes, Some("z"), "x").unwrap_err().to_string();
            assert!(text.contains("an array \"z\""), "{text}");
        }
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        for bytes in [PACKED, STORED] {
            for length in 0..bytes.len() {
                assert!(from_bytes(&bytes[..length], Some("scores"), "x").is_err(), "{length}");
            }
            for at in 0..bytes.len() {
                let mut changed = bytes.to_vec();
                changed[at] ^= 0xff;
                let _ = from_bytes(&changed, Some("scores"), "x");
            }
        }
    }
}
