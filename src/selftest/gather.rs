//! The input pipeline: normalisation, mirror, shift, and what a sample's augmentation depends on.

use bytes::Bytes;
use half::bf16;

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits, words};
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::backend::{Cpu, View};
use crate::ops::gather::{Augmentation, CHANNELS, CHANNELS_BF16, Gather, GatherProblem, Staging};
use crate::reference::gather as oracle;
use crate::reference::{Sums, U, judge, within};

const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const STD: [f32; 3] = [0.247, 0.2435, 0.2616];
const STRONG: Augmentation = Augmentation { flip: true, translate: 4, resized_crop: false };
const CROPPED: Augmentation = Augmentation { flip: true, translate: 0, resized_crop: true };

/// Height and width, and the number of images. The last size but one is smaller than the shift, so
/// that whole images leave the frame.
const SIZES: &[([usize; 2], usize)] =
    &[([5, 8], 17), ([9, 7], 3), ([32, 32], 3), ([1, 1], 1), ([3, 2], 17), ([17, 31], 2)];

/// Height and width of stored images and of what is seen of them, and the number of images. The
/// sizes are shrunk, enlarged, both, and shapes that no box fits.
const CROPS: &[([usize; 2], [usize; 2], usize)] = &[
    ([8, 8], [7, 7], 17),
    ([32, 32], [28, 28], 3),
    ([9, 40], [5, 16], 5),
    ([21, 6], [24, 9], 5),
    ([1, 1], [3, 2], 2),
    ([33, 31], [2, 3], 5),
    ([6, 7], [19, 23], 3),
];

const AUGMENTATIONS: [Augmentation; 4] = [
    Augmentation::NONE,
    Augmentation { flip: true, ..Augmentation::NONE },
    Augmentation { translate: 2, ..Augmentation::NONE },
    STRONG,
];

/// Makes a problem of `n` images out of batches of `batch`.
pub fn problem(
    n: usize,
    batch: usize,
    [h, w]: [usize; 2],
    augmentation: Augmentation,
) -> GatherProblem {
    let stored = [h, w];
    GatherProblem { n, batch, h, w, stored, mean: MEAN, std: STD, augmentation, seed: 11 }
}

/// Makes random images.
pub fn pixels(images: usize, [h, w]: [usize; 2]) -> Bytes {
    let bytes = Values::new(1).below(images * h * w * CHANNELS, 256);
    bytes.into_iter().map(|b| b as u8).collect()
}

/// Gathers batch `batch` of the order in epoch `epoch`.
pub fn gather<B: Gather>(
    subject: &Subject<B>,
    p: &GatherProblem,
    images: &Bytes,
    order: &[u32],
    batch: u32,
    epoch: u32,
) -> Result<Vec<f32>, CaseFailure> {
    gather_from(subject, p, images, [order, &[]], batch, epoch)
}

/// Gathers a batch whose position i has image `sources[i]`.
pub fn gather_from<B: Gather>(
    subject: &Subject<B>,
    p: &GatherProblem,
    images: &Bytes,
    [order, sources]: [&[u32]; 2],
    batch: u32,
    epoch: u32,
) -> Result<Vec<f32>, CaseFailure> {
    let (order, state) = (bits(order), bits(&[batch, epoch, 0, 0]));
    let sources = bits(sources);
    let len = p.n * p.h * p.w * CHANNELS;
    let tensors =
        [Fill::Values(&order), Fill::Values(&state), Fill::Poison(len), Fill::Values(&sources)];
    let mut f = Fenced::new(subject, &tensors)?;
    let [order, state, out, sources] = f.views[..] else { unreachable!() };
    let images = subject.backend.images(images)?;
    let order = [order, sources].map(as_u32);
    subject.backend.gather(&mut f.memory, p, &images, order, as_u32(state), out)?;
    f.read(2)
}

/// Every byte in every channel is rounded in f32 as PyTorch's ToTensor and Normalize round it.
pub fn normalisation_is_that_of_pytorch<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    let size = [16, 16];
    let images: Bytes = (0..256).flat_map(|b| [b as u8; CHANNELS]).collect();
    let out = gather(subject, &problem(1, 1, size, Augmentation::NONE), &images, &[0], 0, 0)?;
    for (i, &v) in out.iter().enumerate() {
        let byte = (i / CHANNELS) as f32;
        let expected = (byte / 255.0 - MEAN[i % CHANNELS]) / STD[i % CHANNELS];
        ensure(v == expected, || format!("byte {byte} is {v}, expected {expected}"))?;
    }
    let reference = oracle::image(&images, size, MEAN, STD, (false, 0, 0));
    Ok(within("normalised", &out, &reference, 0, U)?)
}

pub fn augmented_images_are_within_bounds<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    for &(size, n) in SIZES {
        let images = pixels(n, size);
        let image = size[0] * size[1] * CHANNELS;
        let order: Vec<u32> = (0..n as u32).rev().collect();
        for augmentation in AUGMENTATIONS {
            let p = problem(n, n, size, augmentation);
            let out = gather(subject, &p, &images, &order, 0, 3)?;
            for (row, &sample) in out.chunks(image).zip(&order) {
                let draw = augmentation.draw(p.seed, 3, sample);
                let source = &images[sample as usize * image..][..image];
                let reference = oracle::image(source, size, MEAN, STD, draw);
                within(&format!("{sample} of {size:?} {draw:?}"), row, &reference, 0, U)?;
            }
        }
    }
    Ok(())
}

/// Every byte of a crop is the oracle's weighted mean, rounded.
pub fn crops_are_resized_boxes<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    for &(stored, [h, w], n) in CROPS {
        let images = pixels(n, stored);
        let image = stored[0] * stored[1] * CHANNELS;
        let order: Vec<u32> = (0..n as u32).rev().collect();
        // With these statistics the values are bytes.
        let (mean, std) = ([0.0; CHANNELS], [1.0 / 255.0; CHANNELS]);
        let p = GatherProblem { stored, mean, std, ..problem(n, n, [h, w], CROPPED) };
        let out = gather(subject, &p, &images, &order, 0, 3)?;
        for (own, &sample) in out.chunks(h * w * CHANNELS).zip(&order) {
            let cut = CROPPED.cut(p.seed, 3, sample, stored);
            let cut = cut.ok_or_else(|| CaseFailure("no box".to_owned()))?;
            let inside = (cut.top + cut.height) as usize <= stored[0]
                && (cut.left + cut.width) as usize <= stored[1];
            ensure(inside, || format!("{cut:?} in {stored:?}"))?;
            let cut_of = [cut.top, cut.left, cut.height, cut.width].map(|n| n as usize);
            let (flip, ..) = CROPPED.draw(p.seed, 3, sample);
            let source = &images[sample as usize * image..][..image];
            let reference = oracle::crop(source, stored[1], cut_of, flip, [h, w]);
            let what = format!("{sample} of {stored:?}, {cut:?}");
            // The bound is half of the last place of a byte, and f32's rounding of what is a byte.
            judge(&what, own, &reference, |_| 0.5 + 1e-4)?;
            let whole = own.iter().all(|v| (v - v.round()).abs() < 1e-4);
            ensure(whole, || format!("{what}: values that are no bytes"))?;
        }
    }
    Ok(())
}

/// The part of a larger image that evaluation sees, and that shifts start from.
pub fn the_centre_of_larger_images_is_seen<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    for (stored, [h, w], [top, left]) in
        [([8, 8], [7, 7], [0, 0]), ([32, 30], [28, 25], [2, 2]), ([6, 9], [3, 2], [2, 4])]
    {
        let images = pixels(3, stored);
        let image = stored[0] * stored[1] * CHANNELS;
        for augmentation in [Augmentation::NONE, STRONG] {
            let p = GatherProblem { stored, ..problem(3, 3, [h, w], augmentation) };
            let out = gather(subject, &p, &images, &[2, 0, 1], 0, 5)?;
            for (own, sample) in out.chunks(h * w * CHANNELS).zip([2, 0, 1]) {
                let draw = augmentation.draw(p.seed, 5, sample);
                let source = &images[sample as usize * image..][..image];
                let whole = oracle::image(source, stored, MEAN, STD, draw);
                let mut reference = Sums::default();
                for row in top..top + h {
                    let part = (row * stored[1] + left) * CHANNELS..;
                    let part = part.start..part.start + w * CHANNELS;
                    reference.value.extend(&whole.value[part.clone()]);
                    reference.magnitude.extend(&whole.magnitude[part]);
                }
                within(&format!("{sample} of {stored:?} {draw:?}"), own, &reference, 0, U)?;
            }
        }
    }
    Ok(())
}

/// Images are those of the CPU bit for bit, in a later batch of a large epoch, because there is one
/// stream of random numbers and one arithmetic.
pub fn images_are_those_of_the_cpu<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    let cpu = Cpu::new(1)?;
    let reference = Subject { backend: &cpu, reduced: subject.reduced };
    for &(size, n) in SIZES {
        let images = pixels(n, size);
        let order: Vec<u32> = (0..3 * n as u32).map(|i| i * 7 % n as u32).collect();
        let p = GatherProblem { seed: u64::MAX - 5, ..problem(n, n, size, STRONG) };
        let out = gather(subject, &p, &images, &order, 2, 70_000)?;
        let expected = gather(&reference, &p, &images, &order, 2, 70_000)?;
        ensure(words(&out) == words(&expected), || format!("images of {size:?} differ"))?;
    }
    for &(stored, size, n) in CROPS {
        let images = pixels(n, stored);
        let order: Vec<u32> = (0..3 * n as u32).map(|i| i * 7 % n as u32).collect();
        let p = GatherProblem { stored, seed: u64::MAX - 5, ..problem(n, n, size, CROPPED) };
        let out = gather(subject, &p, &images, &order, 2, 70_000)?;
        let expected = gather(&reference, &p, &images, &order, 2, 70_000)?;
        ensure(words(&out) == words(&expected), || format!("crops of {stored:?} differ"))?;
    }
    Ok(())
}

/// What is staged and guessed before a batch of three is gathered: its number, its images, the
/// guess.
type StagedBatch = (u32, [u32; 3], [u32; 3]);

/// Gathers batches of three crops out of the order's, from images on the host; `None` where nothing
/// is staged.
fn gather_staged<B: Gather>(
    subject: &Subject<B>,
    p: &GatherProblem,
    images: &Bytes,
    order: &[u32],
    batches: &[StagedBatch],
) -> Result<Option<Vec<Vec<f32>>>, CaseFailure> {
    let backend = subject.backend;
    let images = backend.host_images(images)?;
    let Some(mut staging) = B::Staging::new(backend, p.image(), 3)? else { return Ok(None) };
    let order = bits(order);
    let mut found = Vec::new();
    for (batch, numbers, guess) in batches {
        let state = bits(&[*batch, 4, 0, 0]);
        let out = Fill::Poison(3 * p.h * p.w * CHANNELS);
        let tensors = [Fill::Values(&order), Fill::Values(&state), out];
        let mut f = Fenced::new(subject, &tensors)?;
        let [order, state, out] = f.views[..] else { unreachable!() };
        let order = [as_u32(order), View::EMPTY];
        staging.stage(backend, &images, numbers)?;
        staging.gather(backend, &mut f.memory, p, order, as_u32(state), out)?;
        staging.prefetch(backend, &images, guess)?;
        found.push(f.read(2)?);
    }
    Ok(Some(found))
}

/// Images that stay on the host give the same bits, whether guesses were right or wrong. Those of
/// another sample give NaN.
pub fn staged_images_are_the_batch<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    let (stored, order) = ([9, 8], [7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6]);
    let p = GatherProblem { stored, ..problem(3, 3, [6, 7], CROPPED) };
    let images = pixels(order.len(), stored);
    let right = [[7, 2, 11], [0, 5, 9], [1, 10, 3], [8, 4, 6]];
    // Guesses are right, wrong, and the same batch again.
    let guesses = [right[1], right[3], right[2], right[0]];
    let batches: Vec<_> = (0..4).map(|i| (i as u32, right[i], guesses[i])).collect();
    let Some(found) = gather_staged(subject, &p, &images, &order, &batches)? else { return Ok(()) };
    let mut first = Vec::new();
    for (batch, found) in (0..).zip(&found) {
        let resident = gather(subject, &p, &images, &order, batch, 4)?;
        ensure(words(found) == words(&resident), || format!("batch {batch} differs"))?;
        if batch == 0 {
            first = resident;
        }
    }
    // The last two are another sample's, one with a smaller number and one with a larger.
    let wrong = [(0, [7, 11, 2], right[1])];
    let found = gather_staged(subject, &p, &images, &order, &wrong)?.unwrap_or_default().remove(0);
    let image = p.h * p.w * CHANNELS;
    ensure(words(&found[..image]) == words(&first[..image]), || "the right image".to_owned())?;
    let all_nan = found[image..].iter().all(|v| v.is_nan());
    ensure(all_nan, || format!("images of other samples: {:?}", &found[image..]))
}

/// Images as bf16 are the f32 ones with each value rounded once, and with five channels of zeros.
pub fn images_as_bf16_are_rounded_and_padded<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    let plain = SIZES.iter().map(|&(size, n)| (size, size, n, STRONG));
    let crops = CROPS.iter().map(|&(stored, size, n)| (stored, size, n, CROPPED));
    for (stored, size, n, augmentation) in plain.chain(crops) {
        let images = pixels(n, stored);
        let order: Vec<u32> = (0..3 * n as u32).map(|i| i * 7 % n as u32).collect();
        let p = GatherProblem { stored, ..problem(n, n, size, augmentation) };
        // Each position has the image of another one.
        let sources: Vec<u32> = (0..n as u32).rev().collect();
        let expected = gather_from(subject, &p, &images, [&order, &sources], 2, 70_000)?;
        let (order, state) = (bits(&order), bits(&[2, 70_000, 0, 0]));
        let sources = bits(&sources);
        let len = expected.len() / CHANNELS * CHANNELS_BF16;
        let tensors = [
            Fill::Values(&order),
            Fill::Values(&state),
            Fill::Poison16(len),
            Fill::Values(&sources),
        ];
        let mut f = Fenced::new(subject, &tensors)?;
        let [order, state, out, sources] = f.views[..] else { unreachable!() };
        let images = subject.backend.images(&images)?;
        let order = [order, sources].map(as_u32);
        subject.backend.gather(&mut f.memory, &p, &images, order, as_u32(state), out)?;
        for (pixel, own) in f.read(2)?.chunks(CHANNELS_BF16).zip(expected.chunks(CHANNELS)) {
            let rounded = own.iter().map(|v| bf16::from_f32(*v).to_f32());
            let padded: Vec<f32> = rounded.chain([0.0; CHANNELS_BF16 - CHANNELS]).collect();
            ensure(words(pixel) == words(&padded), || format!("{pixel:?}, not {padded:?}"))?;
        }
    }
    Ok(())
}

/// A sample looks the same whatever else is trained on and wherever it stands in the epoch.
pub fn a_subset_sees_the_same_images<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    let size = [6, 7];
    let image = size[0] * size[1] * CHANNELS;
    let images = pixels(12, size);
    let full: Vec<u32> = vec![7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6];
    let all = gather(subject, &problem(12, 12, size, STRONG), &images, &full, 0, 4)?;
    let kept = [2, 0, 9, 10, 4];
    let mut seen = Vec::new();
    for (batch, n) in [(0, 2), (1, 2), (2, 1)] {
        seen.extend(gather(subject, &problem(n, 2, size, STRONG), &images, &kept, batch, 4)?);
    }
    for (own, sample) in seen.chunks(image).zip(kept) {
        let place = full.iter().position(|&s| s == sample).unwrap_or_default();
        let same = own == &all[place * image..(place + 1) * image];
        ensure(same, || format!("sample {sample} differs"))?;
    }
    Ok(())
}

/// Draws of an epoch with replacement have the pixels of the source and the augmentation of the
/// draw.
pub fn draws_have_pixels_of_their_source<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    let size = [6, 7];
    let image = size[0] * size[1] * CHANNELS;
    let images = pixels(5, size);
    let sources = [4, 0, 4, 4, 1, 2, 0];
    let order = [6, 0, 3, 2, 1, 5, 4];
    let p = problem(3, 3, size, STRONG);
    for batch in 0..2 {
        let out = gather_from(subject, &p, &images, [&order, &sources], batch, 9)?;
        for (row, &draw) in out.chunks(image).zip(&order[3 * batch as usize..]) {
            let source = &images[sources[draw as usize] as usize * image..][..image];
            let reference = oracle::image(source, size, MEAN, STD, STRONG.draw(p.seed, 9, draw));
            within(&format!("draw {draw}"), row, &reference, 0, U)?;
        }
    }
    Ok(())
}

pub fn an_empty_batch_is_nothing<B: Gather>(subject: &Subject<B>) -> CaseOutcome {
    let size = [4, 4];
    let empty = problem(0, 2, size, Augmentation::NONE);
    let out = gather(subject, &empty, &pixels(3, size), &[0, 1], 0, 0)?;
    ensure(out.is_empty(), || format!("{} values", out.len()))
}
