//! Storage types of tensors: f32 rounded to bf16, to nearest with ties to even, and bf16 as f32.

mod cuda;

use crate::backend::{Backend, Cpu, View};
use crate::error::{Error, Result};
use crate::ops::check_len;
use crate::tensor::Dtype;

/// Conversion on a backend.
pub trait Cast: Backend {
    /// `to` = `from`; one of them f32, the other bf16, of the same length.
    ///
    /// Errors: other types or lengths, and a backend that stores no bf16 ([`Backend::BF16`]), are
    /// defects of the plan.
    fn cast(&self, memory: &mut Self::Memory, from: View, to: View) -> Result<()>;
}

/// Checks a call: whether it rounds, that is, `to` is bf16.
fn check(from: View, to: View) -> Result<bool> {
    check_len("cast", "the result", to, from.len)?;
    match (from.dtype, to.dtype) {
        (Dtype::F32, Dtype::Bf16) => Ok(true),
        (Dtype::Bf16, Dtype::F32) => Ok(false),
        (a, b) => Err(Error::Internal(format!("cast: {a:?} to {b:?}, expected F32 and Bf16"))),
    }
}

impl Cast for Cpu {
    fn cast(&self, _: &mut Self::Memory, from: View, to: View) -> Result<()> {
        check(from, to)?;
        Err(Error::Internal(format!("cast: {to:?}: the CPU computes in 32-bit types")))
    }
}
