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
use super::{Conv2d, Conv2dProblem, Direction, Epilogue, GradNormForm, NormGradient};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory};
use crate::error::{Error, Result};
use crate::tensor::Dtype;

impl Conv2d for Cuda {
    fn conv2d_workspace(&self, problem: &Conv2dProblem, direction: Direction) -> usize {
        if problem.check().is_err() {
            return 0;
        }
        match direction {
            Direction::Fprop => fprop::workspace(problem),
            Direction::Dgrad | Direction::DgradNorm => 0,
            Direction::Wgrad => wgrad::workspace(problem),
            Direction::GradNorm(form) => grad_norm::workspace(problem, form),
        }
    }

    fn conv2d_workspace_bf16(&self, problem: &Conv2dProblem, direction: Direction) -> usize {
        if problem.check().is_err() {
            return 0;
        }
        match direction {
            Direction::Fprop => bf16::fprop::workspace(self, problem),
            Direction::Dgrad => 0,
            Direction::DgradNorm => bf16::dgrad::workspace(self, problem),
            Direction::Wgrad => bf16::wgrad::workspace(self, problem),
            Direction::GradNorm(form) => bf16::grad_norm::workspace(self, problem, form),
        }
    }

    fn conv2d_tuning(&self) -> Option<&dyn Tuning> {
        Some(self)
    }

    fn conv2d_grad_norm_form(&self, problem: &Conv2dProblem) -> GradNormForm {
        grad_norm::form(problem)
    }

    fn conv2d_grad_norm_form_bf16(&self, problem: &Conv2dProblem) -> GradNormForm {
        bf16::grad_norm::form(problem)
    }

    fn conv2d_fprop(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        x: View,
        w: View,
        bias: Option<View>,
        y: View,
        epilogue: Epilogue,
        workspace: View,
    ) -> Result<()> {
        problem.check_fprop(self, [x, w, y], bias, &epilogue, workspace)?;
        if x.dtype == Dtype::Bf16 {
            return bf16::fprop::fprop(self, memory, problem, [x, w, y], bias, epilogue, workspace);
        }
        fprop::fprop(self, memory, problem, [x, w, y], bias, epilogue, workspace)
    }

    fn conv2d_dgrad(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        dy: View,
        w: View,
        dx: View,
        accumulate: bool,
        workspace: View,
    ) -> Result<()> {
        problem.check_dgrad(self, [dy, w, dx], workspace)?;
        if dy.dtype == Dtype::Bf16 {
            let none = (None, View::EMPTY);
            return bf16::dgrad::dgrad(self, memory, problem, [dy, w, dx], accumulate, none);
        }
        dgrad::dgrad(self, memory, problem, [dy, w, dx], accumulate)
    }

    fn conv2d_dgrad_norm(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        dy: View,
        w: View,
        dx: View,
        accumulate: bool,
        norm: &NormGradient,
        workspace: View,
    ) -> Result<()> {
        problem.check_dgrad_norm(self, [dy, w, dx], norm, workspace)?;
        if dy.dtype != Dtype::Bf16 {
            let found = format!("{:?}", dy.dtype);
            return Err(Error::invalid("dgrad with batch norm's sums", found, "tensors of bf16"));
        }
        let norm = (Some(norm), workspace);
        bf16::dgrad::dgrad(self, memory, problem, [dy, w, dx], accumulate, norm)
    }

    fn conv2d_wgrad(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        x: View,
        dy: View,
        dw: View,
        db: Option<View>,
        workspace: View,
    ) -> Result<()> {
        problem.check_wgrad(self, [x, dy, dw], db, workspace)?;
        if x.dtype == Dtype::Bf16 {
            return bf16::wgrad::wgrad(self, memory, problem, [x, dy, dw], db, workspace);
        }
        wgrad::wgrad(self, memory, problem, [x, dy, dw], db, workspace)
    }

    fn conv2d_grad_norm(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        x: View,
        dy: View,
        bias: bool,
        norms: View,
        form: GradNormForm,
        workspace: View,
    ) -> Result<()> {
        problem.check_grad_norm(self, [x, dy, norms], form, workspace)?;
        if x.dtype == Dtype::Bf16 {
            let views = [x, dy, norms];
            return bf16::grad_norm::grad_norm(self, memory, problem, views, bias, form, workspace);
        }
        grad_norm::grad_norm(self, memory, problem, [x, dy, norms], bias, form, workspace)
    }
}
