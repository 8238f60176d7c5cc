//! How a data set is read: the caller's choices, and what is reported on the way.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::format::Format;
use super::part_names::{PartNames, VOCABULARY_ALONE};
use crate::error::{Error, Result};

/// A progress callback, which gets the images done and the images in all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Bounds that are checked before anything is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest side of a stored image, in pixels.
    pub side: usize,
    /// Most pixels of a stored image.
    pub pixels: usize,
    /// Most bytes of one image file.
    pub file_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits { side: 16_384, pixels: 100_000_000, file_bytes: 1 << 29 }
    }
}

/// How to read a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The format; `None` looks at the path.
    pub format: Option<Format>,
    /// Side S of the images in memory: the short side is resized to S, the centre S x S is kept.
    /// `None` keeps the stored size, which must then be the same for all images.
    pub image_size: Option<usize>,
    /// Data seed of the built-in sets; without effect on stored ones.
    pub seed: u64,
    /// Bounds on what is decoded.
    pub limits: DecodeLimits,
    /// A folder where decoded images lie in a mapped file without a name, for sets beyond memory;
    /// `None` keeps them in memory. It has no effect on the built-in sets and CIFAR, which fit.
    pub scratch: Option<PathBuf>,
    /// What the files do not say themselves.
    pub stated: StatedLayout,
}

/// What a person says of files that do not say it themselves, or that say it otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct StatedLayout {
    /// Names of parts beside the vocabulary.
    pub parts: Option<PartNames>,
    /// Sequences of files with gaps are read, with a note.
    pub allow_missing: bool,
    /// The number of the first class, 0 or 1, where labels are numbers.
    pub labels_from: Option<u32>,
    /// The extension of the member that is a WebDataset sample's image, such as `input.jpg`.
    pub image_key: Option<String>,
    /// The column of a Parquet file that holds the images.
    pub image_column: Option<String>,
    /// The column of a Parquet file that holds the class numbers.
    pub label_column: Option<String>,
}

impl StatedLayout {
    /// Returns the names of parts, which are those of the vocabulary where none are given.
    pub(super) fn part_names(&self) -> &PartNames {
        self.parts.as_ref().unwrap_or(&VOCABULARY_ALONE)
    }

    /// Tells whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        *self == StatedLayout::default()
    }

    /// Fails where something is stated that a data set of `format` does not have.
    pub(super) fn check(&self, spec: &str, format: Format) -> Result<()> {
        use Format::{Cache, CifarBinary, CifarPython, Idx, ImageFolder, Metadata};
        use Format::{Parquet, Webdataset};
        let numbered = [Idx, Webdataset, Parquet, Metadata];
        let rows: [(&str, bool, &[Format]); 6] = [
            ("parts", self.parts.is_some(), &[ImageFolder, Idx, Webdataset, Parquet, Metadata]),
            ("allow_missing", self.allow_missing, &[CifarBinary, CifarPython, Webdataset, Parquet]),
            ("labels_from", self.labels_from.is_some(), &numbered),
            ("image_key", self.image_key.is_some(), &[Webdataset]),
            ("image_column", self.image_column.is_some(), &[Parquet]),
            ("label_column", self.label_column.is_some(), &[Parquet]),
        ];
        for (name, is_stated, formats) in rows {
            if is_stated && !formats.contains(&format) {
                let names: Vec<&str> = formats.iter().map(|f| f.name()).collect();
                let found = match format {
                    Cache => "a cache, which was made with what its source needed".to_owned(),
                    _ => format!("a data set of format {format}"),
                };
                let expected = format!("one of {}", names.join(", "));
                return Err(Error::invalid(format!("`{name}` with data {spec}"), found, expected));
            }
        }
        match self.labels_from {
            Some(first @ 2..) => Err(Error::invalid("`labels_from`", first.to_string(), "0 or 1")),
            _ => Ok(()),
        }
    }
}
