//! CIFAR-10 and CIFAR-100: images of 32 x 32, stored as three planes.
//!
//! Source of both versions: <https://www.cs.toronto.edu/~kriz/cifar.html>. Batches come in the order
//! of their numbers, as torchvision's `CIFAR10` and `CIFAR100` have them; the class is the fine label.

pub mod binary;
pub mod pickle;
pub mod python;

use std::path::Path;

use rayon::prelude::*;

use super::resize::Square;
use super::sequence::{gaps, missing_or_notes};
use super::{Part, StatedLayout};
use crate::error::{Error, Result};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const IMAGE: usize = 3 * PLANE;

/// How the names of CIFAR-10's training files begin.
const BATCH: &str = "data_batch_";

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

/// Returns the names of 10 or 100 classes, for files that come without them.
fn known_classes(classes: usize) -> Vec<String> {
    let names = if classes == 10 { CIFAR10_CLASSES } else { CIFAR100_CLASSES };
    names.split_whitespace().map(str::to_owned).collect()
}

/// A part that grows file by file.
#[derive(Default)]
struct Growing {
    images: Vec<u8>,
    labels: Vec<u32>,
    ids: Vec<String>,
}

impl Growing {
    /// Appends the records of one file, each of which has `skip` bytes and three planes.
    fn append(
        &mut self,
        file: &str,
        labels: impl Iterator<Item = u32>,
        (records, skip): (&[u8], usize),
        side: usize,
    ) -> Result<()> {
        let (record, image) = (skip + IMAGE, side * side * 3);
        let count = records.len() / record;
        self.labels.extend(labels);
        self.ids.extend((0..count).map(|i| format!("{file}:{i}")));
        let start = self.images.len();
        self.images.resize(start + count * image, 0);
        self.images[start..]
            .par_chunks_exact_mut(image)
            .zip(records.par_chunks_exact(record))
            .try_for_each_init(
                || (Square::new(side), vec![0; IMAGE]),
                |(square, buffer), (target, record)| {
                    if side == SIDE {
                        interleave(&record[skip..], target);
                        return Ok(());
                    }
                    interleave(&record[skip..], buffer);
                    square.square(buffer, (SIDE, SIDE), target).map_err(Error::Internal)
                },
            )
    }

    fn part(self) -> Part {
        let Growing { images, labels, ids } = self;
        Part { images: images.into(), labels, ids, attributes: Vec::new() }
    }
}

/// Turns three planes into pixels of three bytes.
fn interleave(planes: &[u8], pixels: &mut [u8]) {
    let (red, rest) = planes.split_at(PLANE);
    let (green, blue) = rest.split_at(PLANE);
    for (((pixel, r), g), b) in pixels.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
        pixel.copy_from_slice(&[*r, *g, *b]);
    }
}

/// The batches of CIFAR-10 in a folder, and what is missing among them.
struct Batches {
    /// The files' names in the order of their numbers.
    files: Vec<String>,
    notes: Vec<String>,
}

/// Lists the files `data_batch_N` of a folder, with this ending, whatever their numbers.
fn batches(folder: &Path, ending: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let number = |name: &str| -> Option<u64> {
        name.strip_prefix(BATCH)?.strip_suffix(ending)?.parse().ok()
    };
    let mut found: Vec<(u64, String)> = { entries.flatten() }
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| Some((number(&name)?, name)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name).collect()
}

/// Refuses a gap in the batches, which would shift every index after it, or notes it where that is
/// allowed. Batches start at 0 or 1.
fn without_gaps(
    folder: &Path,
    files: Vec<String>,
    ending: &str,
    stated: &StatedLayout,
) -> Result<Batches> {
    let what = folder.display().to_string();
    let stems: Vec<&str> = files.iter().map(|name| name.trim_end_matches(ending)).collect();
    let mut missing = gaps(&what, &stems)?;
    let first = stems.first().and_then(|s| s.strip_prefix(BATCH)?.parse::<u64>().ok());
    if let Some(first @ 2..) = first {
        let absent = match first {
            2 => format!("{BATCH}1{ending}"),
            _ => format!("{BATCH}1{ending} to {BATCH}{}{ending}", first - 1),
        };
        missing.insert(0, format!("{} but no {absent}", files[0]));
    }
    let notes = missing_or_notes(&what, missing, stated.allow_missing)?;
    Ok(Batches { files, notes })
}

/// Returns a label among `classes`, or an error that names the record.
fn label(what: &str, record: usize, label: i64, classes: usize) -> Result<u32> {
    match u32::try_from(label) {
        Ok(l) if (l as usize) < classes => Ok(l),
        _ => Err(Error::invalid(
            format!("{what}, record {record}"),
            format!("label {label}"),
            format!("a label below {classes}"),
        )),
    }
}
