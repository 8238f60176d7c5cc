//! Parquet files with image bytes, as Hugging Face's hub stores them.
//!
//! Shards are `train-*.parquet`, `validation-*.parquet`, `test-*.parquet` in the root, in `data`,
//! in the only folder that has any, or in folders called after the parts. The order is that of the
//! sorted names and of the rows, as `datasets.load_dataset` has it. Class names are those of the
//! `ClassLabel` in the metadata, else the numbers. A test part whose labels are all -1 has no
//! labels and is never used.

mod file;
mod files;
mod padded;
mod pages;
pub mod schema;

use std::path::Path;

use ::parquet::data_type::ByteArray;

use self::file::Shard;
use super::StatedLayout;
use super::class_names::{NamesFile, NumberedClasses, number};
use super::images::{Counter, Decoder, Store};
use super::shards::{Shards, label, path};
use super::{Contents, DataSet, DecodeLimits, Format, LoadOptions, Part, PartName, Progress};
use crate::error::{Error, Result};
pub use file::{ParquetRows, rows};
pub(super) use files::is;

/// Reads labels and images of all shards.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let Shards { parts: [train, val, test], mut notes } = files::shards(root, &options.stated)?;
    if train.is_empty() {
        return Err(Error::invalid(
            root.display().to_string(),
            "no training shards",
            "train-*.parquet, in the root or in data, or a single Parquet file",
        ));
    }
    let open = |names: Vec<String>, part| Shelf::open(root, &names, part, options);
    let mut train = open(train, PartName::Train)?;
    let (mut val, mut test) = (open(val, PartName::Val)?, open(test, PartName::Test)?);
    notes.extend(train.shards.first().and_then(Shard::guess));
    if test.unlabelled {
        notes.push(format!("the {} test images have no labels and are not used", test.len()));
        test = Shelf::default();
    }
    if test.len() == 0 {
        std::mem::swap(&mut val, &mut test);
    }
    let parts = [&train, &val, &test];
    let total = parts.iter().map(|p| p.len()).sum();
    let stated = stated_classes(&parts)?;
    let mut labels: Vec<Vec<u32>> = parts.iter().map(|p| p.labels.clone()).collect();
    let (classes, note) = classes(root, stated, labels.iter_mut().collect(), &options.stated)?;
    notes.extend(note);
    for (shelf, labels) in [&mut train, &mut val, &mut test].into_iter().zip(labels) {
        shelf.labels = labels;
    }
    let decoder = train.decoder(options, Counter::new(total, progress))?;
    let optional = |shelf: Shelf| match shelf.len() {
        0 => Ok(None),
        _ => shelf.part(&decoder, options.limits).map(Some),
    };
    let contents = Contents {
        classes,
        size: decoder.size(),
        val: optional(val)?,
        test: optional(test)?,
        train: train.part(&decoder, options.limits)?,
        attributes: None,
    };
    let mut set = DataSet::of(name, Format::Parquet, contents)?;
    set.notes = notes;
    Ok(set)
}

/// Returns the names that the shards state, which must be the same and enough.
fn stated_classes(parts: &[&Shelf]) -> Result<Option<Vec<String>>> {
    let least = parts.iter().filter_map(|p| p.labels.iter().max()).max();
    let least = least.map_or(0, |&l| l as usize + 1);
    let mut stated =
        parts.iter().flat_map(|p| &p.shards).filter_map(|s| s.classes().map(|c| (s, c)));
    let Some((first, names)) = stated.next() else { return Ok(None) };
    if let Some((other, _)) = stated.find(|(_, other)| *other != names) {
        return Err(Error::invalid(
            other.name(),
            "other class names",
            format!("those of {}", first.name()),
        ));
    }
    if names.len() < least {
        return Err(Error::invalid(
            first.name(),
            format!("{} class names", names.len()),
            format!("at least {least}, since there is a label {}", least - 1),
        ));
    }
    Ok(Some(names.to_vec()))
}

/// Returns the class names: those that the shards state, else those beside them, or numbers.
fn classes(
    root: &Path,
    stated: Option<Vec<String>>,
    labels: Vec<&mut Vec<u32>>,
    layout: &StatedLayout,
) -> Result<NumberedClasses> {
    let folder = if root.is_file() { root.parent().unwrap_or(root) } else { root };
    match (stated, layout.labels_from) {
        (Some(names), None) => Ok((names, None)),
        (Some(_), Some(_)) => {
            let expected = "no `labels_from`: the names start at 0";
            Err(Error::invalid(
                root.display().to_string(),
                "files that name their classes",
                expected,
            ))
        }
        (None, _) => {
            number(&root.display().to_string(), labels, NamesFile::beside(folder)?, layout)
        }
    }
}

/// The shards of one part and their labels.
#[derive(Default)]
struct Shelf {
    shards: Vec<Shard>,
    labels: Vec<u32>,
    ids: Vec<String>,
    unlabelled: bool,
}

impl Shelf {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn open(root: &Path, names: &[String], part: PartName, options: &LoadOptions) -> Result<Shelf> {
        let mut shelf = Shelf::default();
        let mut labels = Vec::new();
        for name in names {
            let shard = Shard::open(&path(root, name), options)?;
            let first = labels.len();
            labels.extend(shard.labels()?);
            let name = label(root, name);
            shelf.ids.extend((0..labels.len() - first).map(|i| format!("{name}:{i}")));
            shelf.shards.push(shard);
        }
        let none = !labels.is_empty() && labels.iter().all(|&l| l == -1);
        shelf.unlabelled = none && part == PartName::Test;
        if !shelf.unlabelled {
            let each = labels.into_iter().zip(&shelf.ids);
            let label = |(label, id): (i64, &String)| {
                u32::try_from(label).ok().filter(|&l| l < file::MOST_CLASSES).ok_or_else(|| {
                    Error::invalid(id, format!("label {label}"), "a class number from 0 up")
                })
            };
            shelf.labels = each.map(label).collect::<Result<_>>()?;
        }
        Ok(shelf)
    }

    /// Returns the decoder for the size that is asked for, else for that of the first image.
    fn decoder<'a>(&self, options: &LoadOptions, counter: Counter<'a>) -> Result<Decoder<'a>> {
        let mut first = Vec::new();
        let shard = self.shards.first().ok_or_else(|| Error::Internal("no shard".to_owned()))?;
        if options.image_size.is_none() {
            shard.images(options.limits, 1, |_, images| {
                first.extend_from_slice(&images[..1.min(images.len())]);
                Ok(false)
            })?;
        }
        let store = Batch { images: &first, name: shard.name(), start: 0 };
        Decoder::new(&store, options, counter)
    }

    fn part(self, decoder: &Decoder, limits: DecodeLimits) -> Result<Part> {
        let mut pixels = decoder.room(self.len())?;
        let mut done = 0;
        for shard in &self.shards {
            let first = done;
            shard.images(limits, file::BATCH, |start, images| {
                let from = (first + start) * decoder.bytes();
                let slots = pixels.get_mut(from..from + images.len() * decoder.bytes());
                let slots = slots.ok_or_else(|| {
                    Error::invalid(shard.name(), "more images than labels", "one label an image")
                })?;
                decoder.fill(&Batch { images, name: shard.name(), start }, slots)?;
                done += images.len();
                Ok(true)
            })?;
        }
        if done != self.len() {
            return Err(Error::invalid(
                self.shards.first().map_or("", |s| s.name()),
                format!("{done} images in the part"),
                format!("{}, one a label", self.len()),
            ));
        }
        Ok(Part {
            images: pixels.freeze()?,
            labels: self.labels,
            ids: self.ids,
            attributes: Vec::new(),
        })
    }
}

/// Consecutive images of a shard.
struct Batch<'a> {
    images: &'a [ByteArray],
    name: &'a str,
    start: usize,
}

impl Store for Batch<'_> {
    fn read(&self, i: usize, limits: DecodeLimits, bytes: &mut Vec<u8>) -> Result<()> {
        let Some(image) = self.images.get(i) else {
            return Err(Error::invalid(self.name, "no rows", "at least one row"));
        };
        if image.len() as u64 > limits.file_bytes {
            return Err(Error::invalid(
                self.place(i),
                format!("{} bytes", image.len()),
                format!("an image of at most {} bytes", limits.file_bytes),
            ));
        }
        bytes.clear();
        bytes.extend_from_slice(image.data());
        Ok(())
    }

    fn place(&self, i: usize) -> String {
        format!("{}, row {}", self.name, self.start + i)
    }
}
