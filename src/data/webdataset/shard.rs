//! The index of one shard: which members make a sample, where its image lies, and what its class
//! is.
//!
//! Grouping is that of the `webdataset` package: members that follow each other and agree up to the
//! first dot of the base name are one sample; extensions count in lower case. Links, folders and other
//! special members are no samples, nor are members without an extension or with a leading dot, nor
//! those called `__…__`.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use crate::data::DecodeLimits;
use crate::error::{Error, Result};

/// Most bytes of a label's member, and of the names and headers between two members.
const MOST_LABEL: u64 = 1 << 20;

/// Largest class number that is believed.
const MOST_CLASSES: u64 = 100_000;

/// Extensions of images.
const IMAGES: [&str; 3] = ["jpg", "jpeg", "png"];

/// Keys under which a JSON member may have the class.
const KEYS: [&str; 4] = ["label", "cls", "class", "target"];

/// A sample of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSample {
    /// The name of the sample's members up to the first dot of the base name.
    pub key: String,
    /// First byte of the image's member in the file.
    pub start: u64,
    /// Number of bytes of the image.
    pub length: u64,
    /// The class, where a member says it.
    pub label: Option<u32>,
}

/// A sample whose members are still being read.
struct OpenSample {
    key: String,
    image: Option<(u64, u64)>,
    label: Option<u32>,
    /// Whether the label is that of a `.cls` member, which goes before that of a `.json`.
    by_cls: bool,
}

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
/// It is no archive or a truncated one, an image or label is beyond the limits, a sample has two
/// images or none, a class is no whole number, a key comes twice, or a name is not UTF-8.
pub fn index(
    input: impl Read + Seek,
    length: u64,
    limits: DecodeLimits,
    what: &str,
) -> Result<Vec<ShardSample>> {
    let (mut archive, reset) = open_archive(input);
    let damaged = |e: io::Error| {
        Error::invalid(what, format!("a damaged archive ({e})"), "a tar file, not compressed")
    };
    let mut samples = ShardReader { what, found: Vec::new(), keys: HashSet::new(), open: None };
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        reset();
        let (start, size) = (entry.raw_file_position(), entry.size());
        let end = start.checked_add(size).filter(|&end| end <= length);
        let kind = entry.header().entry_type();
        let is_file = kind.is_file() || kind.is_contiguous();
        let path = entry.path_bytes();
        if end.is_none() {
            let found =
                format!("{size} bytes of {:?} from {start}", String::from_utf8_lossy(&path));
            return Err(Error::invalid(
                what,
                found,
                format!("a whole archive, not {length} bytes"),
            ));
        }
        if !is_file {
            continue;
        }
        let Ok(path) = std::str::from_utf8(&path).map(str::to_owned) else {
            let found = format!("the name {:?}", String::from_utf8_lossy(&path));
            return Err(Error::invalid(
                what,
                found,
                "names in UTF-8, since they become sample ids",
            ));
        };
        let Some((key, extension)) = split(&path) else { continue };
        samples.begin(key)?;
        let extension = extension.to_ascii_lowercase();
        let too_large = |most: u64| {
            let found = format!("{size} bytes");
            Error::invalid(format!("{what}, {path}"), found, format!("at most {most} bytes"))
        };
        if IMAGES.contains(&extension.as_str()) {
            if size > limits.file_bytes {
                return Err(too_large(limits.file_bytes));
            }
            samples.image((start, size))?;
        } else if extension == "cls" || extension == "json" {
            if size > MOST_LABEL / 2 {
                return Err(too_large(MOST_LABEL / 2));
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(damaged)?;
            reset();
            samples.label(&content, extension == "cls", &path)?;
        }
    }
    samples.finish()?;
    if samples.found.is_empty() {
        return Err(Error::invalid(what, "no samples", "members KEY.jpg with KEY.cls or KEY.json"));
    }
    Ok(samples.found)
}

/// Returns the key and extension of a member; `None` where it is no part of a sample.
fn split(path: &str) -> Option<(&str, &str)> {
    let base = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + path[base..].find('.')?;
    let reserved = base == 0 && path.starts_with("__") && path.ends_with("__");
    (dot > base && !reserved).then(|| (&path[..dot], &path[dot + 1..]))
}

struct ShardReader<'a> {
    what: &'a str,
    found: Vec<ShardSample>,
    keys: HashSet<String>,
    open: Option<OpenSample>,
}

impl ShardReader<'_> {
    fn wrong(&self, key: &str, found: impl Into<String>, expected: &str) -> Error {
        let key: String = key.chars().take(200).collect();
        Error::invalid(format!("{}, sample {key}", self.what), found, expected)
    }

    /// Goes on with the sample of `key`, or starts it.
    fn begin(&mut self, key: &str) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.key == key) {
            return Ok(());
        }
        self.finish()?;
        if !self.keys.insert(key.to_owned()) {
            let expected = "every key once; the members of a sample must follow each other";
            return Err(self.wrong(key, "a key that came before", expected));
        }
        self.open =
            Some(OpenSample { key: key.to_owned(), image: None, label: None, by_cls: false });
        Ok(())
    }

    fn image(&mut self, place: (u64, u64)) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        match open.image.replace(place) {
            None => Ok(()),
            Some(_) => {
                let key = open.key.clone();
                Err(self.wrong(&key, "two images", "one of .jpg, .jpeg and .png"))
            }
        }
    }

    fn label(&mut self, content: &[u8], is_cls: bool, path: &str) -> Result<()> {
        let class = if is_cls { class_of_text(content) } else { class_of_json(content) };
        let class = class.map_err(|found| {
            let expected = format!(
                "{} below {MOST_CLASSES}",
                if is_cls {
                    "a whole number"
                } else {
                    "a JSON object with a whole number under \"label\""
                }
            );
            Error::invalid(format!("{}, {path}", self.what), found, expected)
        })?;
        let Some(open) = &mut self.open else { return Ok(()) };
        if class.is_some() && (is_cls || !open.by_cls) {
            open.label = class;
            open.by_cls |= is_cls;
        }
        Ok(())
    }

    /// Closes the sample that is open.
    fn finish(&mut self) -> Result<()> {
        let Some(OpenSample { key, image, label, .. }) = self.open.take() else { return Ok(()) };
        let Some((start, length)) = image else {
            return Err(self.wrong(&key, "no image", "a member .jpg, .jpeg or .png"));
        };
        self.found.push(ShardSample { key, start, length, label });
        Ok(())
    }
}

fn class_of_text(content: &[u8]) -> Result<Option<u32>, String> {
    let text = String::from_utf8_lossy(content);
    match text.trim().parse::<u64>() {
        Ok(class) if class < MOST_CLASSES => Ok(Some(class as u32)),
        _ => Err(format!("{:?}", text.chars().take(40).collect::<String>())),
    }
}

/// Returns the class under the first of the known keys; `None` for an object that has none of them.
fn class_of_json(content: &[u8]) -> Result<Option<u32>, String> {
    let value: serde_json::Value = serde_json::from_slice(content).map_err(|e| e.to_string())?;
    let object = value.as_object().ok_or("no object")?;
    match KEYS.iter().find_map(|key| object.get(*key)) {
        None => Ok(None),
        Some(class) => match class.as_u64() {
            Some(n) if n < MOST_CLASSES => Ok(Some(n as u32)),
            _ => Err(class.to_string().chars().take(40).collect()),
        },
    }
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
