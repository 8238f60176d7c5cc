//! A data set, its split and a network on an open device: what training, scoring and pruning work on.
//!
//! Nothing here is generic: what must know the backend's type goes through `OnBackend`.

use std::sync::Arc;

use super::device::Device;
use super::placement::{Placed, PlacedImages, Placement};
use crate::backend::Cpu;
use crate::cuda::Cuda;
use crate::data::{DataSet, Part, PartName, Partition, Split};
use crate::error::{Error, Result};
use crate::exec::{
    ArenaMode, Compute, EvaluationSet, Executor, Mode, PlannedMemory, Requirements, TrainOptions,
    planned_memory,
};
use crate::nn::{Network, NetworkSpec};
use crate::ops::sgd::SgdProblem;
use crate::ops::{Operators, Precision};
use crate::train::Recipe;

const PARTS: [PartName; 3] = [PartName::Train, PartName::Val, PartName::Test];

/// Images where the device finds them, the split, the network, the normalisation.
pub struct Session {
    pub device: Device,
    pub data: Arc<DataSet>,
    pub split: Split,
    /// Seed of everything random that is done here.
    pub seed: u64,
    pub spec: NetworkSpec,
    pub network: Network,
    /// Channel means and standard deviations of values in [0, 1].
    pub mean: [f32; 3],
    pub std: [f32; 3],
    /// Number of samples of an evaluation batch.
    pub score_batch: usize,
    /// What quotas and reported metrics are over: the classes, unless [`Session::over`] says otherwise.
    pub partition: Partition,
    /// How activations are stored.
    pub precision: Precision,
    images: PlacedImages,
    /// Group (class x attribute) of each sample of each part; empty where there is no attribute.
    groups: [Vec<u32>; 3],
}

/// A pass over one part: its kind, and its number of positions.
pub type PassSize = (Mode, usize);

/// What decides how a session's network sees images.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Channel means and standard deviations; None takes those of the samples that the split leaves for
    /// training.
    pub normalisation: [Option<[f32; 3]>; 2],
    /// Number of samples of an evaluation batch.
    pub score_batch: usize,
    pub placement: Placement,
    pub precision: Precision,
}

impl Default for Seen {
    fn default() -> Self {
        Seen {
            normalisation: [None, None],
            score_batch: 128,
            placement: Placement::Auto,
            precision: Precision::F32,
        }
    }
}

impl Session {
    /// Builds the network for the data set. Parts of `data` come to where the device reads them when they
    /// are first asked for.
    ///
    /// # Errors
    /// A network that cannot be built or that sees more than the images have, a channel that is the same
    /// everywhere, a precision that the device does not have, a batch of no samples.
    pub fn new(
        device: Device,
        data: Arc<DataSet>,
        split: Split,
        spec: NetworkSpec,
        seen: Seen,
    ) -> Result<Self> {
        if seen.score_batch == 0 {
            return Err(Error::invalid("`score_batch`", "0", "at least 1"));
        }
        let network = spec.build()?;
        let ([h, w], [image_h, image_w]) = (spec.size, [data.height, data.width]);
        if h > image_h || w > image_w {
            let expected = format!("at most the images' {image_w}x{image_h}");
            return Err(Error::invalid("`input_size`", format!("{w}x{h}"), expected));
        }
        let [mean, std] = match seen.normalisation {
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
                "a positive number; all images have one value there, so give `mean` and `std`";
            return Err(Error::invalid(what, std[c].to_string(), expected));
        }
        let groups = PARTS.map(|name| match (&data.attributes, data.part(name)) {
            (Some(attributes), Some(part)) => attributes.group_labels(part),
            _ => Vec::new(),
        });
        Ok(Session {
            images: PlacedImages::new(&device, seen.placement),
            seed: split.seed,
            partition: Partition::classes(&data),
            precision: seen.precision,
            score_batch: seen.score_batch,
            device,
            data,
            split,
            spec,
            network,
            mean,
            std,
            groups,
        })
    }

    /// Counts quotas and reported metrics over `partition`.
    pub fn over(self, partition: Partition) -> Self {
        Session { partition, ..self }
    }

    /// Draws everything random from `seed`.
    pub fn seeded(self, seed: u64) -> Self {
        Session { seed, ..self }
    }

    /// The group of each sample of a part; empty where the samples have no attribute.
    pub fn groups(&self, name: PartName) -> &[u32] {
        &self.groups[name as usize]
    }

    /// Class and attribute of every sample of a part together, class by class, and the number of such
    /// groups; classes alone where the data set has no attribute.
    pub fn all_groups(&self, part: PartName) -> (&[u32], usize) {
        let classes = self.data.classes.len();
        match &self.data.attributes {
            Some(attributes) => (self.groups(part), attributes.groups(classes)),
            None => (self.data.part(part).map_or(&[], |p| &p.labels), classes),
        }
    }

    /// The group of each training sample in the partition: its class, or its class and attribute.
    pub fn train_labels(&self) -> &[u32] {
        match self.partition.attribute {
            Some(_) => self.groups(PartName::Train),
            None => &self.data.train.labels,
        }
    }

    /// Refuses quotas from recalls where a class or group of `partition` that may be pruned has no validation
    /// image: now, and not when the query runs are done.
    pub fn check_recalls(&self, partition: &Partition) -> Result<()> {
        let split = &self.split;
        // Of folds, every training image validates once.
        let (name, val) = match split.val.is_empty() {
            true => (PartName::Train, &split.train),
            false => (split.val_part, &split.val),
        };
        let (data, mut counts) = (&self.data, vec![0u64; partition.len()]);
        if let Some(part) = data.part(name) {
            let labels = partition.labels(data, part);
            val.iter().for_each(|&i| counts[labels[i] as usize] += 1);
        }
        let sizes = partition.sizes(data, &split.train);
        match (0..sizes.len()).find(|&k| sizes[k] > 0 && counts[k] == 0) {
            None => Ok(()),
            Some(k) => {
                let unit = partition.unit();
                let found = format!("no validation image of {unit} {:?}", partition.names[k]);
                let expected = format!(
                    "at least one of every {unit} that has training images, which its recall is measured \
                     on; or `smooth` laplace"
                );
                Err(Error::invalid("quotas from recalls", found, expected))
            }
        }
    }

    /// What is pruned: the training samples by class or group, of which the split's may be kept.
    pub fn population(&self) -> crate::prune::Population<'_> {
        crate::prune::Population {
            labels: self.train_labels(),
            eligible: &self.split.train,
            classes: self.partition.len(),
        }
    }

    /// The number of training samples that the split leaves of each group of the partition.
    pub fn sizes(&self) -> Vec<usize> {
        self.sizes_over(&self.partition)
    }

    /// The number of training samples that the split leaves of each group of any partition.
    pub fn sizes_over(&self, partition: &Partition) -> Vec<usize> {
        partition.sizes(&self.data, &self.split.train)
    }

    /// The shorter side of what the network sees of an image, in pixels.
    pub fn side(&self) -> usize {
        self.spec.size[0].min(self.spec.size[1])
    }

    /// Bytes of images that stay on the host and reach the device in batches; None where it has them.
    pub fn streamed(&self) -> Option<u64> {
        on_backend!(self, on => on.images.streamed(&self.data))
    }

    /// The name of the arithmetic that the results come from: the backend with its numerics plan.
    pub fn numerics(&self) -> String {
        on_backend!(self, on => crate::ops::numerics(on.backend.as_ref(), self.precision))
    }

    /// What an executor for these passes would allocate; refuses what it would refuse.
    pub fn planned_memory(
        &self,
        recipe: &Recipe,
        passes: &[PassSize],
        divergences: bool,
    ) -> Result<PlannedMemory> {
        on_backend!(self, on => {
            let requirements = on.requirements(recipe, 0, passes, divergences)?;
            planned_memory(&**on.backend, &self.network, &requirements)
        })
    }

    /// The session together with the backend that computes.
    pub(super) fn on_backend(&self) -> Backends<'_> {
        match (&self.images, self.device.card()) {
            (PlacedImages::Cuda(images), Some(backend)) => {
                Backends::Cuda(OnBackend { session: self, backend, images })
            }
            (PlacedImages::Cpu(images), _) => {
                let backend = self.device.host();
                Backends::Cpu(OnBackend { session: self, backend, images })
            }
            (PlacedImages::Cuda(_), None) => unreachable!("images were placed for this device"),
        }
    }
}

/// A session with its backend's type.
pub(super) struct OnBackend<'a, B: Operators> {
    pub session: &'a Session,
    pub backend: &'a Arc<B>,
    images: &'a Placed<B>,
}

/// One of the backends that there are.
pub(super) enum Backends<'a> {
    Cpu(OnBackend<'a, Cpu>),
    Cuda(OnBackend<'a, Cuda>),
}

/// Evaluates `$body` with `$on` the session on its backend.
macro_rules! on_backend {
    ($session:expr, $on:ident => $body:expr) => {
        match $session.on_backend() {
            $crate::experiment::session::Backends::Cpu($on) => $body,
            $crate::experiment::session::Backends::Cuda($on) => $body,
        }
    };
}
pub(super) use on_backend;

impl<'a, B: Operators> OnBackend<'a, B> {
    fn part(&self, name: PartName) -> Result<(&'a Part, &'a B::Images)> {
        let data: &'a DataSet = &self.session.data;
        let images = self.images.images(self.backend, data, name)?;
        let part = data
            .part(name)
            .ok_or_else(|| Error::Internal(format!("the data set has no {} part", name.name())))?;
        Ok((part, images))
    }

    /// Images of the training part.
    pub fn train_images(&self) -> Result<&'a B::Images> {
        Ok(self.part(PartName::Train)?.1)
    }

    /// Positions of one part, to evaluate or score.
    pub fn set(&self, name: PartName, positions: &'a [u32]) -> Result<EvaluationSet<'a, B>> {
        let (part, images) = self.part(name)?;
        let session = self.session;
        let count = session.data.attributes.as_ref().map(|a| a.groups(session.data.classes.len()));
        let groups = count.map(|count| (session.groups(name), count));
        Ok(EvaluationSet { images, labels: &part.labels, positions, groups })
    }

    /// An executor for the given passes. Batches of training have the recipe's size, all others
    /// `score_batch`. With `divergences`, training keeps every sample's last presentation.
    pub fn executor(
        &self,
        recipe: &Recipe,
        seed: u64,
        passes: &[PassSize],
        divergences: bool,
    ) -> Result<Executor<B>> {
        let requirements = self.requirements(recipe, seed, passes, divergences)?;
        Executor::new(Arc::clone(self.backend), self.session.network.clone(), &requirements)
    }

    /// An executor for batches of `n` samples of one kind.
    pub fn probe(&self, recipe: &Recipe, mode: Mode, n: usize) -> Result<Executor<B>> {
        let mut requirements = self.requirements(recipe, 0, &[(mode, n)], false)?;
        requirements.passes[0].1 = n;
        Executor::new(Arc::clone(self.backend), self.session.network.clone(), &requirements)
    }

    fn requirements(
        &self,
        recipe: &Recipe,
        seed: u64,
        passes: &[PassSize],
        divergences: bool,
    ) -> Result<Requirements> {
        let session = self.session;
        let data = &session.data;
        let largest = PARTS.iter().filter_map(|&p| data.part(p)).map(Part::len).max();
        let size = |mode| if mode == Mode::Train { recipe.batch } else { session.score_batch };
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
            stored: Some([data.height, data.width]),
            mean: session.mean,
            std: session.std,
            arena: ArenaMode::Shared,
            compute: Compute::new(session.precision),
            memory_limit: None,
            stream: false,
        };
        self.images.require(self.backend, data, &session.network, &mut requirements)?;
        Ok(requirements)
    }
}

/// Positions as the device takes them.
pub fn positions(list: &[usize]) -> Vec<u32> {
    list.iter().map(|&i| i as u32).collect()
}
