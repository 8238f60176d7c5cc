//! SGD on the CPU.

use rayon::prelude::*;

use super::{Sgd, SgdOperands, SgdProblem};
use crate::backend::cpu::CpuMemory;
use crate::backend::{Cpu, View, multiversion};
use crate::error::{Error, Result};

/// Elements a task updates.
const TASK: usize = 1 << 16;

multiversion! {
    fn update(dw: &[f32], w: &mut [f32], v: &mut [f32], lr: f32, problem: SgdProblem) {
        let SgdProblem { momentum, weight_decay: decay, nesterov } = problem;
        for ((&d, w), v) in dw.iter().zip(w).zip(v) {
            let g = d + decay * *w;
            *v = momentum * *v + g;
            let step = if nesterov { g + momentum * *v } else { *v };
            *w -= lr * step;
        }
    }
}

impl Sgd for Cpu {
    fn sgd(
        &self,
        memory: &mut CpuMemory,
        problem: &SgdProblem,
        operands: &SgdOperands,
    ) -> Result<()> {
        operands.check()?;
        let SgdOperands { dw, w, v, lrs, state } = *operands;
        let ([dw, lrs], [w, v, state]) = memory.slices([dw, lrs], [w, v, state])?;
        let state: &mut [u32] = bytemuck::cast_slice_mut(state);
        if state[2] == 0 {
            let lr = *lrs.get(state[0] as usize).ok_or_else(|| {
                Error::Internal(format!("step {} of {} learning rates", state[0], lrs.len()))
            })?;
            let isa = self.isa();
            self.pool().install(|| {
                dw.par_chunks(TASK)
                    .zip(w.par_chunks_mut(TASK))
                    .zip(v.par_chunks_mut(TASK))
                    .for_each(|((dw, w), v)| {
                        update(isa, dw, w, v, lr, *problem);
                    });
            });
        }
        state[0] += 1;
        state[3] += 1;
        Ok(())
    }

    fn advance(&self, memory: &mut CpuMemory, state: View) -> Result<()> {
        let state: &mut [u32] = bytemuck::cast_slice_mut(memory.slice_mut(state)?);
        state[0] += 1;
        state[3] += 1;
        Ok(())
    }
}
