//! Storage types of tensors: f32 rounded to bf16, to nearest with ties to even, and bf16 as f32.

mod cuda;

use rayon::prelude::*;

use crate::backend::{Backend, Cpu, View};
use crate::error::{Error, Result};
use crate::isa::bf16::{vectorised, widen};
use crate::ops::check_len;
use crate::tensor::Dtype;

/// Conversion on a backend.
pub trait Cast: Backend {
    /// `to` = `from`; one of them f32, the other bf16, of the same length.
    ///
    /// Errors: other types or lengths are defects of the plan.
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
    fn cast(&self, memory: &mut Self::Memory, from: View, to: View) -> Result<()> {
        let isa = self.isa();
        if check(from, to)? {
            let views = memory.mixed([from], [], [], [to])?;
            let ([from], [to]) = (views.reads, views.bf16_writes);
            self.pool().install(|| {
                let each = to.par_chunks_mut(PARALLEL).zip(from.par_chunks(PARALLEL));
                // SAFETY: `Cpu` has its instruction set; both have one length.
                each.for_each(|(to, from)| unsafe { round(isa, from, to) });
            });
        } else {
            let views = memory.mixed([], [to], [from], [])?;
            let ([to], [from]) = (views.writes, views.bf16_reads);
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = widen(from));
        }
        Ok(())
    }
}

/// Values of a task.
const PARALLEL: usize = 1 << 15;

vectorised! {
    /// Rounds `from` to `to`, which is as long.
    unsafe fn round<S>(from: &[f32], to: &mut [u16]) {
        for first in (0..from.len()).step_by(S::LANES) {
            let n = (from.len() - first).min(S::LANES);
            // SAFETY: inside both slices.
            unsafe {
                let v = S::load_first(from.as_ptr().add(first), n);
                S::store_bf16(to.as_mut_ptr().add(first), v, n);
            }
        }
    }
}
