//! The driver's functions that this program calls: one list, looked up once, before the first call.
//!
//! Codes stay numbers: a newer driver has codes that an enumeration would not know.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::OnceLock;

use super::bindings::{
    CUcontext, CUdevice, CUdevice_attribute, CUdeviceptr, CUevent, CUfunction,
    CUfunction_attribute, CUgraph, CUgraphExec, CUlaunchConfig, CUmodule, CUstream,
    CUstreamCaptureMode,
};

use super::absence::Absence;
use super::library;
use super::terms::{DriverError, Version, code};

type LaunchKernelEx = unsafe extern "C" fn(
    *const CUlaunchConfig,
    CUfunction,
    *mut *mut c_void,
    *mut *mut c_void,
) -> u32;

macro_rules! driver {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        /// The driver's functions, all of them there.
        #[allow(non_snake_case)]
        pub struct Driver {
            $($name: unsafe extern "C" fn($($type),*) -> u32,)*
            /// In drivers for CUDA 12.4 or newer.
            cuFuncGetParamInfo:
                Option<unsafe extern "C" fn(CUfunction, usize, *mut usize, *mut usize) -> u32>,
            /// In drivers for CUDA 11.8 or newer.
            cuLaunchKernelEx: Option<LaunchKernelEx>,
        }

        impl Driver {
            fn resolve() -> Result<Driver, Absence> {
                let version = version();
                let missing = |missing| Absence::DriverTooOld { version, missing };
                Ok(Driver {
                    // SAFETY: each type is the function's in NVIDIA's driver API reference.
                    $($name: unsafe { library::symbol(stringify!($name)) }
                        .ok_or_else(|| missing(stringify!($name)))?,)*
                    // SAFETY: as above.
                    cuFuncGetParamInfo: unsafe { library::symbol("cuFuncGetParamInfo") },
                    // SAFETY: as above.
                    cuLaunchKernelEx: unsafe { library::symbol("cuLaunchKernelEx") },
                })
            }

            $(
                /// # Safety
                /// As NVIDIA's driver API reference says of this function.
                #[allow(non_snake_case, dead_code, clippy::too_many_arguments)]
                pub unsafe fn $name(&self, $($argument: $type),*) -> Result<(), DriverError> {
                    // SAFETY: the caller's.
                    let code = unsafe { (self.$name)($($argument),*) };
                    self.check(stringify!($name), code)
                }
            )*
        }
    };
}

driver! {
    cuInit(flags: c_uint);
    cuGetErrorName(error: u32, name: *mut *const c_char);
    cuGetErrorString(error: u32, text: *mut *const c_char);
    cuDriverGetVersion(version: *mut c_int);

    cuDeviceGetCount(count: *mut c_int);
    cuDeviceGet(device: *mut CUdevice, ordinal: c_int);
    cuDeviceGetName(name: *mut c_char, length: c_int, device: CUdevice);
    cuDeviceGetAttribute(value: *mut c_int, attribute: CUdevice_attribute, device: CUdevice);
    cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice);
    cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice);
    cuDevicePrimaryCtxRelease_v2(device: CUdevice);
    cuCtxSetCurrent(context: CUcontext);

    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemAlloc_v2(pointer: *mut CUdeviceptr, bytes: usize);
    cuMemFree_v2(pointer: CUdeviceptr);
    cuMemHostAlloc(pointer: *mut *mut c_void, bytes: usize, flags: c_uint);
    cuMemFreeHost(pointer: *mut c_void);
    cuMemcpyHtoDAsync_v2(to: CUdeviceptr, from: *const c_void, bytes: usize, stream: CUstream);
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemsetD32Async(to: CUdeviceptr, value: c_uint, count: usize, stream: CUstream);

    cuStreamCreate(stream: *mut CUstream, flags: c_uint);
    cuStreamDestroy_v2(stream: CUstream);
    cuStreamSynchronize(stream: CUstream);
    cuStreamWaitEvent(stream: CUstream, event: CUevent, flags: c_uint);

    cuEventCreate(event: *mut CUevent, flags: c_uint);
    cuEventDestroy_v2(event: CUevent);
    cuEventRecord(event: CUevent, stream: CUstream);
    cuEventSynchronize(event: CUevent);
    cuEventElapsedTime(milliseconds: *mut f32, start: CUevent, end: CUevent);

    cuStreamBeginCapture_v2(stream: CUstream, mode: CUstreamCaptureMode);
    cuStreamEndCapture(stream: CUstream, graph: *mut CUgraph);
    cuGraphInstantiateWithFlags(exec: *mut CUgraphExec, graph: CUgraph, flags: c_ulonglong);
    cuGraphLaunch(exec: CUgraphExec, stream: CUstream);
    cuGraphExecDestroy(exec: CUgraphExec);
    cuGraphDestroy(graph: CUgraph);

    cuModuleLoadData(module: *mut CUmodule, image: *const c_void);
    cuModuleUnload(module: CUmodule);
    cuModuleGetFunction(function: *mut CUfunction, module: CUmodule, name: *const c_char);
    cuFuncGetAttribute(value: *mut c_int, attribute: CUfunction_attribute, function: CUfunction);
    cuFuncSetAttribute(function: CUfunction, attribute: CUfunction_attribute, value: c_int);
    cuLaunchKernel(
        function: CUfunction,
        grid_x: c_uint, grid_y: c_uint, grid_z: c_uint,
        block_x: c_uint, block_y: c_uint, block_z: c_uint,
        shared_bytes: c_uint,
        stream: CUstream,
        parameters: *mut *mut c_void,
        extra: *mut *mut c_void
    );
}

/// The driver, started. Looked for once a process: the library's handle is one a process, too.
pub fn driver() -> Result<&'static Driver, Absence> {
    static DRIVER: OnceLock<Result<Driver, Absence>> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| {
        if !library::is_there() {
            return Err(Absence::NoDriver);
        }
        Driver::resolve()
    });
    let driver = driver.as_ref().map_err(Clone::clone)?;
    // SAFETY: the first call, which may be repeated.
    unsafe { driver.cuInit(0) }.map_err(|failure| match failure.code {
        code::STUB_LIBRARY => Absence::Stub,
        code::NO_DEVICE => Absence::NoDevice,
        _ => Absence::DriverFails(failure),
    })?;
    Ok(driver)
}

/// The CUDA version of the driver, where it tells before anything else is known to be there.
fn version() -> Option<Version> {
    // SAFETY: the function's type.
    let get: unsafe extern "C" fn(*mut c_int) -> u32 =
        unsafe { library::symbol("cuDriverGetVersion") }?;
    let mut number = 0;
    // SAFETY: may be called before cuInit; `number` is writable.
    (unsafe { get(&mut number) } == 0).then(|| Version::of_driver(number))
}

impl Driver {
    /// The newest CUDA version that this driver serves.
    pub fn version(&self) -> Result<Version, DriverError> {
        let mut number = 0;
        // SAFETY: `number` is writable.
        unsafe { self.cuDriverGetVersion(&mut number) }?;
        Ok(Version::of_driver(number))
    }

    /// Bytes of a kernel's only parameter: None where the driver cannot tell.
    ///
    /// # Safety
    /// `function` is one of a loaded module.
    pub unsafe fn parameter_bytes(&self, function: CUfunction) -> Option<usize> {
        let info = self.cuFuncGetParamInfo?;
        let (mut offset, mut bytes) = (0, 0);
        // SAFETY: the caller's; both are writable.
        (unsafe { info(function, 0, &mut offset, &mut bytes) } == 0).then_some(bytes)
    }

    /// Whether launches can say that a kernel may begin before the one before it has ended, also where
    /// they are captured.
    pub fn launches_early(&self) -> bool {
        const FIRST: Version = Version(12, 3);
        self.cuLaunchKernelEx.is_some() && self.version().is_ok_and(|version| version >= FIRST)
    }

    /// Launches with attributes.
    ///
    /// # Safety
    /// As NVIDIA's driver API reference says of `cuLaunchKernelEx`.
    pub unsafe fn launch_with(
        &self,
        config: &CUlaunchConfig,
        function: CUfunction,
        parameters: *mut *mut c_void,
    ) -> Result<(), DriverError> {
        let code = match self.cuLaunchKernelEx {
            // SAFETY: the caller's.
            Some(launch) => unsafe { launch(config, function, parameters, std::ptr::null_mut()) },
            None => code::NOT_FOUND,
        };
        self.check("cuLaunchKernelEx", code)
    }

    fn check(&self, call: &'static str, code: u32) -> Result<(), DriverError> {
        if code == 0 {
            return Ok(());
        }
        let read = |get: unsafe extern "C" fn(u32, *mut *const c_char) -> u32| {
            let mut text = std::ptr::null();
            // SAFETY: `text` is writable; the driver's strings live for ever.
            let known = unsafe { get(code, &mut text) } == 0 && !text.is_null();
            // SAFETY: not null, and NUL-terminated.
            known.then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        // Not by their methods, which come here.
        let text = match (read(self.cuGetErrorName), read(self.cuGetErrorString)) {
            (Some(name), Some(text)) => format!("{name}: {text}"),
            (Some(name), None) => name,
            _ => "an error that the driver does not name".to_owned(),
        };
        Err(DriverError { call, code, text })
    }
}
