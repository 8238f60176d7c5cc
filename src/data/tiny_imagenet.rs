//! TinyImageNet as it is distributed: `train/WNID/images/*.JPEG`, and validation images in one folder
//! with a list of their classes.
//!
//! Training images come in the order of torchvision's `ImageFolder` of `train`, validation images in
//! that of `val_annotations.txt`. The labelled validation images are the test part, as a single
//! held-out folder always is; the images in `test` have no labels and are never used.

use std::collections::HashSet;
use std::path::Path;

use super::image_folder::tree::{class_folders, entries, is_image_name, list_part, same_classes};
use super::images::read_text;
use super::listed::{Listed, Listing};
use super::{DataSet, Format, LoadOptions, Progress, wordnet};
use crate::error::{Error, Result};

/// The list of validation images.
const ANNOTATIONS: &str = "val/val_annotations.txt";

/// Most bytes of the list. That of the 10,000 images has 0.4 million.
const MOST_BYTES: u64 = 1 << 28;

/// Tells whether `root` is laid out as TinyImageNet.
pub(super) fn is(root: &Path) -> bool {
    let marked = root.join(ANNOTATIONS).is_file() || root.join("wnids.txt").is_file();
    marked && root.join("train").is_dir()
}

/// Lists the training and validation images and decodes them.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    if !is(root) {
        return Err(Error::invalid(
            root.display().to_string(),
            "no layout of TinyImageNet",
            format!("train/WNID/images/*.JPEG with {ANNOTATIONS} or wnids.txt"),
        ));
    }
    let wnids = class_folders(root, "train")?;
    let (train, _) = list_part(root, "train", &wnids)?;
    let mut notes = Vec::new();
    let test = validation(root, &wnids, &mut notes)?;
    if let Some(count) = unlabelled(&root.join("test"))? {
        notes.push(format!(
            "{}: {count} images without labels are not used",
            root.join("test").display()
        ));
    }
    let classes = wordnet::names(&[root], &["words.txt"], &wnids)?;
    let listed = Listed { classes, train, test, notes, ..Listed::default() };
    listed.load(root, name, Format::TinyImagenet, options, progress)
}

/// Returns the labelled validation images, where there are any: listed, or sorted into class
/// folders.
fn validation(root: &Path, wnids: &[String], notes: &mut Vec<String>) -> Result<Option<Listing>> {
    let path = root.join(ANNOTATIONS);
    if path.is_file() {
        let text = read_text(&path, MOST_BYTES)?;
        let listing = annotations(&text, wnids, &path.display().to_string())?;
        every_image_is_listed(root, &listing)?;
        return Ok(Some(listing));
    }
    let folder = root.join("val");
    if !folder.is_dir() {
        return Ok(None);
    }
    if entries(&folder)?.folders.iter().any(|f| wnids.binary_search(f).is_ok()) {
        same_classes(root, "val", wnids, &class_folders(root, "val")?)?;
        return Ok(Some(list_part(root, "val", wnids)?.0));
    }
    notes.push(format!("{}: no val_annotations.txt, so its images are not used", folder.display()));
    Ok(None)
}

/// Returns the images that lines `val_0.JPEG<tab>n03444034<tab>…` list, in their order; `wnids` are
/// sorted.
///
/// # Errors
/// A line has no two cells, a name is no plain file name or comes twice, a class is none of
/// `wnids`, or there is no line at all.
pub fn annotations(text: &str, wnids: &[String], what: &str) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut seen = HashSet::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let wrong = |found: String, expected: &str| {
            Error::invalid(format!("{what}, line {}", i + 1), found, expected)
        };
        let mut cells = line.split('\t');
        let (Some(file), Some(wnid)) = (cells.next(), cells.next()) else {
            let expected = "a file name, a tab and a WordNet number";
            return Err(wrong(format!("{:?}", shortened(line)), expected));
        };
        if file.is_empty() || file.contains(['/', '\\', '\0']) || file == "." || file == ".." {
            let expected = "the name of a file in val/images";
            return Err(wrong(format!("{:?}", shortened(file)), expected));
        }
        let wnid = wnid.trim();
        let label = wnids.binary_search_by(|w| w.as_str().cmp(wnid)).map_err(|_| {
            wrong(format!("class {:?}", shortened(wnid)), "a class that train has a folder of")
        })?;
        if !seen.insert(file) {
            return Err(wrong(format!("{:?} again", shortened(file)), "every image once"));
        }
        listing.ids.push(format!("val/images/{file}"));
        listing.labels.push(label as u32);
    }
    if listing.ids.is_empty() {
        return Err(Error::invalid(what, "no lines", "a line an image"));
    }
    Ok(listing)
}

/// Returns the start of a text, for messages.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn every_image_is_listed(root: &Path, listing: &Listing) -> Result<()> {
    let folder = root.join("val/images");
    let listed: HashSet<&str> = listing.ids.iter().map(String::as_str).collect();
    let missing = entries(&folder)?.files.into_iter().find(|file| {
        is_image_name(file) && !listed.contains(format!("val/images/{file}").as_str())
    });
    match missing {
        Some(file) => Err(Error::invalid(
            folder.join(file).display().to_string(),
            "no line of this image",
            format!("its class in {ANNOTATIONS}"),
        )),
        None => Ok(()),
    }
}

/// Counts the images in `folder` or in `images` below it, if there are any outside class folders.
pub(super) fn unlabelled(folder: &Path) -> Result<Option<usize>> {
    let mut count = 0;
    for folder in [folder.to_owned(), folder.join("images")] {
        if folder.is_dir() {
            count += entries(&folder)?.files.iter().filter(|f| is_image_name(f)).count();
        }
    }
    Ok((count > 0).then_some(count))
}
