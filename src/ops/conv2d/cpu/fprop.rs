//! Forward convolution: one direct pass over x, or Winograd's, with the epilogue on the sums in
//! registers and the statistics on the part of y a task has just written.

use super::direct::{DenseOperands, Dimension, Direct, DirectPass, Edges};
use super::kernel::{MicroKernels, SumFinish, SumStart};
use super::pack::{ChannelBlock, channels_of, pack_forward, padded_channels};
use super::statistics::{self, Moments};
use super::task::{Cutter, Shared, lines, run_tasks};
use super::tasks::{TaskGrid, TaskPart};
use super::winograd::{self, Winograd};
use crate::backend::Cpu;
use crate::ops::conv2d::Conv2dProblem;

/// What follows the sums.
pub enum EpilogueSlices<'a> {
    Nothing,
    Statistics { mean: &'a mut [f32], m2: &'a mut [f32] },
    Affine { scale: &'a [f32], shift: &'a [f32], residual: Option<&'a [f32]>, relu: bool },
}

/// A 1x1 convolution without stride or padding: a matrix product over all pixels.
pub fn is_pointwise(p: &Conv2dProblem) -> bool {
    [p.r, p.s, p.stride[0], p.stride[1]] == [1; 4] && p.pad == [0, 0]
}

/// A pointwise convolution as one over a single column of pixels; others as they are.
pub fn flatten(problem: &Conv2dProblem) -> Conv2dProblem {
    let p = *problem;
    if is_pointwise(problem) {
        return Conv2dProblem { n: 1, h: p.n * p.h * p.w, w: 1, ..p };
    }
    p
}

fn plan(cpu: &Cpu, problem: &Conv2dProblem) -> Direct {
    let p = flatten(problem);
    let (rows, cols) = if p.h == 0 { (0, 0) } else { (p.p(), p.q()) };
    let pass = DirectPass {
        rows: Dimension::new(rows, p.r, -(p.pad[0] as isize), p.stride[0], p.h),
        cols: Dimension::new(cols, p.s, -(p.pad[1] as isize), p.stride[1], p.w),
        panel: 0,
    };
    let blocks = MicroKernels::of(cpu.isa()).blocks(p.k);
    Direct::new(p.n, [p.h, p.w, p.c], [rows, cols, p.k], vec![pass], blocks)
}

fn winograd(cpu: &Cpu, p: &Conv2dProblem) -> Winograd {
    Winograd::new(cpu, p.n, [p.h, p.w, p.c], p.k)
}

/// Values of partial moments.
fn moments(cut: &TaskGrid, k: usize) -> usize {
    cut.parts() * 2 * k
}

/// Workspace: panels, partial moments, scratch.
pub fn workspace(cpu: &Cpu, p: &Conv2dProblem) -> usize {
    if winograd::pays(p) {
        let plan = winograd(cpu, p);
        let panels: usize = plan.panels().map(lines).iter().sum();
        return panels + lines(moments(&plan.cut, p.k)) + plan.scratch(cpu);
    }
    let plan = plan(cpu, p);
    lines(p.r * p.s * p.c * padded_channels(&plan.blocks)) + lines(moments(&plan.cut, p.k))
}

/// y = x * w (+ bias), then `after`. Slices have the lengths of the problem; `work` has
/// [`workspace`] values.
pub fn fprop(
    cpu: &Cpu,
    problem: &Conv2dProblem,
    [x, w]: [&[f32]; 2],
    bias: Option<&[f32]>,
    y: &mut [f32],
    after: EpilogueSlices<'_>,
    work: &mut [f32],
) {
    let edges = Edges {
        start: bias.map_or(SumStart::Zero, |b| SumStart::Bias(b.as_ptr())),
        finish: match &after {
            EpilogueSlices::Affine { scale, shift, residual, relu } => SumFinish::Affine {
                scale: scale.as_ptr(),
                shift: shift.as_ptr(),
                residual: residual.map_or(std::ptr::null(), |r| r.as_ptr()),
                relu: *relu,
            },
            _ => SumFinish::Store,
        },
    };
    let p = problem;
    let window = p.r * p.s * p.c;
    let y = Shared::new(y);
    let mut cutter = Cutter(work);
    // The moments of a part, right after a task has written it.
    let moments_of = |size, blocks: &[ChannelBlock], part: &TaskPart, partial: &Shared| {
        if matches!(after, EpilogueSlices::Statistics { .. }) {
            let channels = channels_of(&blocks[part.blocks.clone()]);
            // SAFETY: this task wrote these pixels and channels, and no other touches them.
            unsafe { statistics::of_part(cpu.isa(), size, part, channels, &y, partial) };
        }
    };
    let (cut, width, partial) = if winograd::pays(p) {
        let plan = winograd(cpu, p);
        let [packed, u] = plan.panels().map(|len| cutter.take(len));
        let partial = cutter.take(moments(&plan.cut, p.k));
        let scratch = cutter.take(plan.scratch(cpu));
        pack_forward(cpu, w, window, &plan.blocks, packed);
        plan.transform(cpu, packed, u);
        let shared = Shared::new(partial);
        let done = |part: &TaskPart| moments_of([p.h, p.w, p.k], &plan.blocks, part, &shared);
        let operands = DenseOperands { x, panels: u, edges: &edges, y: &y };
        // SAFETY: the slices have the lengths the plan was made for.
        unsafe { plan.run(cpu, &operands, scratch, done) };
        (plan.cut, p.w, partial)
    } else {
        let plan = plan(cpu, p);
        let packed = cutter.take(window * padded_channels(&plan.blocks));
        let partial = cutter.take(moments(&plan.cut, p.k));
        pack_forward(cpu, w, window, &plan.blocks, packed);
        let (panels, shared) = (&*packed, Shared::new(partial));
        let operands = DenseOperands { x, panels, edges: &edges, y: &y };
        run_tasks(cpu, plan.cut.tasks(), &mut [], 0, |task, _| {
            let part = plan.cut.part(task);
            // SAFETY: the slices have the lengths the plan was made for; tasks write disjoint
            // parts.
            unsafe { plan.run(&part, &operands) };
            moments_of(plan.out, &plan.blocks, &part, &shared);
        });
        (plan.cut, plan.out[1], partial)
    };
    if let EpilogueSlices::Statistics { mean, m2 } = after {
        let counts = (0..cut.parts()).map(|i| cut.rows_of(i) * width).collect();
        statistics::merge(Moments { counts, channels: p.k, values: partial }, mean, m2);
    }
}
