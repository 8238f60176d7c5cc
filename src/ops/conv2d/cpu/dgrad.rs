//! Gradient with respect to the input.
//!
//! dx at row h gathers dy at rows (h + ph - r) / sh for the kernel rows r that make this whole.
//! Those r depend on h mod sh only, so dx splits into sh x sw interleaved grids ("residue
//! classes"), each a dense stride-1 convolution of dy with a part of the kernel, flipped. A class
//! without taps (1x1, stride 2) still writes its zeros.

use super::direct::{DenseOperands, Dimension, Direct, DirectPass, Edges};
use super::fprop::flatten;
use super::kernel::{MicroKernels, SumFinish, SumStart};
use super::pack::{Taps, pack_transposed, padded_channels};
use super::task::{Cutter, Shared, lines, run_tasks};
use super::winograd::{self, Winograd};
use crate::backend::Cpu;
use crate::ops::conv2d::Conv2dProblem;

/// The residue classes of one dimension, each with its kernel positions in the order dy is read:
/// input size h, dy size p, kernel r, stride, padding.
fn classes(
    h: usize,
    p: usize,
    r: usize,
    stride: usize,
    pad: usize,
) -> Vec<(Dimension, Vec<usize>)> {
    (0..stride.min(h))
        .map(|first| {
            let mut taps: Vec<usize> = ((first + pad) % stride..r).step_by(stride).collect();
            taps.reverse();
            // The first position of dx under the first tap.
            let origin = ((first + pad) / stride) as isize - taps.len() as isize + 1;
            let size = (h - first).div_ceil(stride);
            (Dimension::new(size, taps.len(), origin, 1, p).to(first, stride), taps)
        })
        .collect()
}

struct DgradPlan {
    direct: Direct,
    taps: Vec<Taps>,
}

fn plan(cpu: &Cpu, problem: &Conv2dProblem) -> DgradPlan {
    let p = flatten(problem);
    let blocks = MicroKernels::of(cpu.isa()).blocks(p.c);
    let (out_h, out_w) = if p.h == 0 { (0, 0) } else { (p.p(), p.q()) };
    let rows = classes(p.h, out_h, p.r, p.stride[0], p.pad[0]);
    let cols = classes(p.w, out_w, p.s, p.stride[1], p.pad[1]);
    let mut passes = Vec::new();
    let mut taps = Vec::new();
    let mut panel = 0;
    for (a, r) in &rows {
        for (b, s) in &cols {
            passes.push(DirectPass { rows: a.clone(), cols: b.clone(), panel });
            panel += r.len() * s.len() * p.k;
            taps.push(Taps { rows: r.clone(), cols: s.clone() });
        }
    }
    let direct = Direct::new(p.n, [out_h, out_w, p.k], [p.h, p.w, p.c], passes, blocks);
    DgradPlan { direct, taps }
}

/// For a 3x3 kernel with stride 1 and padding 1: the convolution of dy with the flipped kernel.
fn flipped(cpu: &Cpu, p: &Conv2dProblem) -> Winograd {
    Winograd::new(cpu, p.n, [p.h, p.w, p.k], p.c)
}

/// Workspace: panels of all classes.
pub fn workspace(cpu: &Cpu, p: &Conv2dProblem) -> usize {
    if winograd::pays(p) {
        let plan = flipped(cpu, p);
        return plan.panels().map(lines).iter().sum::<usize>() + plan.scratch(cpu);
    }
    let plan = plan(cpu, p).direct;
    lines(p.r * p.s * p.k * padded_channels(&plan.blocks))
}

/// dx (+)= dy * w^T. Slices have the lengths of the problem; `work` has [`workspace`] values.
pub fn dgrad(
    cpu: &Cpu,
    problem: &Conv2dProblem,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    accumulate: bool,
    work: &mut [f32],
) {
    let finish = if accumulate { SumFinish::Add } else { SumFinish::Store };
    let edges = Edges { start: SumStart::Zero, finish };
    let dx = Shared::new(dx);
    let Conv2dProblem { c, k, r, s, .. } = *problem;
    if winograd::pays(problem) {
        let plan = flipped(cpu, problem);
        let mut cutter = Cutter(work);
        let [packed, u] = plan.panels().map(|len| cutter.take(len));
        let taps = Taps { rows: vec![2, 1, 0], cols: vec![2, 1, 0] };
        pack_transposed(cpu, w, [k, r, s, c], &taps, &plan.blocks, packed);
        plan.transform(cpu, packed, u);
        let scratch = cutter.take(plan.scratch(cpu));
        let operands = DenseOperands { x: dy, panels: u, edges: &edges, y: &dx };
        // SAFETY: the slices have the lengths the plan was made for.
        unsafe { plan.run(cpu, &operands, scratch, |_| {}) };
        return;
    }
    let DgradPlan { direct: plan, taps } = plan(cpu, problem);
    let padded = padded_channels(&plan.blocks);
    let mut cutter = Cutter(work);
    let packed = cutter.take(r * s * k * padded);
    let mut rest = &mut *packed;
    for taps in &taps {
        let len = taps.rows.len() * taps.cols.len() * k * padded;
        let (panels, after) = rest.split_at_mut(len);
        pack_transposed(cpu, w, [k, r, s, c], taps, &plan.blocks, panels);
        rest = after;
    }
    let packed = &*packed;
    let operands = DenseOperands { x: dy, panels: packed, edges: &edges, y: &dx };
    run_tasks(cpu, plan.cut.tasks(), &mut [], 0, |task, _| {
        // SAFETY: the slices have the lengths the plan was made for; tasks write disjoint parts.
        unsafe { plan.run(&plan.cut.part(task), &operands) };
    });
}
