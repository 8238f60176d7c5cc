//! The binary version of CIFAR: records of label bytes and three planes.
//!
//! CIFAR-10 has one label byte in a record. CIFAR-100 has a coarse and a fine one, of which the
//! fine one is the class.

use std::path::{Path, PathBuf};

use super::{Growing, IMAGE, SIDE, batches, known_classes, label, without_gaps};
use crate::artefact::input;
use crate::artefact::sniff::{self, FileKind};
use crate::data::images::read_text;
use crate::data::{DataSet, Format, LoadOptions, Progress};
use crate::error::{Error, Result};

/// Most bytes of one file. CIFAR-100's training images have 154 million.
const MOST_BYTES: u64 = 1 << 28;

/// One of the two data sets, as its files lie in a folder.
struct BinaryFiles {
    folder: PathBuf,
    train: Vec<String>,
    test: &'static str,
    names: &'static str,
    label_bytes: usize,
    classes: usize,
}

/// Returns the layout of `root`, or of the folder that the archive makes in it, if it holds CIFAR
/// files.
fn layout(root: &Path) -> Option<BinaryFiles> {
    let below = ["cifar-10-batches-bin", "cifar-100-binary"].map(|name| root.join(name));
    std::iter::once(root.to_owned()).chain(below).find_map(|folder| {
        let batches = batches(&folder, ".bin");
        if !batches.is_empty() {
            Some(BinaryFiles {
                folder,
                train: batches,
                test: "test_batch.bin",
                names: "batches.meta.txt",
                label_bytes: 1,
                classes: 10,
            })
        } else if folder.join("train.bin").is_file() {
            Some(BinaryFiles {
                folder,
                train: vec!["train.bin".to_owned()],
                test: "test.bin",
                names: "fine_label_names.txt",
                label_bytes: 2,
                classes: 100,
            })
        } else {
            None
        }
    })
}

/// Tells whether `root` holds CIFAR binary files.
pub(crate) fn is(root: &Path) -> bool {
    layout(root).is_some()
}

/// Reads the files in batch order. The test file may be absent, but no batch may be, unless that is allowed.
pub(crate) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let mut layout = layout(root).ok_or_else(|| {
        Error::invalid(
            root.display().to_string(),
            "no CIFAR binary files",
            "data_batch_1.bin … data_batch_5.bin and test_batch.bin, or train.bin and test.bin",
        )
    })?;
    let mut notes = Vec::new();
    if layout.label_bytes == 1 {
        let files = std::mem::take(&mut layout.train);
        let found = without_gaps(&layout.folder, files, ".bin", &options.stated)?;
        (layout.train, notes) = (found.files, found.notes);
    }
    let classes = class_names(&layout)?;
    let has_test = layout.folder.join(layout.test).is_file();
    let files: Vec<&str> =
        layout.train.iter().map(String::as_str).chain(has_test.then_some(layout.test)).collect();
    let side = options.image_size.unwrap_or(SIDE);
    let (mut train, mut test) = (Growing::default(), Growing::default());
    for (done, file) in files.iter().enumerate() {
        let part = if *file == layout.test { &mut test } else { &mut train };
        read(&layout, file, side, part)?;
        progress(done + 1, files.len());
    }
    let test = has_test.then(|| test.part());
    let set =
        DataSet::new(name, Format::CifarBinary, classes, (side, side), train.part(), None, test);
    Ok(DataSet { notes, ..set? })
}

fn class_names(layout: &BinaryFiles) -> Result<Vec<String>> {
    let path = layout.folder.join(layout.names);
    if !path.is_file() {
        return Ok(known_classes(layout.classes));
    }
    let text = read_text(&path, 1 << 20)?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if names.len() != layout.classes {
        return Err(Error::invalid(
            path.display().to_string(),
            format!("{} class name{}", names.len(), if names.len() == 1 { "" } else { "s" }),
            format!("{}", layout.classes),
        ));
    }
    Ok(names)
}

/// Appends the records of one file to `part`.
fn read(layout: &BinaryFiles, file: &str, side: usize, part: &mut Growing) -> Result<()> {
    let path = layout.folder.join(file);
    let mut bytes = Vec::new();
    input::read_into(&path, MOST_BYTES, "a CIFAR file", &mut bytes)?;
    let what = path.display().to_string();
    // A first label of 0 and dark pixels are no file of macOS.
    sniff::check(&bytes, &what, "a CIFAR file", &[FileKind::AppleDouble])?;
    let labels = labels(&bytes, layout.label_bytes, layout.classes, &what)?;
    part.append(file, labels.into_iter(), (&bytes, layout.label_bytes), side)
}

/// Returns the class of every record of a file with `label_bytes` label bytes, of which the last
/// counts.
///
/// # Errors
/// The length is no positive multiple of a record's, or a label is no class.
pub fn labels(bytes: &[u8], label_bytes: usize, classes: usize, what: &str) -> Result<Vec<u32>> {
    let record = label_bytes + IMAGE;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(Error::invalid(
            what,
            format!("{} bytes", bytes.len()),
            format!("a positive multiple of {record}, the size of a record"),
        ));
    }
    let each = bytes.chunks_exact(record).enumerate();
    each.map(|(i, r)| label(what, i, i64::from(r[label_bytes - 1]), classes)).collect()
}
