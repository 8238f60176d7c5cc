//! WebDataset: tar files whose members `KEY.jpg` and `KEY.cls` or `KEY.json` make a sample.
//!
//! Shards are `train-*.tar`, `val-*.tar`, `test-*.tar` (or tars in folders of these names, or one
//! tar), in the order of their numbers; samples come in the order of the archive, as the
//! `webdataset` package reads them without shuffling. The files hold no class names, so that
//! classes are called by their numbers or by the lines of `classes.txt` or `classnames.txt` beside
//! the shards.

pub mod shard;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::shard::ShardSample;
use super::class_names::class_names;
use super::images::{Counter, Decoder, Store};
use super::shards::{Shards, by_number, label, path};
use super::{Contents, DataSet, DecodeLimits, Format, LoadOptions, Part, PartName, Progress};
use crate::error::{Error, Result};

const EXTENSION: &str = ".tar";

fn shards(root: &Path) -> Result<Shards> {
    let mut shards = Shards::find(root, EXTENSION, &[""])?;
    shards.0.iter_mut().for_each(|part| part.sort_by(|a, b| by_number(a, b)));
    Ok(shards)
}

/// Tells whether `root` holds training shards.
pub(super) fn is(root: &Path) -> Result<bool> {
    Ok(shards(root)?.any())
}

/// Indexes the shards and decodes their images.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let [train, val, test] = shards(root)?.0;
    if train.is_empty() {
        return Err(Error::invalid(
            root.display().to_string(),
            "no training shards",
            "train-*.tar with val-*.tar or test-*.tar, or a single tar",
        ));
    }
    let read =
        |shards: &[String], part: PartName| Members::index(root, shards, part, options.limits);
    let train = read(&train, PartName::Train)?;
    let (mut val, mut test) = (read(&val, PartName::Val)?, read(&test, PartName::Test)?);
    let mut notes = Vec::new();
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
    let parts = [&train, &val, &test];
    let total = parts.iter().map(|p| p.len()).sum();
    let decoder = Decoder::new(&train, options, Counter::new(total, progress))?;
    let least = parts.iter().filter_map(|p| p.labels.iter().flatten().max()).max();
    let folder = if root.is_file() { root.parent().unwrap_or(root) } else { root };
    let classes = class_names(folder, least.map_or(0, |&l| l as usize + 1))?;
    let optional = |members: Members| match members.len() {
        0 => Ok(None),
        _ => members.part(&decoder).map(Some),
    };
    let contents = Contents {
        classes,
        size: decoder.size(),
        val: optional(val)?,
        test: optional(test)?,
        train: train.part(&decoder)?,
        attributes: None,
    };
    let mut set = DataSet::of(name, Format::Webdataset, contents)?;
    set.notes = notes;
    Ok(set)
}

/// The samples of one part and where their images lie.
#[derive(Default)]
struct Members {
    shards: Vec<PathBuf>,
    /// Shard, first byte and length of each image.
    images: Vec<(u32, u64, u64)>,
    labels: Vec<Option<u32>>,
    ids: Vec<String>,
}

impl Members {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn without_labels(&self) -> bool {
        self.len() > 0 && self.labels.iter().all(Option::is_none)
    }

    /// Reads the headers of the shards, several at a time. Test samples may all lack labels.
    fn index(
        root: &Path,
        shards: &[String],
        part: PartName,
        limits: DecodeLimits,
    ) -> Result<Members> {
        let indexed: Vec<Result<Vec<ShardSample>>> = shards
            .par_iter()
            .map(|shard| {
                let path = path(root, shard);
                let file = File::open(&path).map_err(Error::io(&path))?;
                let length = file.metadata().map_err(Error::io(&path))?.len();
                shard::index(file, length, limits, &path.display().to_string())
            })
            .collect();
        let mut members = Members::default();
        for (number, (shard, samples)) in shards.iter().zip(indexed).enumerate() {
            members.shards.push(path(root, shard));
            let name = label(root, shard);
            for sample in samples? {
                members.images.push((number as u32, sample.start, sample.length));
                members.labels.push(sample.label);
                members.ids.push(format!("{name}:{}", sample.key));
            }
        }
        let unlabelled = members.labels.iter().position(Option::is_none);
        match unlabelled {
            Some(i) if part != PartName::Test || !members.without_labels() => Err(Error::invalid(
                members.place(i),
                "no class",
                "a member KEY.cls with a whole number, or KEY.json with one under \"label\"",
            )),
            _ => Ok(members),
        }
    }

    fn part(self, decoder: &Decoder) -> Result<Part> {
        let images = decoder.all(&self, self.len())?;
        let labels = self.labels.into_iter().flatten().collect();
        Ok(Part { images, labels, ids: self.ids, attributes: Vec::new() })
    }
}

impl Store for Members {
    fn read(&self, i: usize, _: DecodeLimits, bytes: &mut Vec<u8>) -> Result<()> {
        let (shard, start, length) = self.images[i];
        let path = &self.shards[shard as usize];
        // The length was checked against the limits and the file's size when the shard was indexed.
        bytes.resize(length as usize, 0);
        let mut file = File::open(path).map_err(Error::io(path))?;
        file.seek(SeekFrom::Start(start)).map_err(Error::io(path))?;
        file.read_exact(bytes).map_err(Error::io(path))
    }

    fn place(&self, i: usize) -> String {
        let path = &self.shards[self.images[i].0 as usize];
        let key = self.ids[i].split_once(".tar:").map_or(self.ids[i].as_str(), |(_, key)| key);
        format!("{}, sample {key}", path.display())
    }
}
