//! Launches of `kernels/sgd.cu`.

use super::{Sgd, SgdOperands, SgdProblem};
use crate::backend::View;
use crate::cuda::args::{AdvanceArgs, SgdArgs};
use crate::cuda::{Cuda, CudaMemory, DevicePointer};
use crate::error::Result;
use crate::ops::check_len;
use crate::ops::device::{count, launch_items};

/// Values a thread updates.
const VALUES: u32 = 4;

fn advance(cuda: &Cuda, state: DevicePointer, rates: u32) -> Result<()> {
    let args = AdvanceArgs { state, rates, filler: 0 };
    // SAFETY: the state has four words (checked by the callers).
    unsafe { cuda.launch(&cuda.kernels().advance_u32, [1, 1, 1], 32, 0, &args) }
}

impl Sgd for Cuda {
    fn sgd(
        &self,
        memory: &mut CudaMemory,
        problem: &SgdProblem,
        operands: &SgdOperands,
    ) -> Result<()> {
        operands.check()?;
        let SgdOperands { dw, w, v, lrs, state } = *operands;
        let args = SgdArgs {
            dw: self.pointer(memory, dw)?,
            w: self.pointer(memory, w)?,
            v: self.pointer(memory, v)?,
            lrs: self.pointer(memory, lrs)?,
            state: self.pointer(memory, state)?,
            length: count("SGD", "parameters", w.len)?,
            rates: count("SGD", "learning rates", lrs.len)?,
            momentum: problem.momentum,
            decay: problem.weight_decay,
            nesterov: u32::from(problem.nesterov),
            filler: 0,
        };
        let items = args.length.div_ceil(VALUES);
        // SAFETY: the views have one length, the state four words.
        unsafe { launch_items(self, &self.kernels().sgd_f32, items, &args)? };
        advance(self, args.state, args.rates)
    }

    fn advance(&self, memory: &mut CudaMemory, state: View) -> Result<()> {
        check_len("batch counter", "state", state, 4)?;
        advance(self, self.pointer(memory, state)?, u32::MAX)
    }
}
