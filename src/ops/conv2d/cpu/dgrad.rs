//! Gradient with respect to the input.
//!
//! dx at row h gathers dy at rows (h + ph - r) / sh for the kernel rows r that make this whole.
//! Those r depend on h mod sh only, so dx splits into sh x sw interleaved grids ("residue
//! classes"), each a dense stride-1 convolution of dy with a part of the kernel, flipped. A class
//! without taps (1x1, stride 2) still writes its zeros.

use super::fprop::flatten;
use super::gather::{Edges, Gather, Pass};
use super::kernel::{Finish, Kernels, Start};
use super::pack::{Taps, pack_transposed, padded_channels};
use super::pad::Padded;
use super::task::{Cutter, Shared, lines, run_tasks};
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::Conv2dProblem;

/// One dimension of a residue class.
struct Axis {
    /// dx positions `first + i * stride`, i < size.
    first: usize,
    size: usize,
    /// Kernel positions in the order dy is read.
    taps: Vec<usize>,
    /// dy position (may be negative) of the first tap for i = 0.
    start: isize,
}

/// The residue classes of one dimension: input size h, kernel r, stride, padding.
fn axes(h: usize, r: usize, stride: usize, pad: usize) -> Vec<Axis> {
    (0..stride.min(h))
        .map(|first| {
            let lowest = (first + pad) % stride;
            let mut taps: Vec<usize> = (lowest..r).step_by(stride).collect();
            taps.reverse();
            let start = (first + pad) as isize / stride as isize - taps.len() as isize + 1;
            Axis { first, size: (h - first).div_ceil(stride), taps, start }
        })
        .collect()
}

/// Zeros needed before and after `len` dy positions.
fn border(axes: &[Axis], len: usize) -> (usize, usize) {
    let (mut before, mut after) = (0, 0);
    for a in axes.iter().filter(|a| !a.taps.is_empty()) {
        let end = a.start + (a.size + a.taps.len()) as isize - 1;
        before = before.max(-a.start);
        after = after.max(end - len as isize);
    }
    (before as usize, after as usize)
}

struct Plan {
    gather: Gather,
    taps: Vec<Taps>,
}

fn plan(cpu: &Cpu, problem: &Conv2dProblem) -> Plan {
    let p = flatten(problem);
    let blocks = Kernels::of(cpu.isa()).blocks(p.c);
    let (rows, cols) =
        (axes(p.h, p.r, p.stride[0], p.pad[0]), axes(p.w, p.s, p.stride[1], p.pad[1]));
    let (h, w) = if p.h == 0 { (0, 0) } else { (p.p(), p.q()) };
    let ((top, bottom), (left, right)) = (border(&rows, h), border(&cols, w));
    let input = Padded { h, w, c: p.k, top, bottom, left, right };
    let mut passes = Vec::new();
    let mut taps = Vec::new();
    let mut panel = 0;
    for a in &rows {
        for b in &cols {
            let origin =
                |axis: &Axis, before: usize| (axis.start + before as isize).max(0) as usize;
            passes.push(Pass {
                size: [a.size, b.size],
                origin: [origin(a, top), origin(b, left)],
                step: [1, 1],
                taps: [a.taps.len(), b.taps.len()],
                out_origin: [a.first, b.first],
                out_step: p.stride,
                panel,
            });
            panel += a.taps.len() * b.taps.len() * p.k;
            taps.push(Taps { rows: a.taps.clone(), cols: b.taps.clone() });
        }
    }
    Plan { gather: Gather::cut(p.n, input, [p.h, p.w, p.c], passes, blocks), taps }
}

/// Workspace: panels of all classes, scratch of the workers.
pub fn workspace(cpu: &Cpu, p: &Conv2dProblem) -> usize {
    let plan = plan(cpu, p).gather;
    lines(p.r * p.s * p.k * padded_channels(&plan.blocks)) + cpu.workers() * plan.scratch()
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
    let Plan { gather: plan, taps } = plan(cpu, problem);
    let padded = padded_channels(&plan.blocks);
    let Conv2dProblem { c, k, r, s, .. } = *problem;
    let mut cutter = Cutter(work);
    let packed = cutter.take(r * s * k * padded);
    let per_worker = plan.scratch();
    let scratch = cutter.take(cpu.workers() * per_worker);
    cpu.pool().install(|| {
        let mut rest = &mut *packed;
        for taps in &taps {
            let len = taps.rows.len() * taps.cols.len() * k * padded;
            let (panels, after) = rest.split_at_mut(len);
            pack_transposed(w, [k, r, s, c], taps, &plan.blocks, panels);
            rest = after;
        }
    });
    let packed = &*packed;
    let finish = if accumulate { Finish::Add } else { Finish::Store };
    let edges = Edges { start: Start::Zero, finish };
    let dx = Shared::new(dx);
    run_tasks(cpu, plan.tasks(), scratch, per_worker, |task, scratch| {
        // SAFETY: the slices have the lengths the plan was made for; tasks write disjoint parts.
        unsafe {
            plan.run(&plan.part(task), dy.as_ptr(), packed.as_ptr(), &edges, &dx, scratch);
        }
    });
}
