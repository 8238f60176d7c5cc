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

use crate::backend::{Backend, View};
use crate::error::{Error, Result};

pub use problem::{Conv2dProblem, Direction, Epilogue, GradNormForm, NormGradient};
pub use tuning::{Choice, Family, Tuning};

/// Convolution on a backend. Views hold f32 in the layouts of the module's head; `workspace` has
/// at least [`Conv2d::conv2d_workspace`] elements and any content. `n = 0` is allowed.
///
/// Where the backend stores bf16 ([`Backend::BF16`]) and the problem takes it
/// ([`Conv2dProblem::takes_bf16`]), x, w, y, dy, dx and a residual may all be bf16: sums and epilogue
/// are f32, each output is rounded once, statistics are those of the rounded values. Bias, scale, shift,
/// dw, db, norms and the workspace stay f32.
pub trait Conv2d: Backend {
    /// f32 elements of workspace needed on f32 views; 0 for sizes that describe no convolution.
    fn conv2d_workspace(&self, problem: &Conv2dProblem, direction: Direction) -> usize;

    /// The same on bf16 views.
    fn conv2d_workspace_bf16(&self, _problem: &Conv2dProblem, _direction: Direction) -> usize {
        0
    }

    /// The ways of computing a problem on bf16 views, for benchmarks and tests; None where there is one.
    fn conv2d_tuning(&self) -> Option<&dyn Tuning> {
        None
    }

    /// The fastest form of the gradient norm for a problem; a function of the sizes alone.
    fn conv2d_grad_norm_form(&self, problem: &Conv2dProblem) -> GradNormForm;

    /// The same on bf16 views.
    fn conv2d_grad_norm_form_bf16(&self, problem: &Conv2dProblem) -> GradNormForm {
        self.conv2d_grad_norm_form(problem)
    }

    /// y = x * w with an optional per-channel `bias` (K), then the epilogue.
    #[expect(clippy::too_many_arguments)]
    fn conv2d_fprop(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        x: View,
        w: View,
        bias: Option<View>,
        y: View,
        epilogue: Epilogue,
        workspace: View,
    ) -> Result<()>;

    /// dx = dy * w^T, or dx += if `accumulate`.
    #[expect(clippy::too_many_arguments)]
    fn conv2d_dgrad(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        dy: View,
        w: View,
        dx: View,
        accumulate: bool,
        workspace: View,
    ) -> Result<()>;

    /// The same, then what `norm` says; on bf16 views only.
    #[expect(clippy::too_many_arguments)]
    fn conv2d_dgrad_norm(
        &self,
        _memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        dy: View,
        _w: View,
        _dx: View,
        _accumulate: bool,
        _norm: &NormGradient,
        _workspace: View,
    ) -> Result<()> {
        let (found, name) = (format!("{problem:?} on {:?}", dy.dtype), self.name());
        Err(Error::invalid("dgrad with batch norm's sums", found, format!("not on {name}")))
    }

    /// dw = sum over samples, and db (K) if the layer has a bias.
    #[expect(clippy::too_many_arguments)]
    fn conv2d_wgrad(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        x: View,
        dy: View,
        dw: View,
        db: Option<View>,
        workspace: View,
    ) -> Result<()>;

    /// Adds to norm n the squared norm of sample n's gradient with respect to w (and to the bias).
    #[expect(clippy::too_many_arguments)]
    fn conv2d_grad_norm(
        &self,
        memory: &mut Self::Memory,
        problem: &Conv2dProblem,
        x: View,
        dy: View,
        bias: bool,
        norms: View,
        form: GradNormForm,
        workspace: View,
    ) -> Result<()>;
}
