//! Convolution on the CPU: exact f32, vectorised by hand, no im2col in memory.
//!
//! - `kernel`: register tiles, one source for every instruction set;
//! - `direct`: the driver of fprop and dgrad; `winograd`: the same with fewer products, for 3x3
//!   kernels; `outer`: wgrad and instantiated norms; `gram`: norms from Gram matrices; `form`:
//!   which form of the norm is fastest;
//! - `bf16`: all of it on bf16 views.
//!
//! Results do not depend on the number of threads or the instruction set: in f32 every output value is
//! one chain of fused multiply-adds (or a fixed tree of 16), and what is merged across tasks is merged in
//! a tree fixed by the problem.

mod bf16;
mod dgrad;
mod direct;
mod form;
mod fprop;
mod grad_norm;
mod gram;
mod kernel;
mod outer;
mod pack;
mod pad;
mod statistics;
mod task;
mod tasks;
mod wgrad;
mod winograd;

use super::{
    Conv2d, Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
    GradNormOperands, WgradOperands,
};
use crate::backend::cpu::CpuMemory;
use crate::backend::{Backend, Cpu, View};
use crate::error::{Error, Result};
use crate::tensor::Dtype;
use fprop::EpilogueSlices;

pub(crate) use grad_norm::SampleNorm;
pub(crate) use kernel::MicroKernels;
pub(crate) use outer::valid;
pub(crate) use task::{Shared, lines, run_tasks};

impl Conv2d for Cpu {
    fn conv2d_workspace(
        &self,
        problem: &Conv2dProblem,
        direction: Conv2dDirection,
        dtype: Dtype,
    ) -> usize {
        if problem.check().is_err() {
            return 0;
        }
        if dtype == Dtype::Bf16 {
            return if problem.takes_bf16() {
                bf16::workspace(self, problem, direction)
            } else {
                0
            };
        }
        match direction {
            Conv2dDirection::Fprop => fprop::workspace(self, problem),
            Conv2dDirection::Dgrad => dgrad::workspace(self, problem),
            Conv2dDirection::DgradNorm => 0,
            Conv2dDirection::Wgrad => wgrad::workspace(self, problem),
            Conv2dDirection::GradNorm(form) => grad_norm::workspace(self, problem, form),
        }
    }

    fn conv2d_grad_norm_form(&self, problem: &Conv2dProblem, dtype: Dtype) -> GradNormForm {
        if dtype == Dtype::Bf16 {
            return bf16::grad_norm_form(problem);
        }
        form::choose(problem)
    }

    fn conv2d_fprop(
        &self,
        memory: &mut CpuMemory,
        problem: &Conv2dProblem,
        operands: &FpropOperands,
    ) -> Result<()> {
        problem.check_fprop(self, operands)?;
        if operands.x.dtype == Dtype::Bf16 {
            return bf16::fprop(self, memory, problem, operands);
        }
        let FpropOperands { x, w, bias, y, epilogue, workspace } = *operands;
        let none = View::EMPTY;
        let mut reads = [none; 3];
        let mut writes = [none; 2];
        match epilogue {
            Epilogue::None => {}
            Epilogue::Statistics { mean, m2 } => writes = [mean, m2],
            Epilogue::Affine { scale, shift, residual, .. } => {
                reads = [scale, shift, residual.unwrap_or(none)];
            }
        }
        let [a, b, c] = reads;
        let ([x, w, bias_slice, scale, shift, residual_slice], [y, work, mean, m2]) = memory
            .slices([x, w, bias.unwrap_or(none), a, b, c], [y, workspace, writes[0], writes[1]])?;
        let after = match epilogue {
            Epilogue::None => EpilogueSlices::Nothing,
            Epilogue::Statistics { .. } => EpilogueSlices::Statistics { mean, m2 },
            Epilogue::Affine { residual, relu, .. } => EpilogueSlices::Affine {
                scale,
                shift,
                residual: residual.map(|_| residual_slice),
                relu,
            },
        };
        fprop::fprop(self, problem, [x, w], bias.map(|_| bias_slice), y, after, work);
        Ok(())
    }

    fn conv2d_dgrad(
        &self,
        memory: &mut CpuMemory,
        problem: &Conv2dProblem,
        operands: &DgradOperands,
    ) -> Result<()> {
        let DgradOperands { dy, w, dx, accumulate, norm, workspace } = *operands;
        if dy.dtype == Dtype::Bf16 {
            problem.check_dgrad(self, operands)?;
            return bf16::dgrad(self, memory, problem, operands);
        }
        if norm.is_some() {
            let (found, name) = (format!("{problem:?} on {:?}", dy.dtype), self.name());
            let expected = format!("not on {name}");
            return Err(Error::invalid("dgrad with batch norm's sums", found, expected));
        }
        problem.check_dgrad(self, operands)?;
        let ([dy, w], [dx, work]) = memory.slices([dy, w], [dx, workspace])?;
        dgrad::dgrad(self, problem, dy, w, dx, accumulate, work);
        Ok(())
    }

    fn conv2d_wgrad(
        &self,
        memory: &mut CpuMemory,
        problem: &Conv2dProblem,
        operands: &WgradOperands,
    ) -> Result<()> {
        problem.check_wgrad(self, operands)?;
        if operands.x.dtype == Dtype::Bf16 {
            return bf16::wgrad(self, memory, problem, operands);
        }
        let WgradOperands { x, dy, dw, db, workspace } = *operands;
        let ([x, dy], [dw, work, bias]) =
            memory.slices([x, dy], [dw, workspace, db.unwrap_or(View::EMPTY)])?;
        wgrad::wgrad(self, problem, x, dy, dw, db.map(|_| bias), work);
        Ok(())
    }

    fn conv2d_grad_norm(
        &self,
        memory: &mut CpuMemory,
        problem: &Conv2dProblem,
        operands: &GradNormOperands,
    ) -> Result<()> {
        problem.check_grad_norm(self, operands)?;
        if operands.x.dtype == Dtype::Bf16 {
            return bf16::grad_norm(self, memory, problem, operands);
        }
        let GradNormOperands { x, dy, bias, norms, form, workspace } = *operands;
        let ([x, dy], [norms, work]) = memory.slices([x, dy], [norms, workspace])?;
        grad_norm::grad_norm(self, problem, [x, dy], bias, norms, form, work);
        Ok(())
    }
}
