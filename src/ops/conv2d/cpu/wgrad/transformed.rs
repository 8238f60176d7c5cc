//! wgrad of 3x3 kernels in Winograd's planes: chunks of the batch are summed and merged as planes,
//! and the merged planes become the gradient.

use super::super::kernel::{MicroKernels, PLANES};
use super::super::task::{Cutter, Shared, lines, run_tasks};
use super::super::winograd::Gradient;
use super::chunks::{CHUNKS, TASKS, merge};
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::Conv2dProblem;

/// Values of all chunks' planes, about, at most.
const CHUNK_VALUES: usize = 1 << 20;

struct TransformedPlan {
    chunks: usize,
    /// Output channels a task; the last has fewer.
    span: usize,
    gradient: Gradient,
    /// Values of a chunk's planes, and of its planes and bias.
    planes: usize,
    size: usize,
}

fn plan(p: &Conv2dProblem) -> TransformedPlan {
    let gradient = Gradient::new(p);
    let planes = gradient.planes();
    let most = 1 << (CHUNK_VALUES / planes).clamp(1, CHUNKS).ilog2();
    let chunks = most.min(p.n).max(1);
    let spans = TASKS.div_ceil(chunks);
    let span = p.k.div_ceil(spans).next_multiple_of(16).max(32).min(p.k);
    TransformedPlan { chunks, span, gradient, planes, size: planes + lines(p.k) }
}

/// Workspace: transformed tiles and a row of the gradient for the workers, chunk buffers.
pub fn workspace(cpu: &Cpu, problem: &Conv2dProblem) -> usize {
    let plan = plan(problem);
    cpu.workers() * scratch(&plan, problem) + plan.chunks * plan.size
}

/// Values a worker needs: tiles, then one output channel of merged planes.
fn scratch(plan: &TransformedPlan, p: &Conv2dProblem) -> usize {
    lines(plan.gradient.with_channels(plan.span).scratch().max(PLANES * p.c))
}

/// See [`super::wgrad`].
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
    let kernels = MicroKernels::of(cpu.isa());
    let (c, k, image) = (problem.c, problem.k, problem.h * problem.w);
    let per_worker = scratch(&plan, problem);
    let mut cutter = Cutter(work);
    let scratch = cutter.take(cpu.workers() * per_worker);
    let chunks = cutter.take(plan.chunks * plan.size);
    let spans = k.div_ceil(plan.span);
    let with_bias = db.is_some();
    let shared = Shared::new(chunks);
    run_tasks(cpu, plan.chunks * spans, scratch, per_worker, |task, scratch| {
        let (chunk, span) = (task / spans, task % spans);
        let ks = span * plan.span..((span + 1) * plan.span).min(k);
        let images = problem.n * chunk / plan.chunks..problem.n * (chunk + 1) / plan.chunks;
        let base = chunk * plan.size;
        // A span's planes lie together: 16 planes of its output channels.
        let own = plan.gradient.with_channels(ks.len());
        // SAFETY: this task's own planes of this chunk.
        let planes = unsafe { shared.slice(base + PLANES * c * ks.start, own.planes()) };
        if images.is_empty() {
            planes.fill(0.0);
        }
        // SAFETY: x and dy have the problem's lengths, and the scratch was planned for this span.
        unsafe {
            let (x, dy) = (x.as_ptr(), dy.as_ptr().wrapping_add(ks.start));
            own.accumulate(kernels, x, dy, images.clone(), planes.as_mut_ptr(), scratch);
        }
        if with_bias {
            // SAFETY: this task's own channels of this chunk's db.
            let sums = unsafe { shared.slice(base + plan.planes + ks.start, ks.len()) };
            sums.fill(0.0);
            for row in dy[images.start * image * k..images.end * image * k].chunks(k) {
                sums.iter_mut().zip(&row[ks.clone()]).for_each(|(sum, v)| *sum += v);
            }
        }
    });
    let chunks = &*chunks;
    let out = Shared::new(dw);
    run_tasks(cpu, k, scratch, per_worker, |ki, scratch| {
        let first = ki / plan.span * plan.span;
        let own = plan.gradient.with_channels(plan.span.min(k - first));
        let plane = own.planes() / PLANES;
        let at = PLANES * c * first + (ki - first) * c;
        // SAFETY: this task's own output channel.
        let dw = unsafe { out.slice(ki * own.row(), own.row()) };
        let (m, plane) = if plan.chunks == 1 {
            (chunks[at..].as_ptr(), plane)
        } else {
            for (i, row) in scratch.chunks_exact_mut(c).take(PLANES).enumerate() {
                merge(plan.chunks, |part| &chunks[part * plan.size + at + i * plane..][..c], row);
            }
            (scratch.as_ptr(), c)
        };
        // SAFETY: 16 planes of one output channel.
        unsafe { own.filter(kernels, m, plane, dw) };
    });
    if let Some(db) = db {
        merge(plan.chunks, |part| &chunks[part * plan.size + plan.planes..][..k], db);
    }
}
