//! `train/CLASS/**` with `val/CLASS/**`, `test/CLASS/**` or both: torchvision's `ImageFolder` trees.
//!
//! The folders of the parts are called by any word of the vocabulary. One held-out folder, of either
//! part, is the test part.

pub(super) mod tree;

use std::path::Path;

use super::images::{Counter, Decoder};
use super::listed::{Listed, Listing, read_part};
use super::{DataSet, Format, LoadOptions, Part, Progress, wordnet};
use crate::error::{Error, Result};
pub use tree::{Tree, list};

/// Lists the tree under `root` and decodes its images.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let mut tree = tree::list_named(root, options.stated.part_names())?;
    if tree.test.is_none() {
        tree.test = tree.val.take();
    }
    let mut notes = std::mem::take(&mut tree.notes);
    notes.extend(ignored_note(root, tree.ignored));
    notes.extend(wordnet::not_unpacked(root, "train", &tree.classes));
    let Tree { classes, train, val, test, .. } = tree;
    let listed = Listed { classes, train, val, test, attributes: None, notes };
    listed.load(root, name, Format::ImageFolder, options, progress)
}

/// Says in a sentence that there are files that are no samples.
pub(super) fn ignored_note(root: &Path, ignored: usize) -> Option<String> {
    (ignored > 0).then(|| {
        format!(
            "{}: {ignored} files with other extensions than {} are no samples and were left out",
            root.display(),
            tree::EXTENSIONS.join(" ")
        )
    })
}

/// Reads one folder of class folders as a part of a data set with these classes and image size.
pub(super) fn load_part(
    folder: &Path,
    classes: &[String],
    size: (usize, usize),
    options: &LoadOptions,
) -> Result<Part> {
    let listing: Listing = tree::list_folder(folder, classes)?;
    let root = std::fs::canonicalize(folder).map_err(Error::io(folder))?;
    let quiet = |_: usize, _: usize| ();
    let decoder = Decoder::of_size(size, options, Counter::new(listing.ids.len(), &quiet));
    read_part(root.parent().unwrap_or(&root), listing, &decoder)
}
