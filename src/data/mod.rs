//! Labelled image sets in memory: u8 pixels, NHWC, three channels.
//!
//! Each format has one file, and all have one entry point ([`load`]). Order and class indices are
//! those of the ecosystem's own readers (torchvision's `ImageFolder`, the batch order of CIFAR), so
//! that a stored index means the same sample there and here. An unreadable sample is an error and
//! never skipped, because skipping would shift every index after it.

mod attributes;
pub mod cache;
pub mod cifar;
mod class_names;
mod decode;
pub mod fetch;
mod fingerprint;
mod format;
pub mod groups;
pub mod idx;
pub mod image_folder;
pub mod imagenet;
mod images;
mod listed;
mod long_tail;
pub mod parquet;
mod partition;
mod pixels;
mod resize;
pub mod shapes;
mod shards;
pub mod split;
mod statistics;
pub mod tiny_imagenet;
pub mod webdataset;
pub mod wordnet;
pub mod write;

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Error, Result};
pub use attributes::Attributes;
pub use decode::decode_image;
pub use format::Format;
pub use listed::Listing;
pub use long_tail::{LongTail, long_tail_sizes};
pub use partition::Partition;
pub use split::{PartName, QueryPart, Split, SplitKind};
pub use statistics::ChannelStatistics;

/// A progress callback, which gets the images done and the images in all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Images of one part, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Pixels, `N H W C` with C = 3 (red, green, blue), 0..=255. They are shared, so that the CPU
    /// trains on them where they are.
    pub images: Bytes,
    /// Class of each image, an index into [`DataSet::classes`].
    pub labels: Vec<u32>,
    /// Name of each image, unique in the data set: a path relative to the root, or `file:record`.
    pub ids: Vec<String>,
    /// Attribute of each image, an index into [`Attributes::values`]; empty where the data set has
    /// none.
    pub attributes: Vec<u32>,
}

impl Part {
    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Tells whether the part has no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the pixels of image `i`, `H W C`; `i` must be below [`Part::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.images.len() / self.labels.len().max(1);
        &self.images[i * size..(i + 1) * size]
    }

    /// Returns the number of images of each of `classes` classes; labels must be below `classes`.
    pub fn class_sizes(&self, classes: usize) -> Vec<usize> {
        split::class_sizes(&self.labels, classes)
    }
}

/// A labelled image set.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Name of what was loaded: `shapes`, or the last component of the path.
    pub name: String,
    /// The format in which it was stored.
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
    /// The attribute that every sample has besides its class, where there is one.
    pub attributes: Option<Attributes>,
    /// 32 hexadecimal digits that change with any class name, id, label, size or pixel of any part,
    /// and with any attribute.
    ///
    /// BLAKE3 over, in this order: format version, number of classes, each name with its length,
    /// height, width; then of training, validation and test part: a presence byte, the number of
    /// images, each id with its length, the labels, the pixels. With attributes there follow their
    /// name, the number of values, each name with its length, and the attributes of each part.
    /// Integers are little-endian u64, labels and attributes u32. The path and the storage format do
    /// not enter: a moved or copied set stays the same.
    ///
    /// A long tail hashes it once more, with the positions that stay.
    pub fingerprint: String,
    /// Injected class imbalance of the training part, see [`DataSet::with_long_tail`].
    pub long_tail: Option<LongTail>,
    /// What the reader left out, in sentences for people.
    pub notes: Vec<String>,
}

/// The parts that a data set is assembled from.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Class names.
    pub classes: Vec<String>,
    /// Height and width of every image.
    pub size: (usize, usize),
    /// The training part.
    pub train: Part,
    /// The validation part.
    pub val: Option<Part>,
    /// The test part.
    pub test: Option<Part>,
    /// The attribute whose values [`Part::attributes`] are.
    pub attributes: Option<Attributes>,
}

impl DataSet {
    /// Assembles a data set without attributes as [`DataSet::of`] does.
    pub fn new(
        name: impl Into<String>,
        format: Format,
        classes: Vec<String>,
        size: (usize, usize),
        train: Part,
        val: Option<Part>,
        test: Option<Part>,
    ) -> Result<Self> {
        Self::of(name, format, Contents { classes, size, train, val, test, attributes: None })
    }

    /// Assembles a data set from its parts and computes the fingerprint.
    ///
    /// # Errors
    /// There is no training image, or a label or an attribute has no name.
    pub fn of(name: impl Into<String>, format: Format, contents: Contents) -> Result<Self> {
        let name = name.into();
        let (height, width) = contents.size;
        let parts = contents.parts();
        for (part_name, part) in parts {
            let Some(part) = part else { continue };
            check_part(&name, part_name, part, contents.classes.len(), height * width * 3)?;
            if let Some(attributes) = &contents.attributes {
                attributes.check(&name, part)?;
            }
        }
        if contents.train.is_empty() {
            return Err(Error::invalid(
                format!("data set {name}"),
                "no training images",
                "at least one training image",
            ));
        }
        let fingerprint = fingerprint::fingerprint(&contents);
        let Contents { classes, train, val, test, attributes, .. } = contents;
        let notes = Vec::new();
        Ok(DataSet {
            name,
            format,
            classes,
            height,
            width,
            train,
            val,
            test,
            attributes,
            fingerprint,
            long_tail: None,
            notes,
        })
    }

    /// Returns 32 hexadecimal digits that change with any class name, id or label of the training
    /// part, with their order, and with a long tail, but not with pixels or other parts. Positions
    /// mean the same samples wherever these digits are equal.
    pub fn samples_fingerprint(&self) -> String {
        fingerprint::samples(self)
    }

    /// Returns the part of that name, where the data set has it.
    pub fn part(&self, name: PartName) -> Option<&Part> {
        match name {
            PartName::Train => Some(&self.train),
            PartName::Val => self.val.as_ref(),
            PartName::Test => self.test.as_ref(),
        }
    }

    /// Returns the mean and standard deviation of each channel over the training part, in [0, 1]
    /// units.
    pub fn channel_statistics(&self) -> ChannelStatistics {
        if let Some(tail) = &self.long_tail {
            return self.channel_statistics_of(&tail.present);
        }
        statistics::channel_statistics(&self.train.images)
    }

    /// Returns the channel statistics over chosen training positions only (those that a split
    /// leaves for training).
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
        let val = self.val.as_ref().map(|p| p.labels.as_slice());
        let test = self.test.as_ref().map(|p| p.labels.as_slice());
        let labels = &self.train.labels;
        let Some(tail) = &self.long_tail else {
            return Split::new(kind, &self.classes, labels, val, test, seed);
        };
        let there: Vec<u32> = tail.present.iter().map(|&i| labels[i]).collect();
        let split = Split::new(kind, &self.classes, &there, val, test, seed)?;
        Ok(split.within(&tail.present, labels.len()))
    }
}

impl Contents {
    /// Returns the parts and what messages call them.
    fn parts(&self) -> [(&'static str, Option<&Part>); 3] {
        [
            ("training", Some(&self.train)),
            ("validation", self.val.as_ref()),
            ("test", self.test.as_ref()),
        ]
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

/// Bounds that are checked before anything is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest side of a stored image, in pixels.
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
    pub limits: Limits,
    /// A folder where decoded images lie in a mapped file without a name, for sets beyond memory;
    /// `None` keeps them in memory. It has no effect on the built-in sets and CIFAR, which fit.
    pub scratch: Option<PathBuf>,
}

/// Loads `spec`: a path, or `shapes`, `shapes:extreme`, `shapes:spurious` for the built-in sets.
///
/// Decoding runs in the current rayon pool and its result does not depend on the number of threads.
/// # Errors
/// [`Error::Invalid`] names the file and what was expected, and [`Error::Io`] names the path.
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
    let format = format_of(spec, options.format)?;
    let name = set_name(root);
    let load = match format {
        Format::ImageFolder => image_folder::load,
        Format::CifarBinary => cifar::binary::load,
        Format::CifarPython => cifar::python::load,
        Format::Idx => idx::load,
        Format::TinyImagenet => tiny_imagenet::load,
        Format::Imagenet => imagenet::load,
        Format::Webdataset => webdataset::load,
        Format::Parquet => parquet::load,
        Format::Metadata => groups::load,
        Format::Cache => cache::load,
        Format::Shapes | Format::ShapesExtreme | Format::ShapesSpurious => {
            return Err(Error::Internal(format!("{spec} was not taken for a built-in set")));
        }
    };
    load(root, &name, options, progress)
}

/// Returns the format that was asked for, or that the path shows. The path must exist, and be a
/// folder where the format is one of folders.
fn format_of(spec: &str, asked: Option<Format>) -> Result<Format> {
    let root = Path::new(spec);
    let no_folder =
        |found: &str, expected: &str| Err(Error::invalid(format!("data {spec}"), found, expected));
    if !root.exists() {
        return no_folder(
            "nothing",
            "a folder, or the name of a built-in set: shapes, shapes:extreme, shapes:spurious",
        );
    }
    let format = asked.map_or_else(|| format::detect(root), Ok)?;
    let of_files = matches!(format, Format::Webdataset | Format::Parquet | Format::Cache);
    match (root.is_dir(), format) {
        (false, _) if !of_files => no_folder("a file", &format!("a folder of format {format}")),
        (true, Format::Cache) => no_folder("a folder", "a cache file"),
        _ => Ok(format),
    }
}

/// Returns the last component of the path, with `.` and `..` resolved.
fn set_name(root: &Path) -> String {
    let full = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    match full.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => full.display().to_string(),
    }
}

/// Loads validation images for `set` from a folder of class folders. The set's fingerprint stays
/// that of the data from which it was loaded.
pub fn load_validation(folder: &Path, set: &mut DataSet, options: &LoadOptions) -> Result<()> {
    let size = (set.height, set.width);
    let square = (size.0 == size.1).then_some(size.0);
    let options = LoadOptions { image_size: options.image_size.or(square), ..options.clone() };
    if let Some(attributes) = &set.attributes {
        return Err(Error::invalid(
            format!("validation images {}", folder.display()),
            "a folder of class folders",
            format!(
                "the data set's own validation part, since its samples have a {}",
                attributes.name
            ),
        ));
    }
    set.val = Some(image_folder::load_part(folder, &set.classes, size, &options)?);
    Ok(())
}

/// Returns the built-in set that `spec` and the format in `options` name, if they do.
fn shapes_format(spec: &str, options: &LoadOptions) -> Result<Option<Format>> {
    let named = match spec {
        "shapes" => Some(Format::Shapes),
        "shapes:extreme" => Some(Format::ShapesExtreme),
        "shapes:spurious" => Some(Format::ShapesSpurious),
        _ if spec.starts_with("shapes:") => {
            let expected = "shapes, shapes:extreme, shapes:spurious or a path";
            return Err(Error::invalid("data", spec, expected));
        }
        _ => None,
    };
    match (named, options.format) {
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
