//! This file holds one call of the operator on memory of its own, what the call leaves behind, and
//! what the oracle expects of each column of the table.

use std::fmt::Debug;

use crate::ops::loss_score::{
    BatchViews, FIELDS, Field, LogitGradient, LossScore, LossScoreProblem,
};
use crate::reference::loss_score as oracle;
use crate::selftest::fence::{Fenced, Fill};
use crate::selftest::values::{as_u32, bits, words};
use crate::selftest::{CaseFailure, CaseOutcome, Subject, ensure};

pub const FIELD: [Field; 9] = [
    Field::Loss,
    Field::El2n,
    Field::Entropy,
    Field::Margin,
    Field::LabelProbability,
    Field::Aum,
    Field::Correct,
    Field::Prediction,
    Field::TopProbability,
];

/// One call. The part has `labels.len()` samples, of which `order` is the pass.
pub struct Call<'a> {
    pub problem: LossScoreProblem,
    pub logits: &'a [f32],
    pub order: &'a [u32],
    pub labels: &'a [u32],
    pub state: [u32; 4],
    /// Class weights and smoothing of the mean objective; without them `per_sample` decides.
    pub mean: Option<(&'a [f32], f32)>,
    /// Weights of the samples of the part, for the mean objective; where they are empty all are 1.
    pub sample_weights: &'a [f32],
    pub per_sample: bool,
    /// ln p of the previous presentation, row by row of the part; empty where it is not kept.
    pub previous: &'a [f32],
}

/// What a call left behind.
pub struct LossScoreOutput {
    /// The table column by column, one value for each sample of the part.
    pub table: Vec<f32>,
    pub dlogits: Vec<f32>,
    pub state: Vec<u32>,
    pub previous: Vec<f32>,
    part: usize,
}

impl LossScoreOutput {
    pub fn field(&self, field: Field, sample: u32) -> f32 {
        self.table[field as usize * self.part + sample as usize]
    }
}

impl Call<'_> {
    /// Runs the call on memory of its own.
    pub fn run<B: LossScore>(&self, subject: &Subject<B>) -> Result<LossScoreOutput, CaseFailure> {
        let part = self.labels.len();
        let (order, labels, state) = (bits(self.order), bits(self.labels), bits(&self.state));
        let (weights, smoothing) = self.mean.unwrap_or((&[], 0.0));
        let with_gradient = self.mean.is_some() || self.per_sample;
        let gradients = if with_gradient { self.logits.len() } else { 0 };
        let tensors = [
            Fill::Values(self.logits),
            Fill::Values(&order),
            Fill::Values(&labels),
            Fill::Values(&state),
            Fill::Poison(FIELDS * part),
            Fill::Values(weights),
            Fill::Poison(gradients),
            Fill::Values(self.previous),
            Fill::Values(self.sample_weights),
        ];
        let mut f = Fenced::new(subject, &tensors)?;
        let [logits, order, labels, state, table, class_weights, dlogits, previous, sample_weights] =
            f.views[..]
        else {
            unreachable!()
        };
        let batch = BatchViews {
            order: as_u32(order),
            labels: as_u32(labels),
            state: as_u32(state),
            table,
            previous,
        };
        let gradient = match (self.mean, self.per_sample) {
            (Some(_), _) => LogitGradient::Mean { class_weights, sample_weights, smoothing },
            (None, true) => LogitGradient::PerSample,
            (None, false) => LogitGradient::None,
        };
        let (backend, memory) = (subject.backend, &mut f.memory);
        backend.loss_score(memory, &self.problem, logits, &batch, gradient, dlogits)?;
        let state = words(&f.read(3)?);
        let (table, dlogits, previous) = (f.read(4)?, f.read(6)?, f.read(7)?);
        Ok(LossScoreOutput { table, dlogits, state, previous, part })
    }
}

/// Returns a whole part in order, as one batch.
pub fn all(labels: &[u32]) -> Vec<u32> {
    (0..labels.len() as u32).collect()
}

pub fn whole<B: LossScore>(
    subject: &Subject<B>,
    problem: LossScoreProblem,
    logits: &[f32],
    labels: &[u32],
) -> Result<LossScoreOutput, CaseFailure> {
    let order = all(labels);
    let (state, mean) = ([0; 4], None);
    let call = Call {
        problem,
        logits,
        order: &order,
        labels,
        state,
        mean,
        sample_weights: &[],
        per_sample: false,
        previous: &[],
    };
    call.run(subject)
}

/// Fails unless both are the same; NaN equals nothing.
pub fn expect<T: PartialEq<U> + Debug, U: Debug>(
    what: &str,
    found: &T,
    expected: &U,
) -> CaseOutcome {
    ensure(found == expected, || format!("{what}: found {found:?}, expected {expected:?}"))
}

pub fn expected(field: Field, s: &oracle::ReferenceScores) -> f64 {
    match field {
        Field::Loss => s.loss,
        Field::El2n => s.el2n,
        Field::Entropy => s.entropy,
        Field::Margin => s.margin,
        Field::LabelProbability => s.label_probability,
        Field::Aum => s.aum,
        Field::Correct => s.correct,
        Field::Prediction => s.prediction,
        Field::TopProbability => s.top_probability,
        Field::Grand | Field::Divergence => unreachable!("not of these logits alone"),
    }
}
