//! The input pipeline on the CPU: one task an image.

use bytes::Bytes;
use rayon::prelude::*;

use super::{CHANNELS, CHANNELS_BF16, CropBox, Gather, GatherProblem, Staging, crop};
use crate::backend::cpu::{CpuMemory, Mixed};
use crate::backend::{Cpu, View};
use crate::error::{Error, Result};
use crate::isa::bf16::narrow;
use crate::tensor::Dtype;

/// f32 value of every byte, a channel.
type Lookup = [[f32; 256]; CHANNELS];

fn lookup(problem: &GatherProblem) -> Lookup {
    std::array::from_fn(|c| {
        std::array::from_fn(|byte| (byte as f32 / 255.0 - problem.mean[c]) / problem.std[c])
    })
}

fn gather_image(
    problem: &GatherProblem,
    table: &Lookup,
    image: &[u8],
    draw: (bool, i32, i32),
    out: &mut [f32],
) {
    let (h, w) = (problem.h, problem.w);
    let [stored_h, stored_w] = problem.stored;
    let [top, left] = problem.corner().map(|n| n as i32);
    let (flip, down, right) = draw;
    for row in 0..h {
        let out = &mut out[row * w * CHANNELS..][..w * CHANNELS];
        let source = row as i32 + top - down;
        if source < 0 || source >= stored_h as i32 {
            for pixel in out.chunks_exact_mut(CHANNELS) {
                (0..CHANNELS).for_each(|c| pixel[c] = table[c][0]);
            }
            continue;
        }
        let image = &image[source as usize * stored_w * CHANNELS..][..stored_w * CHANNELS];
        for (column, pixel) in out.chunks_exact_mut(CHANNELS).enumerate() {
            let shifted = column as i32 + left - right;
            let inside = (0..stored_w as i32).contains(&shifted);
            let source = if flip { stored_w as i32 - 1 - shifted } else { shifted };
            for c in 0..CHANNELS {
                let byte = if inside { image[source as usize * CHANNELS + c] } else { 0 };
                pixel[c] = table[c][byte as usize];
            }
        }
    }
}

/// What a worker reuses from one crop to the next.
#[derive(Default)]
struct CropScratch {
    rows: Vec<u64>,
    bytes: Vec<u8>,
}

fn crop_image(
    problem: &GatherProblem,
    table: &Lookup,
    image: &[u8],
    (cut, flip): (CropBox, bool),
    CropScratch { rows, bytes }: &mut CropScratch,
    out: &mut [f32],
) {
    bytes.resize(out.len(), 0);
    let size = [problem.h, problem.w];
    crop::resize(image, problem.stored[1], cut, flip, size, rows, bytes);
    for (pixel, bytes) in out.chunks_exact_mut(CHANNELS).zip(bytes.chunks_exact(CHANNELS)) {
        (0..CHANNELS).for_each(|c| pixel[c] = table[c][bytes[c] as usize]);
    }
}

/// There is none: images are read where they are, in memory or a mapped file.
pub enum NoStaging {}

impl Staging<Cpu> for NoStaging {
    fn bytes(_: usize, _: usize) -> u64 {
        0
    }

    fn new(_: &Cpu, _: usize, _: usize) -> Result<Option<Self>> {
        Ok(None)
    }

    fn stage(&mut self, _: &Cpu, _: &Bytes, _: &[u32]) -> Result<()> {
        match *self {}
    }

    fn prefetch(&mut self, _: &Cpu, _: &Bytes, _: &[u32]) -> Result<()> {
        match *self {}
    }

    fn gather(
        &mut self,
        _: &Cpu,
        _: &mut CpuMemory,
        _: &GatherProblem,
        _: [View; 2],
        _: View,
        _: View,
    ) -> Result<()> {
        match *self {}
    }
}

impl Gather for Cpu {
    type Images = Bytes;

    type Staging = NoStaging;

    fn identity(_: &Bytes) -> u64 {
        // The CPU records nothing.
        0
    }

    fn images(&self, images: &Bytes) -> Result<Self::Images> {
        Ok(images.clone())
    }

    fn device_bytes(_: &Bytes) -> u64 {
        0
    }

    fn host_images(&self, images: &Bytes) -> Result<Bytes> {
        Ok(images.clone())
    }

    fn on_host(_: &Bytes) -> bool {
        false
    }

    fn gather(
        &self,
        memory: &mut CpuMemory,
        problem: &GatherProblem,
        images: &Self::Images,
        [order, sources]: [View; 2],
        state: View,
        out: View,
    ) -> Result<()> {
        problem.check(state, out)?;
        let size = problem.image();
        let none = View::EMPTY;
        let [floats, halves] = if out.dtype == Dtype::Bf16 { [none, out] } else { [out, none] };
        let views = memory.mixed([order, sources, state], [floats], [], [halves])?;
        let Mixed { reads: [order, sources, state], writes: [out], bf16_writes: [halves], .. } =
            views;
        let [order, sources, state]: [&[u32]; 3] =
            [order, sources, state].map(bytemuck::cast_slice);
        let (start, epoch) = (state[0] as usize * problem.batch, state[1]);
        let rows = order.get(start..start + problem.n).ok_or_else(|| {
            Error::Internal(format!("samples {start}..{} of {}", start + problem.n, order.len()))
        })?;
        let count = images.len() / size.max(1);
        let source =
            |i: u32| if sources.is_empty() { Some(&i) } else { sources.get(i as usize) }.copied();
        if let Some(&i) = rows.iter().find(|&&i| source(i).is_none_or(|s| s as usize >= count)) {
            return Err(Error::Internal(format!("image {:?} of {count}", source(i))));
        }
        let table = lookup(problem);
        let pixels = problem.h * problem.w;
        let seen = (pixels * CHANNELS).max(1);
        let place = |scratch: &mut CropScratch, out: &mut [f32], i: u32| {
            let image = source(i).unwrap_or_default() as usize;
            let image = &images[image * size..][..size];
            let draw = problem.augmentation.draw(problem.seed, epoch, i);
            match problem.augmentation.cut(problem.seed, epoch, i, problem.stored) {
                Some(cut) => crop_image(problem, &table, image, (cut, draw.0), scratch, out),
                None => gather_image(problem, &table, image, draw, out),
            }
        };
        self.pool().install(|| {
            let each = out.par_chunks_mut(seen).zip(rows);
            each.for_each_init(CropScratch::default, |scratch, (out, &i)| place(scratch, out, i));
            let each = halves.par_chunks_mut((pixels * CHANNELS_BF16).max(1)).zip(rows);
            let init = || (CropScratch::default(), vec![0.0; pixels * CHANNELS]);
            each.for_each_init(init, |(scratch, image), (out, &i)| {
                place(scratch, image, i);
                let colours = image.chunks_exact(CHANNELS);
                for (out, pixel) in out.chunks_exact_mut(CHANNELS_BF16).zip(colours) {
                    out.fill(0);
                    out.iter_mut().zip(pixel).for_each(|(to, &v)| *to = narrow(v));
                }
            });
        });
        Ok(())
    }
}
