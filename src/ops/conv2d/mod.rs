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
mod choice;
pub mod cpu;
mod cuda;

use crate::backend::{Backend, View};
use crate::error::{Error, Result};

pub use choice::{Choice, Family, KeptChoice};

/// Sizes of one convolution. All lengths in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dProblem {
    /// Images.
    pub n: usize,
    /// Input height, width, channels.
    pub h: usize,
    pub w: usize,
    pub c: usize,
    /// Output channels.
    pub k: usize,
    /// Kernel height and width.
    pub r: usize,
    pub s: usize,
    /// Stride: vertical, horizontal.
    pub stride: [usize; 2],
    /// Zero padding on each side: vertical, horizontal.
    pub pad: [usize; 2],
}

impl Conv2dProblem {
    /// Output height.
    pub fn p(&self) -> usize {
        (self.h + 2 * self.pad[0] - self.r) / self.stride[0] + 1
    }

    /// Output width.
    pub fn q(&self) -> usize {
        (self.w + 2 * self.pad[1] - self.s) / self.stride[1] + 1
    }

    /// Elements of x (N H W C).
    pub fn x_len(&self) -> usize {
        self.n * self.h * self.w * self.c
    }

    /// Elements of w (K R S C).
    pub fn w_len(&self) -> usize {
        self.k * self.r * self.s * self.c
    }

    /// Elements of y (N P Q K).
    pub fn y_len(&self) -> usize {
        self.n * self.p() * self.q() * self.k
    }

    /// Multiply-accumulates of fprop, and of dgrad and wgrad each.
    pub fn macs(&self) -> u64 {
        self.y_len() as u64 * (self.r * self.s * self.c) as u64
    }

    /// The same convolution on another number of images.
    pub fn with_n(self, n: usize) -> Self {
        Conv2dProblem { n, ..self }
    }

    /// Whether the convolution can be computed in bf16: whole groups of 8 channels on both sides.
    pub fn takes_bf16(&self) -> bool {
        self.c.is_multiple_of(8) && self.k.is_multiple_of(8)
    }

    /// Checks that the sizes describe a convolution. `n` may be 0; padding must be below the
    /// kernel size, as every output must see at least one input.
    pub fn check(&self) -> Result<()> {
        let positive =
            [self.h, self.w, self.c, self.k, self.r, self.s, self.stride[0], self.stride[1]];
        let fits = self.h + 2 * self.pad[0] >= self.r && self.w + 2 * self.pad[1] >= self.s;
        if positive.contains(&0) || !fits || self.pad[0] >= self.r || self.pad[1] >= self.s {
            return Err(Error::invalid(
                "convolution",
                format!("{self:?}"),
                "positive sizes, kernel within the padded input, padding below the kernel size",
            ));
        }
        Ok(())
    }
}

/// How the squared norm of a sample's weight gradient A^T B is computed; A is the unfolded input
/// (T = P Q positions x d = R S C), B = dy (T x p, p = K).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GradNormForm {
    /// A^T B tile by tile, squared and summed at once, never stored: 2 T p d FLOP a sample.
    Instantiate,
    /// <A A^T, B B^T> over the T output positions: T^2 (p + d) FLOP.
    Gram,
    /// A A^T as diagonal shifts of the padded pixels' Gram matrix; stride 1 only.
    ShiftedGram,
}

/// Multiply-adds that one tap of a shifted Gram entry costs: a load and its bounds.
const TAP: u64 = 16;

/// The cheapest form for a layer, by multiply-adds a sample; depends on the problem alone. Gram
/// matrices are symmetric, so that half of them is computed.
pub fn choose_form(problem: &Conv2dProblem) -> GradNormForm {
    let Conv2dProblem { h, w, c, k, r, s, .. } = *problem;
    let [t, pixels, c, k, taps] = [problem.p() * problem.q(), h * w, c, k, r * s].map(|v| v as u64);
    let instantiate = t * taps * c * k;
    let gram = t * t * (taps * c + k) / 2;
    let shifted = (pixels * pixels * c + t * t * (k + TAP * taps)) / 2;
    let shifted = if problem.stride == [1, 1] { shifted } else { u64::MAX };
    if shifted < gram.min(instantiate) {
        GradNormForm::ShiftedGram
    } else if gram < instantiate {
        GradNormForm::Gram
    } else {
        GradNormForm::Instantiate
    }
}

/// What fprop does to its output while it is at hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Epilogue {
    /// y is the convolution.
    None,
    /// y is the convolution; `mean` and `m2` (K each) receive the mean over all N P Q positions
    /// and the sum of squared deviations from it, merged in a fixed order.
    Statistics { mean: View, m2: View },
    /// y = act(conv * scale(k) + shift(k) (+ residual)), act = ReLU if `relu`.
    Affine { scale: View, shift: View, residual: Option<View>, relu: bool },
}

/// What dgrad does to dx where it is the gradient of what a batch norm made of `y`: the pass over it that
/// batch norm's backward begins with ([`batch_norm_backward_reduce`]). dx becomes dz = dx where out > 0, and
/// `dgamma` and `dbeta` (C each) the sums of dz (y - mean) rstd and of dz, as stored.
///
/// [`batch_norm_backward_reduce`]: crate::ops::batch_norm::BatchNorm::batch_norm_backward_reduce
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormGradient {
    /// The output behind a ReLU, if there is one.
    pub out: Option<View>,
    pub y: View,
    pub mean: View,
    pub rstd: View,
    pub dgamma: View,
    pub dbeta: View,
}

/// Which of the computations a workspace is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Fprop,
    Dgrad,
    /// Dgrad with a [`NormGradient`].
    DgradNorm,
    Wgrad,
    GradNorm(GradNormForm),
}

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

    /// How fprop, dgrad, wgrad or an instantiated gradient norm on bf16 views is computed; None where there
    /// is nothing to choose.
    fn conv2d_choice_bf16(&self, _problem: &Conv2dProblem, _of: Direction) -> Option<Choice> {
        None
    }

    /// All ways, each with the splits that suit it.
    fn conv2d_choices_bf16(&self, _problem: &Conv2dProblem, _of: Direction) -> Vec<Choice> {
        Vec::new()
    }

    /// Bytes that the tiles of that way copy from L2; None as above.
    fn conv2d_copied_bf16(&self, _problem: &Conv2dProblem, _of: Direction) -> Option<u64> {
        None
    }

    /// From now on every problem that can be is computed so; as planned again with None. For timing and
    /// tests: it also decides how much workspace is needed.
    fn conv2d_force_bf16(&self, _choice: Option<Choice>) {}

    /// What identifies the kept choices that make results on bf16 views others than the model's would.
    fn conv2d_kept_bf16(&self) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::GradNormForm::{Gram, Instantiate, ShiftedGram};
    use super::*;

    /// h = w, c, k, r = s, stride, pad.
    #[test]
    fn the_cheapest_form_is_chosen() {
        for ([h, c, k, r, stride, pad], form) in [
            ([32, 64, 64, 3, 1, 1], Instantiate),
            ([56, 64, 256, 1, 1, 0], Instantiate),
            ([28, 128, 128, 3, 1, 1], Instantiate),
            ([16, 128, 128, 3, 1, 1], ShiftedGram),
            ([8, 256, 256, 3, 1, 1], ShiftedGram),
            ([7, 512, 512, 3, 1, 1], ShiftedGram),
            ([14, 1024, 256, 1, 1, 0], Gram),
            ([14, 256, 512, 3, 2, 1], Gram),
            ([1, 512, 10, 1, 1, 0], Gram),
        ] {
            let (stride, pad) = ([stride; 2], [pad; 2]);
            let p = Conv2dProblem { n: 1, h, w: h, c, k, r, s: r, stride, pad };
            assert_eq!(choose_form(&p), form, "{p:?}");
        }
    }
}
