//! Inputs of cases.

use crate::backend::View;
use crate::rng::{Philox, Sequence, Stream};
use crate::tensor::Dtype;

/// A source of inputs; each case has its own.
pub struct Values(Sequence);

impl Values {
    /// The inputs of one case.
    pub fn new(case: u64) -> Self {
        Values(Philox::new(case, Stream::Init).sequence(0))
    }

    /// Makes integers in -bound..=bound.
    pub fn integers(&mut self, len: usize, bound: u32) -> Vec<f32> {
        (0..len).map(|_| self.0.below(2 * bound + 1) as f32 - bound as f32).collect()
    }

    /// Makes uniform values in [-1, 1).
    pub fn uniform(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| 2.0 * self.0.uniform() - 1.0).collect()
    }

    /// Makes values that are each one of `choices`.
    pub fn choose(&mut self, len: usize, choices: &[f32]) -> Vec<f32> {
        (0..len).map(|_| choices[self.0.below(choices.len() as u32) as usize]).collect()
    }

    /// Makes integers in 0..bound.
    pub fn below(&mut self, len: usize, bound: u32) -> Vec<u32> {
        (0..len).map(|_| self.0.below(bound)).collect()
    }
}

/// Returns u32 words as the f32 values of the same bits, for filling memory.
pub fn bits(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&w| f32::from_bits(w)).collect()
}

/// Returns the words behind f32 values.
pub fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Returns the same place as one that holds u32.
pub fn as_u32(view: View) -> View {
    View { dtype: Dtype::U32, ..view }
}
