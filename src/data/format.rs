//! The formats: their names, and how the format of a path is found.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::{cache, cifar, groups, idx, imagenet, parquet, tiny_imagenet, webdataset};
use crate::error::{Error, Result};

/// How a data set is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The built-in drawings.
    Shapes,
    /// The built-in drawings with three classes that are far harder than the rest.
    ShapesExtreme,
    /// Four of the classes on two grounds that go with the classes in training.
    ShapesSpurious,
    /// `train/CLASS/**` and `val|test/CLASS/**` of JPEG and PNG files.
    ImageFolder,
    /// CIFAR-10 or CIFAR-100, binary version.
    CifarBinary,
    /// CIFAR-10 or CIFAR-100, Python version.
    CifarPython,
    /// The files of MNIST and its family, raw or gzipped.
    Idx,
    /// TinyImageNet as it is distributed.
    TinyImagenet,
    /// ImageNet with a flat folder of validation images.
    Imagenet,
    /// Tar shards of samples.
    Webdataset,
    /// Parquet files with image bytes, as Hugging Face stores them.
    Parquet,
    /// Image files listed in a `metadata.csv` with split and attribute.
    Metadata,
    /// Decoded images of any of these formats in one file.
    Cache,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 13] = [
        Format::ImageFolder,
        Format::CifarBinary,
        Format::CifarPython,
        Format::Idx,
        Format::TinyImagenet,
        Format::Imagenet,
        Format::Webdataset,
        Format::Parquet,
        Format::Metadata,
        Format::Cache,
        Format::Shapes,
        Format::ShapesExtreme,
        Format::ShapesSpurious,
    ];

    /// Returns the name of the format, as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Shapes => "shapes",
            Format::ShapesExtreme => "shapes:extreme",
            Format::ShapesSpurious => "shapes:spurious",
            Format::ImageFolder => "imagefolder",
            Format::CifarBinary => "cifar",
            Format::CifarPython => "cifar-python",
            Format::Idx => "idx",
            Format::TinyImagenet => "tiny-imagenet",
            Format::Imagenet => "imagenet",
            Format::Webdataset => "webdataset",
            Format::Parquet => "parquet",
            Format::Metadata => "metadata",
            Format::Cache => "cache",
        }
    }

    /// Tells whether the images are drawn by this program.
    pub fn is_built_in(self) -> bool {
        matches!(self, Format::Shapes | Format::ShapesExtreme | Format::ShapesSpurious)
    }

    /// Tells whether every image is a file of its own, whose path below the root is the sample's
    /// id.
    pub fn is_files(self) -> bool {
        use Format::*;
        matches!(self, ImageFolder | TinyImagenet | Imagenet | Metadata)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Format::ALL.into_iter().find(|f| f.name() == s).ok_or_else(|| {
            let names: Vec<&str> = Format::ALL.iter().map(|f| f.name()).collect();
            Error::invalid("data format", s, format!("one of {}", names.join(", ")))
        })
    }
}

/// Finds the format of the folder or file `root` from what it holds. Layouts with files of their
/// own come before image folders, because several of them contain image folders.
pub(super) fn detect(root: &Path) -> Result<Format> {
    if root.is_file() {
        return of_file(root);
    }
    let found = if cifar::binary::is(root) {
        Format::CifarBinary
    } else if cifar::python::is(root) {
        Format::CifarPython
    } else if idx::is(root) {
        Format::Idx
    } else if tiny_imagenet::is(root) {
        Format::TinyImagenet
    } else if imagenet::is(root) {
        Format::Imagenet
    } else if groups::is(root) {
        Format::Metadata
    } else if has_folders(&root.join("train")) {
        // The images came out of the archives and tables that lie beside class folders.
        Format::ImageFolder
    } else if webdataset::is(root)? {
        Format::Webdataset
    } else if parquet::is(root)? {
        Format::Parquet
    } else {
        // The folder reader explains anything else that is wrong with it.
        Format::ImageFolder
    };
    Ok(found)
}

fn has_folders(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|e| e.path().is_dir())
}

fn of_file(path: &Path) -> Result<Format> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some(cache::EXTENSION) => Ok(Format::Cache),
        Some("tar") => Ok(Format::Webdataset),
        Some("parquet") => Ok(Format::Parquet),
        _ => Err(Error::invalid(
            format!("data {}", path.display()),
            "a file",
            format!(
                "a folder, a file of a known kind (.{}, .tar, .parquet), or the name of a built-in \
                 set: shapes, shapes:extreme, shapes:spurious",
                cache::EXTENSION
            ),
        )),
    }
}
