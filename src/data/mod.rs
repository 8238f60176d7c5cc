//! Labelled image sets in memory: u8 pixels, NHWC, three channels.
//!
//! One file a format, one entry point ([`load`]). Order and class indices are those of the
//! ecosystem's own readers (torchvision's `ImageFolder`, the batch order of CIFAR), so that a stored
//! index means the same sample there and here. An unreadable sample is an error, never skipped:
//! skipping would shift every index after it.

mod cifar;
mod decode;
pub mod image_folder;
mod resize;
pub mod shapes;
pub mod split;
mod statistics;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};
pub use split::{PartName, QueryPart, Split, SplitKind};
pub use statistics::ChannelStatistics;

/// Version of the fingerprint's definition; part of the hash.
const FINGERPRINT_VERSION: u32 = 1;

/// What a progress callback gets: images done, images in all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Images of one part, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Pixels, `N H W C` with C = 3 (red, green, blue), 0..=255.
    /// Shared, so that the CPU trains on them where they are.
    pub images: Arc<Vec<u8>>,
    /// Class of each image, an index into [`DataSet::classes`].
    pub labels: Vec<u32>,
    /// Name of each image, unique in the data set: a path relative to the root, or `file:record`.
    pub ids: Vec<String>,
}

impl Part {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the part has no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixels of image `i`, `H W C`; `i` must be below [`Part::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.images.len() / self.labels.len().max(1);
        &self.images[i * size..(i + 1) * size]
    }

    /// Number of images of each of `classes` classes; labels must be below `classes`.
    pub fn class_sizes(&self, classes: usize) -> Vec<usize> {
        split::class_sizes(&self.labels, classes)
    }
}

/// A labelled image set.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// What was loaded: `shapes`, or the last component of the path.
    pub name: String,
    /// How it was stored.
    pub format: Format,
    /// Class names; a label is an index into it.
    pub classes: Vec<String>,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// The training part, never empty.
    pub train: Part,
    /// A labelled validation split that the data set ships apart from its test part.
    pub val: Option<Part>,
    /// The test part, where there is one.
    pub test: Option<Part>,
    /// 32 hexadecimal digits that change with any class name, id, label, size or pixel of any part.
    ///
    /// BLAKE3 over, in this order: format version, number of classes, each name with its length,
    /// height, width; then of training, validation and test part: a presence byte, the number of
    /// images, each id with its length, the labels, the pixels. Integers are little-endian u64,
    /// labels u32. The path and the storage format do not enter: a moved or copied set stays the same.
    pub fingerprint: String,
}

impl DataSet {
    /// Assembles a data set from its parts and computes the fingerprint.
    pub fn new(
        name: impl Into<String>,
        format: Format,
        classes: Vec<String>,
        (height, width): (usize, usize),
        train: Part,
        val: Option<Part>,
        test: Option<Part>,
    ) -> Result<Self> {
        let name = name.into();
        let parts =
            [("training", Some(&train)), ("validation", val.as_ref()), ("test", test.as_ref())];
        for (part_name, part) in parts {
            let Some(part) = part else { continue };
            check_part(&name, part_name, part, classes.len(), height * width * 3)?;
        }
        if train.is_empty() {
            return Err(Error::invalid(
                format!("data set {name}"),
                "no training images",
                "at least one training image",
            ));
        }
        let fingerprint = fingerprint(&classes, height, width, parts.map(|(_, p)| p));
        Ok(DataSet { name, format, classes, height, width, train, val, test, fingerprint })
    }

    /// The part of that name, where the data set has it.
    pub fn part(&self, name: PartName) -> Option<&Part> {
        match name {
            PartName::Train => Some(&self.train),
            PartName::Val => self.val.as_ref(),
            PartName::Test => self.test.as_ref(),
        }
    }

    /// Mean and standard deviation of each channel over the training part, in [0, 1] units.
    pub fn channel_statistics(&self) -> ChannelStatistics {
        statistics::channel_statistics(&self.train.images)
    }

    /// The same over chosen training positions only (those that a split leaves for training).
    pub fn channel_statistics_of(&self, positions: &[usize]) -> ChannelStatistics {
        statistics::channel_statistics_of(&self.train, positions)
    }

    /// Divides the set as `kind` says; `None` takes the shipped validation part where there is one,
    /// else [`SplitKind::Holdout`].
    pub fn split(&self, kind: Option<SplitKind>, seed: u64) -> Result<Split> {
        let kind = kind.unwrap_or(match self.val {
            Some(_) => SplitKind::Shipped,
            None => SplitKind::Holdout,
        });
        Split::new(
            kind,
            &self.classes,
            &self.train.labels,
            self.val.as_ref().map(|p| p.labels.as_slice()),
            self.test.as_ref().map(|p| p.labels.as_slice()),
            seed,
        )
    }
}

fn check_part(set: &str, part: &str, p: &Part, classes: usize, image: usize) -> Result<()> {
    if p.images.len() != p.labels.len() * image || p.ids.len() != p.labels.len() {
        return Err(Error::Internal(format!(
            "{part} part of {set}: {} bytes, {} labels, {} ids do not fit together",
            p.images.len(),
            p.labels.len(),
            p.ids.len()
        )));
    }
    match p.labels.iter().position(|&l| l as usize >= classes) {
        Some(i) => Err(Error::invalid(
            format!("{set}, {part} image {}", p.ids[i]),
            format!("label {}", p.labels[i]),
            format!("a label below {classes}, the number of classes"),
        )),
        None => Ok(()),
    }
}

fn fingerprint(
    classes: &[String],
    height: usize,
    width: usize,
    parts: [Option<&Part>; 3],
) -> String {
    let mut hash = blake3::Hasher::new();
    fn number(hash: &mut blake3::Hasher, n: usize) {
        hash.update(&(n as u64).to_le_bytes());
    }
    fn text(hash: &mut blake3::Hasher, s: &str) {
        number(hash, s.len());
        hash.update(s.as_bytes());
    }
    hash.update(b"fairprune data set");
    number(&mut hash, FINGERPRINT_VERSION as usize);
    number(&mut hash, classes.len());
    classes.iter().for_each(|c| text(&mut hash, c));
    number(&mut hash, height);
    number(&mut hash, width);
    for part in parts {
        hash.update(&[u8::from(part.is_some())]);
        let Some(part) = part else { continue };
        number(&mut hash, part.len());
        part.ids.iter().for_each(|id| text(&mut hash, id));
        part.labels.iter().for_each(|l| {
            hash.update(&l.to_le_bytes());
        });
        hash.update_rayon(&part.images);
    }
    hash.finalize().to_hex()[..32].to_owned()
}

/// How a data set is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The built-in drawings.
    Shapes,
    /// The same with three classes that are far harder than the rest.
    ShapesExtreme,
    /// `train/CLASS/**` and `val|test/CLASS/**` of JPEG and PNG files.
    ImageFolder,
    /// CIFAR-10 or CIFAR-100, binary version.
    CifarBinary,
}

impl Format {
    /// The name that `--format` takes.
    pub fn name(self) -> &'static str {
        match self {
            Format::Shapes => "shapes",
            Format::ShapesExtreme => "shapes:extreme",
            Format::ImageFolder => "imagefolder",
            Format::CifarBinary => "cifar",
        }
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
        [Format::Shapes, Format::ShapesExtreme, Format::ImageFolder, Format::CifarBinary]
            .into_iter()
            .find(|f| f.name() == s)
            .ok_or_else(|| {
                Error::invalid(
                    "data format",
                    s,
                    "one of imagefolder, cifar, shapes, shapes:extreme",
                )
            })
    }
}

/// Bounds that are checked before anything is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest side of a stored image, pixels.
    pub side: usize,
    /// Most pixels of a stored image.
    pub pixels: usize,
    /// Most bytes of one image file.
    pub file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { side: 16_384, pixels: 100_000_000, file_bytes: 1 << 29 }
    }
}

/// How to read a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The format; `None` looks at the path.
    pub format: Option<Format>,
    /// Side S of the images in memory: the short side is resized to S, the centre S x S is kept.
    /// `None` keeps the stored size, which must then be the same for all images.
    pub image_size: Option<usize>,
    /// Data seed of the built-in sets; without effect on stored ones.
    pub seed: u64,
    /// Bounds on what is decoded.
    pub limits: Limits,
}

/// Loads `spec`: a path, or `shapes`, `shapes:extreme` for the built-in sets.
///
/// Decoding runs in the current rayon pool and its result does not depend on the number of threads.
/// Errors: [`Error::Invalid`] names the file and what was expected, [`Error::Io`] the path.
pub fn load(spec: &str, options: &LoadOptions, progress: Progress) -> Result<DataSet> {
    if let Some(format) = shapes_format(spec, options)? {
        return shapes::load(format, options, progress);
    }
    let size = options.image_size.unwrap_or(1);
    if size == 0 || size > options.limits.side {
        return Err(Error::invalid(
            "image size",
            format!("{size}"),
            format!("1 to {}", options.limits.side),
        ));
    }
    let root = Path::new(spec);
    if !root.is_dir() {
        return Err(Error::invalid(
            format!("data {spec}"),
            if root.exists() { "a file" } else { "nothing" },
            "a folder, or the name of a built-in set: shapes, shapes:extreme",
        ));
    }
    let name = set_name(root);
    match options.format.map_or_else(|| detect(root), Ok)? {
        Format::ImageFolder => image_folder::load(root, &name, options, progress),
        Format::CifarBinary => cifar::load(root, &name, options, progress),
        Format::Shapes | Format::ShapesExtreme => {
            Err(Error::Internal(format!("{spec} was not taken for a built-in set")))
        }
    }
}

/// The format of the folder `root`, from what it holds.
fn detect(root: &Path) -> Result<Format> {
    if cifar::is_cifar(root) {
        return Ok(Format::CifarBinary);
    }
    if cifar::is_python_version(root) {
        return Err(Error::invalid(
            root.display().to_string(),
            "the Python version of CIFAR",
            "the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz)",
        ));
    }
    // Anything else that is wrong with it, the folder reader explains.
    Ok(Format::ImageFolder)
}

/// The last component of the path, `.` and `..` resolved.
fn set_name(root: &Path) -> String {
    let full = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    match full.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => full.display().to_string(),
    }
}

/// Loads validation images for `set` from a folder of class folders. The set's fingerprint stays
/// that of what it was loaded from.
pub fn load_validation(folder: &Path, set: &mut DataSet, options: &LoadOptions) -> Result<()> {
    let size = (set.height, set.width);
    let square = (size.0 == size.1).then_some(size.0);
    let options = LoadOptions { image_size: options.image_size.or(square), ..*options };
    set.val = Some(image_folder::load_part(folder, &set.classes, size, &options)?);
    Ok(())
}

/// The built-in set that `spec` and `--format` name, if they do.
fn shapes_format(spec: &str, options: &LoadOptions) -> Result<Option<Format>> {
    let named = match spec {
        "shapes" => Some(Format::Shapes),
        "shapes:extreme" => Some(Format::ShapesExtreme),
        _ if spec.starts_with("shapes:") => {
            return Err(Error::invalid("data", spec, "shapes, shapes:extreme or a path"));
        }
        _ => None,
    };
    match (named, options.format) {
        (Some(a), None) => Ok(Some(a)),
        (Some(a), Some(b)) if a == b => Ok(Some(a)),
        (None, Some(b @ (Format::Shapes | Format::ShapesExtreme))) => Err(Error::invalid(
            format!("data {spec} with format {b}"),
            "a path",
            format!("the built-in set by its name, {b}"),
        )),
        // An explicit folder format means the path `./shapes`.
        _ => Ok(None),
    }
}
