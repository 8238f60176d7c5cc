//! A labelled image set in memory, and what it knows of itself.

use super::attributes::Attributes;
use super::contents::Contents;
use super::fingerprint;
use super::format::Format;
use super::part::Part;
use super::split::{self, PartName, Split, SplitKind};
use super::statistics::{self, ChannelStatistics};
use crate::error::{Error, Result};

/// A labelled image set.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Name of what was loaded: `shapes`, or the last component of the path.
    pub name: String,
    /// The format in which it was stored.
    pub format: Format,
    /// Class names; a label is an index into it.
    pub classes: Vec<String>,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// The training part, never empty.
    pub train: Part,
    /// A labelled validation split that the data set ships apart from its test part.
    pub val: Option<Part>,
    /// The test part, where there is one.
    pub test: Option<Part>,
    /// The attribute that every sample has besides its class, where there is one.
    pub attributes: Option<Attributes>,
    /// 32 hexadecimal digits that change with any class name, id, label, size or pixel of any part,
    /// and with any attribute.
    ///
    /// BLAKE3 over, in this order: format version, number of classes, each name with its length,
    /// height, width; then of training, validation and test part: a presence byte, the number of
    /// images, each id with its length, the labels, the pixels. With attributes there follow their
    /// name, the number of values, each name with its length, and the attributes of each part.
    /// Integers are little-endian u64, labels and attributes u32. The path and the storage format do
    /// not enter: a moved or copied set stays the same.
    ///
    /// A long tail hashes it once more, with the positions that stay.
    pub fingerprint: String,
    /// Injected class imbalance of the training part, see [`DataSet::with_long_tail`].
    pub long_tail: Option<LongTail>,
    /// What the reader left out, in sentences for people.
    pub notes: Vec<String>,
}

/// The imbalance of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LongTail {
    /// Size of the first class over that of the last, if all were equally large before.
    pub factor: f64,
    /// Seed of the draw of the samples that stay.
    pub seed: u64,
    /// Positions of the training part that stay, ascending.
    pub present: Vec<usize>,
    /// Fingerprint of the set without the imbalance.
    pub of: String,
}

impl DataSet {
    /// Assembles a data set without attributes as [`DataSet::of`] does.
    pub fn new(
        name: impl Into<String>,
        format: Format,
        classes: Vec<String>,
        size: (usize, usize),
        train: Part,
        val: Option<Part>,
        test: Option<Part>,
    ) -> Result<Self> {
        Self::of(name, format, Contents { classes, size, train, val, test, attributes: None })
    }

    /// Assembles a data set from its parts and computes the fingerprint.
    ///
    /// # Errors
    /// There is no training image, or a label or an attribute has no name.
    pub fn of(name: impl Into<String>, format: Format, contents: Contents) -> Result<Self> {
        let name = name.into();
        let (height, width) = contents.size;
        let parts = contents.parts();
        for (part_name, part) in parts {
            let Some(part) = part else { continue };
            check_part(&name, part_name, part, contents.classes.len(), height * width * 3)?;
            if let Some(attributes) = &contents.attributes {
                attributes.check(&name, part)?;
            }
        }
        if contents.train.is_empty() {
            return Err(Error::invalid(
                format!("data set {name}"),
                "no training images",
                "at least one training image",
            ));
        }
        let fingerprint = fingerprint::fingerprint(&contents);
        let Contents { classes, train, val, test, attributes, .. } = contents;
        let notes = Vec::new();
        Ok(DataSet {
            name,
            format,
            classes,
            height,
            width,
            train,
            val,
            test,
            attributes,
            fingerprint,
            long_tail: None,
            notes,
        })
    }

    /// Returns 32 hexadecimal digits that change with any class name, id or label of the training
    /// part, with their order, and with a long tail, but not with pixels or other parts. Positions
    /// mean the same samples wherever these digits are equal.
    pub fn samples_fingerprint(&self) -> String {
        let present = self.long_tail.as_ref().map(|tail| tail.present.as_slice());
        fingerprint::samples(&self.classes, &self.train.ids, &self.train.labels, present)
    }

    /// Returns the part of that name, where the data set has it.
    pub fn part(&self, name: PartName) -> Option<&Part> {
        match name {
            PartName::Train => Some(&self.train),
            PartName::Val => self.val.as_ref(),
            PartName::Test => self.test.as_ref(),
        }
    }

    /// Returns the mean and standard deviation of each channel over the training part, in [0, 1]
    /// units.
    pub fn channel_statistics(&self) -> ChannelStatistics {
        if let Some(tail) = &self.long_tail {
            return self.channel_statistics_of(&tail.present);
        }
        statistics::channel_statistics(&self.train.images)
    }

    /// Returns the channel statistics over chosen training positions only (those that a split
    /// leaves for training).
    pub fn channel_statistics_of(&self, positions: &[usize]) -> ChannelStatistics {
        statistics::channel_statistics_of(&self.train, positions)
    }

    /// Divides the set as `kind` says; `None` takes the shipped validation part where there is one,
    /// else [`SplitKind::Holdout`].
    pub fn split(&self, kind: Option<SplitKind>, seed: u64) -> Result<Split> {
        let kind = kind.unwrap_or(match self.val {
            Some(_) => SplitKind::Shipped,
            None => SplitKind::Holdout,
        });
        let val = self.val.as_ref().map(|p| p.labels.as_slice());
        let test = self.test.as_ref().map(|p| p.labels.as_slice());
        let labels = &self.train.labels;
        let Some(tail) = &self.long_tail else {
            return Split::new(kind, &self.classes, labels, val, test, seed);
        };
        let there = self.present_labels();
        let split = Split::new(kind, &self.classes, &there, val, test, seed)?;
        Ok(split.within(&tail.present, labels.len()))
    }

    /// Returns the split of a training that nobody asked to hold anything out: the shipped validation
    /// part where there is one; else a holdout where that costs at most a fifth of the training
    /// images (it takes at least 50 of a class where it can), else none.
    pub fn split_to_train(&self) -> SplitKind {
        let labels = self.present_labels();
        let held_out = split::holdout_size(&labels, self.classes.len());
        match self.split_to_keep_all() {
            SplitKind::None if held_out > 0 && 5 * held_out <= labels.len() => SplitKind::Holdout,
            other => other,
        }
    }

    /// Returns the split of work that measures nothing on validation images: the shipped part where
    /// there is one, which costs no training image, else none.
    pub fn split_to_keep_all(&self) -> SplitKind {
        if self.val.is_some() { SplitKind::Shipped } else { SplitKind::None }
    }

    /// Labels of the training images that a long tail has left.
    fn present_labels(&self) -> Vec<u32> {
        self.present().iter().map(|&i| self.train.labels[i]).collect()
    }
}

fn check_part(set: &str, part: &str, p: &Part, classes: usize, image: usize) -> Result<()> {
    if p.images.len() != p.labels.len() * image || p.ids.len() != p.labels.len() {
        return Err(Error::Internal(format!(
            "{part} part of {set}: {} bytes, {} labels, {} ids do not fit together",
            p.images.len(),
            p.labels.len(),
            p.ids.len()
        )));
    }
    match p.labels.iter().position(|&l| l as usize >= classes) {
        Some(i) => Err(Error::invalid(
            format!("{set}, {part} image {}", p.ids[i]),
            format!("label {}", p.labels[i]),
            format!("a label below {classes}, the number of classes"),
        )),
        None => Ok(()),
    }
}
