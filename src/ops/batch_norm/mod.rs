//! Batch normalisation over N H W of an NHWC tensor, with PyTorch's semantics.
//!
//! ```text
//! train    rstd = 1 / sqrt(m2 / count + eps),  z = (y - mean) * rstd * gamma + beta
//!          running = (1 - momentum) * running + momentum * (mean | m2 / (count - 1))
//! eval     the same with the running mean and variance
//! out      = act(z (+ residual)), act = ReLU or identity
//! backward dz = dout * [out > 0],  dbeta = sum dz,  dgamma = sum dz * xhat,  xhat = (y - mean) * rstd
//!          train: dy = gamma * rstd * (dz - (dbeta + xhat * dgamma) / count)
//!          eval:  dy = gamma * rstd * dz
//! norm     g[n] += sum_c (sum_{hw} dz * xhat)^2 + (sum_{hw} dz)^2        (eval only)
//! ```

mod cpu;
pub(crate) mod cuda;

use crate::backend::{Backend, View};
use crate::error::{Error, Result};
use crate::ops::check_len;
use crate::tensor::Dtype;

/// PyTorch's default added to the variance.
pub const EPS: f32 = 1e-5;
/// PyTorch's default weight of the newest batch in the running statistics.
pub const MOMENTUM: f32 = 0.1;

/// Shape of the normalised tensor: `n` samples of `hw` positions and `c` channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchNormProblem {
    pub n: usize,
    pub hw: usize,
    pub c: usize,
}

impl BatchNormProblem {
    /// Elements of the tensor.
    pub fn len(&self) -> usize {
        self.n * self.hw * self.c
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values a channel's statistics are taken over.
    pub fn count(&self) -> usize {
        self.n * self.hw
    }

    /// f32 elements of workspace for the reductions: two partial sums a channel and sample.
    pub fn workspace(&self) -> usize {
        2 * self.n * self.c
    }

    /// Checks views of the whole tensor and views of one value a channel.
    fn check<const T: usize, const C: usize>(
        &self,
        tensors: [View; T],
        channels: [View; C],
    ) -> Result<()> {
        tensors.into_iter().try_for_each(|v| check_len("batch norm", "tensor", v, self.len()))?;
        self.check_types(&tensors, &channels)?;
        channels
            .into_iter()
            .try_for_each(|v| check_len("batch norm", "per-channel view", v, self.c))
    }

    /// Tensors are all f32, or all bf16 of whole groups of 8 channels; the rest is f32.
    fn check_types(&self, tensors: &[View], plain: &[View]) -> Result<()> {
        let stored = tensors.first().map_or(Dtype::F32, |v| v.dtype);
        let known = stored == Dtype::F32 || (stored == Dtype::Bf16 && self.c.is_multiple_of(8));
        let same = tensors.iter().all(|v| v.dtype == stored);
        if known && same && plain.iter().all(|v| v.dtype == Dtype::F32) {
            return Ok(());
        }
        Err(Error::Internal(format!(
            "batch norm of {} channels: {tensors:?} and {plain:?}, expected f32, or tensors of bf16 \
             and multiples of 8 channels",
            self.c
        )))
    }

    fn check_workspace(&self, workspace: View) -> Result<()> {
        check_len("batch norm", "workspace", workspace, self.workspace())
    }

    fn check_statistics(&self, y: View, results: [View; 2], workspace: View) -> Result<()> {
        self.check([y], results)?;
        self.check_workspace(workspace)
    }

    fn check_reduce(
        &self,
        input: &BackwardInput,
        results: [View; 2],
        workspace: View,
    ) -> Result<()> {
        input.check(self)?;
        self.check([], results)?;
        self.check_workspace(workspace)
    }

    fn check_backward_eval(
        &self,
        input: &BackwardInput,
        scale: View,
        dy: View,
        norms: View,
    ) -> Result<()> {
        input.check(self)?;
        self.check([dy, input.y], [scale])?;
        check_len("batch norm", "norms", norms, self.n)
    }
}

/// Views of one layer's parameters: gamma, beta (C each).
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    pub gamma: View,
    pub beta: View,
}

impl Affine {
    /// Checks that beta and `channels` hold as many values as gamma.
    fn check<const N: usize>(&self, channels: [View; N]) -> Result<()> {
        let problem = BatchNormProblem { n: 0, hw: 0, c: self.gamma.len };
        problem.check([], [self.beta])?;
        problem.check([], channels)
    }
}

/// What backward reads: the gradient of the output, the output if a ReLU made it (its sign is
/// the mask), the normalised tensor's source and statistics.
#[derive(Clone, Copy, Debug)]
pub struct BackwardInput {
    /// N H W C; overwritten by dz where `mask_in_place`.
    pub dout: View,
    pub out: Option<View>,
    pub y: View,
    pub mean: View,
    pub rstd: View,
    /// Store dz over dout: the residual branch needs it.
    pub mask_in_place: bool,
}

impl BackwardInput {
    fn check(&self, problem: &BatchNormProblem) -> Result<()> {
        problem.check([self.dout, self.out.unwrap_or(self.y), self.y], [self.mean, self.rstd])
    }
}

/// What becomes of a channel's statistics: one value a channel in every view.
#[derive(Clone, Copy, Debug)]
pub struct AffineMap {
    pub affine: Affine,
    /// Running mean and (unbiased) variance.
    pub running: [View; 2],
    /// 1 / sqrt(variance + eps).
    pub rstd: View,
    /// y * scale + shift is the normalised value times gamma plus beta.
    pub scale_shift: [View; 2],
}

/// The tensors of out = act(y * scale + shift (+ residual)), act = ReLU if `relu`.
#[derive(Clone, Copy, Debug)]
pub struct ApplyOperands {
    pub y: View,
    pub scale_shift: [View; 2],
    pub residual: Option<View>,
    pub relu: bool,
    pub out: View,
}

/// Batch normalisation on a backend. Per-channel views hold C values. An empty batch has
/// statistics and gradients of 0.
///
/// Where C is a multiple of 8, all whole tensors of a call may be bf16; arithmetic, per-channel values and workspace stay f32, each result is rounded once.
pub trait BatchNorm: Backend {
    /// `mean` and `m2` (sum of squared deviations) of y over N H W, merged in a fixed order.
    fn batch_norm_statistics(
        &self,
        memory: &mut Self::Memory,
        problem: &BatchNormProblem,
        y: View,
        mean: View,
        m2: View,
        workspace: View,
    ) -> Result<()>;

    /// From the batch's mean and sum of squared deviations over `count` values a channel: `rstd`, the affine
    /// map, and updated running statistics.
    fn batch_norm_finalize(
        &self,
        memory: &mut Self::Memory,
        count: usize,
        mean_m2: [View; 2],
        map: &AffineMap,
    ) -> Result<()>;

    /// From running statistics: `rstd` and the affine map.
    fn batch_norm_eval_affine(&self, memory: &mut Self::Memory, map: &AffineMap) -> Result<()>;

    /// out = act(y * scale + shift (+ residual)).
    fn batch_norm_apply(
        &self,
        memory: &mut Self::Memory,
        problem: &BatchNormProblem,
        operands: &ApplyOperands,
    ) -> Result<()>;

    /// dgamma and dbeta over the batch.
    fn batch_norm_backward_reduce(
        &self,
        memory: &mut Self::Memory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        dgamma: View,
        dbeta: View,
        workspace: View,
    ) -> Result<()>;

    /// dy under batch statistics, after `batch_norm_backward_reduce` of the same input. Where the
    /// mask was applied in place, pass `out: None`.
    fn batch_norm_backward_apply(
        &self,
        memory: &mut Self::Memory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        gamma: View,
        dgamma_dbeta: [View; 2],
        dy: View,
    ) -> Result<()>;

    /// dy under running statistics, and `norms[n]` += the squared norm of sample n's gradient with
    /// respect to gamma and beta.
    fn batch_norm_backward_eval(
        &self,
        memory: &mut Self::Memory,
        problem: &BatchNormProblem,
        input: &BackwardInput,
        scale: View,
        dy: View,
        norms: View,
    ) -> Result<()>;
}
