//! The one way to launch a kernel.

use std::ffi::c_void;
use std::sync::atomic::Ordering::Relaxed;

use super::bindings::{
    CUfunction, CUlaunchAttribute, CUlaunchAttributeID, CUlaunchAttributeValue, CUlaunchConfig,
    CUstream,
};

use super::card::Cuda;
use super::driver::Driver;
use super::kernels::Kernel;
use super::terms::DriverError;
use crate::error::{Error, Result};

/// Compute capability whose PTX has the instruction that waits for the kernels before.
const HOPPER: u32 = 90;

impl Cuda {
    /// Launches `kernel` on `grid` blocks of `threads` threads with `shared_bytes` of dynamic
    /// shared memory, after everything issued before. Returns before the kernel runs: a fault of
    /// its own is reported by a later call. An empty grid is no launch.
    ///
    /// Errors: a grid, block, shared memory or parameter that the kernel cannot take is a defect
    /// of the program; what the driver refuses is a failure of the device. All name the kernel.
    ///
    /// # Safety
    /// The pointers of `args` are those of this device's memory, in the bounds that the kernel's header
    /// states for these sizes; no other launch that is not ordered with this one touches what it writes.
    pub unsafe fn launch<A: bytemuck::Pod>(
        &self,
        kernel: &Kernel<A>,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        args: &A,
    ) -> Result<()> {
        if grid.contains(&0) {
            return Ok(());
        }
        let refused = kernel.limits.refusal(grid, threads, shared_bytes, size_of::<A>());
        let what = || {
            let [x, y, z] = grid;
            let name = kernel.name();
            format!("kernel {name}, {x} x {y} x {z} blocks of {threads} threads, {shared_bytes} B")
        };
        if let Some(refused) = refused {
            return Err(Error::Internal(format!("{}: {refused}", what())));
        }
        let mut parameters = [std::ptr::from_ref(args).cast_mut().cast::<c_void>()];
        let early = self.launches_early(kernel) && self.context.follows_a_kernel();
        self.context.launching(kernel.index);
        let issue = Issue { function: kernel.function, grid, threads, shared_bytes, early };
        // SAFETY: the function lives as long as `self`, the parameter until the call returns, its size
        // is the kernel's; the driver only reads it. The rest is the caller's.
        self.context.call(what, |d| unsafe {
            issue.launch(d, self.context.stream, parameters.as_mut_ptr())
        })?;
        self.context.launched();
        Ok(())
    }

    /// Whether launches of this kernel may say that it may begin before the kernel before it has ended
    /// (programmatic dependent launch): then it and what it needs are there when that ends. Every
    /// kernel first waits for that end (`KERNEL` in `kernels/kernel.cuh`), where its image has the
    /// instruction.
    fn launches_early<A>(&self, kernel: &Kernel<A>) -> bool {
        self.dependent_launch.load(Relaxed) && kernel.limits.ptx >= HOPPER
    }

    /// Whether kernels may begin before the one before them has ended, where card and driver can. They
    /// may unless told otherwise; the results are the same bits.
    pub fn set_dependent_launch(&self, on: bool) {
        self.dependent_launch.store(on && self.records_early_launches, Relaxed);
    }

    /// Whether the driver takes launches that may begin early, also in a capture: it is given one that
    /// never runs. Some versions refuse them on some cards.
    pub(super) fn try_early_launch(&self) -> bool {
        if !self.context.driver.launches_early() {
            return false;
        }
        let function = self.kernels.echo_fields.function;
        // No kernel has more parameters.
        let zeros = [0u64; 4096 / 8];
        let recorded = self.capture(|| {
            for early in [false, true] {
                let issue = Issue { function, grid: [1; 3], threads: 32, shared_bytes: 0, early };
                let mut parameters = [zeros.as_ptr().cast_mut().cast::<c_void>()];
                let what = || "recording a launch that may begin early".to_owned();
                // SAFETY: function and stream are alive, the parameters long enough; nothing runs.
                self.context.call(what, |d| unsafe {
                    issue.launch(d, self.context.stream, parameters.as_mut_ptr())
                })?;
            }
            Ok(())
        });
        recorded.is_ok()
    }
}

/// A checked launch.
struct Issue {
    function: CUfunction,
    grid: [u32; 3],
    threads: u32,
    shared_bytes: u32,
    /// It may begin before the kernel issued before it has ended.
    early: bool,
}

impl Issue {
    /// # Safety
    /// Function, stream and parameters are alive, and sizes within the function's limits.
    unsafe fn launch(
        &self,
        driver: &Driver,
        stream: CUstream,
        parameters: *mut *mut c_void,
    ) -> Result<(), DriverError> {
        let &Issue { function, grid: [x, y, z], threads, shared_bytes, early } = self;
        if !early {
            let extra = std::ptr::null_mut();
            // SAFETY: the caller's.
            return unsafe {
                driver.cuLaunchKernel(
                    function,
                    x,
                    y,
                    z,
                    threads,
                    1,
                    1,
                    shared_bytes,
                    stream,
                    parameters,
                    extra,
                )
            };
        }
        let mut attribute = CUlaunchAttribute {
            id: CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
        };
        let config = CUlaunchConfig {
            gridDimX: x,
            gridDimY: y,
            gridDimZ: z,
            blockDimX: threads,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: shared_bytes,
            hStream: stream,
            attrs: &mut attribute,
            numAttrs: 1,
        };
        // SAFETY: the caller's; the attribute is alive.
        unsafe { driver.launch_with(&config, function, parameters) }
    }
}
