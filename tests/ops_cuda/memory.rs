//! What full-parameter GraNd plans to take, beside forward and dgrad alone: from plans, so that full sizes
//! need no memory.

use fairprune::exec::{ArenaMode, Compute, Mode, Requirements, TrainOptions, planned_memory};
use fairprune::nn::{Layer, Network, NetworkSpec, Stem};
use fairprune::ops::Precision;
use fairprune::ops::gather::{Augmentation, CHANNELS_BF16};
use fairprune::ops::sgd::SgdProblem;

use super::card;

/// GraNd over forward and dgrad, at most.
const MOST: f64 = 1.1;

fn network(arch: &str, stem: Stem, classes: usize, side: usize) -> Network {
    let arch = arch.parse().unwrap();
    NetworkSpec { arch, width: 64, stem, classes, size: [side; 2] }.build().unwrap()
}

/// Bytes that activations of a batch take when the loss is known and the way back begins: convolutions'
/// outputs, which batch norm's gradients see, what is made of them, the images, winners of a pooling. All
/// of it is needed by forward and dgrad with the gradients of batch norm; norms of convolutions need no more.
fn activations(network: &Network, batch: usize) -> u64 {
    let [h, w, _] = network.input();
    let kept = |layer: &Layer| match layer {
        Layer::Conv2d { .. } => 1,
        // Values and winners.
        Layer::MaxPool { .. } => 2,
        Layer::Relu => 1,
        _ => 0,
    };
    let value = |id: usize| network.shapes[id].iter().product::<usize>();
    let values: usize = network.nodes.iter().map(|n| kept(&n.layer) * value(n.output.0)).sum();
    2 * (batch * (values + h * w * CHANNELS_BF16)) as u64
}

#[test]
fn grand_takes_little_more_than_forward_and_dgrad() {
    let cuda = card();
    for (network, batch, what) in [
        (network("resnet18", Stem::Cifar, 10, 32), 512, "ResNet-18, 32 x 32, batch 512"),
        (network("resnet50", Stem::Imagenet, 1000, 224), 256, "ResNet-50, 224 x 224, batch 256"),
    ] {
        let arena = |mode| {
            let requirements = Requirements {
                passes: vec![(mode, batch, batch)],
                capacity: batch,
                options: TrainOptions {
                    sgd: SgdProblem { momentum: 0.9, weight_decay: 0.0, nesterov: false },
                    smoothing: 0.0,
                    augmentation: Augmentation::NONE,
                    seed: 1,
                },
                stored: None,
                mean: [0.5; 3],
                std: [0.25; 3],
                arena: ArenaMode::Shared,
                compute: Compute::new(Precision::Bf16),
                divergences: false,
                stream: false,
                memory_limit: Some(u64::MAX),
            };
            planned_memory(&*cuda, &network, &requirements).unwrap().arena
        };
        let (grand, train, score) = (arena(Mode::GradNorm), arena(Mode::Train), arena(Mode::Score));
        let least = activations(&network, batch);
        let ratio = grand as f64 / least as f64;
        println!(
            "{what}: GraNd {grand} bytes, forward and dgrad {least} at least ({ratio:.3}); \
             training {train}, forward {score}"
        );
        assert!(grand >= least, "{what}: {grand} planned, {least} needed");
        assert!(ratio <= MOST, "{what}: {ratio}");
        assert!(grand as f64 <= MOST * train as f64, "{what}: {grand}, training {train}");
    }
}
