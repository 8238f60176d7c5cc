//! Convolution on CUDA: exact f32 implicit matrix products, `kernels/conv2d_*.cu`, and the same on
//! tensor cores for tensors stored as bf16 (`bf16/`, `kernels/conv2d_*_bf16.cu`).
//!
//! Splits, parts and forms depend on the sizes alone, so that results repeat bit for bit.

mod bf16;
mod dgrad;
mod fprop;
mod grad_norm;
mod norm_parts;
mod shape;
mod tile;
mod wgrad;

use super::tuning::Tuning;
use super::{
    Conv2d, Conv2dDirection, Conv2dProblem, DgradOperands, FpropOperands, GradNormForm,
    GradNormOperands, WgradOperands,
};
use crate::cuda::{Cuda, CudaMemory};
use crate::error::{Error, Result};
use crate::tensor::Dtype;

impl Conv2d for Cuda {
    const TUNED: bool = true;

    fn conv2d_workspace(
        &self,
        problem: &Conv2dProblem,
        direction: Conv2dDirection,
        dtype: Dtype,
    ) -> usize {
        if problem.check().is_err() {
            return 0;
        }
        match (direction, dtype) {
            (Conv2dDirection::Fprop, Dtype::Bf16) => bf16::fprop::workspace(self, problem),
            (Conv2dDirection::Fprop, _) => fprop::workspace(problem),
            (Conv2dDirection::Dgrad, _) => 0,
            (Conv2dDirection::DgradNorm, Dtype::Bf16) => bf16::dgrad::workspace(self, problem),
            (Conv2dDirection::DgradNorm, _) => 0,
            (Conv2dDirection::Wgrad, Dtype::Bf16) => bf16::wgrad::workspace(self, problem),
            (Conv2dDirection::Wgrad, _) => wgrad::workspace(problem),
            (Conv2dDirection::GradNorm(form), Dtype::Bf16) => {
                bf16::grad_norm::workspace(self, problem, form)
            }
            (Conv2dDirection::GradNorm(form), _) => grad_norm::workspace(problem, form),
        }
    }

    fn conv2d_grad_norm_form(&self, problem: &Conv2dProblem, dtype: Dtype) -> GradNormForm {
        match dtype {
            Dtype::Bf16 => bf16::grad_norm::form(problem),
            _ => grad_norm::form(problem),
        }
    }

    fn conv2d_tuning(&self) -> Option<&dyn Tuning> {
        Some(self)
    }

    fn conv2d_fprop(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        operands: &FpropOperands,
    ) -> Result<()> {
        problem.check_fprop(self, operands)?;
        match operands.x.dtype {
            Dtype::Bf16 => bf16::fprop::fprop(self, memory, problem, operands),
            _ => fprop::fprop(self, memory, problem, operands),
        }
    }

    fn conv2d_dgrad(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        operands: &DgradOperands,
    ) -> Result<()> {
        problem.check_dgrad(self, operands)?;
        let dtype = operands.dy.dtype;
        match (dtype, operands.norm) {
            (Dtype::Bf16, _) => bf16::dgrad::dgrad(self, memory, problem, operands),
            (_, None) => dgrad::dgrad(self, memory, problem, operands),
            (_, Some(_)) => {
                let found = format!("{dtype:?}");
                Err(Error::invalid("dgrad with batch norm's sums", found, "tensors of bf16"))
            }
        }
    }

    fn conv2d_wgrad(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        operands: &WgradOperands,
    ) -> Result<()> {
        problem.check_wgrad(self, operands)?;
        match operands.x.dtype {
            Dtype::Bf16 => bf16::wgrad::wgrad(self, memory, problem, operands),
            _ => wgrad::wgrad(self, memory, problem, operands),
        }
    }

    fn conv2d_grad_norm(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        operands: &GradNormOperands,
    ) -> Result<()> {
        problem.check_grad_norm(self, operands)?;
        match operands.x.dtype {
            Dtype::Bf16 => bf16::grad_norm::grad_norm(self, memory, problem, operands),
            _ => grad_norm::grad_norm(self, memory, problem, operands),
        }
    }
}
