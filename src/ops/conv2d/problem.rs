//! What is asked of a convolution: its sizes, and what is done beside it.

use crate::backend::View;
use crate::error::{Error, Result};

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

    /// This convolution on another number of images.
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
pub enum Conv2dDirection {
    Fprop,
    Dgrad,
    /// Dgrad with a [`NormGradient`].
    DgradNorm,
    Wgrad,
    GradNorm(GradNormForm),
}

/// The tensors of fprop: y = x * w with an optional per-channel `bias` (K), then the epilogue.
#[derive(Clone, Copy, Debug)]
pub struct FpropOperands {
    pub x: View,
    pub w: View,
    pub bias: Option<View>,
    pub y: View,
    pub epilogue: Epilogue,
    pub workspace: View,
}

/// The tensors of dgrad: dx = dy * w^T, or dx += if `accumulate`; then what `norm` says, on bf16 views only.
#[derive(Clone, Copy, Debug)]
pub struct DgradOperands {
    pub dy: View,
    pub w: View,
    pub dx: View,
    pub accumulate: bool,
    pub norm: Option<NormGradient>,
    pub workspace: View,
}

/// The tensors of wgrad: dw = sum over samples, and db (K) if the layer has a bias.
#[derive(Clone, Copy, Debug)]
pub struct WgradOperands {
    pub x: View,
    pub dy: View,
    pub dw: View,
    pub db: Option<View>,
    pub workspace: View,
}

/// The tensors of gradient norms: to `norms[n]` is added the squared norm of sample n's gradient with respect
/// to w, and to the bias if there is one.
#[derive(Clone, Copy, Debug)]
pub struct GradNormOperands {
    pub x: View,
    pub dy: View,
    pub bias: bool,
    pub norms: View,
    pub form: GradNormForm,
    pub workspace: View,
}
