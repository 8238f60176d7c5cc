//! One card: its context, the one stream that all work goes through, and what it can do.

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::bindings::{CUcontext, CUdevice, CUdevice_attribute as Attribute, CUstream};

use super::absence::Absence;
use super::driver::{Driver, driver};
use super::terms::{DriverError, OLDEST, Version, code};
use crate::error::{Error, Result};

/// What a card is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// The card's number, as the driver counts from 0.
    pub ordinal: usize,
    /// `NVIDIA H200`, ...
    pub card: String,
    /// Where it is, as `0000:3b:00.0`, where the driver tells.
    pub address: Option<String>,
    /// Compute capability.
    pub capability: Version,
    /// Bytes of device memory.
    pub memory_bytes: u64,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Most bytes of shared memory that a block may ask for.
    pub shared_bytes: u32,
}

/// An open card. Buffers, modules, events and graphs hold it, so that it is closed last.
pub(super) struct Context {
    pub driver: &'static Driver,
    pub properties: Properties,
    device: CUdevice,
    context: CUcontext,
    pub stream: CUstream,
    /// Names of all kernels, for errors.
    kernel_names: &'static [&'static str],
    /// The kernel launched last, as an index of these names.
    last: AtomicU32,
    /// Nothing was asked of the driver since.
    undisturbed: AtomicBool,
}

// SAFETY: the driver's functions may be called from any thread; each call below first makes the
// context current in its own.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

/// cuStreamCreate: does not wait for the NULL stream.
pub(super) const NON_BLOCKING: u32 = 1;
/// Bytes that the driver may need for itself.
const RESERVE: usize = 64 << 20;
/// No kernel was launched yet.
const NONE: u32 = u32::MAX;

/// How many cards the driver sees; 0 is an absence.
pub(super) fn count() -> Result<usize, Absence> {
    let mut count = 0;
    // SAFETY: `count` is writable.
    unsafe { driver()?.cuDeviceGetCount(&mut count) }.map_err(absent)?;
    if count > 0 { Ok(count as usize) } else { Err(Absence::NoDevice) }
}

fn absent(failure: DriverError) -> Absence {
    if failure.code == code::NO_DEVICE { Absence::NoDevice } else { Absence::DriverFails(failure) }
}

/// What card `ordinal` is. Creates nothing on it.
pub(super) fn properties(ordinal: usize) -> Result<(CUdevice, Properties), Absence> {
    let driver = driver()?;
    let count = count()?;
    if ordinal >= count {
        return Err(Absence::NoSuchDevice { ordinal, count });
    }
    let mut device = 0;
    // SAFETY: `device` is writable, `ordinal` below the count.
    unsafe { driver.cuDeviceGet(&mut device, ordinal as c_int) }.map_err(absent)?;
    let read = || -> Result<Properties, DriverError> {
        let attribute = |attribute: Attribute| {
            let mut value = 0;
            // SAFETY: `value` is writable, the device was got above.
            unsafe { driver.cuDeviceGetAttribute(&mut value, attribute, device) }?;
            Ok(value.unsigned_abs())
        };
        let place = [
            Attribute::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID,
            Attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID,
            Attribute::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID,
        ];
        let address = match place.map(&attribute) {
            [Ok(domain), Ok(bus), Ok(slot)] => Some(format!("{domain:04x}:{bus:02x}:{slot:02x}.0")),
            _ => None,
        };
        let mut name: [c_char; 256] = [0; 256];
        // SAFETY: writable for one less than its length, so that a NUL remains.
        unsafe { driver.cuDeviceGetName(name.as_mut_ptr(), 255, device) }?;
        let mut memory = 0;
        // SAFETY: `memory` is writable.
        unsafe { driver.cuDeviceTotalMem_v2(&mut memory, device) }?;
        Ok(Properties {
            ordinal,
            // SAFETY: NUL-terminated, see above.
            card: unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned(),
            capability: Version(
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ),
            address,
            memory_bytes: memory as u64,
            multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            shared_bytes: attribute(
                Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            )?,
        })
    };
    Ok((device, read().map_err(absent)?))
}

impl Context {
    /// The primary context of card `ordinal`, current in this thread, and a stream of its own.
    /// `kernel_names` are those of the kernels that [`Context::launching`] counts.
    pub fn open(ordinal: usize, kernel_names: &'static [&'static str]) -> Result<Context, Absence> {
        let (device, properties) = properties(ordinal)?;
        if properties.capability < OLDEST {
            let Properties { card, capability, .. } = properties;
            return Err(Absence::CardTooOld { card, capability });
        }
        let driver = driver()?;
        let mut context = std::ptr::null_mut();
        // SAFETY: `context` is writable; released in `drop`.
        unsafe { driver.cuDevicePrimaryCtxRetain(&mut context, device) }.map_err(absent)?;
        let stream = std::ptr::null_mut();
        let (last, undisturbed) = (AtomicU32::new(NONE), AtomicBool::new(false));
        let mut open = Context {
            driver,
            properties,
            device,
            context,
            stream,
            kernel_names,
            last,
            undisturbed,
        };
        open.make_current().map_err(absent)?;
        // SAFETY: the context is current; destroyed in `drop`.
        unsafe { driver.cuStreamCreate(&mut open.stream, NON_BLOCKING) }.map_err(absent)?;
        Ok(open)
    }

    fn make_current(&self) -> Result<(), DriverError> {
        // SAFETY: retained until `drop`.
        unsafe { self.driver.cuCtxSetCurrent(self.context) }
    }

    /// Calls the driver with the context current in this thread. `what` was tried, for the error.
    pub fn call(
        &self,
        what: impl FnOnce() -> String,
        call: impl FnOnce(&Driver) -> Result<(), DriverError>,
    ) -> Result<()> {
        self.try_call(call).map_err(|failure| self.error(what(), &failure))
    }

    /// Calls the driver as [`Context::call`] does, for callers that tell failures apart.
    pub fn try_call(
        &self,
        call: impl FnOnce(&Driver) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        self.undisturbed.store(false, Ordering::Relaxed);
        self.make_current()?;
        call(self.driver)
    }

    /// Waits for all work issued so far; a fault of a kernel surfaces here.
    pub fn synchronize(&self) -> Result<()> {
        // SAFETY: the stream lives as long as the device.
        self.call(|| "waiting".to_owned(), |d| unsafe { d.cuStreamSynchronize(self.stream) })
    }

    /// Remembers a launch for later errors.
    pub fn launching(&self, kernel: u32) {
        self.last.store(kernel, Ordering::Relaxed);
    }

    /// A launch was issued.
    pub fn launched(&self) {
        self.undisturbed.store(true, Ordering::Relaxed);
    }

    /// The last thing issued is a kernel's launch, not a copy, a fill, a wait or a graph.
    pub fn follows_a_kernel(&self) -> bool {
        self.undisturbed.load(Ordering::Relaxed)
    }

    /// A failure while running, with what was tried. Launches return before they run, so that a
    /// kernel's fault is reported by whatever is called next.
    pub fn error(&self, what: String, failure: &DriverError) -> Error {
        let mut reason = failure.to_string();
        // From 700 (illegal address) on: what a running kernel did.
        let fault = (700..800).contains(&failure.code);
        if fault
            && let Some(name) = self.kernel_names.get(self.last.load(Ordering::Relaxed) as usize)
        {
            reason.push_str(&format!(
                "; the kernel launched last is {name} (CUDA_LAUNCH_BLOCKING=1 makes it the one at \
                 fault)"
            ));
        }
        Error::Device { device: self.name(), what, reason }
    }

    /// `cuda:0`.
    pub fn name(&self) -> String {
        format!("cuda:{}", self.properties.ordinal)
    }

    /// Bytes that can still be allocated. Some are left to the driver: for graphs, and because it
    /// rounds large allocations up.
    pub fn free_bytes(&self) -> Option<u64> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: both are writable.
        self.try_call(|d| unsafe { d.cuMemGetInfo_v2(&mut free, &mut total) }).ok()?;
        Some((free - RESERVE.min(free / 16)) as u64)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; after a kernel's fault every call fails.
        let _ = self.make_current();
        if !self.stream.is_null() {
            // SAFETY: created in `open`; whatever used it holds the device, and is gone.
            let _ = unsafe { self.driver.cuStreamDestroy_v2(self.stream) };
        }
        // SAFETY: retained in `open`.
        let _ = unsafe { self.driver.cuDevicePrimaryCtxRelease_v2(self.device) };
    }
}
