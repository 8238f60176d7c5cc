//! The header of a cache file: what the file holds, what it was made of, and where its sections
//! lie.

use serde::{Deserialize, Serialize};

use super::layout::{ALIGN, FORMAT_VERSION};
use super::signature::Signature;
use crate::data::{DataSet, PartName, StatedLayout};
use crate::error::{Error, Result};

/// The first bytes of every cache file.
pub(super) const MAGIC: &[u8; 8] = b"FPCACHE\0";

/// Number of bytes before the JSON.
pub(super) const PREFIX: usize = 64;

/// Most bytes that the JSON may have.
const MOST_JSON: u64 = 1 << 28;

/// Most pixels that an image may have, far more than a reader decodes.
const MOST_PIXELS: u64 = 1 << 32;

/// What a cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the program that wrote the cache.
    pub tool: String,
    pub version: String,
    /// The data set's name, as [`DataSet`] has it.
    pub name: String,
    /// Class names, by label.
    pub classes: Vec<String>,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// Name of the attribute, and names of its values.
    pub attributes: Option<(String, Vec<String>)>,
    /// [`DataSet::fingerprint`], which the content must have.
    pub fingerprint: String,
    /// Notes of the reader.
    pub notes: Vec<String>,
    /// What the cache was made of.
    pub source: CacheSource,
    /// Places of the sections of each part.
    pub parts: Vec<Sections>,
}

/// What a cache was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSource {
    /// The full path, or the name of a built-in set.
    pub path: String,
    /// The source's format, which the loaded data set has too.
    pub format: String,
    /// The image size that was asked for when the cache was made.
    pub image_size: Option<usize>,
    /// The data seed of a built-in set.
    pub seed: Option<u64>,
    /// The outside of the source; `None` for a built-in set.
    pub signature: Option<Signature>,
    /// What was stated of files that do not say it themselves.
    #[serde(default, skip_serializing_if = "StatedLayout::is_empty")]
    pub stated: StatedLayout,
}

/// Where the sections of a part lie, in bytes from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sections {
    /// The part that the sections are of.
    #[serde(with = "part_name")]
    pub part: PartName,
    /// Number of images.
    pub images: u64,
    /// Start of the labels.
    pub labels: u64,
    /// Start of the attributes, where there are any.
    pub attributes: Option<u64>,
    /// Start of the ends of the ids.
    pub id_ends: u64,
    /// Start of the ids.
    pub ids: u64,
    /// Number of bytes of the ids.
    pub id_bytes: u64,
    /// Start of the pixels.
    pub pixels: u64,
}

/// Parts by their names, as the header states them.
mod part_name {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::data::PartName;

    pub fn serialize<S: Serializer>(part: &PartName, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(part.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PartName, D::Error> {
        let name = String::deserialize(from)?;
        let parts = [PartName::Train, PartName::Val, PartName::Test];
        let unknown = || serde::de::Error::custom(format!("part {name:?}"));
        parts.into_iter().find(|p| p.name() == name).ok_or_else(unknown)
    }
}

impl Header {
    /// Makes the header of `set`, with its sections laid out one after the other.
    pub(super) fn of(set: &DataSet, source: CacheSource) -> Header {
        let mut header = Header {
            tool: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: set.name.clone(),
            classes: set.classes.clone(),
            height: set.height,
            width: set.width,
            attributes: set.attributes.as_ref().map(|a| (a.name.clone(), a.values.clone())),
            fingerprint: set.fingerprint.clone(),
            notes: set.notes.clone(),
            source,
            parts: Vec::new(),
        };
        // The digits of the offsets decide the JSON's length, which decides the offsets, so that
        // room is made for the longest ones.
        let parts = [PartName::Train, PartName::Val, PartName::Test];
        let mut at = u64::MAX;
        header.parts = parts.into_iter().filter_map(|p| sections(set, p, &mut at)).collect();
        at = header.json().len() as u64 + PREFIX as u64;
        at = at.next_multiple_of(ALIGN);
        header.parts = parts.into_iter().filter_map(|p| sections(set, p, &mut at)).collect();
        header
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns the number of bytes of an image.
    pub(super) fn image_bytes(&self) -> u64 {
        self.height as u64 * self.width as u64 * 3
    }

    /// Returns the end of the last section, filled up to a multiple of [`ALIGN`].
    fn end(&self) -> u64 {
        let last = self.parts.last();
        last.map_or(0, |p| (p.pixels + p.images * self.image_bytes()).next_multiple_of(ALIGN))
    }

    /// Returns everything before the first section, without the zeros at its end.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut json = self.json();
        let first = self.parts.first().map_or(0, |p| p.labels) as usize;
        if json.len() + PREFIX > first {
            return Err(Error::Internal("the header of a cache outgrew its place".to_owned()));
        }
        // White space fills the place up to the first section where shorter offsets left room.
        json.resize(first - PREFIX, b' ');
        let mut out = MAGIC.to_vec();
        out.extend(FORMAT_VERSION.to_le_bytes());
        out.extend([0; 4]);
        out.extend((json.len() as u64).to_le_bytes());
        out.extend(self.end().to_le_bytes());
        out.resize(PREFIX, 0);
        out.extend(json);
        Ok(out)
    }

    /// Reads the header in the first bytes of a file of `length` bytes; `what` names the file in
    /// errors.
    ///
    /// # Errors
    /// It is another kind of file or version, the file has another length than it says, or sections
    /// are out of place.
    pub fn parse(bytes: &[u8], length: u64, what: &str) -> Result<Header> {
        let json = json_length(bytes, length, what)?;
        let damaged = |found: String| Error::invalid(what, found, "a whole cache file");
        let json = bytes.get(PREFIX..PREFIX + json as usize);
        let json = json.ok_or_else(|| damaged("a header that ends too early".to_owned()))?;
        let header: Header = serde_json::from_slice(json)
            .map_err(|e| damaged(format!("a header that is malformed ({e})")))?;
        let sides = [header.height as u64, header.width as u64];
        if sides.contains(&0) || sides[0].checked_mul(sides[1]).is_none_or(|p| p > MOST_PIXELS) {
            return Err(damaged(format!("images of {}x{} pixels", header.width, header.height)));
        }
        let mut before = None;
        for part in &header.parts {
            if before.is_some_and(|b| b >= part.part as usize) {
                return Err(damaged("parts out of order".to_owned()));
            }
            before = Some(part.part as usize);
            part.check(length, header.image_bytes(), header.attributes.is_some())
                .map_err(|found| damaged(format!("{} part: {found}", part.part.name())))?;
        }
        Ok(header)
    }
}

/// Returns the number of bytes of the JSON behind a prefix that fits a file of `length` bytes.
pub(super) fn json_length(prefix: &[u8], length: u64, what: &str) -> Result<u64> {
    let expected = "a cache file that `fairprune data cache` made";
    let number = |at: usize| {
        let bytes = prefix.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    let (Some(version), Some(json), Some(stated)) = (number(8), number(16), number(24)) else {
        return Err(Error::invalid(what, format!("a file of {length} bytes"), expected));
    };
    if !prefix.starts_with(MAGIC) || prefix.len() < PREFIX {
        return Err(Error::invalid(what, "a file of another kind", expected));
    }
    if version != u64::from(FORMAT_VERSION) {
        let found = format!("format_version {version}");
        return Err(Error::invalid(what, found, format!("format_version {FORMAT_VERSION}")));
    }
    if stated != length || json > MOST_JSON || json + PREFIX as u64 > length {
        let found = format!("{length} bytes, of which a header of {json}");
        return Err(Error::invalid(what, found, format!("the {stated} bytes that it says it has")));
    }
    Ok(json)
}

impl Sections {
    /// Tells whether every section is aligned and inside a file of `length` bytes.
    fn check(&self, length: u64, image: u64, attributes: bool) -> Result<(), String> {
        if self.attributes.is_some() != attributes {
            return Err("attributes that the header does not name, or none".to_owned());
        }
        let sections = [
            ("labels", Some(self.labels), self.images.checked_mul(4)),
            ("attributes", self.attributes, self.images.checked_mul(4)),
            ("ends of ids", Some(self.id_ends), self.images.checked_mul(8)),
            ("ids", Some(self.ids), Some(self.id_bytes)),
            ("pixels", Some(self.pixels), self.images.checked_mul(image)),
        ];
        for (name, start, bytes) in sections {
            let Some(start) = start else { continue };
            let end = bytes.and_then(|b| b.checked_add(start));
            let inside = end.is_some_and(|end| end <= length) && start >= PREFIX as u64;
            if !inside || !start.is_multiple_of(ALIGN) {
                return Err(format!("{name} of {} images at {start}", self.images));
            }
        }
        Ok(())
    }
}

/// Lays out the sections of a part from `at` on and moves `at` behind them; `None` where there is
/// no such part.
fn sections(set: &DataSet, name: PartName, at: &mut u64) -> Option<Sections> {
    let part = set.part(name)?;
    let n = part.len() as u64;
    let mut take = |bytes: u64| {
        let start = *at;
        // All places are the largest number as long as the JSON's length is not known.
        if start < u64::MAX {
            *at = (start + bytes).next_multiple_of(ALIGN);
        }
        start
    };
    let id_bytes = part.ids.iter().map(|id| id.len() as u64).sum();
    Some(Sections {
        part: name,
        images: n,
        labels: take(4 * n),
        attributes: set.attributes.as_ref().map(|_| take(4 * n)),
        id_ends: take(8 * n),
        ids: take(id_bytes),
        id_bytes,
        pixels: take(part.images.len() as u64),
    })
}
