//! The samples of all parts under one numbering: a copy may lie in another part.

use crate::artefact::tables::FoundSample;
use crate::data::{DataSet, Part, PartName};

/// All samples of a data set: those of the training part by their positions, then those of the shipped
/// validation part, then those of the test part.
pub struct AllSamples<'a> {
    data: &'a DataSet,
    /// The parts that there are, with the number of their first sample.
    parts: Vec<(PartName, &'a Part, usize)>,
}

impl<'a> AllSamples<'a> {
    /// Numbers the samples.
    pub fn of(data: &'a DataSet) -> AllSamples<'a> {
        let (mut parts, mut first) = (Vec::new(), 0);
        for name in [PartName::Train, PartName::Val, PartName::Test] {
            let Some(part) = data.part(name) else { continue };
            parts.push((name, part, first));
            first += part.len();
        }
        AllSamples { data, parts }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|(_, part, _)| part.len()).sum()
    }

    /// Whether there are none, which no data set is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parts and their sizes, the training part first.
    pub fn parts(&self) -> impl Iterator<Item = (PartName, usize)> {
        self.parts.iter().map(|(name, part, _)| (*name, part.len()))
    }

    /// The numbers of the samples that a check looks at, ascending: of the training part those that a
    /// long tail leaves.
    pub fn present(&self) -> Vec<usize> {
        let others = self.data.train.len()..self.len();
        self.data.present().into_iter().chain(others).collect()
    }

    /// Whether samples are of another part than that of training, by number.
    pub fn held_out(&self) -> Vec<bool> {
        let train = self.data.train.len();
        (0..self.len()).map(|i| i >= train).collect()
    }

    /// The part of a sample and its position there.
    pub fn place(&self, number: usize) -> (PartName, &'a Part, usize) {
        let found = self.parts.iter().rev().find(|(_, _, first)| *first <= number);
        let (name, part, first) = found.expect("the training part begins at 0");
        (*name, part, number - first)
    }

    /// Height and width of every image.
    pub fn size(&self) -> [usize; 2] {
        [self.data.height, self.data.width]
    }

    /// The pixels of a sample.
    pub fn image(&self, number: usize) -> &'a [u8] {
        let (_, part, i) = self.place(number);
        part.image(i)
    }

    /// The class of a sample.
    pub fn label(&self, number: usize) -> u32 {
        let (_, part, i) = self.place(number);
        part.labels[i]
    }

    /// The sample as files name it.
    pub fn named(&self, number: usize) -> FoundSample {
        let (name, part, i) = self.place(number);
        FoundSample {
            part: name.name().to_owned(),
            index: i as u64,
            id: part.ids[i].clone(),
            label: part.labels[i],
        }
    }
}
