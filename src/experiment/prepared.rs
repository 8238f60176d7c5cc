//! A data set ready for one kind of network on one device.

use std::sync::Arc;

use super::placement::{Placed, Placement};
use crate::data::{DataSet, Part, PartName, Partition, Split};
use crate::error::{Error, Result};
use crate::exec::{
    ArenaMode, Compute, Executor, Mode, PlannedMemory, Requirements, TrainOptions, planned_memory,
};
use crate::nn::{Network, NetworkSpec};
use crate::ops::sgd::SgdProblem;
use crate::ops::{Operators, Precision};
use crate::train::Recipe;
use crate::train::evaluate::EvaluationSet;

const PARTS: [PartName; 3] = [PartName::Train, PartName::Val, PartName::Test];

/// Images where the device finds them, the split, the network, the normalisation.
pub struct Prepared<B: Operators> {
    pub backend: Arc<B>,
    pub data: Arc<DataSet>,
    pub split: Split,
    pub spec: NetworkSpec,
    pub network: Network,
    /// Per channel, of values in [0, 1].
    pub mean: [f32; 3],
    pub std: [f32; 3],
    /// Samples of an evaluation batch.
    pub score_batch: usize,
    /// What quotas and reported metrics are over: the classes, unless [`Prepared::over`] says otherwise.
    pub partition: Partition,
    /// How activations are stored.
    pub precision: Precision,
    images: Placed<B>,
    /// Group (class x attribute) of each sample of each part; empty where there is no attribute.
    groups: [Vec<u32>; 3],
}

/// A pass over one part: kind, and number of positions.
pub type PassSize = (Mode, usize);

impl<B: Operators> Prepared<B> {
    /// Parts of `data` come to where the device reads them when they are first asked for.
    /// `normalisation` is mean and standard deviation, or those of the samples that the split leaves for
    /// training.
    pub fn new(
        backend: Arc<B>,
        data: Arc<DataSet>,
        split: Split,
        spec: NetworkSpec,
        normalisation: [Option<[f32; 3]>; 2],
        score_batch: usize,
    ) -> Result<Self> {
        let network = spec.build()?;
        let ([h, w], [image_h, image_w]) = (spec.size, [data.height, data.width]);
        if h > image_h || w > image_w {
            let expected = format!("at most the images' {image_w}x{image_h}");
            return Err(Error::invalid("--input-size", format!("{w}x{h}"), expected));
        }
        let [mean, std] = match normalisation {
            [Some(mean), Some(std)] => [mean, std],
            [mean, std] => {
                let statistics = data.channel_statistics_of(&split.train);
                [
                    mean.unwrap_or(statistics.mean.map(|v| v as f32)),
                    std.unwrap_or(statistics.std.map(|v| v as f32)),
                ]
            }
        };
        if let Some(c) = std.iter().position(|s| *s <= 0.0 || !s.is_finite()) {
            let what = format!("standard deviation of channel {c}");
            let expected =
                "a positive number; all images have one value there, so give --mean and --std";
            return Err(Error::invalid(what, std[c].to_string(), expected));
        }
        let groups = PARTS.map(|name| match (&data.attributes, data.part(name)) {
            (Some(attributes), Some(part)) => attributes.group_labels(part),
            _ => Vec::new(),
        });
        let partition = Partition::classes(&data);
        let precision = Precision::F32;
        Ok(Prepared {
            backend,
            data,
            split,
            spec,
            network,
            mean,
            std,
            score_batch,
            precision,
            partition,
            images: Placed::new(Placement::Auto),
            groups,
        })
    }

    /// The same with quotas and reported metrics over `partition`.
    pub fn over(self, partition: Partition) -> Self {
        Prepared { partition, ..self }
    }

    /// Group of each sample of a part; empty where the samples have no attribute.
    pub fn groups(&self, name: PartName) -> &[u32] {
        &self.groups[name as usize]
    }

    /// Group of each training sample in the partition: its class, or its class and attribute.
    pub fn train_labels(&self) -> &[u32] {
        match self.partition.attribute {
            Some(_) => self.groups(PartName::Train),
            None => &self.data.train.labels,
        }
    }

    /// Training samples that the split leaves, of each group of the partition.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.partition.len()];
        let labels = self.train_labels();
        self.split.train.iter().for_each(|&i| sizes[labels[i] as usize] += 1);
        sizes
    }

    /// The same with activations stored otherwise; an error where the device does not store them so.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        precision.check(&*self.backend)?;
        Ok(Prepared { precision, ..self })
    }

    /// The same with images where `placement` says.
    pub fn with_images(self, placement: Placement) -> Self {
        Prepared { images: Placed::new(placement), ..self }
    }

    /// Bytes of images that stay on the host and reach the device in batches; None where it has them.
    pub fn streamed(&self) -> Option<u64> {
        self.images.streamed(&self.data)
    }

    fn part(&self, name: PartName) -> Result<(&Part, &B::Images)> {
        let images = self.images.images(&self.backend, &self.data, name)?;
        let part = self.data.part(name);
        let part = part
            .ok_or_else(|| Error::Internal(format!("the data set has no {} part", name.name())))?;
        Ok((part, images))
    }

    /// Images of the training part.
    pub fn train_images(&self) -> Result<&B::Images> {
        Ok(self.part(PartName::Train)?.1)
    }

    /// Positions of one part, to evaluate or score.
    pub fn set<'a>(&'a self, name: PartName, positions: &'a [u32]) -> Result<EvaluationSet<'a, B>> {
        let (part, images) = self.part(name)?;
        let count = self.data.attributes.as_ref().map(|a| a.groups(self.data.classes.len()));
        let groups = count.map(|count| (self.groups(name), count));
        Ok(EvaluationSet { images, labels: &part.labels, positions, groups })
    }

    /// An executor for the given passes. Batches of training have the recipe's size, all others
    /// `score_batch`.
    /// `divergences`: training keeps every sample's last presentation.
    pub fn executor(
        &self,
        recipe: &Recipe,
        seed: u64,
        passes: &[PassSize],
        divergences: bool,
    ) -> Result<Executor<B>> {
        let requirements = self.requirements(recipe, seed, passes, divergences)?;
        Executor::new(Arc::clone(&self.backend), self.network.clone(), &requirements)
    }

    /// An executor for batches of `n` of one kind.
    pub(super) fn probe(&self, recipe: &Recipe, mode: Mode, n: usize) -> Result<Executor<B>> {
        let mut requirements = self.requirements(recipe, 0, &[(mode, n)], false)?;
        requirements.passes[0].1 = n;
        Executor::new(Arc::clone(&self.backend), self.network.clone(), &requirements)
    }

    /// What that executor would allocate; refuses what it would refuse.
    pub fn planned_memory(
        &self,
        recipe: &Recipe,
        passes: &[PassSize],
        divergences: bool,
    ) -> Result<PlannedMemory> {
        let requirements = self.requirements(recipe, 0, passes, divergences)?;
        planned_memory(&*self.backend, &self.network, &requirements)
    }

    fn requirements(
        &self,
        recipe: &Recipe,
        seed: u64,
        passes: &[PassSize],
        divergences: bool,
    ) -> Result<Requirements> {
        let largest = PARTS.iter().filter_map(|&p| self.data.part(p)).map(Part::len).max();
        let size = |mode| if mode == Mode::Train { recipe.batch } else { self.score_batch };
        let mut requirements = Requirements {
            passes: passes.iter().map(|&(mode, samples)| (mode, size(mode), samples)).collect(),
            capacity: largest.unwrap_or(0),
            options: TrainOptions {
                sgd: SgdProblem {
                    momentum: recipe.momentum,
                    weight_decay: recipe.weight_decay,
                    nesterov: recipe.nesterov,
                },
                smoothing: recipe.label_smoothing,
                augmentation: recipe.augmentation(),
                seed,
            },
            divergences,
            stored: Some([self.data.height, self.data.width]),
            mean: self.mean,
            std: self.std,
            arena: ArenaMode::Shared,
            compute: Compute::new(self.precision),
            memory_limit: None,
            stream: false,
        };
        let network = &self.network;
        self.images.require(&self.backend, &self.data, network, &mut requirements)?;
        Ok(requirements)
    }

    /// Class sizes of the training samples that the split leaves.
    pub fn class_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.data.classes.len()];
        self.split.train.iter().for_each(|&i| sizes[self.data.train.labels[i] as usize] += 1);
        sizes
    }
}

/// Positions as the device takes them.
pub fn positions(list: &[usize]) -> Vec<u32> {
    list.iter().map(|&i| i as u32).collect()
}
