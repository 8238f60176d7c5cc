//! Everything that is read off the logits, in one pass: the loss, its gradient and the
//! per-sample scores. With p = softmax(z), y the label, K classes:
//!
//! ```text
//! loss      -ln p_y                      EL2N     || p - onehot(y) ||_2
//! entropy   -sum_k p_k ln p_k            margin   p_(1) - p_(2), the two largest
//! p_y       probability of the label     AUM      z_y - max_{k != y} z_k
//! correct   1 if argmax z = y            prediction argmax z (the first of equals)
//! top       p_(1), the largest           divergence sum_k |p_k (ln p_k - ln p'_k)|
//! ```
//!
//! p' is p of the sample's previous presentation in training (TDDS, Zhang et al. 2024). ln p' is kept
//! in f32 and NaN before the first presentation, which makes the divergence NaN; a p that underflows
//! to 0 keeps its finite ln p, so that no epsilon is needed.
//!
//! The objective is PyTorch's cross-entropy with class weights w and label smoothing e, mean over
//! the batch: sum_i [ (1-e) w_y (-ln p_y) + e/K sum_k w_k (-ln p_k) ] / sum_i w_{y_i}. A batch
//! whose labels all weigh 0 has a gradient of 0. Sample weights s_i multiply the terms of the sum and
//! leave the divisor alone: without class weights, `(cross_entropy(z, y, reduction="none") * s).mean()`.

mod cpu;
mod cuda;
mod exponential;

pub use cpu::score_rows;

use crate::backend::{Backend, View};
use crate::error::{Error, Result};
use crate::ops::check_len;
use crate::ops::enums::column;

/// A column of the score table, numbered as in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Field {
    Loss = column::LOSS,
    El2n = column::EL2N,
    Entropy = column::ENTROPY,
    Margin = column::MARGIN,
    LabelProbability = column::LABEL_PROBABILITY,
    Aum = column::AUM,
    Correct = column::CORRECT,
    Prediction = column::PREDICTION,
    TopProbability = column::TOP_PROBABILITY,
    /// Norm of the gradient, written by `store_norms`.
    Grand = column::GRAND,
    /// Written only where the batch has the previous presentations.
    Divergence = column::DIVERGENCE,
}

/// Columns of the score table.
pub const FIELDS: usize = column::COUNT;

/// Views every per-sample operator reads: what is in the batch and where results go.
#[derive(Clone, Copy, Debug)]
pub struct BatchViews {
    /// u32, the pass's sample positions in order.
    pub order: View,
    /// u32, one label a sample of the whole part.
    pub labels: View,
    /// u32 x 4: batch index, epoch, first bad step + 1 (0: none), steps done.
    pub state: View,
    /// f32, [`FIELDS`] columns of one value a sample of the whole part.
    pub table: View,
    /// f32, K values a sample of the whole part: ln p of its previous presentation, replaced by
    /// that of this one. Empty where no divergence is wanted.
    pub previous: View,
}

/// Sizes: `n` samples of this batch out of batches of `batch`, `k` classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LossScoreProblem {
    pub n: usize,
    pub batch: usize,
    pub k: usize,
}

/// Which gradient of the logits is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogitGradient {
    /// None: scoring.
    None,
    /// The gradient of the batch's objective; `class_weights` (K), `sample_weights` one a sample of the whole
    /// part, or empty where all are 1.
    Mean { class_weights: View, sample_weights: View, smoothing: f32 },
    /// The gradient of each sample's own cross-entropy, p - onehot(y): for gradient norms.
    PerSample,
}

impl LossScoreProblem {
    /// Checks a call of `loss_score`.
    fn check(
        &self,
        logits: View,
        batch: &BatchViews,
        gradient: LogitGradient,
        dlogits: View,
    ) -> Result<()> {
        check_len("loss", "state", batch.state, 4)?;
        check_len("loss", "logits", logits, self.n * self.k)?;
        if gradient != LogitGradient::None {
            check_len("loss", "dlogits", dlogits, self.n * self.k)?;
        }
        let rows = batch.labels.len.min(batch.table.len / FIELDS);
        if let LogitGradient::Mean { class_weights, sample_weights, .. } = gradient {
            check_len("loss", "class weights", class_weights, self.k)?;
            if (1..rows).contains(&sample_weights.len) {
                let found = format!("{} sample weights", sample_weights.len);
                return Err(Error::Internal(format!("loss: {found} of {rows} samples")));
            }
        }
        if batch.previous.len > 0 {
            let expected = format!("{} values a sample, {rows} samples", self.k);
            if batch.previous.len < rows * self.k {
                let found = format!("{} values", batch.previous.len);
                return Err(Error::Internal(format!("loss: previous: {found} for {expected}")));
            }
        }
        Ok(())
    }

    /// Checks a call of `store_norms`.
    fn check_norms(&self, norms: View, batch: &BatchViews) -> Result<()> {
        check_len("gradient norms", "state", batch.state, 4)?;
        check_len("gradient norms", "norms", norms, self.n)
    }
}

/// Scores and losses on a backend. A batch outside the order is a defect of the caller: an error
/// on the CPU; on a device, which does not wait to look, a bad step, and nothing is written.
pub trait LossScore: Backend {
    /// Fills the table's rows of this batch, and `dlogits` (N K) if a gradient is wanted; replaces
    /// their previous presentations, if there are any. A non-finite loss records the step in the
    /// state, once.
    fn loss_score(
        &self,
        memory: &mut Self::Memory,
        problem: &LossScoreProblem,
        logits: View,
        batch: &BatchViews,
        gradient: LogitGradient,
        dlogits: View,
    ) -> Result<()>;

    /// Table column [`Field::Grand`] = sqrt(max(norms, 0)) for this batch's samples; NaN stays NaN.
    fn store_norms(
        &self,
        memory: &mut Self::Memory,
        problem: &LossScoreProblem,
        norms: View,
        batch: &BatchViews,
    ) -> Result<()>;
}
