//! Image files listed in a `metadata.csv` with class, part and an attribute: Waterbirds and sets made
//! after it, and the lists of Hugging Face's image folders.
//!
//! Columns are found by name. As in WILDS, the order inside a part is that of the lines. Classes and
//! values are numbers, which `classes.txt` and a text file with the attribute's name may name, or
//! texts, which are then sorted.

mod columns;
mod table;

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use super::class_names::{FILES, NamesFile, number};
use super::image_folder::tree::is_tree;
use super::images::read_text;
use super::listed::{Listed, Listing};
use super::{DataSet, Format, LoadOptions, Progress, StatedLayout};
use crate::artefact::input;
use crate::error::{Error, Result};
use columns::{HEAD, MetadataColumns};
pub use table::MetadataTable;
pub(super) use table::without;

/// The list of images.
pub(super) const FILE: &str = "metadata.csv";

/// Most bytes of the list.
const MOST_BYTES: u64 = 1 << 30;

/// Tells whether `root` has a `metadata.csv` of this kind. Beside class folders it must state the parts:
/// such folders have lists of other kinds, too.
pub(super) fn is(root: &Path, stated: &StatedLayout) -> bool {
    let Ok(head) = input::start(&root.join(FILE), HEAD) else { return false };
    let found = MetadataColumns::in_head(&head);
    found.is_some_and(|(columns, _)| columns.split.is_some() || !is_tree(root, stated.part_names()))
}

/// Reads the list and decodes the images.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let path = root.join(FILE);
    let what = path.display().to_string();
    let file = input::open(&path)?;
    let names = options.stated.part_names();
    let mut table = MetadataTable::parse(file.take(MOST_BYTES), names, &what)?;
    let (known, mut attributes) = table.names();
    let mut notes = std::mem::take(&mut table.notes);
    let by_number = !table.waterbirds && table.classes.is_none();
    if let Some(a) = attributes.as_mut().filter(|_| !table.waterbirds && table.values.is_none()) {
        let file = root.join(format!("{}.txt", a.name));
        a.values = names_or(&file, std::mem::take(&mut a.values))?;
    }
    let mut parts = table.parts;
    let classes = if by_number {
        let labels = parts.iter_mut().map(|part| &mut part.labels).collect();
        let (classes, note) = number(&what, labels, class_names(root)?, &options.stated)?;
        notes.extend(note);
        classes
    } else {
        known
    };
    let [train, val, test] = parts;
    let some = |listing: Listing| (!listing.ids.is_empty()).then_some(listing);
    let (mut val, mut test) = (some(val), some(test));
    if test.is_none() {
        test = val.take();
    }
    let listed = Listed { classes, train, val, test, attributes, notes };
    listed.load(root, name, Format::Metadata, options, progress)
}

/// Reads the class names beside the list, which must differ.
fn class_names(root: &Path) -> Result<Option<NamesFile>> {
    // A list of other names may lie in the second of the files.
    if !root.join(FILES[0]).is_file() {
        return Ok(None);
    }
    let found = NamesFile::beside(root)?;
    if let Some(file) = &found {
        let different: HashSet<&String> = file.names.iter().collect();
        if different.len() != file.names.len() {
            let found = format!("{} lines", file.names.len());
            let expected = "different names, one a line";
            return Err(Error::invalid(file.path.display().to_string(), found, expected));
        }
    }
    Ok(found)
}

/// Returns the lines of a text file as names if the file exists. There must be at least as many as
/// there are numbers.
fn names_or(path: &Path, numbers: Vec<String>) -> Result<Vec<String>> {
    if !path.is_file() {
        return Ok(numbers);
    }
    let names: Vec<String> =
        read_text(path, 1 << 24)?.lines().map(|l| l.trim().to_owned()).collect();
    let different: HashSet<&String> = names.iter().collect();
    if names.len() < numbers.len()
        || different.len() != names.len()
        || different.contains(&String::new())
    {
        let found = format!("{} lines", names.len());
        let expected = format!("at least {} different names, one a line", numbers.len());
        return Err(Error::invalid(path.display().to_string(), found, expected));
    }
    Ok(names)
}
