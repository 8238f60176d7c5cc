//! The Python version of CIFAR: pickled dictionaries with an array of planes and a list of labels.
//!
//! Order and names are those of torchvision's `CIFAR10` and `CIFAR100`.

use std::path::{Path, PathBuf};

use super::pickle::Pickle;
use super::{Growing, IMAGE, SIDE, batches, known_classes, label, without_gaps};
use crate::artefact::input;
use crate::artefact::sniff::{self, FileKind};
use crate::data::{DataSet, Format, LoadOptions, Progress};
use crate::error::{Error, Result};

/// Most bytes of one file. CIFAR-100's training images have 155 million.
const MOST_BYTES: u64 = 1 << 28;

/// One of the two data sets, as its files lie in a folder.
struct PythonFiles {
    folder: PathBuf,
    train: Vec<String>,
    test: &'static str,
    meta: &'static str,
    labels: &'static str,
    names: &'static str,
    classes: usize,
}

/// Returns the layout of `root`, or of the folder that the archive makes in it, if it holds CIFAR
/// files.
fn layout(root: &Path) -> Option<PythonFiles> {
    let below = ["cifar-10-batches-py", "cifar-100-python"].map(|name| root.join(name));
    std::iter::once(root.to_owned()).chain(below).find_map(|folder| {
        let batches = batches(&folder, "");
        if !batches.is_empty() {
            Some(PythonFiles {
                folder,
                train: batches,
                test: "test_batch",
                meta: "batches.meta",
                labels: "labels",
                names: "label_names",
                classes: 10,
            })
        } else if folder.join("train").is_file() && folder.join("meta").is_file() {
            Some(PythonFiles {
                folder,
                train: vec!["train".to_owned()],
                test: "test",
                meta: "meta",
                labels: "fine_labels",
                names: "fine_label_names",
                classes: 100,
            })
        } else {
            None
        }
    })
}

/// Tells whether `root` holds the Python version of CIFAR.
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
            "no CIFAR files of the Python version",
            "data_batch_1 … data_batch_5, test_batch and batches.meta, or train, test and meta",
        )
    })?;
    let mut notes = Vec::new();
    if layout.classes == 10 {
        let files = std::mem::take(&mut layout.train);
        let found = without_gaps(&layout.folder, files, "", &options.stated)?;
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
        let path = layout.folder.join(file);
        let mut bytes = Vec::new();
        input::read_into(&path, MOST_BYTES, "a CIFAR file", &mut bytes)?;
        let what = path.display().to_string();
        sniff::check(&bytes, &what, "a pickle of CIFAR", &[FileKind::Pickle])?;
        let pickle = Pickle::read(&bytes, &what)?;
        let (labels, rows) = records(&pickle, layout.labels, layout.classes, &what)?;
        part.append(file, labels.into_iter(), (&rows, 0), side)?;
        progress(done + 1, files.len());
    }
    let test = has_test.then(|| test.part());
    let set =
        DataSet::new(name, Format::CifarPython, classes, (side, side), train.part(), None, test);
    Ok(DataSet { notes, ..set? })
}

/// Returns the labels and planes of the records of a batch, one label below `classes` for each
/// record.
pub fn records<'p>(
    pickle: &'p Pickle,
    key: &str,
    classes: usize,
    what: &str,
) -> Result<(Vec<u32>, std::borrow::Cow<'p, [u8]>)> {
    let (count, rows) = pickle.rows("data", IMAGE)?;
    // Some copies of CIFAR-100 name the fine labels as CIFAR-10 names its labels.
    let key = if pickle.has(key) { key } else { "labels" };
    let labels = pickle.integers(key)?;
    if labels.len() != count || count == 0 {
        return Err(Error::invalid(
            what,
            format!("{} labels of {count} images", labels.len()),
            "as many as there are images, at least one",
        ));
    }
    let each = labels.into_iter().enumerate();
    let labels = each.map(|(i, l)| label(what, i, l, classes)).collect::<Result<_>>()?;
    Ok((labels, rows))
}

fn class_names(layout: &PythonFiles) -> Result<Vec<String>> {
    let path = layout.folder.join(layout.meta);
    if !path.is_file() {
        return Ok(known_classes(layout.classes));
    }
    let mut bytes = Vec::new();
    input::read_into(&path, 1 << 20, "a small pickle", &mut bytes)?;
    let what = path.display().to_string();
    Pickle::read(&bytes, &what)?.names(layout.names, layout.classes)
}
