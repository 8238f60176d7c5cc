//! `train/CLASS/**` with `val/CLASS/**`, `test/CLASS/**` or both: torchvision's `ImageFolder` trees.
//!
//! One held-out folder, of either name, is the test part; with both, `val` is the validation part.

mod tree;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::decode::{Encoded, Unusable};
use super::resize::Square;
use super::{DataSet, Format, Limits, LoadOptions, Part, Progress};
use crate::error::{Error, Result};
pub use tree::{Listing, Tree, list};

/// Images between two progress calls.
const PROGRESS_STEP: usize = 256;

/// Lists the tree under `root` and decodes its images.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let mut tree = list(root)?;
    if tree.ignored > 0 {
        tracing::warn!(
            "{}: {} files with other extensions than {} are no samples and were left out",
            root.display(),
            tree.ignored,
            tree::EXTENSIONS.join(" ")
        );
    }
    if tree.test.is_none() {
        tree.test = tree.val.take();
    }
    let size = match options.image_size {
        Some(side) => (side, side),
        None => stored_size(root, &tree.train.ids[0], options.limits)?,
    };
    let total = [Some(&tree.train), tree.val.as_ref(), tree.test.as_ref()];
    let total = total.into_iter().flatten().map(|l| l.ids.len()).sum();
    let done = AtomicUsize::new(0);
    let reader = Reader {
        root,
        size,
        square: options.image_size,
        limits: options.limits,
        first: &tree.train.ids[0].clone(),
        done: &|| {
            let n = done.fetch_add(1, Ordering::Relaxed) + 1;
            if n.is_multiple_of(PROGRESS_STEP) || n == total {
                progress(n, total);
            }
        },
    };
    let train = reader.read(tree.train)?;
    let val = tree.val.map(|l| reader.read(l)).transpose()?;
    let test = tree.test.map(|l| reader.read(l)).transpose()?;
    DataSet::new(name, Format::ImageFolder, tree.classes, size, train, val, test)
}

/// Reads one folder of class folders as a part of a data set with these classes and image size.
pub(super) fn load_part(
    folder: &Path,
    classes: &[String],
    size: (usize, usize),
    options: &LoadOptions,
) -> Result<Part> {
    let listing = tree::list_folder(folder, classes)?;
    let root = std::fs::canonicalize(folder).map_err(Error::io(folder))?;
    let first = listing.ids.first().cloned().unwrap_or_default();
    Reader {
        root: root.parent().unwrap_or(&root),
        size,
        square: options.image_size,
        limits: options.limits,
        first: &first,
        done: &|| {},
    }
    .read(listing)
}

/// Reads the parts of one tree to one image size.
struct Reader<'a> {
    root: &'a Path,
    size: (usize, usize),
    square: Option<usize>,
    limits: Limits,
    /// The id of the image that gave the size.
    first: &'a str,
    done: &'a (dyn Fn() + Sync),
}

/// What a thread reuses from one image to the next.
struct Scratch {
    file: Vec<u8>,
    rgb: Vec<u8>,
    square: Option<Square>,
}

impl Reader<'_> {
    fn read(&self, listing: Listing) -> Result<Part> {
        let image = self.size.0 * self.size.1 * 3;
        let mut images = allocate(image, listing.ids.len())?;
        let scratch =
            || Scratch { file: Vec::new(), rgb: Vec::new(), square: self.square.map(Square::new) };
        // The first failure in the order of the files, whatever thread met it.
        let failure = images
            .par_chunks_exact_mut(image)
            .zip(&listing.ids)
            .map_init(scratch, |scratch, (slot, id)| {
                let result = self.decode(id, scratch, slot);
                (self.done)();
                result.err()
            })
            .find_map_first(|failure| failure);
        match failure {
            Some(error) => Err(error),
            None => Ok(Part { images: images.into(), labels: listing.labels, ids: listing.ids }),
        }
    }

    fn decode(&self, id: &str, scratch: &mut Scratch, slot: &mut [u8]) -> Result<()> {
        let path = self.root.join(id);
        read_file(&path, self.limits, &mut scratch.file)?;
        let unusable =
            |u: Unusable| Error::invalid(path.display().to_string(), u.found, u.expected);
        let image = Encoded::new(&scratch.file, self.limits).map_err(unusable)?;
        let size = (image.height, image.width);
        let Some(square) = &mut scratch.square else {
            if size != self.size {
                return Err(Error::invalid(
                    path.display().to_string(),
                    format!("{}x{} pixels", size.1, size.0),
                    format!(
                        "{}x{} as in {}; --image-size S brings images of several sizes to S x S",
                        self.size.1, self.size.0, self.first
                    ),
                ));
            }
            return image.decode(slot).map_err(unusable);
        };
        scratch.rgb.resize(size.0 * size.1 * 3, 0);
        image.decode(&mut scratch.rgb).map_err(unusable)?;
        square.square(&scratch.rgb, size, slot).map_err(|reason| {
            let found = format!("{}x{} pixels: {reason}", size.1, size.0);
            Error::invalid(path.display().to_string(), found, "an image that can be resized")
        })
    }
}

/// Zeroed bytes for `count` images, or an error where the address space has no room.
fn allocate(image: usize, count: usize) -> Result<Vec<u8>> {
    let needed = image.saturating_mul(count);
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(needed).map_err(|_| {
        Error::invalid(
            "images in memory",
            format!("{count} images of {image} bytes"),
            "what fits; a smaller --image-size helps",
        )
    })?;
    drop(probe);
    Ok(vec![0; needed])
}

fn stored_size(root: &Path, id: &str, limits: Limits) -> Result<(usize, usize)> {
    let path = root.join(id);
    let mut bytes = Vec::new();
    read_file(&path, limits, &mut bytes)?;
    let image = Encoded::new(&bytes, limits)
        .map_err(|u| Error::invalid(path.display().to_string(), u.found, u.expected))?;
    Ok((image.height, image.width))
}

/// Reads a regular file whole; refuses anything else before opening can block on it.
fn read_file(path: &Path, limits: Limits, bytes: &mut Vec<u8>) -> Result<()> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let about = file.metadata().map_err(Error::io(path))?;
    if !about.is_file() || about.len() > limits.file_bytes {
        let found = if about.is_file() {
            format!("{} bytes", about.len())
        } else {
            "no regular file".into()
        };
        let expected = format!("an image file of at most {} bytes", limits.file_bytes);
        return Err(Error::invalid(path.display().to_string(), found, expected));
    }
    bytes.resize(about.len() as usize, 0);
    file.read_exact(bytes).map_err(Error::io(path))
}
