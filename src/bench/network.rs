//! The network and the random images that are timed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::settings::{Measurement, Suite};
use crate::error::Result;
use crate::exec::{ArenaMode, Compute, Executor, Mode, Requirements, TrainOptions, planned_memory};
use crate::experiment::Placement;
use crate::nn::{Layer, Network, Weights, init};
use crate::ops::Operators;
use crate::ops::gather::Augmentation;
use crate::ops::sgd::SgdProblem;
use crate::rng::{Philox, Stream};

/// Scale of a residual branch. Fresh residual networks double their variance in every block when
/// batch norm uses running statistics; with small branches logits stay moderate, as in a trained
/// network, and softmax does not saturate.
const BRANCH_SCALE: f32 = 0.2;

/// The optimiser of the timed training step.
pub const SGD: SgdProblem = SgdProblem { momentum: 0.9, weight_decay: 5e-4, nesterov: true };

/// A network with weights, and images where they were asked for.
pub struct TimedNetwork<B: Operators> {
    pub backend: Arc<B>,
    pub network: Network,
    pub weights: Weights,
    pub images: B::Images,
    pub labels: Vec<u32>,
    /// All positions in random order.
    pub order: Vec<u32>,
    pub batch: usize,
    normalisation: [[f32; 3]; 2],
    seed: u64,
    pub compute: Compute,
}

impl<B: Operators> TimedNetwork<B> {
    /// Draws weights and images. Pixels are uniformly random: no zeros, no ties.
    pub fn new(backend: &Arc<B>, settings: &Measurement) -> Result<Self> {
        let (spec, images) = (settings.spec(), settings.images());
        let network = spec.build()?;
        let weights = weights(&network, settings.seed);
        let [h, w] = spec.size;
        let philox = Philox::new(settings.seed, Stream::Shapes);
        let pixels = pixels(&philox, images * h * w * 3);
        let mut draws = philox.sequence(1);
        let labels = (0..images).map(|_| draws.below(spec.classes as u32)).collect();
        let mut order: Vec<u32> = (0..images as u32).collect();
        Philox::new(settings.seed, Stream::Order).sequence(0).shuffle(&mut order);
        let pixels = pixels.into();
        let mut timed = TimedNetwork {
            // Until their place is known, which depends on the plans.
            images: backend.host_images(&pixels)?,
            backend: Arc::clone(backend),
            network,
            weights,
            labels,
            order,
            batch: settings.batch,
            normalisation: settings.normalisation,
            seed: settings.seed,
            compute: settings.compute,
        };
        if !timed.streams(settings, B::device_bytes(&pixels))? {
            timed.images = backend.images(&pixels)?;
        }
        Ok(timed)
    }

    /// Whether the images, of so many bytes on the device, are left on the host.
    fn streams(&self, settings: &Measurement, bytes: u64) -> Result<bool> {
        match (settings.placement, self.backend.free_bytes().filter(|_| bytes > 0)) {
            (Placement::Stream, _) => Ok(true),
            (Placement::Device, _) | (Placement::Auto, None) => Ok(false),
            (Placement::Auto, Some(free)) => {
                let all = [
                    (Suite::Train, Mode::Train),
                    (Suite::Score, Mode::Score),
                    (Suite::Score, Mode::GradNorm),
                ];
                let mut largest = 0;
                for (_, mode) in all.into_iter().filter(|(suite, _)| settings.times(*suite)) {
                    let whole = Requirements {
                        memory_limit: Some(u64::MAX),
                        stream: false,
                        ..self.requirements(mode)
                    };
                    let planned = planned_memory(&*self.backend, &self.network, &whole)?;
                    largest = largest.max(planned.total());
                }
                Ok(largest + bytes > free)
            }
        }
    }

    /// Whole batches in the images, of which one is left over.
    pub fn batches(&self) -> usize {
        (self.labels.len() - 1) / self.batch
    }

    /// An executor for passes of one mode over whole batches, and for a batch of one in scoring.
    pub fn executor(&self, mode: Mode) -> Result<Executor<B>> {
        let requirements = self.requirements(mode);
        let mut executor =
            Executor::new(Arc::clone(&self.backend), self.network.clone(), &requirements)?;
        executor.set_weights(&self.weights)?;
        Ok(executor)
    }

    fn requirements(&self, mode: Mode) -> Requirements {
        let whole = self.batches() * self.batch;
        let single = usize::from(mode != Mode::Train);
        let side = self.network.input()[0];
        let [mean, std] = self.normalisation;
        Requirements {
            passes: vec![(mode, self.batch, whole + single)],
            capacity: self.labels.len(),
            options: TrainOptions {
                sgd: SGD,
                smoothing: 0.0,
                augmentation: Augmentation {
                    flip: true,
                    translate: (side * 15 / 100) as u32,
                    resized_crop: false,
                },
                seed: self.seed,
            },
            mean,
            std,
            arena: ArenaMode::Shared,
            compute: self.compute,
            divergences: false,
            stored: None,
            stream: B::on_host(&self.images),
            memory_limit: None,
        }
    }
}

/// `len` random bytes, 16 a Philox block.
fn pixels(philox: &Philox, len: usize) -> Vec<u8> {
    let mut pixels = vec![0u8; len];
    for (minor, chunk) in pixels.chunks_mut(16).enumerate() {
        let words = philox.block(0, minor as u32).map(u32::to_le_bytes);
        chunk.copy_from_slice(&words.as_flattened()[..chunk.len()]);
    }
    pixels
}

/// Fresh weights with small residual branches.
pub fn weights(network: &Network, seed: u64) -> Weights {
    let mut weights = init::initialise(network, seed);
    let producers: BTreeMap<_, _> = network.nodes.iter().map(|n| (n.output, n)).collect();
    for add in network.nodes.iter().filter(|n| n.layer == Layer::Add) {
        let branch = add.inputs.first().and_then(|value| producers.get(value));
        let Some(norm) = branch.filter(|n| matches!(n.layer, Layer::BatchNorm { .. })) else {
            continue;
        };
        if let Some(gamma) = weights.tensors.get_mut(&format!("{}.weight", norm.name)) {
            gamma.data.fill(BRANCH_SCALE);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Arch, NetworkSpec, Stem};

    #[test]
    fn every_block_has_a_small_branch() {
        let scaled = |arch: Arch| {
            let spec = NetworkSpec { arch, width: 4, stem: Stem::Cifar, classes: 3, size: [16; 2] };
            let weights = weights(&spec.build().unwrap(), 1);
            let small = |(name, t): (&String, &crate::tensor::Tensor)| {
                (t.data.iter().all(|v| *v == BRANCH_SCALE)).then(|| name.clone())
            };
            weights.tensors.iter().filter_map(small).collect::<Vec<_>>()
        };
        assert_eq!(scaled(Arch::CifarResnet(20)).len(), 9);
        let bottlenecks = scaled(Arch::Resnet50);
        assert_eq!(bottlenecks.len(), 16);
        assert!(bottlenecks.iter().all(|name| name.ends_with("bn3.weight")), "{bottlenecks:?}");
    }

    #[test]
    fn pixels_are_random_to_the_last_byte() {
        let pixels = pixels(&Philox::new(3, Stream::Shapes), 100_003);
        let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / pixels.len() as f64;
        assert!((mean - 127.5).abs() < 2.0, "{mean}");
        assert!(pixels[100_000..].iter().any(|&p| p != 0));
        assert_ne!(pixels[..16], pixels[16..32]);
    }
}
