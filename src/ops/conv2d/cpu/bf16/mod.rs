//! Convolutions on bf16 views: products of bf16, sums in f32.
//!
//! - `block`: what a block of sums is; `products`: the one loop, in two orders of sums, each with an
//!   instruction (`tiles`, `pairs`) and without;
//! - `pack`: weights as right factors; `images`: input rows as left factors;
//! - `dense`: fprop and dgrad; `epilogue`: what becomes of their sums;
//! - `wgrad`: weight gradients; `norm`: instantiated norms; `transpose`: the factors of both.

mod block;
mod dense;
mod epilogue;
mod images;
mod norm;
mod pack;
#[cfg(target_arch = "x86_64")]
mod pairs;
mod products;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod transpose;
mod wgrad;

use super::statistics::{self, Moments};
use super::task::{Cutter, lines};
use crate::backend::cpu::{CpuMemory, Mixed};
use crate::backend::{Cpu, View};
use crate::error::Result;
use crate::ops::conv2d::{
    Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
    GradNormOperands, NormGradient, WgradOperands,
};
use crate::ops::reduce::tree_sum;
use dense::Dense;
use epilogue::Finish;
use pack::{Outputs, pack, packed_len};

/// Outputs and summed channels of fprop (outputs K) or dgrad (C), and the pass.
fn pass(p: &Conv2dProblem, of: Outputs) -> (Dense, [usize; 2]) {
    match of {
        Outputs::K => (Dense::forward(p), [p.k, p.c]),
        Outputs::C => (Dense::backward(p), [p.c, p.k]),
    }
}

/// f32 values of a pass's packed weights, its parts' state and its scratch.
fn parts_of_workspace(cpu: &Cpu, p: &Conv2dProblem, of: Outputs) -> [usize; 3] {
    let (dense, channels) = pass(p, of);
    let packed = packed_len(p.r * p.s, channels).div_ceil(2);
    [packed, dense.parts() * 2 * channels[0], dense::workspace(cpu, &dense)]
}

/// Packs the weights and computes a pass; the state that its parts leave.
fn compute<'a>(
    cpu: &Cpu,
    p: &Conv2dProblem,
    of: Outputs,
    [x, w]: [&[u16]; 2],
    out: &mut [u16],
    after: &Finish,
    work: &'a mut [f32],
) -> &'a mut [f32] {
    let mut cutter = Cutter(work);
    let [packed, state, scratch] = parts_of_workspace(cpu, p, of).map(|len| cutter.take(len));
    let (dense, channels) = pass(p, of);
    let packed: &mut [u16] = bytemuck::cast_slice_mut(packed);
    pack(cpu, p, of, w, &mut packed[..packed_len(p.r * p.s, channels)]);
    dense.run(cpu, [x, packed], out, after, [&mut *state, scratch]);
    state
}

/// f32 values of workspace.
pub fn workspace(cpu: &Cpu, p: &Conv2dProblem, direction: Conv2dDirection) -> usize {
    let of_pass = |of| parts_of_workspace(cpu, p, of).map(lines).iter().sum();
    match direction {
        Conv2dDirection::Fprop => of_pass(Outputs::K),
        Conv2dDirection::Dgrad | Conv2dDirection::DgradNorm => of_pass(Outputs::C),
        Conv2dDirection::Wgrad => wgrad::workspace(cpu, p),
        Conv2dDirection::GradNorm(form) => norm::workspace(cpu, p, form),
    }
}

/// The fastest form of the gradient norm.
pub fn grad_norm_form(p: &Conv2dProblem) -> GradNormForm {
    norm::choose(p)
}

fn pointer<T>(slice: Option<&[T]>) -> *const T {
    slice.map_or(std::ptr::null(), <[T]>::as_ptr)
}

/// See [`Conv2d::conv2d_fprop`](crate::ops::conv2d::Conv2d::conv2d_fprop); checked.
pub fn fprop(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    p: &Conv2dProblem,
    operands: &FpropOperands,
) -> Result<()> {
    let FpropOperands { x, w, bias, y, epilogue, workspace } = *operands;
    let none = View::EMPTY;
    let (mut reads, mut writes, mut residual) = ([none; 2], [none; 2], None);
    match epilogue {
        Epilogue::None => {}
        Epilogue::Statistics { mean, m2 } => writes = [mean, m2],
        Epilogue::Affine { scale, shift, residual: r, .. } => {
            (reads, residual) = ([scale, shift], r)
        }
    }
    let views = memory.mixed(
        [reads[0], reads[1], bias.unwrap_or(none)],
        [workspace, writes[0], writes[1]],
        [x, w, residual.unwrap_or(none)],
        [y],
    )?;
    let Mixed { reads: [scale, shift, bias_values], writes: [work, mean, m2], .. } = views;
    let ([x, w, residual_values], [y]) = (views.bf16_reads, views.bf16_writes);
    let bias = pointer(bias.map(|_| bias_values));
    let after = match epilogue {
        Epilogue::None => Finish::Store { bias },
        Epilogue::Statistics { .. } => Finish::Moments { bias },
        Epilogue::Affine { relu, .. } => {
            let (scale, shift) = (scale.as_ptr(), shift.as_ptr());
            let residual = pointer(residual.map(|_| residual_values));
            Finish::Affine { bias, scale, shift, residual, relu }
        }
    };
    let state = compute(cpu, p, Outputs::K, [x, w], y, &after, work);
    if let Epilogue::Statistics { .. } = epilogue {
        let dense = Dense::forward(p);
        let counts = (0..dense.parts()).map(|i| dense.pixels_of(i)).collect();
        statistics::merge(Moments { counts, channels: p.k, values: state }, mean, m2);
    }
    Ok(())
}

/// See [`Conv2d::conv2d_dgrad`](crate::ops::conv2d::Conv2d::conv2d_dgrad); checked.
pub fn dgrad(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    p: &Conv2dProblem,
    operands: &DgradOperands,
) -> Result<()> {
    let DgradOperands { dy, w, dx, accumulate, norm, workspace } = *operands;
    let none = View::EMPTY;
    let mut out_view = None;
    let [mut y, mut mean, mut rstd, mut dgamma, mut dbeta] = [none; 5];
    if let Some(norm) = norm {
        NormGradient { out: out_view, y, mean, rstd, dgamma, dbeta } = norm;
    }
    let views = memory.mixed(
        [mean, rstd],
        [workspace, dgamma, dbeta],
        [dy, w, y, out_view.unwrap_or(none)],
        [dx],
    )?;
    let Mixed { reads: [mean, rstd], writes: [work, dgamma, dbeta], .. } = views;
    let ([dy, w, y, out], [dx]) = (views.bf16_reads, views.bf16_writes);
    let after = match norm {
        Some(_) => Finish::Norm {
            add: accumulate,
            out: pointer(out_view.map(|_| out)),
            y: y.as_ptr(),
            mean: mean.as_ptr(),
            rstd: rstd.as_ptr(),
        },
        None if accumulate => Finish::Add,
        None => Finish::Store { bias: std::ptr::null() },
    };
    let state = compute(cpu, p, Outputs::C, [dy, w], dx, &after, work);
    if norm.is_some() {
        if state.is_empty() {
            dgamma.fill(0.0);
            dbeta.fill(0.0);
            return Ok(());
        }
        tree_sum(state, 2 * p.c);
        dbeta.copy_from_slice(&state[..p.c]);
        dgamma.copy_from_slice(&state[p.c..2 * p.c]);
    }
    Ok(())
}

/// See [`Conv2d::conv2d_wgrad`](crate::ops::conv2d::Conv2d::conv2d_wgrad); checked.
pub fn wgrad(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    p: &Conv2dProblem,
    operands: &WgradOperands,
) -> Result<()> {
    let WgradOperands { x, dy, dw, db, workspace } = *operands;
    let views = memory.mixed([], [dw, workspace, db.unwrap_or(View::EMPTY)], [x, dy], [])?;
    let ([dw, work, bias], [x, dy]) = (views.writes, views.bf16_reads);
    wgrad::wgrad(cpu, p, [x, dy], dw, db.map(|_| bias), work);
    Ok(())
}

/// See [`Conv2d::conv2d_grad_norm`](crate::ops::conv2d::Conv2d::conv2d_grad_norm); checked.
pub fn grad_norm(
    cpu: &Cpu,
    memory: &mut CpuMemory,
    p: &Conv2dProblem,
    operands: &GradNormOperands,
) -> Result<()> {
    let GradNormOperands { x, dy, bias, norms, form, workspace } = *operands;
    let views = memory.mixed([], [norms, workspace], [x, dy], [])?;
    let ([norms, work], [x, dy]) = (views.writes, views.bf16_reads);
    norm::grad_norm(cpu, p, [x, dy], bias, norms, form, work);
    Ok(())
}
