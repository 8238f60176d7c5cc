//! Tensors between canaries: every buffer is longer than its tensor on both sides, and a check
//! after the call finds any write outside. Outputs start as NaN, so an unwritten value fails too.

use fairprune::backend::cpu::CpuMemory;
use fairprune::backend::{ALIGN, Backend, Cpu, View};
use fairprune::tensor::Dtype;

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
pub struct Fenced {
    pub memory: CpuMemory,
    pub views: Vec<View>,
    sizes: Vec<usize>,
}

impl Fenced {
    pub fn new(cpu: &Cpu, tensors: &[Fill]) -> Self {
        let lens: Vec<usize> = tensors
            .iter()
            .map(|t| match t {
                Fill::Values(v) => v.len(),
                Fill::Poison(len) => *len,
            })
            .collect();
        let sizes: Vec<usize> =
            lens.iter().map(|len| (len + 2 * FENCE).next_multiple_of(FENCE)).collect();
        let bytes: Vec<usize> = sizes.iter().map(|s| s * 4).collect();
        let mut memory = cpu.allocate(&bytes, true).unwrap();
        let mut views = Vec::new();
        for (i, tensor) in tensors.iter().enumerate() {
            let view = |offset, len| View { buffer: i as u32, offset, len, dtype: Dtype::F32 };
            cpu.fill(&mut memory, view(0, sizes[i]), CANARY).unwrap();
            let own = view(ALIGN, lens[i]);
            match tensor {
                Fill::Values(values) => cpu.upload(&mut memory, own, values).unwrap(),
                Fill::Poison(_) => cpu.fill(&mut memory, own, f32::NAN).unwrap(),
            }
            views.push(own);
        }
        Fenced { memory, views, sizes }
    }

    /// The tensor's values, after checking every canary.
    pub fn read(&self, tensor: usize) -> Vec<f32> {
        for (view, &size) in self.views.iter().zip(&self.sizes) {
            let whole = View { offset: 0, len: size, ..*view };
            let all = self.memory.slice(whole).unwrap();
            let touched = all[..FENCE]
                .iter()
                .chain(&all[FENCE + view.len..])
                .any(|v| v.to_bits() != CANARY.to_bits());
            assert!(!touched, "a value outside tensor {} was written", view.buffer);
        }
        self.memory.slice(self.views[tensor]).unwrap().to_vec()
    }
}
