//! Launches of `kernels/cast.cu`.

use super::{Cast, check};
use crate::backend::View;
use crate::cuda::args::CastToBf16Args;
use crate::cuda::{Cuda, CudaMemory};
use crate::error::Result;
use crate::ops::device::{count, launch_items};

impl Cast for Cuda {
    fn cast(&self, memory: &mut CudaMemory, from: View, to: View) -> Result<()> {
        let rounds = check(from, to)?;
        let len = count("cast", "elements", from.len)?;
        let [x, y] = [self.pointer(memory, from)?, self.pointer(memory, to)?];
        let args = CastToBf16Args { x, y, len, filler: 0 };
        let kernels = self.kernels();
        let kernel = if rounds { &kernels.cast_f32_to_bf16 } else { &kernels.cast_bf16_to_f32 };
        // SAFETY: views of one length and the kernel's types.
        unsafe { launch_items(self, kernel, len.div_ceil(8), &args) }
    }
}
