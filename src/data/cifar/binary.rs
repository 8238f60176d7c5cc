//! CIFAR-10 and CIFAR-100, binary version: records of label bytes and three planes of 32 x 32.
//!
//! Source of the format: <https://www.cs.toronto.edu/~kriz/cifar.html>. CIFAR-10 has one label byte
//! a record; CIFAR-100 has a coarse and a fine one, of which the fine one is the class.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::resize::Square;
use super::{DataSet, Format, LoadOptions, Part, Progress};
use crate::error::{Error, Result};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const IMAGE: usize = 3 * PLANE;

/// The classes of CIFAR-10 in label order.
const CIFAR10_CLASSES: &str = "airplane automobile bird cat deer dog frog horse ship truck";

/// The fine classes of CIFAR-100 in label order.
const CIFAR100_CLASSES: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle \
bowl boy bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud \
cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house \
kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain \
mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy \
porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail \
snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor \
train trout tulip turtle wardrobe whale willow_tree wolf woman worm";

/// One of the two data sets, as its files lie in a folder.
struct Layout {
    folder: PathBuf,
    train: Vec<String>,
    test: &'static str,
    names: &'static str,
    label_bytes: usize,
    classes: usize,
}

/// The layout of `root` or of the folder that the archive makes in it, if it holds CIFAR files.
fn layout(root: &Path) -> Option<Layout> {
    let below = ["cifar-10-batches-bin", "cifar-100-binary"].map(|name| root.join(name));
    std::iter::once(root.to_owned()).chain(below).find_map(|folder| {
        let batches: Vec<String> = (1..=5)
            .map(|i| format!("data_batch_{i}.bin"))
            .filter(|name| folder.join(name).is_file())
            .collect();
        if !batches.is_empty() {
            Some(Layout {
                folder,
                train: batches,
                test: "test_batch.bin",
                names: "batches.meta.txt",
                label_bytes: 1,
                classes: 10,
            })
        } else if folder.join("train.bin").is_file() {
            Some(Layout {
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

/// Whether `root` holds CIFAR binary files.
pub(super) fn is_cifar(root: &Path) -> bool {
    layout(root).is_some()
}

/// Whether `root` holds the Python version, which is not read.
pub(super) fn is_python_version(root: &Path) -> bool {
    root.join("data_batch_1").is_file()
        || root.join("meta").is_file() && root.join("train").is_file()
}

/// Reads the files in batch order. The test file may be absent; a batch in between may not.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let layout = layout(root).ok_or_else(|| {
        Error::invalid(
            root.display().to_string(),
            "no CIFAR binary files",
            "data_batch_1.bin … data_batch_5.bin and test_batch.bin, or train.bin and test.bin",
        )
    })?;
    // A gap would shift every index after it.
    for (i, batch) in layout.train.iter().enumerate().filter(|_| layout.label_bytes == 1) {
        if *batch != format!("data_batch_{}.bin", i + 1) {
            return Err(Error::invalid(
                layout.folder.display().to_string(),
                format!("{batch} but no data_batch_{}.bin", i + 1),
                "batches without a gap",
            ));
        }
    }
    let classes = class_names(&layout)?;
    let has_test = layout.folder.join(layout.test).is_file();
    let files: Vec<&str> =
        layout.train.iter().map(String::as_str).chain(has_test.then_some(layout.test)).collect();
    let side = options.image_size.unwrap_or(SIDE);
    let (mut train, mut test) = (Part::default(), Part::default());
    for (done, file) in files.iter().enumerate() {
        let part = if *file == layout.test { &mut test } else { &mut train };
        read(&layout, file, side, part)?;
        progress(done + 1, files.len());
    }
    DataSet::new(
        name,
        Format::CifarBinary,
        classes,
        (side, side),
        train,
        None,
        has_test.then_some(test),
    )
}

fn class_names(layout: &Layout) -> Result<Vec<String>> {
    let path = layout.folder.join(layout.names);
    if !path.is_file() {
        let names = if layout.classes == 10 { CIFAR10_CLASSES } else { CIFAR100_CLASSES };
        return Ok(names.split_whitespace().map(str::to_owned).collect());
    }
    let text = fs::read_to_string(&path).map_err(Error::io(&path))?;
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
fn read(layout: &Layout, file: &str, side: usize, part: &mut Part) -> Result<()> {
    let path = layout.folder.join(file);
    let bytes = fs::read(&path).map_err(Error::io(&path))?;
    let record = layout.label_bytes + IMAGE;
    if bytes.is_empty() || bytes.len() % record != 0 {
        return Err(Error::invalid(
            path.display().to_string(),
            format!("{} bytes", bytes.len()),
            format!("a positive multiple of {record}, the size of a record"),
        ));
    }
    for (i, r) in bytes.chunks_exact(record).enumerate() {
        let label = r[layout.label_bytes - 1];
        if usize::from(label) >= layout.classes {
            return Err(Error::invalid(
                format!("{}, record {i}", path.display()),
                format!("label {label}"),
                format!("a label below {}", layout.classes),
            ));
        }
        part.labels.push(u32::from(label));
        part.ids.push(format!("{file}:{i}"));
    }
    let start = part.images.len();
    Arc::make_mut(&mut part.images).resize(start + bytes.len() / record * side * side * 3, 0);
    Arc::make_mut(&mut part.images)[start..]
        .par_chunks_exact_mut(side * side * 3)
        .zip(bytes.par_chunks_exact(record))
        .try_for_each_init(
            || (Square::new(side), vec![0; IMAGE]),
            |(square, buffer), (target, record)| {
                interleave(
                    &record[layout.label_bytes..],
                    if side == SIDE { &mut *target } else { &mut *buffer },
                );
                if side == SIDE {
                    return Ok(());
                }
                square.square(buffer, (SIDE, SIDE), target).map_err(Error::Internal)
            },
        )
}

/// Three planes to pixels of three bytes.
fn interleave(planes: &[u8], pixels: &mut [u8]) {
    let (red, rest) = planes.split_at(PLANE);
    let (green, blue) = rest.split_at(PLANE);
    for (((pixel, r), g), b) in pixels.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
        pixel.copy_from_slice(&[*r, *g, *b]);
    }
}
