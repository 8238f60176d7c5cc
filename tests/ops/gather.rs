//! The input pipeline: normalisation, mirror, shift, and what a sample's augmentation depends on.

use std::sync::Arc;

use fairprune::backend::Cpu;
use fairprune::error::Result;
use fairprune::ops::gather::{Augmentation, CHANNELS, Gather, GatherProblem};
use fairprune::reference::gather as oracle;
use fairprune::reference::{U, within};

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits};

const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const STD: [f32; 3] = [0.247, 0.2435, 0.2616];
const STRONG: Augmentation = Augmentation { flip: true, translate: 4 };

fn problem(
    n: usize,
    batch: usize,
    [h, w]: [usize; 2],
    augmentation: Augmentation,
) -> GatherProblem {
    GatherProblem { n, batch, h, w, mean: MEAN, std: STD, augmentation, seed: 11 }
}

fn pixels(images: usize, [h, w]: [usize; 2]) -> Arc<Vec<u8>> {
    let bytes = Values::new(1).below(images * h * w * CHANNELS, 256);
    Arc::new(bytes.into_iter().map(|b| b as u8).collect())
}

fn try_gather(
    p: &GatherProblem,
    images: &Arc<Vec<u8>>,
    order: &[u32],
    batch: u32,
    epoch: u32,
) -> Result<Vec<f32>> {
    let cpu = Cpu::new(0)?;
    let (order, state) = (bits(order), bits(&[batch, epoch, 0, 0]));
    let len = p.n * p.h * p.w * CHANNELS;
    let mut f = Fenced::new(&cpu, &[Fill::Values(&order), Fill::Values(&state), Fill::Poison(len)]);
    let [order, state, out] = f.views[..] else { unreachable!() };
    let images = cpu.images(images)?;
    cpu.gather(&mut f.memory, p, &images, as_u32(order), as_u32(state), out)?;
    Ok(f.read(2))
}

fn gather(
    p: &GatherProblem,
    images: &Arc<Vec<u8>>,
    order: &[u32],
    batch: u32,
    epoch: u32,
) -> Vec<f32> {
    try_gather(p, images, order, batch, epoch).unwrap()
}

/// Every byte in every channel, as PyTorch's ToTensor and Normalize round it in f32.
#[test]
fn normalisation_is_that_of_pytorch() {
    let size = [16, 16];
    let images = Arc::new((0..256).flat_map(|b| [b as u8; CHANNELS]).collect::<Vec<u8>>());
    let out = gather(&problem(1, 1, size, Augmentation::NONE), &images, &[0], 0, 0);
    for (i, &v) in out.iter().enumerate() {
        let byte = (i / CHANNELS) as f32;
        assert_eq!(v, (byte / 255.0 - MEAN[i % CHANNELS]) / STD[i % CHANNELS], "byte {byte}");
    }
    let reference = oracle::image(&images, size, MEAN, STD, (false, 0, 0));
    within("normalised", &out, &reference, 0, U).unwrap();
}

#[test]
fn augmented_images_are_within_bounds() {
    // The last is smaller than the shift: whole images leave the frame.
    for (size, n) in [([5, 8], 17), ([9, 7], 3), ([32, 32], 3), ([1, 1], 1), ([3, 2], 17)] {
        let images = pixels(n, size);
        let image = size[0] * size[1] * CHANNELS;
        let order: Vec<u32> = (0..n as u32).rev().collect();
        for augmentation in [
            Augmentation::NONE,
            Augmentation { flip: true, translate: 0 },
            Augmentation { flip: false, translate: 2 },
            STRONG,
        ] {
            let p = problem(n, n, size, augmentation);
            let out = gather(&p, &images, &order, 0, 3);
            for (row, &sample) in out.chunks(image).zip(&order) {
                let draw = augmentation.draw(p.seed, 3, sample);
                let source = &images[sample as usize * image..][..image];
                let reference = oracle::image(source, size, MEAN, STD, draw);
                within(&format!("{sample} of {size:?} {draw:?}"), row, &reference, 0, U).unwrap();
            }
        }
    }
}

/// A drawing shifted by hand: which way is down and right, and what comes in.
#[test]
fn shifts_and_mirrors_go_the_right_way() {
    let size = [2, 3];
    let grey = |v: [u8; 6]| v.iter().flat_map(|&b| [b; 3]).collect::<Vec<u8>>();
    let image = grey([1, 2, 3, 4, 5, 6]);
    let show = |draw| -> Vec<u8> {
        let sums = oracle::image(&image, size, [0.0; 3], [1.0 / 255.0; 3], draw);
        sums.value.chunks(3).map(|p| p[0].round() as u8).collect()
    };
    assert_eq!(show((false, 0, 0)), [1, 2, 3, 4, 5, 6]);
    assert_eq!(show((true, 0, 0)), [3, 2, 1, 6, 5, 4]);
    assert_eq!(show((false, 1, 0)), [0, 0, 0, 1, 2, 3]);
    assert_eq!(show((false, 0, 1)), [0, 1, 2, 0, 4, 5]);
    assert_eq!(show((true, -1, 1)), [0, 6, 5, 0, 0, 0]);
}

#[test]
fn draws_cover_their_range_evenly() {
    let draws: Vec<_> = (0..9000).map(|i| STRONG.draw(7, 2, i)).collect();
    let share = |test: &dyn Fn(&(bool, i32, i32)) -> bool| {
        draws.iter().filter(|d| test(d)).count() as f64 / draws.len() as f64
    };
    assert!((share(&|d| d.0) - 0.5).abs() < 0.02);
    for shift in -4..=4 {
        assert!((share(&|d| d.1 == shift) - 1.0 / 9.0).abs() < 0.02, "down {shift}");
        assert!((share(&|d| d.2 == shift) - 1.0 / 9.0).abs() < 0.02, "right {shift}");
    }
    assert!(draws.iter().all(|d| d.1.abs() <= 4 && d.2.abs() <= 4));
    // The three draws are independent: the joint shares are products.
    let joint = share(&|d| d.0 && d.1 > 0 && d.2 > 0);
    assert!((joint - 0.5 * (4.0 / 9.0) * (4.0 / 9.0)).abs() < 0.02, "{joint}");
}

#[test]
fn augmentation_depends_on_seed_epoch_and_sample() {
    let some = |seed, epoch| (0..50).map(|i| STRONG.draw(seed, epoch, i)).collect::<Vec<_>>();
    assert_eq!(some(1, 1), some(1, 1));
    assert_ne!(some(1, 1), some(1, 2));
    assert_ne!(some(1, 1), some(2, 1));
    assert_ne!(some(1, 1)[..25], some(1, 1)[25..]);
}

/// A sample looks the same whatever else is trained on and wherever it stands in the epoch.
#[test]
fn a_subset_sees_the_same_images() {
    let size = [6, 7];
    let image = size[0] * size[1] * CHANNELS;
    let images = pixels(12, size);
    let full: Vec<u32> = vec![7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6];
    let all = gather(&problem(12, 12, size, STRONG), &images, &full, 0, 4);
    let kept = [2, 0, 9, 10, 4];
    let mut seen = Vec::new();
    for (batch, n) in [(0, 2), (1, 2), (2, 1)] {
        seen.extend(gather(&problem(n, 2, size, STRONG), &images, &kept, batch, 4));
    }
    for (i, &sample) in kept.iter().enumerate() {
        let place = full.iter().position(|&s| s == sample).unwrap();
        assert_eq!(
            seen[i * image..(i + 1) * image],
            all[place * image..(place + 1) * image],
            "sample {sample}"
        );
    }
}

#[test]
fn defects_of_the_caller_are_errors() {
    let size = [4, 4];
    let images = pixels(3, size);
    let p = problem(2, 2, size, Augmentation::NONE);
    assert!(try_gather(&p, &images, &[0, 1, 2], 1, 0).is_err(), "a batch past the order");
    assert!(try_gather(&p, &images, &[0, 3], 0, 0).is_err(), "an image that is not there");
    let empty = problem(0, 2, size, Augmentation::NONE);
    assert!(gather(&empty, &images, &[0, 1], 0, 0).is_empty());
}
