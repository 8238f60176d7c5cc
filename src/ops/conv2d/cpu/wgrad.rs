//! Gradient with respect to the weights.
//!
//! The batch is cut into a fixed number of chunks, each summed into its own buffer in order of
//! images, rows and columns; the chunks are merged as ((0+1)+(2+3))+((4+5)+(6+7)). So the result
//! does not depend on the number of threads.

use rayon::prelude::*;

use super::columns::Columns;
use super::fprop::{flatten, is_pointwise};
use super::kernel::{COLUMNS, Kernels};
use super::task::{Cutter, Shared, lines, run_tasks};
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::Conv2dProblem;

/// Gradient chunks of a batch.
pub const CHUNKS: usize = 8;
/// Pixels a tile's sums should stay in registers for; several small images are taken together.
const PIXELS: usize = 256;
/// Output channels of a tile.
const TILE_ROWS: usize = 8;
/// Column groups of a tile.
const TILE_GROUPS: usize = 3;
/// Tasks below which chunks are split by output channels.
const TASKS: usize = 16;

struct Plan {
    columns: Columns,
    /// Things summed over: images, or pixels of a flattened 1x1 convolution.
    items: usize,
    /// Images a pass.
    group: usize,
    /// Output channels a task.
    span: usize,
    /// Values of a chunk's dw, columns padded to whole groups, then of its db.
    dw: usize,
    db: usize,
}

fn plan(problem: &Conv2dProblem) -> Plan {
    // The pixels of a pointwise convolution are dealt to chunks one by one, as images of one pixel.
    let flat = flatten(problem);
    let one = if is_pointwise(problem) { Conv2dProblem { n: flat.h, h: 1, ..flat } } else { flat };
    let items = one.n;
    let columns = Columns::new(&one);
    let pixels = (columns.size[0] * columns.size[1]).max(1);
    let group = (PIXELS.div_ceil(pixels)).clamp(1, items.div_ceil(CHUNKS).max(1));
    let spans = TASKS.div_ceil(CHUNKS.min(items.max(1)));
    let span = one.k.div_ceil(spans).next_multiple_of(TILE_ROWS);
    Plan {
        items,
        group,
        span,
        dw: lines(one.k * one.r * columns.groups() * COLUMNS),
        db: lines(one.k),
        columns,
    }
}

impl Plan {
    fn chunks(&self) -> usize {
        CHUNKS.min(self.items).max(1)
    }

    fn chunk(&self, i: usize) -> std::ops::Range<usize> {
        self.items * i / self.chunks()..self.items * (i + 1) / self.chunks()
    }
}

/// Workspace: padded images of the workers, chunk buffers.
pub fn workspace(cpu: &Cpu, problem: &Conv2dProblem) -> usize {
    let plan = plan(problem);
    cpu.workers() * plan.columns.scratch(plan.group) + plan.chunks() * (plan.dw + plan.db)
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
    let plan = plan(problem);
    let columns = &plan.columns;
    let Conv2dProblem { k, r, s, c, .. } = *problem;
    let kernels = Kernels::of(cpu.isa());
    let mut cutter = Cutter(work);
    let per_worker = columns.scratch(plan.group);
    let scratch = cutter.take(cpu.workers() * per_worker);
    let chunks = cutter.take(plan.chunks() * (plan.dw + plan.db));
    let size = plan.dw + plan.db;
    let spans = k.div_ceil(plan.span);
    let pitch = columns.groups() * COLUMNS;
    let pixels = columns.size[0] * columns.size[1];
    let with_bias = db.is_some();
    let shared = Shared::new(chunks);
    run_tasks(cpu, plan.chunks() * spans, scratch, per_worker, |task, scratch| {
        let (chunk, span) = (task / spans, task % spans);
        let ks = span * plan.span..((span + 1) * plan.span).min(k);
        let items = plan.chunk(chunk);
        let base = chunk * size;
        // SAFETY: this task's own channels of this chunk's db.
        let sums = unsafe { shared.slice(base + plan.dw + ks.start, ks.len()) };
        sums.fill(0.0);
        if items.is_empty() {
            // SAFETY: this task's own rows of this chunk's dw.
            unsafe { shared.slice(base + ks.start * r * pitch, ks.len() * r * pitch) }.fill(0.0);
        }
        for start in items.clone().step_by(plan.group) {
            let range = start..(start + plan.group).min(items.end);
            let dy_from = start * pixels * k;
            if with_bias {
                for pixel in 0..range.len() * pixels {
                    let row = &dy[dy_from + pixel * k..][ks.clone()];
                    sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                }
            }
            // SAFETY: x and dy have the problem's lengths; the tiles lie in this task's rows of
            // the chunk's dw.
            unsafe {
                let images = columns.images(x.as_ptr(), range, scratch);
                for r_i in 0..r {
                    for k_i in ks.clone().step_by(TILE_ROWS) {
                        let rows = TILE_ROWS.min(ks.end - k_i);
                        for g in (0..columns.groups()).step_by(TILE_GROUPS) {
                            let groups = TILE_GROUPS.min(columns.groups() - g);
                            let out = shared.at(base + (k_i * r + r_i) * pitch + g * COLUMNS);
                            let dy = dy.as_ptr().add(dy_from);
                            let resume = start > items.start;
                            columns.tile(
                                kernels,
                                images,
                                dy,
                                [k_i, rows],
                                r_i,
                                [g, groups],
                                out,
                                r * pitch,
                                resume,
                            );
                        }
                    }
                }
            }
        }
    });
    let chunks = &*chunks;
    let count = plan.chunks();
    cpu.pool().install(|| {
        dw.par_chunks_mut(s * c).with_min_len(4096usize.div_ceil(s * c)).enumerate().for_each(
            |(row, out)| merge(count, |i| &chunks[i * size + row * pitch..][..s * c], out),
        );
    });
    if let Some(db) = db {
        merge(count, |i| &chunks[i * size + plan.dw..][..k], db);
    }
}

/// Sums `count` parts pairwise: neighbours first.
fn merge<'a>(count: usize, part: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    for (j, out) in out.iter_mut().enumerate() {
        let mut values = [0.0f32; CHUNKS];
        for (i, v) in values.iter_mut().enumerate().take(count) {
            *v = part(i)[j];
        }
        let [a, b, c, d, e, f, g, h] = values;
        *out = ((a + b) + (c + d)) + ((e + f) + (g + h));
    }
}
