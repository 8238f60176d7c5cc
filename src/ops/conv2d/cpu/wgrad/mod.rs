//! Gradient with respect to the weights.
//!
//! Directly, or in Winograd's planes (`transformed`).
//!
//! The batch is cut into 8 chunks (fewer for large weights; by the problem alone), each summed
//! into its own buffer in order of images, rows and columns; the chunks are merged as
//! ((0+1)+(2+3))+((4+5)+(6+7)). So the result does not depend on the number of threads.

mod chunks;
mod transformed;

use std::ops::Range;

use rayon::prelude::*;

use super::fprop::is_pointwise;
use super::kernel::MicroKernels;
use super::outer::{Outer, OuterFactors, OuterTarget, TILE_ROWS, for_each_tile};
use super::task::{Cutter, Shared, lines, run_tasks};
use super::winograd;
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::Conv2dProblem;
use chunks::{CHUNKS, TASKS, merge};

/// Values of x and dy that a task goes through at a time: what an L2 holds.
const GROUP: usize = 128 * 1024;
/// Positions a tile's sums should stay in registers for, at least.
const POSITIONS: usize = 256;

/// Merging fewer weights is not worth waking other threads.
const PARALLEL: usize = 1 << 15;

struct WgradPlan {
    outer: Outer,
    /// Things summed over: images, or pixels of a pointwise convolution.
    items: usize,
    chunks: usize,
    /// Items at a time.
    group: usize,
    /// Output channels a task.
    span: usize,
    /// Values from one row of a piece to the next, and of a chunk's dw and db.
    pitch: usize,
    dw: usize,
    db: usize,
}

fn plan(problem: &Conv2dProblem) -> WgradPlan {
    let p = *problem;
    // The pixels of a pointwise convolution are dealt to chunks one by one, as images of one pixel.
    let p =
        if is_pointwise(&p) { Conv2dProblem { n: p.n * p.h * p.w, h: 1, w: 1, ..p } } else { p };
    let outer = Outer::new(&p);
    // Buffers of large weights would cost more than they spare.
    let most = match p.w_len() {
        0..=0x3_ffff => CHUNKS,
        0x4_0000..=0xf_ffff => CHUNKS / 2,
        _ => 1,
    };
    let chunks = most.min(p.n).max(1);
    let spans = if outer.rows_are_outputs() { TASKS.div_ceil(chunks) } else { 1 };
    let span = p.k.div_ceil(spans).next_multiple_of(TILE_ROWS);
    let positions = (outer.size[0] * outer.size[1]).max(1);
    let image = p.h * p.w * p.c + positions * span.min(p.k);
    let group = (GROUP / image).max(POSITIONS.div_ceil(positions)).min(p.n.div_ceil(chunks)).max(1);
    let pitch = lines(outer.columns());
    let dw = outer.pieces() * outer.rows() * pitch;
    WgradPlan { outer, items: p.n, chunks, group, span, pitch, dw, db: lines(p.k) }
}

impl WgradPlan {
    /// Items of chunk `i`.
    fn chunk(&self, i: usize) -> Range<usize> {
        self.items * i / self.chunks..self.items * (i + 1) / self.chunks
    }
}

/// Workspace: padded images of the workers, chunk buffers.
pub fn workspace(cpu: &Cpu, problem: &Conv2dProblem) -> usize {
    if winograd::pays(problem) {
        return transformed::workspace(cpu, problem);
    }
    let plan = plan(problem);
    cpu.workers() * plan.outer.scratch(plan.group) + plan.chunks * (plan.dw + plan.db)
}

/// dw (and db) over the batch. Slices have the lengths of the problem; `work` has [`workspace`]
/// values.
pub fn wgrad(
    cpu: &Cpu,
    problem: &Conv2dProblem,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    db: Option<&mut [f32]>,
    work: &mut [f32],
) {
    if winograd::pays(problem) {
        return transformed::wgrad(cpu, problem, x, dy, dw, db, work);
    }
    let plan = plan(problem);
    let outer = &plan.outer;
    let k = problem.k;
    let kernels = MicroKernels::of(cpu.isa());
    let mut cutter = Cutter(work);
    let per_worker = outer.scratch(plan.group);
    let scratch = cutter.take(cpu.workers() * per_worker);
    let size = plan.dw + plan.db;
    let chunks = cutter.take(plan.chunks * size);
    let spans = k.div_ceil(plan.span);
    let positions = outer.size[0] * outer.size[1];
    let with_bias = db.is_some();
    let shared = Shared::new(chunks);
    run_tasks(cpu, plan.chunks * spans, scratch, per_worker, |task, scratch| {
        let (chunk, span) = (task / spans, task % spans);
        let ks = span * plan.span..((span + 1) * plan.span).min(k);
        let rows = if outer.rows_are_outputs() { ks.clone() } else { 0..outer.rows() };
        let items = plan.chunk(chunk);
        let base = chunk * size;
        // SAFETY: this task's own channels of this chunk's db.
        let sums = unsafe { shared.slice(base + plan.dw + ks.start, ks.len()) };
        sums.fill(0.0);
        // Without items one empty pass writes the zeros.
        let starts = items.clone().step_by(plan.group).chain(items.is_empty().then_some(0));
        for start in starts {
            let range = start..(start + plan.group).min(items.end);
            if with_bias {
                for row in dy[range.start * positions * k..range.end * positions * k].chunks(k) {
                    sums.iter_mut().zip(&row[ks.clone()]).for_each(|(sum, v)| *sum += v);
                }
            }
            // SAFETY: x and dy have the problem's lengths; the tiles lie in this task's rows of
            // the chunk's pieces.
            unsafe {
                let images = outer.images(x.as_ptr(), range.clone(), scratch);
                let dy = dy.as_ptr().wrapping_add(range.start * positions * k);
                let factors = OuterFactors { images, dy };
                for piece in 0..outer.pieces() {
                    for_each_tile(rows.clone(), outer.columns(), |rows, columns| {
                        let row = piece * outer.rows() + rows.start;
                        let out = shared.at(base + row * plan.pitch + columns.start);
                        let resume = start > items.start;
                        let target = OuterTarget { out, pitch: plan.pitch, resume };
                        outer.tile(kernels, &factors, piece, [rows, columns], &target);
                    });
                }
            }
        }
    });
    let chunks = &*chunks;
    let (count, window) = (plan.chunks, problem.r * problem.s * problem.c);
    let run = outer.run();
    let row = |(k, out): (usize, &mut [f32])| {
        for (i, out) in out.chunks_mut(run).enumerate() {
            let (piece, row, column) = outer.place(k, i * run);
            let at = (piece * outer.rows() + row) * plan.pitch + column;
            merge(count, |i| &chunks[i * size + at..][..run], out);
        }
    };
    if dw.len() < PARALLEL {
        dw.chunks_mut(window).enumerate().for_each(row);
    } else {
        cpu.pool().install(|| dw.par_chunks_mut(window).enumerate().for_each(row));
    }
    if let Some(db) = db {
        merge(count, |i| &chunks[i * size + plan.dw..][..k], db);
    }
}
