//! Per-channel mean and sum of squared deviations of the output, for batch normalisation.
//!
//! A task takes the two passes (mean, then deviations) over the pixels it has just written, while
//! they are in its cache. The parts are then merged pairwise in a fixed tree by Chan's formula, so
//! the result does not depend on the number of threads.

use super::tasks::TaskPart;
use std::ops::Range;

use super::task::Shared;
use crate::backend::Isa;
#[cfg(target_arch = "x86_64")]
use crate::backend::simd::{Avx2x8, Avx512x16};
use crate::backend::simd::{Portable8, Simd};

/// Pixels are dealt to this many sums in turn, to overlap the latency of additions.
const PHASES: usize = 4;

/// One run of pixels and a range of channels: `pixels` rows of `pitch` values.
#[derive(Clone, Copy)]
struct Patch {
    start: *const f32,
    pixels: usize,
    pitch: usize,
    channels: usize,
}

/// Mean and m2 of each channel of a patch.
///
/// # Safety
/// The patch is readable, `mean` and `m2` writable for its channels; instruction set of `S`.
#[inline(always)]
unsafe fn moments<S: Simd>(patch: Patch, mean: *mut f32, m2: *mut f32) {
    // SAFETY: stays within the patch's pixels and channels (caller).
    unsafe {
        let scale = S::splat(1.0 / patch.pixels as f32);
        let mut first = 0;
        while first < patch.channels {
            let lanes = (patch.channels - first).min(S::LANES);
            let load = |pixel: usize| {
                let p = patch.start.add(pixel * patch.pitch + first);
                if lanes == S::LANES { S::load(p) } else { S::load_first(p, lanes) }
            };
            let fold = |s: [S::V; PHASES]| S::add(S::add(s[0], s[1]), S::add(s[2], s[3]));
            let whole = patch.pixels - patch.pixels % PHASES;
            let mut sums = [S::splat(0.0); PHASES];
            for i in (0..whole).step_by(PHASES) {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = S::add(*sum, load(i + j));
                }
            }
            for i in whole..patch.pixels {
                sums[i - whole] = S::add(sums[i - whole], load(i));
            }
            let center = S::mul(fold(sums), scale);
            let mut squares = [S::splat(0.0); PHASES];
            for i in (0..whole).step_by(PHASES) {
                for (j, sum) in squares.iter_mut().enumerate() {
                    let d = S::sub(load(i + j), center);
                    *sum = S::fma(d, d, *sum);
                }
            }
            for i in whole..patch.pixels {
                let d = S::sub(load(i), center);
                squares[i - whole] = S::fma(d, d, squares[i - whole]);
            }
            S::store_first(mean.add(first), center, lanes);
            S::store_first(m2.add(first), fold(squares), lanes);
            first += S::LANES;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
unsafe fn moments_avx512(patch: Patch, mean: *mut f32, m2: *mut f32) {
    // SAFETY: passed on to the caller.
    unsafe { moments::<Avx512x16>(patch, mean, m2) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn moments_avx2(patch: Patch, mean: *mut f32, m2: *mut f32) {
    // SAFETY: passed on to the caller.
    unsafe { moments::<Avx2x8>(patch, mean, m2) }
}

/// Writes the moments of a part's own channels to its place in `partial`: parts x (mean, m2) x
/// channels.
///
/// # Safety
/// `y` is an output of `size` (rows, columns, channels) an image, and this task is the only one to
/// touch the part's pixels and `channels`; `partial` holds `2 * channels` values a part; the
/// instruction set is there.
pub unsafe fn of_part(
    isa: Isa,
    [h, w, k]: [usize; 3],
    part: &TaskPart,
    channels: Range<usize>,
    y: &Shared,
    partial: &Shared,
) {
    let pixel = (part.images.start * h + part.rows.start) * w;
    // Either several whole images or rows of one, so the pixels are consecutive.
    let pixels = part.images.len() * part.rows.len() * w;
    assert!((pixel + pixels) * k <= y.len(), "part of the output");
    let patch = Patch {
        start: y.at(pixel * k + channels.start),
        pixels,
        pitch: k,
        channels: channels.len(),
    };
    // SAFETY: this task's own part of `partial`.
    let out = unsafe { partial.slice(part.index * 2 * k, 2 * k) };
    let (mean, m2) = out.split_at_mut(k);
    let (mean, m2) = (mean[channels.clone()].as_mut_ptr(), m2[channels].as_mut_ptr());
    // SAFETY: patch inside y (asserted); mean and m2 hold the channels.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => moments_avx512(patch, mean, m2),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => moments_avx2(patch, mean, m2),
            _ => moments::<Portable8>(patch, mean, m2),
        }
    }
}

/// Partial moments: `counts.len()` parts of (mean, m2) times `channels`.
pub struct Moments<'a> {
    pub counts: Vec<usize>,
    pub channels: usize,
    pub values: &'a mut [f32],
}

/// Merges all parts in a fixed binary tree. Without parts the results are 0.
pub fn merge(parts: Moments<'_>, mean: &mut [f32], m2: &mut [f32]) {
    let Moments { mut counts, channels: k, values } = parts;
    let mut distance = 1;
    while distance < counts.len() {
        for i in (0..counts.len() - distance).step_by(2 * distance) {
            let (left, right) = values.split_at_mut((i + distance) * 2 * k);
            let left = &mut left[i * 2 * k..][..2 * k];
            let (na, nb) = (counts[i] as f32, counts[i + distance] as f32);
            let n = na + nb;
            if nb > 0.0 {
                for c in 0..k {
                    let delta = right[c] - left[c];
                    left[c] += delta * (nb / n);
                    left[k + c] = left[k + c] + right[k + c] + delta * delta * (na * nb / n);
                }
            }
            counts[i] += counts[i + distance];
        }
        distance *= 2;
    }
    if counts.is_empty() {
        mean.fill(0.0);
        m2.fill(0.0);
    } else {
        mean.copy_from_slice(&values[..k]);
        m2.copy_from_slice(&values[k..2 * k]);
    }
}
