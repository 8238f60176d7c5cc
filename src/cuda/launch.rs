//! The one way to launch a kernel.

use std::ffi::c_void;

use super::Cuda;
use super::kernels::Kernel;
use crate::error::{Error, Result};

/// Most blocks along x, and along y and z, on every card.
const MOST_BLOCKS: [u32; 3] = [i32::MAX as u32, u16::MAX as u32, u16::MAX as u32];

impl Cuda {
    /// Launches `kernel` on `grid` blocks of `threads` threads with `shared_bytes` of dynamic
    /// shared memory, after everything issued before. Returns before the kernel runs: a fault of
    /// its own is reported by a later call. An empty grid is no launch.
    ///
    /// Errors: a grid, block, shared memory or parameter that the kernel cannot take is a defect
    /// of the program; what the driver refuses is a failure of the device. All name the kernel.
    ///
    /// # Safety
    /// `args` has the fields of the kernel's structure, in its order; its pointers are those of
    /// this device's memory, in the bounds that the kernel's header states for these sizes; no
    /// other launch that is not ordered with this one touches what it writes.
    pub unsafe fn launch<A: bytemuck::Pod>(
        &self,
        kernel: &Kernel,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        args: &A,
    ) -> Result<()> {
        if grid.contains(&0) {
            return Ok(());
        }
        let limits = kernel.limits;
        let size = size_of::<A>();
        let refused = if (0..3).any(|i| grid[i] > MOST_BLOCKS[i]) {
            Some(format!("expected at most {MOST_BLOCKS:?} blocks"))
        } else if threads == 0 || threads > limits.threads {
            Some(format!("expected 1 to {} threads", limits.threads))
        } else if shared_bytes > limits.shared_bytes {
            Some(format!("expected at most {} bytes of shared memory", limits.shared_bytes))
        } else if let Some(expected) = limits.parameter_bytes
            && expected != size
        {
            Some(format!("{size} bytes of parameters, expected {expected}"))
        } else {
            None
        };
        let what = || {
            let [x, y, z] = grid;
            let name = kernel.name();
            format!("kernel {name}, {x} x {y} x {z} blocks of {threads} threads, {shared_bytes} B")
        };
        if let Some(refused) = refused {
            return Err(Error::Internal(format!("{}: {refused}", what())));
        }
        let [x, y, z] = grid;
        let mut parameters = [std::ptr::from_ref(args).cast_mut().cast::<c_void>()];
        self.device.launched(kernel.index);
        self.device.call(what, |d| {
            // SAFETY: the function lives as long as `self`, the parameter until the call returns,
            // its size is the kernel's; the driver only reads it. The rest is the caller's.
            unsafe {
                d.cuLaunchKernel(
                    kernel.function,
                    x,
                    y,
                    z,
                    threads,
                    1,
                    1,
                    shared_bytes,
                    self.device.stream,
                    parameters.as_mut_ptr(),
                    std::ptr::null_mut(),
                )
            }
        })
    }
}
