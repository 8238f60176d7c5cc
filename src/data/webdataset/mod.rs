//! WebDataset: tar files whose members `KEY.jpg` and `KEY.cls` or `KEY.json` make a sample.
//!
//! Shards are `train-*.tar`, `val-*.tar`, `test-*.tar` (or tars in folders of these names, or one
//! tar), in the order of their numbers; samples come in the order of the archive, as the
//! `webdataset` package reads them without shuffling. The files hold no class names, so that
//! classes are called by their numbers or by the lines of `classes.txt` or `classnames.txt` beside
//! the shards.

mod sample;
pub mod shard;

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use self::shard::{ShardIndex, ShardRules};
use super::archive::{ArchiveFile, MemberImages};
use super::class_names::{NamesFile, number};
use super::images::{Counter, Decoder, Store};
use super::shards::{ShardSearch, Shards, by_number, label, path};
use super::wording::some;
use super::{Contents, DataSet, Format, LoadOptions, Part, PartName, Progress, StatedLayout};
use crate::error::{Error, Result};

pub(super) use super::archive::EXTENSIONS;

fn shards(root: &Path, stated: &StatedLayout) -> Result<Shards> {
    let mut shards = ShardSearch { root, extensions: &EXTENSIONS, stated }.find(&[""])?;
    shards.parts.iter_mut().for_each(|part| part.sort_by(|a, b| by_number(a, b)));
    Ok(shards)
}

/// Tells whether `root` holds training shards, or archives that may be and of which `load` says what
/// is wrong with them.
pub(super) fn is(root: &Path, stated: &StatedLayout) -> bool {
    shards(root, stated).map_or(true, |shards| shards.any())
}

/// Indexes the shards and decodes their images.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let Shards { parts: [train, val, test], mut notes } = shards(root, &options.stated)?;
    if train.is_empty() {
        return Err(Error::invalid(
            root.display().to_string(),
            "no training shards",
            "train-*.tar with val-*.tar or test-*.tar, or a single tar",
        ));
    }
    let read = |shards: &[String], part: PartName| Members::index(root, shards, part, options);
    let mut train = read(&train, PartName::Train)?;
    let (mut val, mut test) = (read(&val, PartName::Val)?, read(&test, PartName::Test)?);
    if train.len() == 0 {
        let expected = "members KEY.jpg with KEY.cls or KEY.json";
        return Err(Error::invalid(root.display().to_string(), "no samples", expected));
    }
    notes.extend([&mut train, &mut val, &mut test].into_iter().flat_map(|p| p.notes.drain(..)));
    if test.without_labels() {
        notes.push(format!(
            "the {} samples of the test shards have no labels and are not used",
            test.len()
        ));
        test = Members::default();
    }
    if test.len() == 0 {
        std::mem::swap(&mut val, &mut test);
    }
    let total = [&train, &val, &test].iter().map(|p| p.len()).sum();
    let decoder = Decoder::new(&train.images, options, Counter::new(total, progress))?;
    let folder = if root.is_file() { root.parent().unwrap_or(root) } else { root };
    let mut labels = [&train, &val, &test].map(Members::known_labels);
    let what = root.display().to_string();
    let all = labels.iter_mut().collect();
    let (classes, note) = number(&what, all, NamesFile::beside(folder)?, &options.stated)?;
    notes.extend(note);
    let [train_labels, val_labels, test_labels] = labels;
    let optional = |members: Members, labels: Vec<u32>| match members.len() {
        0 => Ok(None),
        _ => members.part(labels, &decoder).map(Some),
    };
    let contents = Contents {
        classes,
        size: decoder.size(),
        val: optional(val, val_labels)?,
        test: optional(test, test_labels)?,
        train: train.part(train_labels, &decoder)?,
        attributes: None,
    };
    let mut set = DataSet::of(name, Format::Webdataset, contents)?;
    set.notes = notes;
    Ok(set)
}

/// The samples of one part and where their images lie.
#[derive(Default)]
struct Members {
    images: MemberImages,
    labels: Vec<Option<u32>>,
    ids: Vec<String>,
    notes: Vec<String>,
}

impl Members {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn without_labels(&self) -> bool {
        self.len() > 0 && self.labels.iter().all(Option::is_none)
    }

    fn known_labels(&self) -> Vec<u32> {
        self.labels.iter().flatten().copied().collect()
    }

    /// Reads the headers of the shards, several at a time. Test samples may all lack labels.
    fn index(
        root: &Path,
        shards: &[String],
        part: PartName,
        options: &LoadOptions,
    ) -> Result<Members> {
        let image_key = options.stated.image_key.as_deref().map(|k| k.trim_start_matches('.'));
        let rules = ShardRules { limits: options.limits, image_key };
        let indexed: Vec<Result<(ArchiveFile, ShardIndex)>> = shards
            .par_iter()
            .map(|shard| {
                let path = path(root, shard);
                let archive = ArchiveFile::open(&path, options.scratch.as_deref())?;
                let length = archive.length();
                let what = path.display().to_string();
                let index = shard::index(archive.reader()?, length, rules, &what)?;
                Ok((archive, index))
            })
            .collect();
        let mut members = Members::default();
        let mut notes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (number, (shard, indexed)) in shards.iter().zip(indexed).enumerate() {
            let (archive, index) = indexed?;
            let name = label(root, shard);
            for note in index.notes {
                notes.entry(note).or_default().push(name.clone());
            }
            members.images.archives.push(archive);
            for sample in index.samples {
                members.images.places.push((number as u32, sample.start, sample.length));
                members.labels.push(sample.label);
                members.ids.push(format!("{name}:{}", sample.key));
                members.images.names.push(sample.key);
            }
        }
        let say = |(note, names): (String, Vec<String>)| format!("{}: {note}", some(&names));
        members.notes = notes.into_iter().map(say).collect();
        let unlabelled = members.labels.iter().position(Option::is_none);
        match unlabelled {
            Some(i) if part != PartName::Test || !members.without_labels() => Err(Error::invalid(
                members.images.place(i),
                "no class",
                "a member KEY.cls with a whole number, or KEY.json with one under \"label\"",
            )),
            _ => Ok(members),
        }
    }

    fn part(self, labels: Vec<u32>, decoder: &Decoder) -> Result<Part> {
        let images = decoder.all(&self.images, self.len())?;
        Ok(Part { images, labels, ids: self.ids, attributes: Vec::new() })
    }
}
