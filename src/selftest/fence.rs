//! Tensors between canaries: every buffer is longer than its tensor on both sides, and a check
//! after the call finds any write outside. Outputs start as NaN, so an unwritten value fails too.

use super::{Failure, Subject, ensure};
use crate::backend::{ALIGN, Backend, View};
use crate::tensor::Dtype;

const CANARY: f32 = 1.234_567_9e30;
const FENCE: usize = ALIGN / 4;

/// What a tensor holds before the call.
pub enum Fill<'a> {
    /// Values the operator reads.
    Values(&'a [f32]),
    /// This many NaN, for outputs and workspaces.
    Poison(usize),
}

/// Buffers of one call, one a tensor.
pub struct Fenced<'a, B: Backend> {
    backend: &'a B,
    pub memory: B::Memory,
    pub views: Vec<View>,
    /// Values of each buffer, fences included.
    sizes: Vec<usize>,
}

impl<'a, B: Backend> Fenced<'a, B> {
    /// Reduced subjects get no fence behind a tensor, so that a device's own bounds end there.
    pub fn new(subject: &Subject<'a, B>, tensors: &[Fill]) -> Result<Self, Failure> {
        let backend = subject.backend;
        let lens = tensors.iter().map(|t| match t {
            Fill::Values(v) => v.len(),
            Fill::Poison(len) => *len,
        });
        let lens: Vec<usize> = lens.collect();
        let behind = if subject.reduced { 0 } else { FENCE };
        let sizes: Vec<usize> = lens.iter().map(|len| FENCE + len + behind).collect();
        let bytes: Vec<usize> = sizes.iter().map(|s| s * 4).collect();
        let mut memory = backend.allocate(&bytes, true)?;
        let mut views = Vec::new();
        for (i, tensor) in tensors.iter().enumerate() {
            let view = |offset, len| View { buffer: i as u32, offset, len, dtype: Dtype::F32 };
            backend.fill(&mut memory, view(0, sizes[i]), CANARY)?;
            let own = view(ALIGN, lens[i]);
            match tensor {
                Fill::Values(values) => backend.upload(&mut memory, own, values)?,
                Fill::Poison(_) => backend.fill(&mut memory, own, f32::NAN)?,
            }
            views.push(own);
        }
        Ok(Fenced { backend, memory, views, sizes })
    }

    /// The tensor's values, after checking every canary.
    pub fn read(&self, tensor: usize) -> Result<Vec<f32>, Failure> {
        let mut result = Vec::new();
        for (i, (view, &size)) in self.views.iter().zip(&self.sizes).enumerate() {
            let mut all = vec![0.0; size];
            self.backend.download(
                &self.memory,
                View { offset: 0, len: size, ..*view },
                &mut all,
            )?;
            let mut fences = all[..FENCE].iter().chain(&all[FENCE + view.len..]);
            let whole = fences.all(|v| v.to_bits() == CANARY.to_bits());
            ensure(whole, || format!("a value outside tensor {i} was written"))?;
            if i == tensor {
                result = all[FENCE..FENCE + view.len].to_vec();
            }
        }
        Ok(result)
    }
}
