//! What each fusion saves, in bytes of device memory as the software device counts them (each byte once a
//! launch, as if a cache held everything): of a step, over all kernels.

use std::ffi::CString;
use std::sync::Arc;

use fairprune::cuda::{Cuda, CudaImages, FAMILIES};
use fairprune::exec::{
    ArenaMode, Compute, EvaluationSet, Executor, Fusion, Mode, Pass, Requirements, TrainOptions,
    run_pass,
};
use fairprune::nn::{Layer, Network, NetworkSpec, Stem, init};
use fairprune::ops::Precision;
use fairprune::ops::gather::{Augmentation, Gather};
use fairprune::ops::sgd::SgdProblem;

use super::traffic::counters;
use super::{card, cuda_device};

pub const BATCH: usize = 6;
const SIDE: usize = 16;

fn network() -> Network {
    let (arch, stem) = ("resnet8".parse().unwrap(), Stem::Cifar);
    NetworkSpec { arch, width: 8, stem, classes: 3, size: [SIDE; 2] }.build().unwrap()
}

/// Bytes read and written by all kernels so far.
fn moved() -> u64 {
    let names = FAMILIES.iter().flat_map(|(_, kernels)| kernels.iter());
    let all = names.map(|name| counters(&CString::new(*name).unwrap()));
    all.map(|c| c.read_unique + c.written_unique).sum()
}

pub const LABELS: [u32; BATCH] = [0, 1, 2, 0, 1, 2];

pub fn images(cuda: &Cuda) -> CudaImages {
    let pixels: Vec<u8> = (0..BATCH * SIDE * SIDE * 3).map(|i| (i * 37 % 251) as u8).collect();
    cuda.images(&pixels.into()).unwrap()
}

/// With initial weights, and one step to make.
pub fn executor(cuda: &Arc<Cuda>, fusion: Fusion, record: bool) -> Executor<Cuda> {
    let requirements = Requirements {
        passes: vec![(Mode::Train, BATCH, BATCH), (Mode::Score, BATCH, BATCH)],
        capacity: BATCH,
        options: TrainOptions {
            sgd: SgdProblem { momentum: 0.9, weight_decay: 0.0, nesterov: false },
            smoothing: 0.0,
            augmentation: Augmentation::NONE,
            seed: 1,
        },
        mean: [0.5; 3],
        std: [0.25; 3],
        arena: ArenaMode::Shared,
        compute: Compute { precision: Precision::Bf16, fusion, record },
        divergences: false,
        stored: None,
        stream: false,
        memory_limit: None,
    };
    let mut executor = Executor::new(Arc::clone(cuda), network(), &requirements).unwrap();
    executor.set_weights(&init::initialise(executor.network(), 1)).unwrap();
    executor
}

/// Begins a pass of as many steps as there are rates.
pub fn begin(executor: &mut Executor<Cuda>, order: &[u32], lrs: &[f32]) {
    let pass = Pass {
        labels: &LABELS,
        order,
        epoch: 0,
        start: 0,
        steps_done: 0,
        lrs,
        class_weights: &[1.0; 3],
    };
    executor.begin(&pass).unwrap();
}

/// Bytes that a training step and a scoring batch move.
fn step(fusion: Fusion) -> [u64; 2] {
    let cuda = Arc::new(cuda_device::open());
    let images = images(&cuda);
    let mut executor = executor(&cuda, fusion, false);
    let order: Vec<u32> = (0..BATCH as u32).collect();
    begin(&mut executor, &order, &[0.1]);
    let start = moved();
    executor.step(Mode::Train, BATCH, &images).unwrap();
    assert_eq!(executor.state().unwrap().bad_step, None);
    let trained = moved();
    let set = EvaluationSet { images: &images, labels: &LABELS, positions: &order, groups: None };
    run_pass(&mut executor, Mode::Score, &set).unwrap();
    executor.state().unwrap();
    [trained - start, moved() - trained]
}

/// The saved bytes are the planned ones, up to the partial sums of tiles and parts.
fn check(what: &str, before: u64, after: u64, planned: u64) {
    let saved =
        before.checked_sub(after).unwrap_or_else(|| panic!("{what}: {before} became {after}"));
    println!(
        "{what:<12} {before:>9} -> {after:>9} bytes: {saved} saved ({:.1} %), {planned} planned",
        100.0 * saved as f64 / before as f64
    );
    assert!(20 * saved.abs_diff(planned) <= planned, "{what}: {saved} saved, {planned} planned");
}

#[test]
fn each_fusion_saves_the_passes_that_it_replaces() {
    if cuda_device::real() {
        println!("skipped: a card does not count");
        return;
    }
    let _alone = card();
    let network = network();
    let bytes = |layer: fn(&Layer) -> bool| -> Vec<u64> {
        let nodes = network.nodes.iter().filter(|n| layer(&n.layer));
        let values = nodes.map(|n| network.shapes[n.output.0].iter().product::<usize>());
        values.map(|values| 2 * (BATCH * values) as u64).collect()
    };
    let convolutions: u64 = bytes(|l| matches!(l, Layer::Conv2d { .. })).iter().sum();
    let mut outputs = bytes(|l| *l == Layer::Relu);
    // The last one's gradient is the pooling's.
    outputs.pop();
    let outputs: u64 = outputs.iter().sum();

    let none = step(Fusion::NONE);
    let statistics = step(Fusion { statistics: true, ..Fusion::NONE });
    let gradients = step(Fusion { gradients: true, ..Fusion::NONE });
    let affine = step(Fusion { affine: true, ..Fusion::NONE });
    let all = step(Fusion::ALL);
    // Statistics read every convolution's output once more.
    check("statistics", none[0], statistics[0], convolutions);
    // The pass over dout, out and y becomes reads of out and y in dgrad, and the map after it need not
    // mask again; behind a sum, where it need not anyway, the masked gradient is not written a second time.
    check("gradients", none[0], gradients[0], 2 * outputs);
    // The convolution's output is neither written nor read.
    check("affine", none[1], affine[1], 2 * convolutions);
    check("all, train", none[0], all[0], convolutions + 2 * outputs);
    assert_eq!([all[1], none[0]], [affine[1], affine[0]], "each touches its own passes only");
}
