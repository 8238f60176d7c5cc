//! Tensors between canaries: every buffer is longer than its tensor on both sides, and a check
//! after the call finds any write outside. Outputs start as NaN, so an unwritten value fails too.

use super::{CaseFailure, Subject, ensure};
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
    /// Values of bf16 that the operator reads.
    Values16(&'a [f32]),
    Poison16(usize),
}

/// Two NaN of bf16, and one of f32.
const NAN16: u32 = 0x7fc0_7fc0;

impl Fill<'_> {
    /// Returns the number of elements and their type.
    fn shape(&self) -> (usize, Dtype) {
        match self {
            Fill::Values(v) => (v.len(), Dtype::F32),
            Fill::Poison(len) => (*len, Dtype::F32),
            Fill::Values16(v) => (v.len(), Dtype::Bf16),
            Fill::Poison16(len) => (*len, Dtype::Bf16),
        }
    }
}

/// Returns the number of 32-bit words that a view covers.
fn words(view: &View) -> usize {
    view.bytes().div_ceil(4)
}

/// The buffers of one call, one for each tensor.
pub struct Fenced<'a, B: Backend> {
    backend: &'a B,
    pub memory: B::Memory,
    pub views: Vec<View>,
    /// Number of words in each buffer, fences included.
    sizes: Vec<usize>,
}

impl<'a, B: Backend> Fenced<'a, B> {
    /// Makes the buffers. Reduced subjects get no fence behind a tensor, so that a device's own
    /// bounds end there.
    pub fn new(subject: &Subject<'a, B>, tensors: &[Fill]) -> Result<Self, CaseFailure> {
        let backend = subject.backend;
        let own = |(i, tensor): (usize, &Fill)| {
            let (len, dtype) = tensor.shape();
            View { buffer: i as u32, offset: ALIGN, len, dtype }
        };
        let views: Vec<View> = tensors.iter().enumerate().map(own).collect();
        let behind = if subject.reduced { 0 } else { FENCE };
        let sizes: Vec<usize> = views.iter().map(|v| FENCE + words(v) + behind).collect();
        let bytes: Vec<usize> = sizes.iter().map(|s| s * 4).collect();
        let mut memory = backend.allocate(&bytes, true)?;
        for ((tensor, &own), &size) in tensors.iter().zip(&views).zip(&sizes) {
            let all = View { offset: 0, len: size, dtype: Dtype::F32, ..own };
            backend.fill(&mut memory, all, CANARY)?;
            match tensor {
                Fill::Values(values) | Fill::Values16(values) => {
                    backend.upload(&mut memory, own, values)?;
                }
                Fill::Poison(_) => backend.fill(&mut memory, own, f32::NAN)?,
                Fill::Poison16(_) => {
                    let whole = View { len: words(&own), dtype: Dtype::F32, ..own };
                    backend.fill(&mut memory, whole, f32::from_bits(NAN16))?;
                }
            }
        }
        Ok(Fenced { backend, memory, views, sizes })
    }

    /// Returns the tensor's values, after checking every canary.
    pub fn read(&self, tensor: usize) -> Result<Vec<f32>, CaseFailure> {
        let mut result = Vec::new();
        for (i, (view, &size)) in self.views.iter().zip(&self.sizes).enumerate() {
            let mut all = vec![0.0; size];
            self.backend.download(
                &self.memory,
                View { offset: 0, len: size, dtype: Dtype::F32, ..*view },
                &mut all,
            )?;
            let mut fences = all[..FENCE].iter().chain(&all[FENCE + words(view)..]);
            let whole = fences.all(|v| v.to_bits() == CANARY.to_bits());
            ensure(whole, || format!("a value outside tensor {i} was written"))?;
            if i == tensor {
                let own = &all[FENCE..FENCE + words(view)];
                result = match view.dtype {
                    Dtype::Bf16 => own.iter().flat_map(|word| halves(*word)).collect(),
                    _ => own.to_vec(),
                };
                result.truncate(view.len);
            }
        }
        Ok(result)
    }
}

/// Returns the two bf16 values of a word.
fn halves(word: f32) -> [f32; 2] {
    let bits = word.to_bits();
    [bits << 16, bits & 0xffff_0000].map(f32::from_bits)
}
