//! 2-D convolution: fprop, dgrad, wgrad and per-sample gradient norms.
//!
//! Activations are NHWC, weights KRSC. With p = output row, q = output column:
//!
//! ```text
//! fprop  y[n,p,q,k]  = sum_{r,s,c} x[n, p*sh + r - ph, q*sw + s - pw, c] * w[k,r,s,c]
//! dgrad  dx[n,h,w,c] = sum_{k,r,s} dy[n,p,q,k] * w[k,r,s,c]       over p*sh + r - ph = h, q*sw + s - pw = w
//! wgrad  dw[k,r,s,c] = sum_{n,p,q} dy[n,p,q,k] * x[n, p*sh + r - ph, q*sw + s - pw, c]
//! norm   g[n]       += sum_{k,r,s,c} ( sum_{p,q} dy[n,p,q,k] * x[n, ...] )^2
//! ```
//!
//! A linear layer is a 1x1 convolution over one image of height 1 and width N.

mod check;
pub mod cpu;
mod cuda;
mod problem;
mod tuning;

use crate::backend::Backend;
use crate::error::Result;
use crate::tensor::Dtype;

pub use problem::{
    Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
    GradNormOperands, NormGradient, WgradOperands,
};
pub use tuning::{TileChoice, TileFamily, Tuning};

/// Convolution on a backend. Views hold f32 in the layouts of the module's head; `workspace` has
/// at least [`Conv2d::conv2d_workspace`] elements and any content. `n = 0` is allowed.
///
/// Where the problem takes it ([`Conv2dProblem::takes_bf16`]), x, w, y, dy, dx and a residual may all be bf16: sums and epilogue
/// are f32, each output is rounded once, statistics are those of the rounded values. Bias, scale, shift,
/// dw, db, norms and the workspace stay f32.
pub trait Conv2d: Backend {
    /// Whether there are several ways of computing a problem on bf16 views ([`Conv2d::conv2d_tuning`]).
    const TUNED: bool = false;

    /// f32 elements of workspace needed on views of `dtype`; 0 for sizes that describe no convolution.
    fn conv2d_workspace(
        &self,
        problem: &Conv2dProblem,
        direction: Conv2dDirection,
        dtype: Dtype,
    ) -> usize;

    /// The fastest form of the gradient norm for a problem on views of `dtype`; a function of the sizes
    /// alone.
    fn conv2d_grad_norm_form(&self, problem: &Conv2dProblem, dtype: Dtype) -> GradNormForm;

    /// The ways of computing a problem on bf16 views, for benchmarks and tests; None where there is one.
    fn conv2d_tuning(&self) -> Option<&dyn Tuning> {
        None
    }

    /// Output from input and weights.
    fn conv2d_fprop(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        operands: &FpropOperands,
    ) -> Result<()>;

    /// Gradient with respect to the input.
    fn conv2d_dgrad(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        operands: &DgradOperands,
    ) -> Result<()>;

    /// Gradient with respect to weights and bias.
    fn conv2d_wgrad(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        operands: &WgradOperands,
    ) -> Result<()>;

    /// Squared norms of the samples' gradients.
    fn conv2d_grad_norm(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        operands: &GradNormOperands,
    ) -> Result<()>;
}
