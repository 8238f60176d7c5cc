//! One sample of a shard: which of its members is the image, and which says the class.
//!
//! The image is the member with an image's extension and nothing else behind the key; where there is
//! none, the only one whose last extension is an image's, such as `input.jpg`. A person may say which it
//! is. The class is that of `.cls`, in the same way, and only where there is none is the `.json` looked
//! at, since other programs keep all kinds of things there.

use std::collections::{BTreeSet, HashSet};

use crate::data::DecodeLimits;
use crate::data::wording::some;
use crate::error::{Error, Result};

/// Most bytes of a label's member, and of the names and headers between two members.
pub(super) const MOST_LABEL: u64 = 1 << 20;

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

/// What a shard holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardIndex {
    /// The samples in their order; none where the archive has no member at all.
    pub samples: Vec<ShardSample>,
    /// What is odd about the archive, each a clause that follows its name.
    pub notes: Vec<String>,
}

/// What of a shard is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardRules<'a> {
    /// Bounds on an image.
    pub limits: DecodeLimits,
    /// The extension of the member that is a sample's image, where it is stated.
    pub image_key: Option<&'a str>,
}

/// Where a member lies in its archive.
#[derive(Clone, Copy)]
pub(super) struct MemberPlace<'a> {
    pub path: &'a str,
    /// What follows the key.
    pub extension: &'a str,
    pub start: u64,
    pub size: u64,
}

/// A member that may be the image.
struct Candidate {
    extension: String,
    start: u64,
    size: u64,
}

/// A sample whose members are still being read.
struct OpenSample {
    key: String,
    images: Vec<Candidate>,
    /// Extension and content of the members that may say the class.
    classes: Vec<(String, Result<Option<u32>>)>,
    json: Option<Result<Option<u32>>>,
    /// Extensions of the first few members that are neither.
    others: Vec<String>,
}

/// Makes samples of members that follow each other.
pub(super) struct SampleReader<'a> {
    pub what: &'a str,
    rules: ShardRules<'a>,
    found: Vec<ShardSample>,
    keys: HashSet<String>,
    open: Option<OpenSample>,
    /// Extensions of more than one word that images and classes were found under.
    long_extensions: BTreeSet<String>,
    /// Members that macOS put beside others.
    foreign: usize,
}

impl<'a> SampleReader<'a> {
    pub fn new(what: &'a str, rules: ShardRules<'a>) -> Self {
        SampleReader {
            what,
            rules,
            found: Vec::new(),
            keys: HashSet::new(),
            open: None,
            long_extensions: BTreeSet::new(),
            foreign: 0,
        }
    }

    /// Returns what was found, once all samples are closed.
    pub fn index(self) -> ShardIndex {
        let mut notes = Vec::new();
        if !self.long_extensions.is_empty() {
            let names: Vec<&String> = self.long_extensions.iter().collect();
            notes.push(format!("has images or classes in members called {}", some(&names)));
        }
        if self.foreign > 0 {
            notes.push(format!("has {} files of macOS (._*), which are no samples", self.foreign));
        }
        ShardIndex { samples: self.found, notes }
    }

    fn wrong(&self, key: &str, found: impl Into<String>, expected: &str) -> Error {
        let key: String = key.chars().take(200).collect();
        Error::invalid(format!("{}, sample {key}", self.what), found, expected)
    }

    /// Takes note of a member that is no part of a sample.
    pub fn no_member(&mut self, path: &str) {
        let base = path.rsplit('/').next().unwrap_or(path);
        self.foreign += usize::from(base.starts_with("._"));
    }

    /// Goes on with the sample of `key`, or starts it.
    pub fn begin(&mut self, key: &str) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.key == key) {
            return Ok(());
        }
        self.finish()?;
        if !self.keys.insert(key.to_owned()) {
            let expected = "every key once; the members of a sample must follow each other";
            return Err(self.wrong(key, "a key that came before", expected));
        }
        self.open = Some(OpenSample {
            key: key.to_owned(),
            images: Vec::new(),
            classes: Vec::new(),
            json: None,
            others: Vec::new(),
        });
        Ok(())
    }

    /// Takes a member of the open sample; tells whether its content is wanted, too.
    pub fn member(&mut self, place: MemberPlace) -> bool {
        let Some(open) = &mut self.open else { return false };
        let extension = place.extension.to_ascii_lowercase();
        let last = extension.rsplit('.').next().unwrap_or(&extension);
        let is_stated = self.rules.image_key.is_some_and(|k| k.eq_ignore_ascii_case(&extension));
        if IMAGES.contains(&last) || is_stated {
            let MemberPlace { start, size, .. } = place;
            open.images.push(Candidate { extension, start, size });
            return false;
        }
        if last != "cls" && extension != "json" {
            if open.others.len() < 8 {
                open.others.push(extension.chars().take(80).collect());
            }
            return false;
        }
        if place.size <= MOST_LABEL / 2 {
            return true;
        }
        let what = format!("{}, {}", self.what, place.path);
        let expected = format!("at most {} bytes", MOST_LABEL / 2);
        let error = Err(Error::invalid(what, format!("{} bytes", place.size), expected));
        match extension == "json" {
            true => open.json = Some(error),
            false => open.classes.push((extension, error)),
        }
        false
    }

    /// Takes the content of a member that may say the class.
    pub fn label(&mut self, place: MemberPlace, content: &[u8]) {
        let Some(open) = &mut self.open else { return };
        let extension = place.extension.to_ascii_lowercase();
        let is_json = extension == "json";
        let class = if is_json { class_of_json(content) } else { class_of_text(content) };
        let class = class.map_err(|found| {
            let number = match is_json {
                true => "a JSON object with a whole number under \"label\"",
                false => "a whole number",
            };
            let expected = format!("{number} below {MOST_CLASSES}");
            Error::invalid(format!("{}, {}", self.what, place.path), found, expected)
        });
        match is_json {
            true => open.json = Some(class),
            false => open.classes.push((extension, class)),
        }
    }

    /// Closes the sample that is open.
    pub fn finish(&mut self) -> Result<()> {
        let Some(OpenSample { key, images, mut classes, json, others }) = self.open.take() else {
            return Ok(());
        };
        let image = self.image_of(&key, &images, &others)?;
        let extensions: Vec<&str> = classes.iter().map(|(e, _)| e.as_str()).collect();
        let class = match only(&extensions, &["cls"]) {
            Ok(None) => json.transpose()?.flatten(),
            Ok(Some(i)) => {
                let (extension, class) = classes.swap_remove(i);
                self.keep_long(&extension);
                class?
            }
            Err(()) => {
                let found = format!("{} classes ({})", extensions.len(), some(&extensions));
                return Err(self.wrong(&key, found, "one member .cls"));
            }
        };
        self.keep_long(&image.extension);
        self.found.push(ShardSample { key, start: image.start, length: image.size, label: class });
        Ok(())
    }

    fn keep_long(&mut self, extension: &str) {
        if extension.contains('.') && self.long_extensions.len() < 8 {
            self.long_extensions.insert(extension.to_owned());
        }
    }

    /// Returns the member that is the image.
    fn image_of<'m>(
        &self,
        key: &str,
        images: &'m [Candidate],
        others: &[String],
    ) -> Result<&'m Candidate> {
        let extensions: Vec<&str> = images.iter().map(|i| i.extension.as_str()).collect();
        let image = match self.rules.image_key {
            Some(wanted) => {
                let image = images.iter().find(|i| i.extension.eq_ignore_ascii_case(wanted));
                image.ok_or_else(|| {
                    let others = match extensions[..] {
                        [] => String::new(),
                        _ => format!(" but {}", some(&extensions)),
                    };
                    self.wrong(key, format!("no member .{wanted}{others}"), "the `image_key`")
                })?
            }
            None => match only(&extensions, &IMAGES) {
                Ok(Some(i)) => &images[i],
                Ok(None) => {
                    let (found, expected) = match others {
                        [] => ("no image".to_owned(), "a member .jpg, .jpeg or .png"),
                        _ if others.iter().any(|o| o == "tar") => (
                            format!("no image but .{}", some(others)),
                            "images, not archives: unpack those that are in it first",
                        ),
                        _ => (
                            format!("no image but .{}", some(others)),
                            "a member .jpg, .jpeg or .png",
                        ),
                    };
                    return Err(self.wrong(key, found, expected));
                }
                Err(()) => {
                    let number = match extensions.len() {
                        2 => "two".to_owned(),
                        n => n.to_string(),
                    };
                    let found = format!("{number} images ({})", some(&extensions));
                    let expected = "one of .jpg, .jpeg and .png, or `image_key`, which says which; a \
                                    sample's name ends at its first dot, so that names with more \
                                    dots must be changed";
                    return Err(self.wrong(key, found, expected));
                }
            },
        };
        let most = self.rules.limits.file_bytes;
        if image.size > most {
            let what = format!("{}, {key}.{}", self.what, image.extension);
            let found = format!("{} bytes", image.size);
            return Err(Error::invalid(what, found, format!("at most {most} bytes")));
        }
        Ok(image)
    }
}

/// Returns the only extension that is one of `short`, else the only one there is; an error where there
/// are several.
fn only(extensions: &[&str], short: &[&str]) -> Result<Option<usize>, ()> {
    let all = || extensions.iter().enumerate();
    let plain: Vec<usize> = all().filter(|(_, e)| short.contains(e)).map(|(i, _)| i).collect();
    match (&plain[..], extensions) {
        ([i], _) => Ok(Some(*i)),
        ([], []) => Ok(None),
        ([], [_]) => Ok(Some(0)),
        _ => Err(()),
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
