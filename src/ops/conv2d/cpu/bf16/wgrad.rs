//! Gradients of weights: products over the images of a group, pixel by pixel.
//!
//! Of 32 images at one pixel the input is stored as `[channel][image]`, dy as `[pair of images][channel]`; taps
//! beyond the border are left out.

use std::ops::Range;

use super::super::task::{Cutter, Shared, lines, run_tasks};
use super::block::{BLOCK, DEPTH, Shape, TILE, Tap};
use super::images::{Reach, forward_reach, rows_seen, span_of};
use super::pack::tiles;
use super::products::Products;
use super::transpose::{interleave_block, transpose};
use crate::backend::{Backend, Cpu};
use crate::isa::bf16::widen;
use crate::ops::conv2d::Conv2dProblem;

/// Images of a group: the values of d of a step.
const GROUP: usize = DEPTH;
/// Values of stored rows that a task keeps: half of an L2.
const STORED: usize = 512 * 1024;
/// Parts of a batch at most, and tasks.
const TASKS: usize = 8;
/// Values of a block of sums.
const SUMS: usize = BLOCK * BLOCK;

struct WgradPlan {
    p: Conv2dProblem,
    rows: Reach,
    columns: Reach,
    /// Parts of the batch's rows (images of a group side by side), each with sums of its own.
    chunks: usize,
    /// Blocks of output channels a task.
    span: usize,
    /// Output rows at a time, and places for input rows.
    sweep: usize,
    ring: usize,
    blocks: [usize; 2],
    taps: usize,
}

/// Channels in whole tiles.
fn padded(channels: usize) -> usize {
    channels.next_multiple_of(TILE)
}

fn plan(p: &Conv2dProblem) -> WgradPlan {
    let rows = forward_reach(p.p(), [p.r, p.stride[0], p.pad[0]], p.h);
    let columns = forward_reach(p.q(), [p.s, p.stride[1], p.pad[1]], p.w);
    // Buffers of large weights would cost more than they spare.
    let most = match p.w_len() {
        0..=0x3_ffff => TASKS,
        0x4_0000..=0xf_ffff => TASKS / 4,
        _ => 1,
    };
    let chunks = most.min(p.n.div_ceil(GROUP) * p.p()).max(1);
    let blocks = [p.c, p.k].map(|channels| channels.div_ceil(BLOCK));
    let span = blocks[1].div_ceil((TASKS / most).min(blocks[1]));
    let input = p.w * padded(p.c) * GROUP;
    let gradient = p.q() * (span * BLOCK).min(padded(p.k)) * GROUP;
    let fits = |&sweep: &usize| rows_seen(&rows, sweep) * input + sweep * gradient <= STORED;
    let sweep = (1..=p.p()).take_while(fits).last().unwrap_or(1);
    let ring = rows_seen(&rows, sweep).max(1);
    WgradPlan { p: *p, rows, columns, chunks, span, sweep, ring, blocks, taps: p.r * p.s }
}

impl WgradPlan {
    /// Values of one pixel's input, and of one pixel's gradient in a task's channels.
    fn pixel(&self) -> [usize; 2] {
        [padded(self.p.c) * GROUP, (self.span * BLOCK).min(padded(self.p.k)) * GROUP]
    }

    /// bf16 values of a worker's stored inputs and gradients.
    fn scratch(&self) -> [usize; 2] {
        let [input, gradient] = self.pixel();
        [self.ring * self.p.w * input, self.sweep * self.p.q() * gradient]
    }

    /// Values of a chunk's sums.
    fn sums(&self) -> usize {
        self.taps * self.blocks[0] * self.blocks[1] * SUMS
    }

    /// Where a block of sums is among a chunk's.
    fn place(&self, tap: usize, [c, k]: [usize; 2]) -> usize {
        ((tap * self.blocks[0] + c) * self.blocks[1] + k) * SUMS
    }

    /// The groups of images and output rows of a chunk.
    fn parts(&self, chunk: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (n, height) = (self.p.n, self.p.p());
        let all = n.div_ceil(GROUP) * height;
        let own = all * chunk / self.chunks..all * (chunk + 1) / self.chunks;
        let groups = own.start / height..own.end.div_ceil(height);
        let groups = if own.is_empty() { 0..0 } else { groups };
        groups.map(move |group| {
            let rows = own.start.max(group * height)..own.end.min((group + 1) * height);
            let images = group * GROUP..((group + 1) * GROUP).min(n);
            (images, rows.start - group * height..rows.end - group * height)
        })
    }
}

/// f32 values of workspace for [`wgrad`].
pub fn workspace(cpu: &Cpu, p: &Conv2dProblem) -> usize {
    let plan = plan(p);
    let scratch: usize = plan.scratch().map(|len| lines(len / 2)).iter().sum();
    cpu.workers() * scratch + plan.chunks * plan.sums()
}

/// dw (and db) over the batch: chunks, each summed in the order of groups, rows and columns, merged neighbours
/// first.
pub fn wgrad(
    cpu: &Cpu,
    p: &Conv2dProblem,
    [x, dy]: [&[u16]; 2],
    dw: &mut [f32],
    db: Option<&mut [f32]>,
    work: &mut [f32],
) {
    let plan = plan(p);
    assert!(x.len() == p.x_len() && dy.len() == p.y_len() && dw.len() == p.w_len());
    let mut cutter = Cutter(work);
    let per_worker: usize = plan.scratch().map(|len| lines(len / 2)).iter().sum();
    let scratch = cutter.take(cpu.workers() * per_worker);
    let sums = cutter.take(plan.chunks * plan.sums());
    let shared = Shared::new(sums);
    let spans = plan.blocks[1].div_ceil(plan.span);
    run_tasks(cpu, plan.chunks * spans, scratch, per_worker, |task, scratch| {
        let (chunk, span) = (task / spans, task % spans);
        let blocks = span * plan.span..((span + 1) * plan.span).min(plan.blocks[1]);
        let scratch: &mut [u16] = bytemuck::cast_slice_mut(scratch);
        let (inputs, gradients) = scratch.split_at_mut(2 * lines(plan.scratch()[0] / 2));
        let own = Task {
            plan: &plan,
            products: Products::of(cpu),
            factors: [x, dy],
            blocks,
            sums: shared,
            first: chunk * plan.sums(),
        };
        own.run(chunk, inputs, gradients);
    });
    merge(cpu, &plan, sums, dw);
    if let Some(db) = db {
        bias(p, dy, db);
    }
}

struct Task<'a> {
    plan: &'a WgradPlan,
    products: Products,
    factors: [&'a [u16]; 2],
    blocks: Range<usize>,
    sums: Shared,
    /// The chunk's first sum.
    first: usize,
}

impl Task<'_> {
    fn run(&self, chunk: usize, inputs: &mut [u16], gradients: &mut [u16]) {
        let plan = self.plan;
        let mut resume = false;
        for (images, rows) in plan.parts(chunk) {
            if images.len() < GROUP {
                // Images that are not there.
                inputs.fill(0);
                gradients.fill(0);
            }
            let mut next_row = 0;
            for first in rows.clone().step_by(plan.sweep) {
                let sweep = first..(first + plan.sweep).min(rows.end);
                if let Some((low, high)) = span_of(&plan.rows[sweep.clone()]) {
                    for row in low.max(next_row)..=high {
                        self.store_input(&images, row, inputs);
                    }
                    next_row = next_row.max(high + 1);
                }
                self.store_gradient(&images, &sweep, gradients);
                self.products.with_depth(DEPTH, || {
                    self.compute(&sweep, [inputs.as_ptr(), gradients.as_ptr()], resume);
                });
                resume = true;
            }
        }
        if !resume {
            self.products.with_depth(DEPTH, || {
                self.compute(&(0..0), [inputs.as_ptr(), gradients.as_ptr()], false);
            });
        }
    }

    /// Transposes one input row of a group.
    fn store_input(&self, images: &Range<usize>, row: usize, out: &mut [u16]) {
        let p = &self.plan.p;
        let len = self.plan.pixel()[0];
        for column in 0..p.w {
            let at = ((images.start * p.h + row) * p.w + column) * p.c;
            let place = (row % self.plan.ring * p.w + column) * len;
            let out = &mut out[place..][..len];
            transpose(&self.factors[0][at..], [images.len(), p.c], p.h * p.w * p.c, out, GROUP);
        }
    }

    /// Packs the output rows of a sweep of a group, in this task's channels.
    fn store_gradient(&self, images: &Range<usize>, sweep: &Range<usize>, out: &mut [u16]) {
        let (plan, k) = (self.plan, self.plan.p.k);
        let [height, width] = [plan.p.p(), plan.p.q()];
        let len = plan.pixel()[1];
        for (i, row) in sweep.clone().enumerate() {
            for column in 0..width {
                let out = &mut out[(i * width + column) * len..][..len];
                let value = |n: usize| ((n * height + row) * width + column) * k;
                for n in images.clone().step_by(2) {
                    let of = |n: usize| &self.factors[1][value(n)..][..k];
                    let two = [Some(of(n)), (n + 1 < images.end).then(|| of(n + 1))];
                    for (b, block) in self.blocks.clone().enumerate() {
                        let at = b * BLOCK * GROUP + (n - images.start) * TILE;
                        interleave_block(two, block, &mut out[at..]);
                    }
                }
            }
        }
    }

    /// Adds the products of a sweep to all sums of this task.
    fn compute(&self, sweep: &Range<usize>, [left, right]: [*const u16; 2], resume: bool) {
        let (plan, p) = (self.plan, &self.plan.p);
        let [input, gradient] = plan.pixel();
        let mut taps = Vec::new();
        for tap in 0..plan.taps {
            let [r, s] = [tap / p.s, tap % p.s];
            let seen = |all: &[(usize, usize)], tap| all.iter().find(|t| t.0 == tap).map(|t| t.1);
            taps.clear();
            for (i, row) in sweep.clone().enumerate() {
                let Some(h) = seen(&plan.rows[row], r) else { continue };
                for (q, column) in plan.columns.iter().enumerate() {
                    let Some(w) = seen(column, s) else { continue };
                    let left = (h % plan.ring * p.w + w) * input;
                    taps.push(Tap { left, right: (i * p.q() + q) * gradient });
                }
            }
            if taps.is_empty() && resume {
                continue;
            }
            for (b, block) in self.blocks.clone().enumerate() {
                for channel in 0..plan.blocks[0] {
                    let tiles = [tiles(p.c, channel), tiles(p.k, block)];
                    let shape = Shape { tiles, depth: DEPTH, steps: 1, pitch: GROUP };
                    let at = self.first + plan.place(tap, [channel, block]);
                    // SAFETY: the block of sums is this task's own; the pixels of all taps are stored.
                    unsafe {
                        let left = left.add(channel * BLOCK * GROUP);
                        let right = right.add(b * BLOCK * GROUP);
                        let out = self.sums.slice(at, SUMS).as_mut_ptr();
                        self.products.add(&shape, [left, right], &taps, resume, out);
                    }
                }
            }
        }
    }
}

/// dw (K R S C) from the chunks' blocks of sums (channel x output).
fn merge(cpu: &Cpu, plan: &WgradPlan, sums: &[f32], dw: &mut [f32]) {
    let p = &plan.p;
    let out = Shared::new(dw);
    let [channels, blocks] = plan.blocks;
    run_tasks(cpu, channels * blocks, &mut [], 0, |task, _| {
        let (channel, block) = (task / blocks, task % blocks);
        let own = [p.c - channel * BLOCK, p.k - block * BLOCK].map(|left| left.min(BLOCK));
        let mut merged = [0.0f32; SUMS];
        for tap in 0..plan.taps {
            let at = plan.place(tap, [channel, block]);
            let part = |chunk: usize| &sums[chunk * plan.sums() + at..][..SUMS];
            if plan.chunks == 1 {
                merged.copy_from_slice(part(0));
            } else {
                tree(plan.chunks, &part, &mut merged);
            }
            for k in 0..own[1] {
                let to = ((block * BLOCK + k) * plan.taps + tap) * p.c + channel * BLOCK;
                // SAFETY: this task's own channels of this tap and output.
                let row = unsafe { out.slice(to, own[0]) };
                for (c, value) in row.iter_mut().enumerate() {
                    *value = merged[c * BLOCK + k];
                }
            }
        }
    });
}

/// Sums parts pairwise, neighbours first; missing ones count as 0.
fn tree<'a>(count: usize, part: &impl Fn(usize) -> &'a [f32], out: &mut [f32; SUMS]) {
    let zeros = [0.0f32; SUMS];
    let parts: [&[f32]; TASKS] = std::array::from_fn(|i| if i < count { part(i) } else { &zeros });
    let [a, b, c, d, e, f, g, h] = parts.map(|part| &part[..SUMS]);
    for i in 0..SUMS {
        out[i] = ((a[i] + b[i]) + (c[i] + d[i])) + ((e[i] + f[i]) + (g[i] + h[i]));
    }
}

/// The sum of dy over images and positions: a chain of images, each a chain of positions.
fn bias(p: &Conv2dProblem, dy: &[u16], db: &mut [f32]) {
    db.fill(0.0);
    let image = (p.p() * p.q() * p.k).max(1);
    let mut own = vec![0.0f32; p.k];
    for image in dy.chunks(image) {
        own.fill(0.0);
        for row in image.chunks(p.k) {
            own.iter_mut().zip(row).for_each(|(sum, &v)| *sum += widen(v));
        }
        db.iter_mut().zip(&own).for_each(|(sum, v)| *sum += v);
    }
}
