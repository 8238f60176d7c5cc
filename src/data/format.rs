//! The formats in which data sets are stored, and their names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The names of the built-in sets, as errors list them.
pub(super) const BUILT_IN: &str = "shapes, shapes:extreme, shapes:spread, shapes:spurious";

/// How a data set is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The built-in drawings.
    Shapes,
    /// The built-in drawings with three classes that are far harder than the rest.
    ShapesExtreme,
    /// The built-in drawings with classes that are tight or wide in themselves, and no pairs.
    ShapesSpread,
    /// Four of the classes on two grounds that go with the classes in training.
    ShapesSpurious,
    /// `train/CLASS/**` and `val|test/CLASS/**` of image files.
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
    /// ImageNet whose classes are still archives, one a class.
    ImagenetTars,
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
    pub const ALL: [Format; 15] = [
        Format::ImageFolder,
        Format::CifarBinary,
        Format::CifarPython,
        Format::Idx,
        Format::TinyImagenet,
        Format::Imagenet,
        Format::ImagenetTars,
        Format::Webdataset,
        Format::Parquet,
        Format::Metadata,
        Format::Cache,
        Format::Shapes,
        Format::ShapesExtreme,
        Format::ShapesSpread,
        Format::ShapesSpurious,
    ];

    /// Returns the name of the format, as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Shapes => "shapes",
            Format::ShapesExtreme => "shapes:extreme",
            Format::ShapesSpread => "shapes:spread",
            Format::ShapesSpurious => "shapes:spurious",
            Format::ImageFolder => "imagefolder",
            Format::CifarBinary => "cifar",
            Format::CifarPython => "cifar-python",
            Format::Idx => "idx",
            Format::TinyImagenet => "tiny-imagenet",
            Format::Imagenet => "imagenet",
            Format::ImagenetTars => "imagenet-tars",
            Format::Webdataset => "webdataset",
            Format::Parquet => "parquet",
            Format::Metadata => "metadata",
            Format::Cache => "cache",
        }
    }

    /// Tells whether the images are drawn by this program.
    pub fn is_built_in(self) -> bool {
        use Format::*;
        matches!(self, Shapes | ShapesExtreme | ShapesSpread | ShapesSpurious)
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

/// Returns the built-in set that `spec` and the format `asked` for name, if they do.
pub(super) fn built_in(spec: &str, asked: Option<Format>) -> Result<Option<Format>> {
    let named = match spec {
        "shapes" => Some(Format::Shapes),
        "shapes:extreme" => Some(Format::ShapesExtreme),
        "shapes:spread" => Some(Format::ShapesSpread),
        "shapes:spurious" => Some(Format::ShapesSpurious),
        _ if spec.starts_with("shapes:") => {
            let expected = format!("{BUILT_IN} or a path");
            return Err(Error::invalid("data", spec, expected));
        }
        _ => None,
    };
    match (named, asked) {
        (Some(a), None) => Ok(Some(a)),
        (Some(a), Some(b)) if a == b => Ok(Some(a)),
        (None, Some(b)) if b.is_built_in() => Err(Error::invalid(
            format!("data {spec} with format {b}"),
            "a path",
            format!("the built-in set by its name, {b}"),
        )),
        // With an explicit folder format, the name means the path `./shapes`.
        _ => Ok(None),
    }
}
